"""The one place that starts programs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any

from seatrial import log_writer, owner
from seatrial.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

INTERRUPT_GRACE = 4.0
"""Seconds that an interrupted program has before it is terminated."""
TERMINATE_GRACE = 1.5
"""Seconds that a terminated program has before it is killed."""
DRAIN_GRACE = 5.0
"""Seconds to wait for the rest of a program's output when it has ended by itself."""
KILLED_DRAIN_GRACE = 0.5
"""The same for one that was ended: with the two above 6 s in all, as a command has 10 s to end."""
TICK = 0.2
"""Seconds between two ticks of a program that is watched while it runs."""
SPAWN_LOG_BYTES = 10_000_000
"""The size of the log of a program that outlives this one."""
KEPT_LINES = 200
"""Lines of a program's output that are kept for an error message."""
LONGEST_KEPT = 16 * 1024
"""Characters of one of them."""
LONGEST_LINE = 1024 * 1024
"""Characters that are handed on at a time: a longer line comes in pieces."""
MOST_OUTPUT = 64 * 1024 * 1024
"""Characters of output and errors that `run` keeps."""

EXCEEDED = re.compile(
    r"cannot allocate memory|out of memory|MemoryError|heap (?:exhausted|overflow)|time limit exceeded", re.IGNORECASE
)
"""What programs in Go, Haskell, C and Python say of a limit."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a program may use. Memory and processor time are limited on Linux only, for each of its processes."""

    memory: int | None = None
    """Bytes of data that can be written (RLIMIT_DATA): a program in Go reserves many more addresses than it uses."""
    processor: int | None = None
    """Seconds of processor time."""
    output: int | None = None
    """Characters of output and errors together."""


UNLIMITED = Limits()


@dataclass(frozen=True, kw_only=True)
class Completed:
    """A program that ran to its end."""

    argv: tuple[str, ...]
    code: int
    output: str
    """Standard output, whole for `run`, the last lines for `stream`."""
    errors: str
    """Standard error, likewise."""


def find_program(name: str, *, path: str | None = None) -> str:
    """Return the full path of a program; a ProgramError where it is not installed."""
    found = shutil.which(name, path=path)
    if found is None:
        raise ProgramError(f"the program {name!r} is not installed.", where=path or "PATH")
    return found


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    text_in: str | None = None,
    check: bool = True,
    limits: Limits = UNLIMITED,
) -> Completed:
    """Run a program, a path or a name on PATH, and return its whole output.

    After `timeout` seconds the program is interrupted, then terminated, then killed. `environment` is the whole
    environment of the program, by default this process's own; `folder` its working directory; `text_in` its input.
    Its output is limited to `MOST_OUTPUT` unless `limits` say otherwise.

    Raises:
        ProgramError: it is missing, took too long, exceeded a limit, or (with check) failed.
    """
    output: list[str] = []
    errors: list[str] = []
    done = stream(
        argv,
        timeout=timeout,
        on_output=output.append,
        on_error=errors.append,
        environment=environment,
        folder=folder,
        text_in=text_in,
        limits=replace(limits, output=limits.output or MOST_OUTPUT),
    )
    done = replace(done, output="".join(output), errors="".join(errors))
    if check and done.code != 0:
        raise ProgramError(
            f"ended with exit code {done.code}.",
            where=shlex.join(done.argv),
            detail=done.errors.strip() or done.output.strip(),
        )
    return done


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
    limits: Limits = UNLIMITED,
) -> Completed:
    """Run a program and pass each line on as it comes; a non-zero exit is not an error.

    `tick` is called in this thread every `TICK` seconds while the program runs; when it raises, the
    program is ended. So it is when `on_output` or `on_error` raises; that is raised here.

    Raises:
        ProgramError: it is missing, cannot be started, took longer than `timeout` seconds, or exceeded a limit.

    """
    command = _resolved(argv, environment)
    where = shlex.join(command)
    reading = _Reading(limits=limits, where=where)
    last_output: deque[str] = deque(maxlen=KEPT_LINES)
    last_errors: deque[str] = deque(maxlen=KEPT_LINES)
    process = _piped(command, environment, folder, takes_input=text_in is not None)
    _limit(process.pid, limits)
    threads = [
        _thread(_read, reading, process.stdout, on_output, last_output),
        _thread(_read, reading, process.stderr, on_error, last_errors),
        *([] if text_in is None else [_thread(_feed, process.stdin, text_in)]),
    ]
    grace = KILLED_DRAIN_GRACE
    try:
        # Within: Ctrl-C may come while they start.
        for thread in threads:
            thread.start()
        _wait(process, timeout, tick, reading.problems)
        grace = DRAIN_GRACE
    except subprocess.TimeoutExpired:
        _end(process)
        _join(threads, grace)
        raise ProgramError(
            f"took longer than {timeout:g} s and was stopped.", where=where, detail="".join(last_errors or last_output)
        ) from None
    except BaseException:
        _end(process)
        raise
    finally:
        _join(threads, grace)
    if reading.problems:
        raise reading.problems[0]
    _require_within(process.returncode, limits, reading)
    return Completed(
        argv=tuple(command), code=process.returncode, output="".join(last_output), errors="".join(last_errors)
    )


