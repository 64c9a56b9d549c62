"""The one place that starts programs."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from seatrial.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

INTERRUPT_GRACE = 10.0
"""Seconds that an interrupted program has before it is terminated, then killed."""

DRAIN_GRACE = 5.0
"""Seconds that a program's output is still waited for when it has ended."""

TICK = 0.2
"""Seconds between two ticks of a program that is watched while it runs."""

KEPT_LINES = 200
"""Lines of a program's output that are kept for an error message."""


@dataclass(frozen=True, kw_only=True)
class Completed:
    """A program that ran to its end."""

    argv: tuple[str, ...]
    code: int
    output: str
    """Standard output, whole for `run`, the last lines for `stream`."""
    errors: str
    """Standard error, likewise."""


def find_program(name: str, *, path: str | None = None, hint: str = "") -> str:
    """Return the full path of a program.

    Raises:
        ProgramError: it is not there; the message says where it was looked for.

    """
    found = shutil.which(name, path=path)
    if found is None:
        raise ProgramError(f"the program {name!r} is not installed.", where=path or "PATH", fix=hint)
    return found


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    text_in: str | None = None,
    check: bool = True,
) -> Completed:
    """Run a program and return its whole output.

    Args:
        argv: the program and its arguments; the program is found on PATH first.
        timeout: seconds; past them the program is interrupted, then terminated, then killed.
        environment: the whole environment of the program; None hands on this process's own.
        folder: its working directory.
        text_in: its standard input.
        check: raise on a non-zero exit.

    Raises:
        ProgramError: it is missing, took too long, or (with check) failed.

    """
    output: list[str] = []
    errors: list[str] = []
    completed = stream(
        argv,
        timeout=timeout,
        on_output=output.append,
        on_error=errors.append,
        environment=environment,
        folder=folder,
        text_in=text_in,
    )
    result = Completed(argv=completed.argv, code=completed.code, output="".join(output), errors="".join(errors))
    if check and result.code != 0:
        raise failed(result)
    return result


def stream(
    argv: Sequence[str | Path],
    *,
    timeout: float | None,
    on_output: Callable[[str], None],
    on_error: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    text_in: str | None = None,
    tick: Callable[[], None] | None = None,
) -> Completed:
    """Run a program and hand on each line as it comes; a non-zero exit is the caller's to judge.

    `tick` is called in this thread every `TICK` seconds while the program runs; when it raises, the
    program is ended.

    Raises:
        ProgramError: it is missing, cannot be started, or took longer than `timeout` seconds.

    """
    words = _found(argv, environment)
    process = _started(words, environment, folder, piped=text_in is not None)
    last_output: deque[str] = deque(maxlen=KEPT_LINES)
    last_errors: deque[str] = deque(maxlen=KEPT_LINES)
    problems: list[BaseException] = []
    threads = [
        _beside(_read, process, process.stdout, on_output, last_output, problems),
        _beside(_read, process, process.stderr, on_error, last_errors, problems),
        *([] if text_in is None else [_beside(_feed, process.stdin, text_in)]),
    ]
    try:
        _wait(process, timeout, tick)
    except subprocess.TimeoutExpired:
        _end(process)
        _join(threads)
        raise ProgramError(
            f"took longer than {timeout:g} s and was stopped.",
            where=shlex.join(words),
            detail="".join(last_errors or last_output),
        ) from None
    except BaseException:
        _end(process)
        raise
    finally:
        _join(threads)
    if problems:
        raise problems[0]
    return Completed(
        argv=tuple(words), code=process.returncode, output="".join(last_output), errors="".join(last_errors)
    )


