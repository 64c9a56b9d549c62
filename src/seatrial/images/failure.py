"""Why a build failed, from what BuildKit and buildx said."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from seatrial.errors import BuildError, BuildFailedError, EngineError, SeatrialError
from seatrial.images.bases import reason_of, unavailable
from seatrial.images.installing import hindrance
from seatrial.images.network import network_fix
from seatrial.images.progress import Progress, Step, StepState

SHOWN_LOG_LINES = 20
LONGEST_STEP = 120
"""Characters of an instruction that an error message shows."""

LOCATION = re.compile(r"\S.*:(\d+)")
RULE = re.compile(r"-{10,}")
UNSET = re.compile(r"KeyError: '([A-Z][A-Z0-9_]+)'|The ([A-Z][A-Z0-9_]+) setting must not be empty")
"""How a program of the project ends that wants a variable."""
FULL_DISK = "no space left on device"
GONE = re.compile(r"code = Unavailable|Cannot connect to the Docker daemon|error reading from server: EOF")
SILENT = re.compile(r"context deadline exceeded$")
"""How buildx ends when a builder does not answer within 20 s."""
BOOTING = "[internal] booting buildkit"
"""The step in which buildx starts a builder of the kind docker-container or kubernetes."""


@dataclass(frozen=True, kw_only=True)
class BuildEnvironment:
    """Where a build ran, for explaining its failure."""

    dockerfile: str
    """The Dockerfile's path, for messages."""
    engine: str
    data_folder: Callable[[], str]
    """Where the engine keeps its data; asked only when its disk is full."""
    answers: Callable[[], bool]
    """Tells whether the engine still answers."""
    syntax_left_out: str | None
    """The `# syntax=` image that could not be pulled."""
    builder: str = ""
    """The builder, where it is not the engine's own."""
    differences: str = ""
    """How the local substitutes among the bases differ from the official images."""


def explain(progress: Progress, environment: BuildEnvironment) -> SeatrialError:
    """Return the error for a build that failed."""
    step = failing_step(progress)
    message = _message(progress.text)
    if (full := _full_disk(progress, step, message, environment)) is not None:
        return full
    if step is not None and step.numbered:
        return _failed_step(progress, step, environment)
    if environment.builder and (lost := _lost_builder(step, message, environment)) is not None:
        return lost
    # Both are needed: an engine that was restarted at once answers again, but the build is lost.
    if GONE.search(message) or not environment.answers():
        return EngineError(
            "the engine stopped answering during the build.",
            where=environment.engine,
            fix="Look at the engine's log, start it again, and build again.",
            detail=message,
        )
    where = _where(progress, step, environment)
    if step is not None and step.looked_up:
        return unavailable(step.looked_up, reason_of(step.error), where=where)
    owner = "builder" if environment.builder else "engine"
    fix = environment.syntax_left_out and (
        f"{environment.syntax_left_out} could not be pulled, so the {owner}'s own Dockerfile syntax was used: "
        "it may be older than what this Dockerfile needs."
    )
    what = _tidy(step.error if step else "") or message or "buildx ended without saying why"
    if "stream terminated by RST_STREAM" in what:
        # Its error quotes the line, and a quotation that is not UTF-8 cannot be sent.
        fix = "Save the Dockerfile as UTF-8, if it is not: the builder cannot say its error otherwise."
    # buildx shows the lines of the Dockerfile that it means.
    excerpt = "\n".join(line.rstrip() for line in progress.text if re.match(r"\s*\d+ \| .*\S", line))
    return BuildError(f"{what}.", where=where, fix=fix or "", detail=excerpt)


def _lost_builder(step: Step | None, message: str, environment: BuildEnvironment) -> EngineError | None:
    if step is not None and step.name == BOOTING:
        return EngineError(
            f"the builder cannot be started: {reason_of(step.error).rstrip('.')}.",
            where=environment.builder,
            fix="Start it: `docker buildx inspect --bootstrap NAME`; or build without naming a builder.",
            detail=message,
        )
    if environment.answers() and (GONE.search(message) or SILENT.search(message)):
        return EngineError(
            "the builder does not answer, or stopped during the build.",
            where=environment.builder,
            fix="Inspect it: `docker buildx ls`. Then build again, or without naming a builder.",
            detail=message,
        )
    return None


def failing_step(progress: Progress) -> Step | None:
    """Return the step that failed first, or None when BuildKit got to none."""
    failed = [step for step in progress.steps if step.state is StepState.FAILED]
    return next((step for step in failed if step.numbered), next(iter(failed), None))


