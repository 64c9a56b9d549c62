"""Speaks to the app from inside its own container: requests, workers, a value stored and read back.

What asks the engine raises EngineError when it does not answer.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import docker.errors
import msgspec
import requests

from seatrial.compose.runner import lines_of
from seatrial.engine.find import Engine
from seatrial.engine.streams import SLACK, STDOUT, Channel
from seatrial.errors import EngineError
from seatrial.facts import Exchange, Fact, Ready, Reply, Unavailable
from seatrial.inside import script
from seatrial.settings.model import UNIQUE, StackContract, StackWrite
from seatrial.stack.wait import Clock

Answer = TypeVar("Answer")

REQUEST_SECONDS = 10.0
"""The most that one request may take."""
MOST_OUTPUT = 1024 * 1024
"""Bytes of one answer: the script's own limits keep it below."""


class Worker(Fact, frozen=True, kw_only=True):
    """A process that serves the app's port."""

    pid: int
    command: str


class Workers(Fact, frozen=True, kw_only=True):
    """All processes that serve the app's port."""

    workers: tuple[Worker, ...]


class Killed(Fact, frozen=True, kw_only=True):
    """The result of killing a worker."""

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
        self._channel: Channel | None = None
        self._errors = b""

    def request(
        self, path: str, *, method: str = "GET", body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send one request; a failure is a reply too."""
        asked = {"path": path, "method": method, "body": body, "headers": dict(headers or {})}
        try:
            return self._ask("request", Reply, timeout=REQUEST_SECONDS, **asked)
        except AgentError as error:
            return Reply(error=str(error))

    def workers(self) -> tuple[Worker, ...]:
        """Return the processes that serve the app's port. Raises AgentError: it gave no answer."""
        return self._ask("workers", Workers).workers

    def kill(self, worker: Worker) -> str:
        """Kill one of them as the kernel does when memory runs out; return why that could not be done, or nothing.

        Raises AgentError: it gave no answer.
        """
        return self._ask("kill", Killed, pid=worker.pid).error

    def close(self) -> None:
        """End the script: its input ends."""
        if self._channel is not None:
            self._channel.close()
        self._channel = None
        self._errors = b""

    def _ask(self, what: str, shape: type[Answer], **more: object) -> Answer:
        try:
            if self._channel is None:
                self._channel = self._begin()
            self._channel.send(json.dumps({"do": what, "port": self._port, **more}).encode() + b"\n")
            return msgspec.json.decode(self._line(self._channel), type=shape)
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

    def _begin(self) -> Channel:
        words = [self._python, "-I", "-S", "-B", "-u", "-c", script("agent")]
        made = self._api.exec_create(self._container, words, stdin=True)
        return Channel(self._api.exec_start(made["Id"], socket=True), seconds=REQUEST_SECONDS + SLACK)

    def _line(self, channel: Channel) -> bytes:
        line = b""
        while b"\n" not in line:
            stream, piece = channel.piece()
            if stream == STDOUT:
                line += piece
            else:
                self._errors = (self._errors + piece)[-MOST_OUTPUT:]
            if len(line) > MOST_OUTPUT:
                raise EOFError
        return line.partition(b"\n")[0]


POLL = 0.1
"""Seconds between two questions whether it is ready."""
NOT_ASKED = Unavailable(reason="the contract does not ask for it")
KEY = re.compile(r"\{([^{}]+)\}")
RETRY_SECONDS = 1.0
"""Seconds during which an app that cannot answer is asked again."""
PAUSE = 0.2
NO_WRITE = Unavailable(reason="the contract names no `write` and `read`")


@dataclass(frozen=True, kw_only=True)
class Written:
    """One write, and its reply."""

    unique: str
    """What tells it from all others."""
    request: str
    """`POST /courses`."""
    reply: Reply


class UnreadableError(Exception):
    """What was written cannot be asked for: the answer lacks what the path needs."""


def ready_within(agent: Agent, asked: StackContract) -> Ready | Unavailable:
    """Ask until the app says that it is ready, or its time is over."""
    if asked.ready is None:
        return NOT_ASKED
    started = agent.clock.monotonic()
    while True:
        reply = agent.request(asked.ready)
        elapsed = agent.clock.monotonic() - started
        if reply.good or elapsed >= asked.recovers_within:
            return Ready(path=asked.ready, after=elapsed if reply.good else None, last=reply)
        agent.clock.sleep(POLL)


def exchange(agent: Agent, asked: StackContract) -> Exchange | Unavailable:
    """Store something, and ask for it."""
    if asked.write is None or asked.read is None:
        return NO_WRITE
    return read_back(agent, asked.write, asked.read, store(agent, asked.write))


def store(agent: Agent, write: StackWrite) -> Written:
    """Store something that no other write has stored."""
    unique = secrets.token_hex(8)
    path = write.path.replace(UNIQUE, unique)
    body = filled(write.body, unique) if write.body else None
    reply = agent.request(path, method=write.method, body=body, headers=write.headers)
    return Written(unique=unique, request=f"{write.method} {path}", reply=reply)


def read_back(
    agent: Agent, write: StackWrite, read: str, written: Written, *, retry_seconds: float = RETRY_SECONDS
) -> Exchange:
    """Ask for what was stored; again, for some seconds, while the app cannot answer."""
    if not written.reply.good:
        return Exchange(write=written.request, written=written.reply)
    try:
        path = read_path(read, written)
    except UnreadableError as error:
        return Exchange(write=written.request, written=written.reply, problem=str(error))
    until = agent.clock.monotonic() + retry_seconds
    reply = agent.request(path, headers=write.headers)
    # "Not here" is an answer; "I cannot" is not one yet.
    while not 0 < reply.status < 500 and agent.clock.monotonic() < until:  # noqa: PLR2004 - HTTP's server errors
        agent.clock.sleep(PAUSE)
        reply = agent.request(path, headers=write.headers)
    shows = not reply.good or written.unique in reply.body
    return Exchange(
        write=written.request,
        written=written.reply,
        read=f"GET {path}",
        shown=reply,
        missing=() if shows else (written.unique,),
    )


def filled(value: Any, unique: str) -> Any:
    """Return a body with the unique text in its places."""
    match value:
        case str():
            return value.replace(UNIQUE, unique)
        case dict():
            return {key: filled(held, unique) for key, held in value.items()}
        case list():
            return [filled(held, unique) for held in value]
        case _:
            return value


def read_path(read: str, written: Written) -> str:
    """Return where to ask for what was written: `/courses/{id}` with the write's own answer filled in.

    Raises UnreadableError: the answer has no such key.
    """

    def value(found: re.Match[str]) -> str:
        return written.unique if found[0] == UNIQUE else quote(_value(found[1], written.reply.body), safe="")

    return KEY.sub(value, read)


def _value(key: str, body: str) -> str:
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableError(f"`read` names {{{key}}}, and the write's answer is not JSON") from None
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if not isinstance(found, str | int) or isinstance(found, bool):
        raise UnreadableError(f"`read` names {{{key}}}, and the write's answer holds no text or number of that name")
    return str(found)
