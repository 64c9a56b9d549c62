"""The probe: one short container in which the image's own interpreter runs one script."""

from __future__ import annotations

import hmac
import re
import secrets
from hmac import compare_digest
from typing import TYPE_CHECKING, TypeVar

import docker.errors
import msgspec

from seatrial import inside
from seatrial.engine.containers import Question, container, engine_errors, refusal, run_to_end
from seatrial.facts import CommandOverride, Fact, Probe, Unavailable
from seatrial.observe import paths
from seatrial.observe.command import searched
from seatrial.observe.configuration import other_platform
from seatrial.observe.sandbox import override_config, probe_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.engine.containers import Output
    from seatrial.engine.runs import Run
    from seatrial.facts import Configuration, Json, ResolvedCommand
    from seatrial.observe.command import Python
    from seatrial.observe.paths import Files
    from seatrial.settings.model import Contract


Answer = TypeVar("Answer")

SHOWN = 500
"""Characters that are kept of a decode error."""
CANNOT_START = {400, 404, 500}
"""Statuses by which the engine refuses to start a container for a reason that lies in its image."""


def answer_in(written: bytes, nonce: str, shape: type[Answer]) -> Answer | Unavailable | None:
    """Find the answer in what was written, where an image may write anything beside it; None where there is none."""
    written = b"\n" + written
    marker = f"\n{nonce} ".encode()
    at = written.rfind(marker)
    if at < 0:
        return None
    line = written[at + len(marker) :].partition(b"\n")[0]
    try:
        return msgspec.json.decode(line, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Unavailable(reason="the answer does not have the expected form", detail=str(error)[:SHOWN])


OVERRIDE_SECONDS = 20.0
MOST_OUTPUT = 256 * 1024
OVERRIDE_SHOWN = 2000


def entrypoint_accepts_command(configuration: Configuration, files: Files) -> bool:
    """Tell whether the ENTRYPOINT takes a command to run: its CMD begins with a program of the image.

    An ENTRYPOINT that is the application itself has options or arguments in CMD, or no CMD at all.
    """
    if not configuration.entrypoint or not configuration.command or configuration.command[0].startswith("-"):
        return False
    found = paths.search(configuration.command[0], *searched(configuration), files)
    return found is not None and found.entry is not None and bool(found.entry.mode & 0o111)


def run_override(
    run: Run, configuration: Configuration, start: ResolvedCommand, contract: Contract
) -> CommandOverride | Unavailable:
    """Run the ENTRYPOINT with a command that prints a made-up word, and look for that word.

    Raises:
        EngineError: the engine does not answer.

    """
    if not start.python:
        return Unavailable(reason="the image holds no Python interpreter to give as another command")
    nonce, writes = secrets.token_hex(16), bool(configuration.volumes)
    plan = override_config(configuration, [start.python, "-I", "-c", f"print('{nonce}')"], contract)
    with engine_errors(f"running another command in {configuration.reference}"):
        output = _output(run, plan, seconds=OVERRIDE_SECONDS, most=MOST_OUTPUT, watched=writes)
    if isinstance(output, str):
        return Unavailable(reason="the engine could not start it: see process/command-resolves", detail=output)
    return read_output(output, nonce)


def _output(
    run: Run, plan: Json, *, seconds: float, most: int, watched: bool, question: Question | None = None
) -> Output | str:
    """Return what a container wrote, or why the engine could not start it."""
    with container(run, plan, watched=watched) as made:
        try:
            return run_to_end(made, seconds=seconds, most=most, question=question)
        except docker.errors.APIError as error:
            if error.status_code not in CANNOT_START:
                raise
            return refusal(error)


def read_output(output: Output, nonce: str) -> CommandOverride:
    """Tell from what came out whether the command ran."""
    ended = f"it ended with exit code {output.code}"
    if output.timed_out:
        ended = f"it still ran after {OVERRIDE_SECONDS:g} s"
    if output.truncated:
        ended = f"it wrote more than {MOST_OUTPUT} bytes"
    ran = nonce.encode() in output.out and output.code == 0
    said = (output.errors or output.out)[-OVERRIDE_SHOWN:].decode("utf-8", errors="replace").strip()
    return CommandOverride(ran=ran, happened=ended, output="" if ran else said)


PROBE_SECONDS = 60.0
IMPORT_SECONDS = 40.0
PROBE_MOST_OUTPUT = 8 * 1024 * 1024
"""Bytes that the probe may write: 5,000 distributions fit ten times."""
PROBE_SHOWN = 2000
"""Characters of a failed probe's output that are kept."""
PRELOADS = ("LD_PRELOAD", "LD_AUDIT")
"""Variables by which the loader puts other code before the interpreter's: the application's start alone has them."""


class ProbeRequest(Fact, frozen=True, kw_only=True):
    """What the probe is asked."""

    modules: tuple[str, ...]
    import_root: str
    runs: str = ""
    """Of the modules, the one that the command runs as a program: `python -m MODULE`."""
    import_seconds: float = IMPORT_SECONDS
    executables: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    """Variables that the application has, and the probe has not."""


def run_probe(
    run: Run,
    configuration: Configuration,
    python: Python | None,
    request: ProbeRequest,
    contract: Contract,
    *,
    beside: bool = True,
) -> Probe | Unavailable:
    """Run the probe and return what it said, or why it could say nothing.

    `beside` tells whether a boot runs meanwhile, to which it leaves the processors.

    Raises:
        EngineError: the engine does not answer.

    """
    if python is None:
        return Unavailable(reason="the image holds no Python interpreter")
    if python.resolved.entry is None:
        return Unavailable(
            reason=f"the application's interpreter does not resolve: {python.resolved}, and {python.resolved.gap}"
        )
    secret = secrets.token_hex(32)
    environment = {**configuration.environment, **contract.environment}
    held_back = {name: environment[name] for name in PRELOADS if environment.get(name)}
    request = msgspec.structs.replace(request, environment=held_back)
    question = Question(ready=inside.READY, text=inside.question(secret, msgspec.json.encode(request).decode()))
    plan = probe_config(configuration, python.path, inside.ISOLATED, contract, beside=beside, without=PRELOADS)
    with engine_errors(f"probing {configuration.reference}"):
        watched = bool(configuration.volumes)
        output = _output(run, plan, seconds=PROBE_SECONDS, most=PROBE_MOST_OUTPUT, watched=watched, question=question)
    if isinstance(output, str):
        reason = other_platform(configuration, output) or f"{python.path} could not be started"
        return Unavailable(reason=reason, detail=output)
    answer = read_answer(output, secret, python.path)
    if isinstance(answer, Unavailable) and (reason := other_platform(configuration, answer.detail)):
        return Unavailable(reason=reason, detail=answer.detail)
    return answer


def read_answer(output: Output, secret: str, python: str) -> Probe | Unavailable:
    """Return the one answer that proves that it knows the secret; whatever else looks like one is a lie, and told."""
    if output.timed_out:
        return Unavailable(reason=f"{python} did not answer within {PROBE_SECONDS:g} s")
    if output.truncated:
        return Unavailable(reason=f"{python} wrote more than {PROBE_MOST_OUTPUT} bytes instead of an answer")
    answers = list(ANSWER.finditer(output.out))
    if not answers:
        said = (output.errors or output.out)[-PROBE_SHOWN:].decode("utf-8", errors="replace").strip()
        return Unavailable(reason=f"{python} ended with code {output.code} and gave no answer", detail=said)
    if lie := _lie(output, answers, secret):
        return Unavailable(reason=f"{python} {lie[0]}", detail=lie[1][:SHOWN].decode("utf-8", errors="replace"))
    try:
        return msgspec.json.decode(answers[0][2], type=Probe)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Unavailable(reason=f"{python} gave an answer that is not the probe's", detail=str(error)[:SHOWN])


def _lie(output: Output, answers: Sequence[re.Match[bytes]], secret: str) -> tuple[str, bytes] | None:
    """Tell what shows that not only the probe has answered, and the words that show it."""
    first, after = answers[0], output.out[answers[-1].end() :].strip()
    if output.asked_at is None or first.start() < output.asked_at:
        return "answered before it was asked", first[0]
    unproven = [answer[0] for answer in answers if not compare_digest(answer[1], proof(secret, answer[2]))]
    if len(unproven) == len(answers):
        return "gave an answer without the proof that it was asked", first[0]
    if len(answers) > 1:
        return f"answered {len(answers)} times", (unproven or [first[0]])[0]
    return ("wrote something after its answer", after) if after else None


ANSWER = re.compile(rb"^([0-9a-f]{64}) (.*)$", re.MULTILINE)
"""The proof, and the JSON that it is of."""


def proof(secret: str, body: bytes) -> bytes:
    """Return what only who was given the secret can say of an answer."""
    return hmac.new(secret.encode(), body, "sha256").hexdigest().encode()
