"""What the app is asked: whether it is ready, and to store something and show it again."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from seatrial.facts import Exchange, Ready, Reply, Unavailable
from seatrial.settings.model import UNIQUE

if TYPE_CHECKING:
    from seatrial.settings.model import StackContract, StackWrite
    from seatrial.stack.agent import Agent


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
    """One write, and what came of it."""

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

    Raises:
        UnreadableError: the answer has no such key.

    """

    def value(found: re.Match[str]) -> str:
        return written.unique if found[0] == UNIQUE else quote(_value(found[1], written.reply.body), safe="")

    return KEY.sub(value, read)


def _value(key: str, body: str) -> str:
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableError(f"`read` names {{{key}}}, and the write's answer is no JSON") from None
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if not isinstance(found, str | int) or isinstance(found, bool):
        raise UnreadableError(f"`read` names {{{key}}}, and the write's answer holds no text or number of that name")
    return str(found)
