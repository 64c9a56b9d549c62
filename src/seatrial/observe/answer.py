"""Reads what a script in an image answered: the one line that proves that it knows the secret it was handed."""

from __future__ import annotations

import hmac
import re
from hmac import compare_digest
from typing import TYPE_CHECKING, TypeVar

import msgspec

from seatrial import inside
from seatrial.engine.streams import Channel, Question, ask
from seatrial.facts import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import docker

    from seatrial.engine.streams import Output

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
    unproven = [answer[0] for answer in answers if not compare_digest(answer[1], proof(secret, answer[2]))]
    if len(unproven) == len(answers):
        return "gave an answer without the proof that it was asked", first[0]
    if unproven:
        return f"answered {len(answers)} times", unproven[0]
    return ("wrote something after its answer", after) if after else None