def _limit(pid: int, limits: Limits) -> None:
    """Limit a program that has just been started; what it starts inherits that."""
    for name, most in (("RLIMIT_DATA", limits.memory), ("RLIMIT_CPU", limits.processor)):
        if most is not None and hasattr(resource, "prlimit"):
            # ProcessLookupError: it has ended. PermissionError: the host's own limit is lower.
            with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
                # Past the first value of RLIMIT_CPU a program is told, past the second it is killed.
                resource.prlimit(pid, getattr(resource, name), (most, most + 2))


def _require_within(code: int, limits: Limits, reading: _Reading) -> None:
    what = ""
    if limits.processor is not None and (code == -signal.SIGXCPU or (code and "time limit" in reading.complaint)):
        what = f"took more than {limits.processor} s of processor time"
    elif limits.memory is not None and code and reading.complaint:
        what = f"needed more than {limits.memory // 1024**2} MiB of memory"
    if what:
        raise ProgramError(f"{what} and was stopped.", where=reading.where)


def attached(argv: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> int:
    """Run a program on this process's own input, output and errors; return its exit code.

    The terminal sends Ctrl-C to the program too; this process ignores it, and waits for the program to end. Raises a
    ProgramError where it is missing, or cannot be executed.
    """
    command = _resolved(argv, environment)
    before = signal.signal(signal.SIGINT, lambda _signal, _frame: None)
    try:
        with _popen(command, environment) as process:
            try:
                code = process.wait()
            except BaseException:
                process.terminate()
                try:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(timeout=INTERRUPT_GRACE)
                finally:
                    # Also on a second signal.
                    process.kill()
                raise
    finally:
        signal.signal(signal.SIGINT, before)
    # As a shell counts a program that a signal ended.
    return 128 - code if code < 0 else code


def spawn(argv: Sequence[str | Path], *, log: Path, environment: Mapping[str, str] | None = None) -> int:
    """Start a program that outlives this one (an engine), its output in `log`; return its process id.

    A second program keeps the log within `SPAWN_LOG_BYTES`, and as much again of what was before. It ends with the
    first, and until then the log is locked (flock).

    Raises a ProgramError where it is missing or cannot be executed, and an OSError where the log cannot be written.
    """
    command = _resolved(argv, environment)
    source, sink = os.pipe()
    try:
        with log.open("ab") as kept:
            fcntl.flock(kept, fcntl.LOCK_EX)
            writer = [sys.executable, "-I", "-S", log_writer.__file__, str(log), str(SPAWN_LOG_BYTES)]
            _outliving(writer, {}, stdin=source, stdout=kept, stderr=subprocess.DEVNULL)
        return _outliving(command, environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
    finally:
        os.close(source)
        os.close(sink)


def _outliving(command: list[str], environment: Mapping[str, str] | None, **pipes: Any) -> int:
    process = _popen(command, environment, cwd="/", start_new_session=True, **pipes)
    # Without this, Popen warns at exit that it still runs.
    process.returncode = 0
    return process.pid


def _resolved(argv: Sequence[str | Path], environment: Mapping[str, str] | None) -> list[str]:
    words = [str(word) for word in argv]
    path = None if environment is None else environment.get("PATH")
    return [find_program(words[0], path=path), *words[1:]]


def _popen(command: list[str], environment: Mapping[str, str] | None, **options: Any) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(command, env=None if environment is None else dict(environment), **options)
    except (OSError, ValueError) as error:
        # Its folder or its `#!` interpreter is missing, it is not a program, an argument holds a zero byte.
        raise ProgramError(f"could not be started: {error}.", where=shlex.join(command)) from error


def _piped(
    command: list[str], environment: Mapping[str, str] | None, folder: Path | None, *, takes_input: bool
) -> subprocess.Popen[str]:
    if os.path.basename(command[0]) in owner.PROGRAMS:  # noqa: PTH119 - a path takes longer
        # The next command ends it where this one is killed, and it goes on.
        environment = {**(os.environ if environment is None else environment), owner.VARIABLE: str(owner.this())}
    return _popen(
        command,
        environment,
        cwd=folder,
        stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        # Ctrl-C reaches the whole foreground group: in a session of its own the program is interrupted once, by this
        # process, and can clean up.
        start_new_session=True,
    )


def _thread(function: Callable[..., None], *arguments: object) -> threading.Thread:
    return threading.Thread(target=function, args=arguments, daemon=True)


def _join(threads: Sequence[threading.Thread], grace: float) -> None:
    # A child in the background (ssh's ControlPersist) may hold the pipes open for hours.
    deadline = time.monotonic() + grace
    for thread in threads:
        if thread.ident is None:
            # Interrupted before it started: the program has ended, and the thread closes its pipe.
            thread.start()
        thread.join(timeout=max(0, deadline - time.monotonic()))


def _feed(pipe: IO[str], text: str) -> None:
    # BrokenPipeError: the program ended without reading it all. Its exit code and its output tell why.
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(text)


@dataclass(kw_only=True)
class _Reading:
    """What the threads that read a program's output find out."""

    limits: Limits
    where: str
    size: int = 0
    complaint: str = ""
    """The first line that says that a limit was reached."""
    problems: list[BaseException] = field(default_factory=list)

    def take(self, line: str) -> None:
        """Count a line; raise a ProgramError where it is one too many."""
        self.size += len(line)
        most = self.limits.output
        if most is not None and self.size > most:
            raise ProgramError(f"wrote more than {most / 1024**2:g} MiB and was stopped.", where=self.where)
        if not self.complaint and EXCEEDED.search(line, 0, LONGEST_KEPT):
            self.complaint = line[:LONGEST_KEPT].lower()


def _read(reading: _Reading, pipe: IO[str], pass_on: Callable[[str], None], last: deque[str]) -> None:
    with pipe:
        while line := pipe.readline(LONGEST_LINE):
            last.append(line[:LONGEST_KEPT])
            if reading.problems:
                continue
            try:
                reading.take(line)
                pass_on(line)
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                # Its output is not read any more (`| head`).
                reading.problems.append(error)


def _wait(
    process: subprocess.Popen[str],
    timeout: float | None,
    tick: Callable[[], None] | None,
    problems: Sequence[BaseException],
) -> None:
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = TICK if deadline is None else min(TICK, deadline - time.monotonic())
        try:
            process.wait(timeout=max(left, 0))
        except subprocess.TimeoutExpired:
            if problems:
                raise problems[0] from None
            if deadline is not None and time.monotonic() >= deadline:
                raise
            if tick is not None:
                tick()
        else:
            return


def _end(process: subprocess.Popen[str]) -> None:
    """End a program and all that it started in its group: interrupt, terminate, kill.

    Another exception while it ends (a second Ctrl-C) kills it at once.
    """
    try:
        for how, grace in ((signal.SIGINT, INTERRUPT_GRACE), (signal.SIGTERM, TERMINATE_GRACE)):
            # The whole group, like Ctrl-C on a terminal: a shell that waits for its children ends when they do.
            _signal(process, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=grace)
                return
    finally:
        # Also when the program has ended by itself: its children may still run.
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[str], how: signal.Signals) -> None:
    # PermissionError: macOS says so of a group whose members have all ended.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, how)
