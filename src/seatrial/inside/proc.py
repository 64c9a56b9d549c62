"""Runs inside a running container, on the image's own interpreter: Python 3.8 and later, standard library only.

It reads /proc and answers as `seatrial.facts.ProcInfo`.
"""

import os
import socket
import sys
import time
from typing import TYPE_CHECKING

from seatrial.inside.answer import give
from seatrial.inside.handed import NAMES

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Set, Tuple

MOST_BYTES = 1 << 20
MOST_LISTENERS = 500
MOST_WORDS = 64
MOST_CHARACTERS = 400
MOST_FILES = 20000
MOST_HEARTBEATS = 50
MOST_ZOMBIES = 20
MOST_NAMES = 5
ZOMBIE_SECONDS = 1.0
ZOMBIE_STEP = 0.1
LISTENS = {"tcp": "0A", "udp": "07"}
truncated: "List[str]" = []


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES)
    if len(data) == MOST_BYTES:
        truncated.append(path)
    return data


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")[:MOST_CHARACTERS]


def address(word: str) -> str:
    """Return an address that the kernel wrote as 32-bit numbers of its own byte order."""
    parts = [int(word[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(word), 8)]
    data = b"".join(parts)
    if len(data) == 16 and data.startswith(bytes(10) + b"\xff\xff"):
        return "::ffff:" + ".".join(str(byte) for byte in data[12:])
    if len(data) == 16 and not any(data[:15]):
        return "::1" if data[15] == 1 else "::"
    if len(data) == 16:
        return ":".join(f"{data[at] << 8 | data[at + 1]:x}" for at in range(0, 16, 2))
    return ".".join(str(byte) for byte in data)


def listeners() -> "List[Dict[str, Any]]":
    found: "Set[Tuple[str, str, int]]" = set()
    for name in ("tcp", "tcp6", "udp", "udp6"):
        try:
            lines = read("/proc/net/" + name).decode("ascii", "replace").splitlines()[1:]
        except FileNotFoundError:
            # A kernel without IPv6 has no such file.
            if name.endswith("6"):
                continue
            raise
        for line in lines:
            fields = line.split()
            if len(fields) > 3 and fields[3] == LISTENS[name[:3]]:
                host, _, port = fields[1].partition(":")
                found.add((name[:3], address(host), int(port, 16)))
    if len(found) > MOST_LISTENERS:
        truncated.append("listeners")
    return [{"protocol": kind, "address": host, "port": port} for kind, host, port in sorted(found)[:MOST_LISTENERS]]


def status() -> "Dict[str, List[str]]":
    rows = {}
    for line in read("/proc/1/status").decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        rows[name] = value.split()
    return rows


def processes() -> "List[str]":
    return [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def ended() -> "Dict[str, str]":
    """Return the processes below PID 1 that have ended and were not waited for, by number."""
    found = {}
    for name in processes():
        try:
            fields = read("/proc/" + name + "/stat")
        except OSError:
            continue
        command, _, rest = fields.partition(b"(")[2].rpartition(b")")
        if rest.split()[:2] == [b"Z", b"1"]:
            found[name] = text(command)
    return found


def zombies() -> "Dict[str, Any]":
    """Return those that stay so, and whether there are more of them after a while.

    Between an end and the wait for it there is a moment: what was seen once is looked for again.
    """
    known = ended()
    if known:
        time.sleep(ZOMBIE_STEP)
        known = {name: command for name, command in ended().items() if name in known}
    now, since = known, time.monotonic()
    while known and len(now) <= len(known) and time.monotonic() - since < ZOMBIE_SECONDS:
        time.sleep(ZOMBIE_STEP)
        now = ended()
    stay = sorted(now, key=int) if known else []
    return {"zombies": [now[name] for name in stay[:MOST_ZOMBIES]], "more_zombies": len(stay) > len(known)}


def addresses(name: str) -> "List[str]":
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(row[4][0]) for row in found))


def mounts() -> "List[Tuple[str, str]]":
    rows = []
    for line in read("/proc/self/mountinfo").decode("utf-8", "replace").splitlines():
        fields = line.split(" ")
        if len(fields) > 6 and "-" in fields[6:-1]:
            rows.append((fields[4].replace("\\040", " "), fields[fields.index("-", 6) + 1]))
    return rows


def filesystem(path: str, rows: "List[Tuple[str, str]]") -> str:
    """Return the type of the last mount that holds a path: a later one covers an earlier one."""
    best = ("", "")
    for point, kind in rows:
        if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]


def heartbeats(names: "List[str]") -> "List[Dict[str, str]]":
    rows, left = mounts(), MOST_FILES
    found: "Dict[str, Dict[str, str]]" = {}
    for name in names:
        folder = f"/proc/{name}/fd"
        try:
            files = os.listdir(folder)
        except OSError:
            continue
        for file in files:
            left -= 1
            if left < 0 or len(found) == MOST_HEARTBEATS:
                truncated.append("open files")
                return list(found.values())
            try:
                path = os.readlink(folder + "/" + file)
            except OSError:
                continue
            if os.path.basename(path).startswith("wgunicorn-"):
                path = path.replace(" (deleted)", "").encode("utf-8", "replace").decode("utf-8")[:MOST_CHARACTERS]
                found[path] = {"path": path, "filesystem": filesystem(os.path.dirname(path), rows)}
    return list(found.values())


def part(function: "Callable[[], Any]", otherwise: "Any") -> "Any":
    try:
        return function()
    except Exception as error:
        truncated.append(f"{type(error).__name__}: {str(error)[:MOST_CHARACTERS]}")
        return otherwise


def main() -> None:
    names = part(processes, [])
    rows = part(status, {})
    words = part(lambda: read("/proc/1/cmdline"), b"").rstrip(b"\0").split(b"\0")
    privileges = rows.get("NoNewPrivs")
    give(
        {
            # Not a part that may be missing: no listeners at all is an answer, and must be a true one.
            "listeners": listeners(),
            "command": [text(word) for word in words[:MOST_WORDS]],
            "uid": int(rows["Uid"][1]) if "Uid" in rows else None,
            "capabilities": rows.get("CapEff", [""])[0],
            "no_new_privileges": privileges == ["1"] if privileges else None,
            "processes": len(names),
            "heartbeats": part(lambda: heartbeats(names), []),
            **part(zombies, {}),
            "host_processors": os.cpu_count() or 0,
            "resolved": {name: addresses(name) for name in NAMES[:MOST_NAMES]},
            "truncated": truncated,
        }
    )


if __name__ == "__main__":
    main()