def _failed_step(progress: Progress, step: Step, environment: BuildEnvironment) -> BuildFailedError:
    code = re.search(r"exit code: (\d+)$", step.error)
    reason = f"exit code {code.group(1)}" if code else _tidy(step.error)
    log = progress.log(step)
    fix = ""
    if step.keyword in {"COPY", "ADD"} and step.error.endswith("not found"):
        fix = "Check that it is in the build context, and that the ignore file does not exclude it."
    else:
        flags = step.instruction.flags if step.instruction is not None else ()
        # BuildKit itself fetches what ADD names, and says so in its error alone.
        fix = network_fix([*log, *step.error.splitlines()], keyword=step.keyword, flags=flags)
    unset = next(filter(None, map(UNSET.search, reversed(log[-SHOWN_LOG_LINES:]))), None)
    if unset is not None and not fix:
        name = next(filter(None, unset.groups()))
        fix = (
            f"{name} has no value in the build. Where this step only wants one to start, give it to this RUN alone: "
            f"`RUN {name}=unused …`; the real one comes when the container starts."
        )
    found = None if fix else hindrance(log, int(code.group(1)) if code else None)
    if found:
        fix = found.fix
        if environment.differences:
            fix = f"{fix} The local substitute may be why: {environment.differences}."
    return BuildFailedError(
        f"this step failed: {_shown(step)} ({reason}){f': {found.what}' if found else ''}.",
        where=_where(progress, step, environment),
        fix=fix,
        detail="\n".join(_detail(log, found.line if found else None)),
    )


def _detail(log: Sequence[str], cause: int | None) -> Sequence[str]:
    """Return the last lines of a log, and before them the one that tells the cause, where they leave it out."""
    last = max(0, len(log) - SHOWN_LOG_LINES)
    if cause is None or cause >= last:
        return log[last:]
    around = log[max(0, cause - 2) : min(cause + 3, last)]
    return (*around, "…", *log[last:])


def _full_disk(progress: Progress, step: Step | None, message: str, environment: BuildEnvironment) -> BuildError | None:
    # No error number reaches a client: there is only the text.
    fix = "Make room: `docker builder prune` drops the build cache, `docker image prune` unused images."
    # An error that quotes the step's command proves nothing: the command itself may hold the words.
    errors = (message, step.error if step else "")
    if any(FULL_DISK in error.lower() and "did not complete successfully" not in error for error in errors):
        if environment.builder:
            what, where = "no space is left on the builder's disk, or on the engine's.", environment.builder
        else:
            what, where = "no space is left on the engine's disk.", environment.data_folder() or environment.engine
        return BuildError(what, where=where, fix=fix, detail=message)
    log = progress.log(step)[-SHOWN_LOG_LINES:] if step else ()
    if step is not None and any(FULL_DISK in line.lower() for line in log):
        if not environment.builder:
            fix = f"{fix} The engine keeps its data in {environment.data_folder() or 'its data root'}."
        return BuildError(
            f"this step found no space left: {_shown(step)}.",
            where=_where(progress, step, environment),
            fix=fix,
            detail="\n".join(log),
        )
    return None


def _where(progress: Progress, step: Step | None, environment: BuildEnvironment) -> str:
    line = (step.line if step else None) or _location(progress.text)
    return environment.dockerfile if line is None else f"{environment.dockerfile}:{line}"


def _location(text: Iterable[str]) -> int | None:
    """Return the line of the Dockerfile that buildx shows: `NAME:LINE` above a rule."""
    for line, following in itertools.pairwise(text):
        if (match := LOCATION.fullmatch(line)) and RULE.fullmatch(following):
            return int(match[1])
    return None


def _message(text: Iterable[str]) -> str:
    """Return buildx's last error, without its preamble."""
    errors = [line for line in text if line.startswith("ERROR: ")]
    return _tidy(errors[-1].removeprefix("ERROR: ").removeprefix("failed to solve: ")) if errors else ""


def _tidy(error: str) -> str:
    """Drop what means something to BuildKit only."""
    error = re.sub(r"failed to (?:compute|load) cache key: ", "", error)
    error = re.sub(r"failed to calculate checksum of ref \S+: ", "", error)
    error = re.sub(r"^dockerfile parse error(?: on)? line \d+: ", "the Dockerfile is malformed: ", error)
    return error.strip().rstrip(".")


def _shown(step: Step) -> str:
    # BuildKit's own name of a heredoc shows its first line.
    text = step.instruction.whole if step.instruction is not None and not step.instruction.body else step.text
    return text if len(text) <= LONGEST_STEP else f"{text[: LONGEST_STEP - 1]}…"