def attached(argv: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> int:
    """Run a program on this process's own input, output and errors; return its exit code.

    Ctrl-C is the program's: it gets it from the terminal itself, and this process waits for what it makes of it.

    Raises:
        ProgramError: it is missing, or cannot be executed.

    """
    words = _found(argv, environment)
    before = signal.signal(signal.SIGINT, lambda _signal, _frame: None)
    try:
        with subprocess.Popen(words, env=None if environment is None else dict(environment)) as process:
            try:
                code = process.wait()
            except BaseException:
                process.terminate()
                raise
    except (OSError, ValueError) as error:
        raise _unstartable(words, error) from error
    finally:
        signal.signal(signal.SIGINT, before)
    # What a signal ended counts as a shell counts it.
    return 128 - code if code < 0 else code


def spawn(argv: Sequence[str | Path], *, log: Path, environment: Mapping[str, str] | None = None) -> int:
    """Start a program that outlives this one (an engine), its output in `log`; return its process id.

    Raises:
        ProgramError: it is missing, or cannot be executed.
        OSError: the log cannot be written.

    """
    words = _found(argv, environment)
    with log.open("ab") as sink:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=None if environment is None else dict(environment),
                start_new_session=True,
                cwd="/",
            )
        except (OSError, ValueError) as error:
            raise _unstartable(words, error) from error
    # It is meant to outlive us: without this, Popen warns at exit that it still runs.
    process.returncode = 0
    return process.pid


def failed(completed: Completed) -> ProgramError:
    """Return the error for a program that ended with a non-zero code."""
    return ProgramError(
        f"ended with exit code {completed.code}.",
        where=shlex.join(completed.argv),
        detail=completed.errors.strip() or completed.output.strip(),
    )


def _found(argv: Sequence[str | Path], environment: Mapping[str, str] | None) -> list[str]:
    words = [str(word) for word in argv]
    path = None if environment is None else environment.get("PATH")
    return [find_program(words[0], path=path), *words[1:]]


def _started(
    words: list[str], environment: Mapping[str, str] | None, folder: Path | None, *, piped: bool
) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if environment is None else dict(environment),
            cwd=folder,
            text=True,
            encoding="utf-8",
            errors="replace",
            # Ctrl-C reaches the whole foreground group: in a session of its own the program is
            # interrupted once, by us, and can clean up.
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _unstartable(words, error) from error


def _unstartable(words: Sequence[str], error: Exception) -> ProgramError:
    # Its folder is not there, its `#!` interpreter is not, it is no program, an argument holds a zero byte.
    return ProgramError(f"could not be started: {error}.", where=shlex.join(words))


def _beside(function: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def _join(threads: Sequence[threading.Thread]) -> None:
    # A child that lives on in the background (ssh's ControlPersist) may hold the pipes open for hours.
    deadline = time.monotonic() + DRAIN_GRACE
    for thread in threads:
        thread.join(timeout=max(0, deadline - time.monotonic()))


def _feed(pipe: IO[str], text: str) -> None:
    try:
        with pipe:
            pipe.write(text)
    except BrokenPipeError:
        # The program ended without reading it all: its exit code and its output tell why.
        pass


def _read(
    process: subprocess.Popen[str],
    pipe: IO[str],
    hand_on: Callable[[str], None],
    last: deque[str],
    problems: list[BaseException],
) -> None:
    with pipe:
        for line in pipe:
            last.append(line)
            if problems:
                continue
            try:
                hand_on(line)
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                problems.append(error)
                # Nobody takes its output any more (`| head`): it need not go on.
                _signal(process, signal.SIGINT)


def _wait(process: subprocess.Popen[str], timeout: float | None, tick: Callable[[], None] | None) -> None:
    if tick is None:
        process.wait(timeout=timeout)
        return
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = TICK if deadline is None else min(TICK, deadline - time.monotonic())
        try:
            process.wait(timeout=max(left, 0))
        except subprocess.TimeoutExpired:
            if deadline is not None and time.monotonic() >= deadline:
                raise
            tick()
        else:
            return


def _end(process: subprocess.Popen[str]) -> None:
    """End a program and all that it started in its group: interrupt, terminate, kill.

    Whatever comes meanwhile (a second Ctrl-C) means that nobody wants to wait: it is killed at once.
    """
    try:
        for how in (signal.SIGINT, signal.SIGTERM):
            # The whole group, as Ctrl-C on a terminal reaches it: a program that waits for its own children
            # (a shell, mmdebstrap) ends when they do.
            _signal(process, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=INTERRUPT_GRACE)
                return
    finally:
        # Also when the program has left by itself: what it started may be there still.
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[str], how: signal.Signals) -> None:
    # PermissionError: macOS says so of a group whose members have all ended.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, how)
