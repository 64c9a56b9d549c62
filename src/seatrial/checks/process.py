"""process/*: does the image's own command lead to something that can run, and does it leave when asked."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from seatrial.checks.model import Check, Level, Outcome, UndecidedError, deciding_boot, failed, passed, start_of
from seatrial.facts import FileKind
from seatrial.observe.paths import may_execute

if TYPE_CHECKING:
    from seatrial.facts import BlockingFolder, Facts, ResolvedCommand, ResolvedPath, Shebang
    from seatrial.settings.model import Contract


PYTHON = re.compile(r"/python[\d.]*$")

BY_SIGNAL = range(129, 193)
"""128 and a signal's number: how an end by a signal is reported, that of the stop signal among them."""

RESOLVES = "a program that is there, may be executed by USER, and whose `#!` interpreter is there too"


def command_resolves(facts: Facts, _: Contract) -> Outcome:
    """Follow the command to its end: PATH, links, permission, `#!` line after `#!` line."""
    start = start_of(facts)
    if not start.words:
        return failed(
            "the image has no ENTRYPOINT and no CMD",
            expected="a command to start",
            fix='Add `CMD ["program", "argument"]` to the Dockerfile.',
        )
    if start.shell and facts.configuration.words[2].lstrip().startswith("["):
        return failed(
            f"the command is the line `{facts.configuration.words[2]}` for a shell: it begins like a list, and is none",
            expected="the exec form: a JSON list of words",
            fix="Mend the list in ENTRYPOINT or CMD: double quotes, commas between the words and none behind the last.",
        )
    missing = next((name for name, trail in start.starters.items() if trail is None or trail.entry is None), None)
    word = missing or start.word or start.words[0]
    if missing is not None or start.program is None:
        return failed(
            f"no program {word!r} in any folder of PATH",
            expected=RESOLVES,
            fix=f"Install {word} into the final stage, or put its folder on PATH with ENV.",
            evidence=tuple(f"looked in {folder}" for folder in start.searched),
        )
    return broken(start) or passed(_way(start), expected=RESOLVES)


def broken(start: ResolvedCommand) -> Outcome | None:
    """Return what keeps a command's program from running; None where nothing does."""
    program = start.program
    if program is None or program.entry is None:
        return failed(
            f"{program}: {program.gap if program else 'not on PATH'}",
            expected=RESOLVES,
            fix=f"Copy {program.end if program else 'it'} into the final stage, at that very path.",
        )
    if start.blocked_by is not None:
        return _barred(start.blocked_by, start)
    broken = _broken_script(program.steps[0], start)
    if broken is not None:
        return broken
    if program.entry.kind is not FileKind.FILE or not may_execute(program.entry, start.account):
        return _not_executable(program, start)
    return _unrunnable(start)


def _broken_script(script: str, start: ResolvedCommand) -> Outcome | None:
    for one in start.scripts:
        if one.line.endswith("\r"):
            return _windows_line_ends(script, one)
        if one.resolved.entry is None:
            return failed(
                f"{script} starts with `{one.line}`, and {one.resolved.gap}",
                expected=f"{script}'s first line names an interpreter that the image holds",
                fix=_shebang_fix(script, one),
                evidence=(
                    f"script: {script}",
                    f"interpreter: {one.interpreter}",
                    f"missing: {one.resolved.missing}",
                ),
            )
        if not may_execute(one.resolved.entry, start.account):
            return _not_executable(one.resolved, start)
        script = one.resolved.end
    return None


def _unrunnable(start: ResolvedCommand) -> Outcome | None:
    end = (start.scripts[-1].resolved if start.scripts else start.program) or ""
    if start.unrunnable:
        return failed(
            f"{end} is neither a binary nor a script with a `#!` line: the kernel cannot run it",
            expected=RESOLVES,
            fix=f"If it is a script, begin {start.unrunnable} with `#!/bin/sh` (or its interpreter).",
        )
    if start.loader is not None and start.loader.entry is None:
        return failed(
            f"{end} needs the loader {start.loader}, and {start.loader.gap}",
            expected=f"the dynamic loader that {end} was linked for",
            fix=(
                "It was built for another system: musl (Alpine) where the image has glibc (Debian), the other way "
                "round, or another processor. Build it on the final stage's own base."
            ),
        )
    return None


def _barred(barrier: BlockingFolder, start: ResolvedCommand) -> Outcome:
    entry = barrier.entry
    return failed(
        f"{barrier.on_the_way_to} lies below {barrier.path} (mode {entry.mode & 0o7777:04o}, owner "
        f"{entry.uid}:{entry.gid}), which uid {start.account.uid} may not enter",
        expected=RESOLVES,
        fix=f"Install it where everyone may go (not below a home folder), or give {barrier.path} mode 0755.",
    )


