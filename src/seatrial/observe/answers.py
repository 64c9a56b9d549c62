"""Sends the requests that the contract names to a running application, from inside of its container."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

import docker.errors
import requests

from seatrial.engine.containers import close_stream
from seatrial.facts import Answered, Fact, ProcInfo, Unavailable
from seatrial.facts.boot import RESOLVER
from seatrial.inside import script
from seatrial.observe.introspect import first_bytes
from seatrial.observe.probe import answer_in

if TYPE_CHECKING:
    from seatrial.facts import Configuration
    from seatrial.observe.boot import BootSetup
    from seatrial.settings.model import Answer


REQUEST_SECONDS = 5.0
"""The most that one request may take."""
WITHIN = 2.0
"""Seconds during which a request is sent again until the right answer comes."""
SLACK = 10
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
    client = starter.run.engine.connection(int(len(asked) * (REQUEST_SECONDS + WITHIN)) + SLACK)
    nonce = secrets.token_hex(16)
    try:
        made = client.exec_create(
            container, [python, "-I", "-S", "-B", "-c", script("agent"), nonce, json.dumps(questions)]
        )
        stream = client.exec_start(made["Id"], stream=True)
        try:
            output = first_bytes(stream)
        finally:
            close_stream(stream)
    except (docker.errors.APIError, requests.exceptions.RequestException) as error:
        return Unavailable(reason="the contract's requests could not be sent", detail=str(error)[:500])
    finally:
        client.close()
    replies = answer_in(output, nonce, tuple[Reply, ...])
    if replies is None or isinstance(replies, Unavailable) or len(replies) != len(asked):
        said = output[-500:].decode("utf-8", errors="replace").strip()
        return Unavailable(reason=f"{python} did not say what came of the contract's requests", detail=said)
    return tuple(answered(answer, port, reply) for answer, reply in zip(asked, replies, strict=True))


def port_of(configuration: Configuration, proc: ProcInfo | Unavailable) -> int | None:
    """Return the one port that an application serves; None where there are several, or none."""
    if len(configuration.tcp_ports) == 1:
        return next(iter(configuration.tcp_ports))
    listeners = proc.listeners if isinstance(proc, ProcInfo) else ()
    found = {seen.port for seen in listeners if seen.protocol == "tcp" and seen.address != RESOLVER}
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
