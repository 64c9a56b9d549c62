"""The errors that a person can act on: what is wrong, where, and what to do next. Imports nothing."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1
    """A check failed, a build step failed, a stack did not come up."""
    UNDECIDED = 2
    """It could not be tried or decided: bad settings, no engine, a missing file."""
    INTERRUPTED = 130
    UNREAD = 141
    """Nobody reads the output any more, as after `| head`."""
    TERMINATED = 143


class SeatrialError(Exception):
    """A problem that a person can act on.

    Args:
        what: one sentence: what is wrong.
        where: the file, key path, image or command that it was seen in.
        fix: what to do next.
        detail: lines of evidence, such as the last output of a failing step; outside text, shown as text.

    Attributes:
        detail_shown: the detail was shown when it happened, and is not to be shown again.

    """

    exit_code: ExitCode = ExitCode.UNDECIDED

    def __init__(self, what: str, *, where: str = "", fix: str = "", detail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix
        self.detail = detail
        self.detail_shown = False

    def __str__(self) -> str:
        """Return the message as one line: where, what, what to do."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} {self.fix}" if self.fix else text


class SettingsError(SeatrialError):
    """The project's settings, or a contract file, cannot be used."""


class EngineError(SeatrialError):
    """No engine answers, or the one that does cannot do what is needed."""


class ImageError(SeatrialError):
    """An image does not exist, or cannot be pulled or built."""


class BuildError(SeatrialError):
    """A build could not be tried: a missing or malformed Dockerfile, a base image that cannot be found."""


class BuildFailedError(SeatrialError):
    """A build step ran and failed."""

    exit_code = ExitCode.FAILED


class StackError(SeatrialError):
    """A stack could not be tried: an invalid compose file, a missing env file."""


class StackFailedError(SeatrialError):
    """A stack was started and did not come up."""

    exit_code = ExitCode.FAILED


class StackLeftError(SeatrialError):
    """Interrupted a second time, before everything that was started was removed; the message names what remains."""

    exit_code = ExitCode.INTERRUPTED


class ProgramError(SeatrialError):
    """A program that seatrial starts is missing, failed, or took too long."""


def together(problems: Sequence[SeatrialError], what: str, *, where: str) -> SeatrialError:
    """Return one error for several problems of a kind, each a line of its detail; of a single one, that itself."""
    if len(problems) == 1:
        return problems[0]
    lines = [line for problem in problems for line in (str(problem), *problem.detail.splitlines())]
    detail = "\n".join(lines)
    return type(problems[0])(f"{len(problems)} {what}; a line each tells what to do.", where=where, detail=detail)
