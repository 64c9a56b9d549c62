"""The probe: one short container in which the image's own interpreter runs one script."""

from __future__ import annotations

import secrets
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import docker.errors
import msgspec
import requests

from seatrial import inside
from seatrial.engine.containers import container, engine_errors, refusal
from seatrial.engine.streams import Question, run_to_end
from seatrial.facts import CommandOverride, Fact, Import, Probe, Unavailable
from seatrial.facts.probe import OPTIONAL
from seatrial.observe import paths
from seatrial.observe.command.resolve import searched
from seatrial.observe.configuration import other_platform
from seatrial.observe.running.questions import read_answer
from seatrial.observe.running.sandbox import USUAL_SHARES, override_config, probe_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from seatrial.engine.containers import Container
    from seatrial.engine.runs import Run
    from seatrial.engine.streams import Output
    from seatrial.facts import Configuration, Json, ResolvedCommand
    from seatrial.observe.command.resolve import Python
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
    """Return what a container wrote, or why the engine could not start it.

    Others come first for some seconds only: an application that never stops computing would leave it nothing.
    """
    with container(run, plan, watched=watched) as made, sharing_soon(made):
        try:
            return run_to_end(made, seconds=seconds, most=most, question=question)
        except docker.errors.APIError as error:
            if error.status_code not in CANNOT_START:
                raise
            return refusal(error)


OTHERS_FIRST = 5.0
"""Seconds for which a boot gets nearly all of short processors."""


@contextmanager
def sharing_soon(made: Container) -> Iterator[None]:
    """Give a container as many processor shares as others have, once it has run for some seconds."""

    def share() -> None:
        # It may have ended, and with it what is waited for.
        with suppress(docker.errors.DockerException, requests.exceptions.RequestException, OSError):
            made.client.update_container(made.id, cpu_shares=USUAL_SHARES)

    timer = threading.Timer(OTHERS_FIRST, share)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


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
TO_ANSWER = 10.0
"""Seconds that are left of these for the answer itself, on a busy machine."""
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
    script: str = ""
    """The Python file that the command runs as a program."""
    import_seconds: float = IMPORT_SECONDS
    seconds: float = PROBE_SECONDS
    """What all of it may take."""
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
    request = msgspec.structs.replace(request, environment=held_back, seconds=PROBE_SECONDS - TO_ANSWER)
    question = Question(ready=inside.READY, text=inside.question(secret, msgspec.json.encode(request).decode()))
    plan = probe_config(configuration, python.path, inside.ISOLATED, contract, beside=beside, without=PRELOADS)
    with engine_errors(f"probing {configuration.reference}"):
        watched = bool(configuration.volumes)
        output = _output(run, plan, seconds=PROBE_SECONDS, most=PROBE_MOST_OUTPUT, watched=watched, question=question)
    if isinstance(output, str):
        reason = other_platform(configuration, output) or f"{python.path} could not be started"
        return Unavailable(reason=reason, detail=output)
    answer = read_probe(output, secret, python.path, request.modules)
    if isinstance(answer, Unavailable) and (reason := other_platform(configuration, answer.detail)):
        return Unavailable(reason=reason, detail=answer.detail)
    return answer


def read_probe(output: Output, secret: str, python: str, modules: Sequence[str] = ()) -> Probe | Unavailable:
    """Return what the probe answered, or why that is no answer; `modules` are those that it had to import."""
    answer = read_answer(
        output,
        secret,
        Probe,
        seconds=PROBE_SECONDS,
        most=PROBE_MOST_OUTPUT,
        early=lambda probe: not probe.complete,
    )
    if isinstance(answer, Unavailable):
        return msgspec.structs.replace(answer, reason=f"{python} {answer.reason}")
    if answer.complete:
        return answer
    why = f"it took longer than {PROBE_SECONDS:g} s" if output.timed_out else f"it ended with code {output.code}"
    return msgspec.structs.replace(
        answer,
        imports=tuple(Import(name=name, ok=False, seconds=0.0, error=why, late=True) for name in modules),
        problems={**{name: why for name in OPTIONAL if getattr(answer, name) is None}, **answer.problems},
    )
