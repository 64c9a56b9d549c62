"""Why a build did not succeed, from what BuildKit and buildx said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.errors import BuildError, BuildFailedError, EngineError, SeatrialError
from seatrial.images.bases import no_base, reason_of
from seatrial.images.progress import StepState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from seatrial.images.progress import Progress, Step

SHOWN_LOG_LINES = 20
UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed", "UnknownIssuer", "unable to get local issuer")
"""What pip, curl and uv say of a certificate that nothing in the build vouches for."""
LONGEST_STEP = 120
"""Characters of an instruction that an error message shows."""

LOCATION = re.compile(r"\S.*:(\d+)")
RULE = re.compile(r"-{10,}")
FULL_DISK = "no space left on device"
GONE = re.compile(r"code = Unavailable|Cannot connect to the Docker daemon|error reading from server: EOF")
SILENT = re.compile(r"context deadline exceeded$")
"""buildx's last word on a builder that does not answer within 20 s."""
BOOTING = "[internal] booting buildkit"
"""The step in which buildx starts a builder of the kind docker-container or kubernetes."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the explanation needs to know besides the progress."""

    dockerfile: str
    """The Dockerfile, as a person knows it."""
    engine: str
    disk: Callable[[], str]
    """Where the engine keeps its data; asked only when its disk is full."""
    answers: Callable[[], bool]
    """Tells whether the engine still answers."""
    syntax_left_out: str | None
    """The `# syntax=` image that could not be had."""
    builder: str = ""
    """The builder, where it is not the engine's own."""


def explain(progress: Progress, setting: Setting) -> SeatrialError:
    """Return the error for a build that buildx gave up."""
    step = failing_step(progress)
    said = _said(progress.text)
    if (full := _full_disk(progress, step, said, setting)) is not None:
        return full
    if step is not None and step.numbered:
        return _failed_step(progress, step, setting)
    if setting.builder and (lost := _lost_builder(step, said, setting)) is not None:
        return lost
    # Asked, and read: an engine that was started again at once answers, but the build is lost.
    if GONE.search(said) or not setting.answers():
        return EngineError(
            "the engine went away in the middle of the build.",
            where=setting.engine,
            fix="Look at the engine's log, start it again, and build once more.",
            detail=said,
        )
    if step is not None and step.looked_up:
        return no_base(step.looked_up, reason_of(step.error), where=_where(progress, step, setting))
    fix = ""
    if setting.syntax_left_out:
        fix = (
            f"{setting.syntax_left_out} was not in reach, so the {'builder' if setting.builder else 'engine'}'s own "
            "Dockerfile syntax was used: "
            "it may be older than what this Dockerfile needs."
        )
    what = _tidy(step.error if step else "") or said or "buildx ended without saying why"
    return BuildError(f"{what}.", where=_where(progress, step, setting), fix=fix, detail=_excerpt(progress.text))


def _lost_builder(step: Step | None, said: str, setting: Setting) -> EngineError | None:
    if step is not None and step.name == BOOTING:
        return EngineError(
            f"the builder cannot be started: {reason_of(step.error).rstrip('.')}.",
            where=setting.builder,
            fix="Start it: `docker buildx inspect --bootstrap NAME`; or build without naming a builder.",
            detail=said,
        )
    if setting.answers() and (GONE.search(said) or SILENT.search(said)):
        return EngineError(
            "the builder does not answer, or went away in the middle of the build.",
            where=setting.builder,
            fix="Look at it: `docker buildx ls`. Then build once more, or without naming a builder.",
            detail=said,
        )
    return None


def failing_step(progress: Progress) -> Step | None:
    """Return the step that failed first, or None when BuildKit got to none."""
    failed = [step for step in progress.steps if step.state is StepState.FAILED]
    return next((step for step in failed if step.numbered), failed[0] if failed else None)


def _failed_step(progress: Progress, step: Step, setting: Setting) -> BuildFailedError:
    code = re.search(r"exit code: (\d+)$", step.error)
    reason = f"exit code {code.group(1)}" if code else _tidy(step.error)
    fix = ""
    if step.keyword in {"COPY", "ADD"} and step.error.endswith("not found"):
        fix = "Is it in the build context, and does the ignore file let it through?"
    whole = list(progress.log(step))
    if any(sign in line for line in whole for sign in UNTRUSTED):
        fix = "Your network has a certificate of its own: mount the secret ca-bundle (docs/settings.md, Build secrets)."
    log = whole[-SHOWN_LOG_LINES:]
    return BuildFailedError(
        f"this step failed: {_shown(step)} ({reason}).",
        where=_where(progress, step, setting),
        fix=fix,
        detail="\n".join(log),
    )


def _full_disk(progress: Progress, step: Step | None, said: str, setting: Setting) -> BuildError | None:
    # An error's number never reaches a client: its words are all that there is.
    log = progress.log(step)[-SHOWN_LOG_LINES:] if step else ()
    fix = "Make room: `docker builder prune` drops the build cache, `docker image prune` unused images."
    # An error that quotes the step's command proves nothing: the words may be the command's.
    errors = (said, step.error if step else "")
    if any(FULL_DISK in error.lower() and "did not complete successfully" not in error for error in errors):
        if setting.builder:
            what, where = "no space is left on the builder's disk, or on the engine's.", setting.builder
        else:
            what, where = "no space is left on the engine's disk.", setting.disk() or setting.engine
        return BuildError(what, where=where, fix=fix, detail=said)
    if step is not None and any(FULL_DISK in line.lower() for line in log):
        return BuildError(
            f"this step found no space left: {_shown(step)}.",
            where=_where(progress, step, setting),
            fix=fix if setting.builder else f"{fix} The engine keeps its data in {setting.disk() or 'its data root'}.",
            detail="\n".join(log),
        )
    return None


def _where(progress: Progress, step: Step | None, setting: Setting) -> str:
    line = step.line if step else None
    if line is None:
        line = _location(progress.text)
    return setting.dockerfile if line is None else f"{setting.dockerfile}:{line}"


def _location(text: Iterable[str]) -> int | None:
    """Return the line of the Dockerfile that buildx shows: `NAME:LINE` above a rule."""
    lines = list(text)
    for at, line in enumerate(lines[:-1]):
        match = LOCATION.fullmatch(line)
        if match and RULE.fullmatch(lines[at + 1]):
            return int(match.group(1))
    return None


def _excerpt(text: Iterable[str]) -> str:
    """Return the lines of the Dockerfile that buildx shows."""
    return "\n".join(line.rstrip() for line in text if re.match(r"\s*\d+ \| .*\S", line))


def _said(text: Iterable[str]) -> str:
    """Return buildx's last word, without its preamble."""
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
    known = step.instruction is not None and not step.instruction.body
    text = step.instruction.whole if step.instruction is not None and known else step.text
    return text if len(text) <= LONGEST_STEP else f"{text[: LONGEST_STEP - 1]}…"
