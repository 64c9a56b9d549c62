"""The script that asks the app from inside of its container, run here against servers of the test's own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from seatrial import inside
from seatrial.engine.streams import Output
from seatrial.observe.running.questions import Reply, read_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = r"""
import os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def do_GET(self):
        if self.path == "/half":
            self.wfile.write(b"HTTP/1.0 2")
            return
        self.send_response(503 if self.path == "/no" else 200)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())
    def do_POST(self):
        self.send_response(201)
        self.end_headers()
        said = self.headers["Content-Type"] + " " + str(self.headers["X-Key"]) + " " + self.headers["Host"] + " "
        self.wfile.write(said.encode() + self.rfile.read(int(self.headers["Content-Length"])))

host, workers = sys.argv[1], int(sys.argv[2])
server = HTTPServer((host, 0), Handler)
for _ in range(workers):
    if os.fork() == 0:
        server.serve_forever()
print(server.server_port, flush=True)
if workers:
    while True:
        time.sleep(1)
server.serve_forever()
"""


@contextmanager
def server(host: str, workers: int) -> Iterator[int]:
    words = [sys.executable, "-c", SERVER, host, str(workers)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def ask(*asked: dict[str, Any]) -> list[dict[str, Any]]:
    script = inside.script("agent")
    lines = "".join(json.dumps(entry) + "\n" for entry in asked)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-u", "-c", script],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def request(port: int, path: str = "/", **more: Any) -> dict[str, Any]:
    plain = {"do": "request", "port": port, "path": path, "method": "GET", "body": None, "headers": {}, "timeout": 5}
    return plain | more


def test_requests_and_what_comes_of_them() -> None:
    with server("0.0.0.0", 0) as port:  # noqa: S104 - as an app listens in its container
        written = request(port, method="POST", body={"a": "ї"}, headers={"X-Key": "test"})
        good, bad, half, made = ask(request(port), request(port, "/no"), request(port, "/half"), written)
    assert (good["status"], bad["status"], made["status"]) == (200, 503, 201)
    assert made["body"] == f"application/json test localhost:{port} {json.dumps({'a': 'ї'})}"
    assert "BadStatusLine" in half["error"]
    assert "status" not in half
    (gone,) = ask(request(port))
    assert gone["error"] == f"nothing listens on port {port}"
    assert gone["seconds"] >= 0


def test_all_requests_at_once_and_whether_what_comes_is_what_was_asked_for() -> None:
    more: dict[str, Any] = {"status": 200, "pattern": None, "within": 0.3}
    with server("0.0.0.0", 0) as port:  # noqa: S104 - as an app listens in its container
        asked = [
            request(port, **more),
            request(port, **{**more, "pattern": "no such words"}),
            request(port, "/no", **more),
            request(port, "/no", **{**more, "status": 503}),
            request(1, **more),
        ]
        words, text = [sys.executable, *inside.ISOLATED], inside.requests("5f", json.dumps(asked))
        done = subprocess.run(words, input=text, capture_output=True, check=True, timeout=30)
    output = Output(
        out=done.stdout, errors=b"", code=0, truncated=False, timed_out=False, asked_at=len(inside.READY) + 2
    )
    replies = read_answer(output, "5f", tuple[Reply, ...], seconds=1.0, most=1)
    assert isinstance(replies, tuple)
    assert [reply.held for reply in replies] == [True, False, False, True, False]
    assert replies[-1].error.startswith("nothing listens on port 1")


def test_an_app_that_listens_on_the_loopback_alone_is_told_so() -> None:
    import socket

    if socket.gethostbyname(socket.gethostname()).startswith("127.0.0.1"):
        pytest.skip("NOT RUN: this machine's name leads to 127.0.0.1 itself")
    with server("127.0.0.1", 0) as port:
        (answer,) = ask(request(port))
    assert answer["error"] == f"nothing listens on port {port} but on 127.0.0.1, where no other container reaches it"


@pytest.mark.parametrize("workers", [0, 2])
def test_the_workers_of_a_port(workers: int) -> None:
    with server("0.0.0.0", workers) as port:  # noqa: S104
        (answer,) = ask({"do": "workers", "port": port})
        assert len(answer["workers"]) == max(workers, 1)
        assert all(re.search(r"python.* -c ", entry["command"]) for entry in answer["workers"])
        if workers:
            killed, other = (entry["pid"] for entry in answer["workers"])
            assert ask({"do": "kill", "pid": killed}) == [{}]
            time.sleep(0.2)
            (left,) = ask({"do": "workers", "port": port})
            assert [item["pid"] for item in left["workers"]] == [other]


def test_a_process_that_is_gone_cannot_be_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    (answer,) = ask({"do": "kill", "pid": process.pid})
    assert "No such process" in answer["error"]