def _windows_line_ends(script: str, one: Shebang) -> Outcome:
    line = one.line.rstrip("\r")
    return failed(
        f"the first line of {script}, `{line}`, ends with a carriage return, which the kernel takes as part of it",
        expected=f"{script} has Unix line ends",
        fix=f"Save it with Unix line ends; in .gitattributes: `{posixpath.basename(script)} text eol=lf`.",
    )


def _shebang_fix(script: str, one: Shebang) -> str:
    if not one.interpreter.startswith("/"):
        return f"Install {one.interpreter} into the final stage, or put its folder on PATH with ENV."
    if not PYTHON.search(one.interpreter):
        return f"Install {one.interpreter} into the final stage, or name an interpreter that is there."
    environment = posixpath.dirname(posixpath.dirname(script))
    built = posixpath.dirname(posixpath.dirname(one.interpreter))
    return (
        f"Scripts of a virtual environment hold the path that it was made at. Make it at {environment} in the "
        f"builder (not at {built}) and copy it to the same path."
    )


def _not_executable(trail: ResolvedPath, start: ResolvedCommand) -> Outcome:
    entry = trail.entry
    what = f"mode {entry.mode & 0o7777:04o}, owner {entry.uid}:{entry.gid}" if entry else "not there"
    return failed(
        f"{trail} ({what}) is no file that uid {start.account.uid} may execute",
        expected=RESOLVES,
        fix=f"Copy it with `--chmod=0755`, or give the folder that holds it to uid {start.account.uid}.",
    )


def _way(start: ResolvedCommand) -> str:
    parts = [str(start.program), *(f"#! {one.resolved}" for one in start.scripts)]
    return ", ".join(parts)


def graceful_stop(facts: Facts, contract: Contract) -> Outcome:
    """Judge how the booted application took its stop signal."""
    boot = deciding_boot(facts)
    if boot.stop is None or not boot.came_up:
        raise UndecidedError("the application was not up, so it could not be asked to stop")
    stop = boot.stop
    expected = f"leaves within {contract.stops_within:g} s of {stop.signal}"
    if stop.signal.removeprefix("SIG") in {"KILL", "9"}:
        return failed(
            "its STOPSIGNAL is SIGKILL, which no process can handle",
            expected="a stop signal that the application can handle",
            fix="Take STOPSIGNAL out, or declare the signal that the application handles, such as SIGTERM.",
        )
    if stop.killed:
        return failed(
            f"did not leave within {stop.seconds:.1f} s of {stop.signal} and was killed",
            expected=expected,
            fix=(
                "Run the application itself as PID 1 (exec form, `exec` in an entrypoint script), handle the "
                "signal, or declare another one with STOPSIGNAL."
            ),
        )
    if stop.code not in {0, *BY_SIGNAL}:
        return failed(
            f"ended {stop.seconds:.1f} s after {stop.signal} with exit code {stop.code}, as if by an error",
            expected=f"{expected}, with exit code 0 or that of the signal",
            fix="Let the handler of the stop signal finish what is under way and end with 0.",
            evidence=tuple(f"log: {line}" for line in boot.log[-15:]),
        )
    return passed(f"left {stop.seconds:.1f} s after {stop.signal}, exit code {stop.code}", expected=expected)


CHECKS = (
    Check(
        id="process/command-resolves",
        title="Its command leads to a program that can run",
        why="An image whose command does not resolve cannot start, whatever else is right with it.",
        source="execve(2), PATH and `#!` followed to the end; HIST: uvicorn's first line named the builder",
        example=(
            "FROM python:3.13-slim AS builder\n"
            "RUN python -m venv /build/.venv && /build/.venv/bin/pip install uvicorn\n"
            "FROM python:3.13-slim\n"
            "COPY --from=builder /build/.venv /app/.venv\n"
            'CMD ["/app/.venv/bin/uvicorn", "shop.api:app"]'
        ),
        mend=(
            "FROM python:3.13-slim AS builder\n"
            "RUN python -m venv /app/.venv && /app/.venv/bin/pip install uvicorn\n"
            "FROM python:3.13-slim\n"
            "COPY --from=builder /app/.venv /app/.venv\n"
            'CMD ["/app/.venv/bin/uvicorn", "shop.api:app"]'
        ),
        level=Level.QUICK,
        function=command_resolves,
    ),
    Check(
        id="process/graceful-stop",
        title="Leaves when asked to stop",
        why="A process that has to be killed loses the requests and jobs that it is working on.",
        source="hynek.me, Production-ready Python Docker containers; docker stop's 10 seconds",
        example="# entrypoint.sh stays PID 1, and passes no signal on\nuvicorn shop.api:app",
        mend="# entrypoint.sh becomes the application\nexec uvicorn shop.api:app",
        level=Level.STANDARD,
        function=graceful_stop,
    ),
)
