"""The one place where problems become messages and exit codes."""

from __future__ import annotations

import atexit
import errno
import functools
import gc
import io
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import invoke

from seatrial.errors import ExitCode, SeatrialError
from seatrial.text import plain, plain_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


DEBUG = "SEATRIAL_DEBUG"


class TerminatedError(BaseException):
    """SIGTERM, or a terminal that was closed: like Ctrl-C it unwinds everything, so that nothing is left behind."""


def command(*, name: str | None = None, default: bool = False, **options: Any) -> Callable[..., invoke.Task[Any]]:
    """Make a function an Invoke task whose problems reach a person as one line, never as a traceback."""

    def decorate(function: Callable[..., int | None]) -> invoke.Task[Any]:
        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> None:
            _prepare()
            try:
                code = function(*args, **kwargs)
            except SeatrialError as error:
                _tell(error)
                code = error.exit_code
            except KeyboardInterrupt:
                _say("Interrupted; what was started is removed.")
                code = ExitCode.INTERRUPTED
            except TerminatedError:
                code = ExitCode.TERMINATED
            except BrokenPipeError:
                # The reader of our output is gone (`| head`): nobody is left to tell.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                code = ExitCode.UNREAD
            except Exception as error:
                if os.environ.get(DEBUG):
                    raise
                _tell_unexpected(error)
                code = ExitCode.UNDECIDED
            if code:
                raise invoke.Exit(code=int(code))

        made: invoke.Task[Any] = invoke.task(name=name, default=default, **options)(guarded)
        return made

    return decorate


def _prepare() -> None:
    # The end of a process looks through everything for garbage, several times; all of it goes with the process anyway.
    atexit.register(gc.freeze)
    for end in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(end, _terminated)
    for stream in (sys.stdout, sys.stderr):
        # A terminal or a pipe that cannot show a letter gets its number instead of a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise TerminatedError


def _tell(error: SeatrialError) -> None:
    _say(f"error: {plain_line(str(error))}")
    for line in plain(error.detail).splitlines():
        _say(f"  {line}")


def _tell_unexpected(error: Exception) -> None:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        where = f"{error.filename}: " if error.filename else ""
        _say(f"error: {plain_line(f'{where}{error.strerror}')}. Make room, then run it again.")
        return
    if isinstance(error, EOFError):
        _say("error: nobody answered the question. Nothing was changed.")
        return
    _say(f"error: this is a bug in seatrial: {type(error).__name__}: {plain_line(str(error))}")
    _say(f"  Run it again with {DEBUG}=1 and report what it prints.")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
