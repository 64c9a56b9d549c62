"""Sends the requests that the contract names to a running application, from inside of its container."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import docker.errors
import requests
from msgspec.structs import replace

from seatrial import inside
from seatrial.facts import Answered, Fact, ProcInfo, Unavailable
from seatrial.observe.answer import ask_interpreter, read_answer

if TYPE_CHECKING:
    from seatrial.facts import Configuration
    from seatrial.observe.boot import BootSetup
    from seatrial.settings.model import Answer


REQUEST_SECONDS = 5.0
"""The most that one request may take."""
WITHIN = 2.0
"""Seconds during which a request is sent again until the right answer comes."""
SLACK = 10
MOST_OUTPUT = 512 * 1024
"""Bytes that the script may write; its own limits keep it far below."""
NO_PYTHON = Unavailable(reason="the image holds no Python interpreter to send the contract's requests with")


class Reply(Fact, frozen=True, kw_only=True):
    """What the script says of one request."""

    status: int = 0
    body: str = ""
    error: str = ""
    seconds: float = 0.0
    held: bool = False


def ask(
    starter: BootSetup, container: str, asked: tuple[Answer, ...], proc: ProcInfo | Unavailable
) -> tuple[Answered, ...] | Unavailable:
    """Send all requests, one after the other; return what came of each."""
    port = port_of(starter.configuration, proc)
    if port is None and any(answer.port is None for answer in asked):
        return Unavailable(reason="nothing says which port it listens on: set `port` in the contract's `answers`")
    python = starter.python.result()
    if not python:
        return NO_PYTHON
    questions = [question(answer, port) for answer in asked]
    # The script ends by itself; an image may stand in its place.
    seconds = int(len(asked) * (REQUEST_SECONDS + WITHIN)) + SLACK
    client = starter.run.engine.connection(seconds)
    secret = secrets.token_hex(32)
    text = inside.requests(secret, json.dumps(questions))
    try:
        output = ask_interpreter(client, container, python, text, seconds=seconds, most=MOST_OUTPUT)
    except (docker.errors.APIError, requests.exceptions.RequestException, OSError) as error:
        return Unavailable(reason="the contract's requests could not be sent", detail=str(error)[:500])
    finally:
        client.close()
    replies = read_answer(output, secret, tuple[Reply, ...], seconds=seconds, most=MOST_OUTPUT)
    if isinstance(replies, Unavailable):
        return replace(replies, reason=f"{python}, asked to send the contract's requests, {replies.reason}")
    if len(replies) != len(asked):
        return Unavailable(reason=f"{python} told what came of {len(replies)} of the contract's {len(asked)} requests")
    return tuple(answered(answer, port, reply) for answer, reply in zip(asked, replies, strict=True))


def port_of(configuration: Configuration, proc: ProcInfo | Unavailable) -> int | None:
    """Return the one port that an application serves; None where there are several, or none."""
    if len(configuration.tcp_ports) == 1:
        return next(iter(configuration.tcp_ports))
    found = proc.tcp_ports if isinstance(proc, ProcInfo) else set()
    found = found & configuration.tcp_ports or found
    return next(iter(found)) if len(found) == 1 else None


def question(answer: Answer, port: int | None) -> dict[str, object]:
    """Return a request as the script takes it."""
    return {
        "path": answer.path,
        "method": answer.method,
        "headers": dict(answer.headers),
        "body": None,
        "port": answer.port or port,
        "status": answer.status,
        "pattern": answer.pattern,
        "timeout": REQUEST_SECONDS,
        "within": WITHIN,
    }


def answered(answer: Answer, port: int | None, reply: Reply) -> Answered:
    """Return what came of a request."""
    holds = f", and a body that holds `{answer.pattern}`" if answer.pattern is not None else ""
    return Answered(
        request=f"{answer.method} {answer.path} on port {answer.port or port}",
        wanted=f"status {answer.status}{holds}",
        status=reply.status,
        body=reply.body,
        error=reply.error,
        held=reply.held,
    )
