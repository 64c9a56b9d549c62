"""The one place where exceptions become messages and exit codes."""

from __future__ import annotations

import atexit
import errno
import functools
import gc
import inspect
import io
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

import invoke

from seatrial.cli import output
from seatrial.errors import ExitCode, SeatrialError, SettingsError
from seatrial.text import plain, plain_line

DEBUG = "SEATRIAL_DEBUG"

TRUST_HELP = {
    "trust": "how far the project's files are trusted: none, project or host (SECURITY.md); by default project, in CI "
    "none for a change from a fork",
    "untrusted": "the same as --trust none",
}


class TerminatedError(BaseException):
    """SIGTERM or SIGHUP: like Ctrl-C it unwinds everything, so that nothing is left behind."""


def command(*, trusting: bool = False, **options: Any) -> Callable[..., invoke.Task[Any]]:
    """Make a function an Invoke task that returns its exit code or None, and whose errors are one line, no traceback.

    A `SeatrialError` is shown with its detail, and ends the command with its exit code. The options are those of
    `invoke.task`. One that is `trusting` has --trust and --untrusted too.
    """

    def decorate(function: Callable[..., int | None]) -> invoke.Task[Any]:
        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> None:
            if code := _exit_code(function, *args, **kwargs):
                raise invoke.Exit(code=int(code))

        if trusting:
            options["help"] = {**options.get("help", {}), **TRUST_HELP}
            # Invoke makes the options from the signature.
            guarded.__signature__ = _with_trust(inspect.signature(function))  # type: ignore[attr-defined]
        made: invoke.Task[Any] = invoke.task(**options)(guarded)
        return made

    return decorate


def _exit_code(
    function: Callable[..., int | None],
    *args: Any,
    trust: str | None = None,
    untrusted: bool = False,
    **kwargs: Any,
) -> int | None:
    """Run a command; show what it raises, and return its exit code."""
    try:
        _prepare()
        _require_folder()
        output.trust(trust, untrusted=untrusted)
        code = function(*args, **kwargs)
        output.swept()
        return code  # noqa: TRY300 - what is raised before has to be shown
    except SeatrialError as error:
        show(error)
        output.swept()
        return error.exit_code
    except KeyboardInterrupt:
        _say("Interrupted; what was started is removed.")
        return ExitCode.INTERRUPTED
    except TerminatedError:
        return ExitCode.TERMINATED
    except BrokenPipeError:
        # Nobody reads our output any more, as after `| head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.UNREAD
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        _show_unexpected(error)
        return ExitCode.UNDECIDED


def _require_folder() -> None:
    try:
        os.getcwd()  # noqa: PTH109 - pathlib takes longer to load
    except FileNotFoundError:
        raise SettingsError("the current folder was removed.", fix="Go to one that exists, and try again.") from None


def _with_trust(signature: inspect.Signature) -> inspect.Signature:
    more = {"trust": None, "untrusted": False}
    keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD
    added = [inspect.Parameter(option, keyword, default=value) for option, value in more.items()]
    return signature.replace(parameters=[*signature.parameters.values(), *added])


def _prepare() -> None:
    # Python collects garbage several times at its end; the process frees all of it anyway.
    atexit.register(gc.freeze)
    for end in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(end, _terminated)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        # Until now nothing was there to be removed: seatrial.__main__.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        # A letter that the terminal cannot show is escaped.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise TerminatedError


def show(error: SeatrialError) -> None:
    """Print an error on standard error: one line, and its detail below it unless that was shown before."""
    _say(f"error: {plain_line(str(error))}")
    for line in [] if error.detail_shown else plain(error.detail).splitlines():
        _say(f"  {line}")


def _show_unexpected(error: Exception) -> None:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        where = f"{error.filename}: " if error.filename else ""
        _say(f"error: {plain_line(f'{where}{error.strerror}')}. Free some space, then run it again.")
        return
    if isinstance(error, EOFError):
        _say("error: standard input ended before the question was answered. Nothing was changed.")
        return
    _say(f"error: this is a bug in seatrial: {type(error).__name__}: {plain_line(str(error))}")
    _say(f"  Run it again with {DEBUG}=1 and report what it prints.")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
