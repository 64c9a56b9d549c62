"""Asks an image's interpreter, and reads the one answer that proves that it knows the secret it was handed.

The contract's requests to a running application are sent so, from inside of its container.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from typing import TYPE_CHECKING, TypeVar

import docker.errors
import msgspec
import requests
from msgspec.structs import replace

from seatrial import inside
from seatrial.engine.streams import Channel, Question, ask
from seatrial.facts import Answered, Fact, ProcInfo, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seatrial.engine.streams import Output
    from seatrial.facts import Configuration
    from seatrial.observe.running.sandbox import BootSetup
    from seatrial.settings.model import Answer as ContractAnswer


Answer = TypeVar("Answer")

ANSWER = re.compile(rb"^([0-9a-f]{64}) (.*)$", re.MULTILINE)
"""The proof, and the JSON that it is of."""
SHOWN = 500
"""Characters that are kept of a decode error, or of an answer that is a lie."""
SAID = 2000
"""Characters of the output that are kept where there is no answer."""


def proof(secret: str, body: bytes) -> bytes:
    """Return what only who was given the secret can say of an answer."""
    return hmac.new(secret.encode(), body, "sha256").hexdigest().encode()


def ask_interpreter(
    client: docker.APIClient, container: str, python: str, text: bytes, *, seconds: float, most: int
) -> Output:
    """Hand a script in to a new process of a running container's interpreter, and return what that wrote.

    `seconds` is how long it may write nothing, `most` the bytes that are read.

    Raises:
        docker.errors.APIError: it could not be started.
        ConnectionError: it wrote nothing for so long.

    """
    made = client.exec_create(container, [python, *inside.ISOLATED], stdin=True)
    channel = Channel(client.exec_start(made["Id"], socket=True), seconds=seconds)
    try:
        return ask(channel, Question(ready=inside.READY, text=text), most=most)
    finally:
        channel.close()


def read_answer(
    output: Output,
    secret: str,
    shape: type[Answer],
    *,
    seconds: float,
    most: int,
    early: Callable[[Answer], bool] = lambda _: False,
) -> Answer | Unavailable:
    """Return the one answer that is proven; whatever else looks like one is a lie, and told.

    An answer that is `early` says so of itself: another one follows, and counts in its place. Where none came, it is
    what is returned. The reasons lack their subject, which is an interpreter. `seconds` and `most` are its limits.
    """
    if output.truncated:
        return Unavailable(reason=f"wrote more than {most} bytes instead of an answer")
    # What was being written when it was killed is no line.
    out = output.out[: output.out.rfind(b"\n") + 1] if output.timed_out else output.out
    answers = list(ANSWER.finditer(out))
    if not answers:
        return _silence(output, seconds)
    if lie := _lie(out, output.asked_at, answers, secret):
        return Unavailable(reason=lie[0], detail=_shown(lie[1]))
    try:
        *before, last = [msgspec.json.decode(answer[2], type=shape) for answer in answers]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        form = "gave an answer of another form than the script's"
        return Unavailable(
            reason=form if len(answers) == 1 else f"answered {len(answers)} times", detail=str(error)[:SHOWN]
        )
    if len(before) > 1 or not all(map(early, before)):
        return Unavailable(reason=f"answered {len(answers)} times", detail=_shown(answers[0][0]))
    # One that goes on after its last word is not alone.
    return _silence(output, seconds) if output.timed_out and not early(last) else last


def _silence(output: Output, seconds: float) -> Unavailable:
    if output.timed_out:
        return Unavailable(reason=f"did not answer within {seconds:g} s")
    said = (output.errors or output.out)[-SAID:].decode("utf-8", errors="replace").strip()
    ended = "" if output.code is None else f"ended with code {output.code} and "
    return Unavailable(reason=f"{ended}gave no answer", detail=said)


def _shown(words: bytes) -> str:
    return words[:SHOWN].decode("utf-8", errors="replace")


def _lie(out: bytes, asked_at: int | None, answers: Sequence[re.Match[bytes]], secret: str) -> tuple[str, bytes] | None:
    """Tell what shows that not only the script has answered, and the words that show it."""
    first, after = answers[0], out[answers[-1].end() :].strip()
    if asked_at is None or first.start() < asked_at:
        return "answered before it was asked", first[0]
    unproven = [answer[0] for answer in answers if not hmac.compare_digest(answer[1], proof(secret, answer[2]))]
    if len(unproven) == len(answers):
        return "gave an answer without the proof that it was asked", first[0]
    if unproven:
        return f"answered {len(answers)} times", unproven[0]
    return ("wrote something after its answer", after) if after else None


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


def send_requests(
    starter: BootSetup, container: str, asked: tuple[ContractAnswer, ...], proc: ProcInfo | Unavailable
) -> tuple[Answered, ...] | Unavailable:
    """Send all requests, one after the other; return the result of each."""
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
        return Unavailable(reason=f"{python} answered for {len(replies)} of the contract's {len(asked)} requests")
    return tuple(answered(answer, port, reply) for answer, reply in zip(asked, replies, strict=True))


def port_of(configuration: Configuration, proc: ProcInfo | Unavailable) -> int | None:
    """Return the one port that an application serves; None where there are several, or none."""
    if len(configuration.tcp_ports) == 1:
        return next(iter(configuration.tcp_ports))
    found = proc.tcp_ports if isinstance(proc, ProcInfo) else set()
    found = found & configuration.tcp_ports or found
    return next(iter(found)) if len(found) == 1 else None


def question(answer: ContractAnswer, port: int | None) -> dict[str, object]:
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


def answered(answer: ContractAnswer, port: int | None, reply: Reply) -> Answered:
    """Return the result of a request."""
    holds = f", and a body that holds `{answer.pattern}`" if answer.pattern is not None else ""
    return Answered(
        request=f"{answer.method} {answer.path} on port {answer.port or port}",
        wanted=f"status {answer.status}{holds}",
        status=reply.status,
        body=reply.body,
        error=reply.error,
        held=reply.held,
    )
