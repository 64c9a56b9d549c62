"""Speaks to the app from inside its own container: requests, and the processes that serve them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from seatrial.compose.runner import lines_of
from seatrial.engine.containers import engine_errors
from seatrial.errors import EngineError
from seatrial.facts import Fact, Reply
from seatrial.inside import script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.engine.find import Engine
    from seatrial.stack.wait import Clock


Answer = TypeVar("Answer")

REQUEST_SECONDS = 10.0
"""The most that one request may take."""
SLACK = 10.0
"""Seconds that the engine and a busy machine may add to that."""
MOST_OUTPUT = 1024 * 1024
"""Bytes of one answer: the script's own limits keep it below."""
HEADER = 8
"""Bytes before each piece of output: its stream, and its length (the engine's API, "Stream format")."""
STDOUT = 1


class Worker(Fact, frozen=True, kw_only=True):
    """A process that serves the app's port."""

    pid: int
    command: str


class Workers(Fact, frozen=True, kw_only=True):
    """All processes that serve the app's port."""

    workers: tuple[Worker, ...]


class Killed(Fact, frozen=True, kw_only=True):
    """What came of killing a worker."""

    error: str = ""


class AgentError(Exception):
    """The agent gave no answer: the container has ended, or its interpreter cannot run the script."""


class Agent:
    """A small script, run by the interpreter of the app's container; started again when the container was."""

    def __init__(self, engine: Engine, container: str, python: str, port: int, *, clock: Clock = time) -> None:
        self.clock = clock
        self._api = engine.client.api
        self._container = container
        self._python = python
        self._port = port
        self._socket: Any = None
        self._channel: Any = None
        self._pending = b""
        self._errors = b""

    def request(
        self, path: str, *, method: str = "GET", body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send one request; whatever comes of it is the reply."""
        asked = {"do": "request", "path": path, "method": method, "body": body, "headers": dict(headers or {})}
        try:
            return self._ask({**asked, "timeout": REQUEST_SECONDS}, Reply)
        except AgentError as error:
            return Reply(error=str(error))

    def workers(self) -> tuple[Worker, ...]:
        """Return the processes that serve the app's port.

        Raises:
            AgentError: it gave no answer.

        """
        return self._ask({"do": "workers"}, Workers).workers

    def kill(self, worker: Worker) -> str:
        """Kill one of them as the kernel does when memory runs out; return why that could not be done, or nothing.

        Raises:
            AgentError: it gave no answer.

        """
        return self._ask({"do": "kill", "pid": worker.pid}, Killed).error

    def close(self) -> None:
        """End the script: its input ends."""
        if self._socket is not None:
            # docker-py leaves the response to the garbage collector; it uses the socket, and so is closed first.
            if response := getattr(self._socket, "_response", None):
                response.close()
            self._socket.close()
        self._socket = None
        self._pending = self._errors = b""

    def _ask(self, asked: Mapping[str, object], shape: type[Answer]) -> Answer:
        import docker.errors
        import requests

        try:
            if self._socket is None:
                self._begin()
            self._channel.sendall(json.dumps({**asked, "port": self._port}).encode() + b"\n")
            return msgspec.json.decode(self._line(), type=shape)
        except docker.errors.APIError as error:
            self.close()
            # 404, 409: the container is gone, or does not run; 400: its interpreter cannot be started.
            raise AgentError(f"the app's container cannot be asked: {error.explanation}") from error
        except (OSError, EOFError, msgspec.DecodeError) as error:
            said = " ".join(lines_of(self._errors)[-1:])
            self.close()
            raise AgentError(f"the app's container ended{f': {said}' if said else ''}") from error
        except requests.exceptions.RequestException as error:
            self.close()
            raise EngineError("the engine stopped answering.", where="asking the app", detail=str(error)) from error

    def _begin(self) -> None:
        words = [self._python, "-I", "-S", "-B", "-u", "-c", script("agent")]
        made = self._api.exec_create(self._container, words, stdin=True)
        self._socket = self._api.exec_start(made["Id"], socket=True)
        # A plain socket below the file that docker-py makes of it; TLS and SSH hand out theirs as it is.
        self._channel = getattr(self._socket, "_sock", self._socket)
        self._channel.settimeout(REQUEST_SECONDS + SLACK)

    def _line(self) -> bytes:
        line = b""
        while b"\n" not in line:
            stream, piece = self._piece()
            if stream == STDOUT:
                line += piece
            else:
                self._errors = (self._errors + piece)[-MOST_OUTPUT:]
            if len(line) > MOST_OUTPUT:
                raise EOFError
        return line.partition(b"\n")[0]

    def _piece(self) -> tuple[int, bytes]:
        header = self._bytes(HEADER)
        return header[0], self._bytes(int.from_bytes(header[4:], "big"))

    def _bytes(self, count: int) -> bytes:
        while len(self._pending) < count:
            more = self._channel.recv(65536)
            if not more:
                raise EOFError
            self._pending += more
        taken, self._pending = self._pending[:count], self._pending[count:]
        return taken


def container_restarts(engine: Engine, container: str) -> int:
    """Return how often the engine has started a container again by itself.

    Raises:
        EngineError: the engine does not answer.

    """
    with engine_errors("looking at the app's container"):
        return int(engine.client.api.inspect_container(container).get("RestartCount", 0))
