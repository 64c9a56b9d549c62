"""Runs beside the app, in its container, on the image's own interpreter: Python 3.8 and later, standard library only.

It takes one JSON object a line and answers each with one: requests to the app, its workers, the end of one of them.
"""

import glob
import http.client
import json
import os
import re
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from seatrial.inside.answer import give
from seatrial.inside.handed import REQUEST

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Set

    Row = Dict[str, Any]

MOST_BODY = 64 * 1024
MOST_CHARACTERS = 400
RETRY_SECONDS = 0.2


def own_address() -> str:
    """Return the address that other containers have for this one: what listens on loopback does not answer there."""
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"


def request(asked: "Row") -> "Row":
    started = time.monotonic()
    reply: "Row" = {}
    host = own_address()
    connection = http.client.HTTPConnection(host, asked["port"], timeout=asked["timeout"])
    try:
        body = None if asked["body"] is None else json.dumps(asked["body"]).encode()
        headers = {"Host": f"localhost:{asked['port']}", "Accept": "application/json", "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        headers.update(asked["headers"])
        connection.request(asked["method"], asked["path"], body=body, headers=headers)
        answer = connection.getresponse()
        reply["status"] = answer.status
        reply["body"] = answer.read(MOST_BODY).decode("utf-8", "replace")
    except ConnectionRefusedError:
        reply = {"error": f"nothing listens on port {asked['port']}{loopback(host, asked['port'])}"}
    except (OSError, http.client.HTTPException, ValueError) as error:
        said = f"{type(error).__name__}: {error}"
        reply = {"error": said.strip(": ")[:MOST_CHARACTERS]}
    finally:
        connection.close()
    reply["seconds"] = time.monotonic() - started
    return reply


def loopback(host: str, port: int) -> str:
    if host != "127.0.0.1":
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return ""
        return " but on 127.0.0.1, where no other container reaches it"
    return ""


def listening(port: int) -> "Set[str]":
    """Return the sockets that listen on a port, as the kernel numbers them."""
    found: "Set[str]" = set()
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(name) as file:
                rows = [line.split() for line in file.readlines()[1:]]
        except OSError:
            continue
        found.update(f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}"))
    return found


def links(pid: int) -> "Iterator[str]":
    for path in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            yield os.readlink(path)
        except OSError:
            continue


def parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read(MOST_CHARACTERS).replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def workers(asked: "Row") -> "Row":
    """Return the processes that serve a port: those that hold its socket, but for one that hands it to the others."""
    sockets = listening(asked["port"])
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    holders = [pid for pid in pids if sockets.intersection(links(pid))]
    parents = {parent(pid) for pid in holders}
    serving = [pid for pid in sorted(holders) if pid not in parents]
    return {"workers": [{"pid": pid, "command": command(pid)} for pid in serving]}


def kill(asked: "Row") -> "Row":
    try:
        os.kill(asked["pid"], signal.SIGKILL)
    except OSError as error:
        return {"error": str(error)}
    return {}


def answer(asked: "Row") -> "Row":
    """Send a request until what comes is what is asked for, or it is too late."""
    deadline = time.monotonic() + asked["within"]
    while True:
        reply = request(asked)
        found = asked["pattern"] is None or re.search(asked["pattern"], reply.get("body", "")) is not None
        reply["held"] = reply.get("status") == asked["status"] and found
        if reply["held"] or time.monotonic() >= deadline:
            reply["body"] = reply.get("body", "")[:MOST_CHARACTERS]
            return reply
        time.sleep(RETRY_SECONDS)


def main() -> None:
    if "REQUEST" in globals():
        # All at once, where they were handed in with the script.
        give([answer(asked) for asked in json.loads(REQUEST)])
        return
    known = {"request": request, "workers": workers, "kill": kill}
    for line in sys.stdin:
        asked = json.loads(line)
        sys.stdout.write(json.dumps(known[asked["do"]](asked)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
