"""The probe: one short container in which the image's own interpreter runs one script."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import docker.errors
import msgspec

from seatrial import inside
from seatrial.engine.containers import Question, container, engine_errors, refusal, run_to_end
from seatrial.facts import CommandOverride, Fact, Probe, Unavailable
from seatrial.observe import paths
from seatrial.observe.answer import read_answer
from seatrial.observe.command import searched
from seatrial.observe.configuration import other_platform
from seatrial.observe.sandbox import override_config, probe_config

if TYPE_CHECKING:
    from seatrial.engine.containers import Output
    from seatrial.engine.runs import Run
    from seatrial.facts import Configuration, Json, ResolvedCommand
    from seatrial.observe.command import Python
    from seatrial.observe.paths import Files
    from seatrial.settings.model import Contract


CANNOT_START = {400, 404, 500}
"""Statuses by which the engine refuses to start a container for a reason that lies in its image."""


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
    answer = read_probe(output, secret, python.path)
    if isinstance(answer, Unavailable) and (reason := other_platform(configuration, answer.detail)):
        return Unavailable(reason=reason, detail=answer.detail)
    return answer


def read_probe(output: Output, secret: str, python: str) -> Probe | Unavailable:
    """Return what the probe answered, or why that is no answer."""
    answer = read_answer(output, secret, Probe, seconds=PROBE_SECONDS, most=PROBE_MOST_OUTPUT)
    if isinstance(answer, Unavailable):
        return msgspec.structs.replace(answer, reason=f"{python} {answer.reason}")
    return answer
