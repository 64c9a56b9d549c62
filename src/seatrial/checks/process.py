"""process/*: whether the command leads to something that can run, and ends when asked."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Sequence

from seatrial.checks.declaration import SAYS_USAGE, check, says_usage
from seatrial.checks.model import Cause, Expect, Outcome, Severity, UndecidedError, skipped
from seatrial.facts import BlockingFolder, Boot, Configuration, FileKind, ResolvedCommand, ResolvedPath
from seatrial.facts.command import SHELLS, FileEntry, may_execute
from seatrial.settings.model import Contract
from seatrial.text import with_returns_shown

PYTHON = re.compile(r"/python[\d.]*$")
BY_SIGNAL = range(129, 193)
"""128 and a signal's number: how an end by a signal is reported, that of the stop signal among them."""
RESOLVES = Expect("a program that is there, may be executed by USER, and whose `#!` interpreter is there too")


@check(
    "process/command-resolves",
    title="Its command resolves to a program that can run",
    severity=Severity.ERROR,
    follows=("python/interpreter-resolves", "python/interpreter-reachable"),
    why="An image whose command does not resolve cannot start, whatever else is right with it.",
    source="execve(2), PATH and `#!` followed to the end; venv: environments are not portable",
    example="FROM python:3.13-slim AS builder\n"
    "RUN python -m venv /build/.venv && /build/.venv/bin/pip install uvicorn\n"
    "FROM python:3.13-slim\n"
    "COPY --from=builder /build/.venv /app/.venv\n"
    'CMD ["/app/.venv/bin/uvicorn", "shop.api:app"]',
    fixed="FROM python:3.13-slim AS builder\n"
    "RUN python -m venv /app/.venv && /app/.venv/bin/pip install uvicorn\n"
    "FROM python:3.13-slim\n"
    "COPY --from=builder /app/.venv /app/.venv\n"
    'CMD ["/app/.venv/bin/uvicorn", "shop.api:app"]',
)
def command_resolves(command: ResolvedCommand, configuration: Configuration) -> Outcome:
    if not command.words:
        fix = 'Add `CMD ["program", "argument"]` to the Dockerfile.'
        return Expect("a command to start").failed("the image has no ENTRYPOINT and no CMD", fix=fix)
    if command.shell and configuration.words[2].lstrip().startswith("["):
        return Expect("the exec form: a JSON list of words").failed(
            f"the command is in shell form, `{configuration.words[2]}`: it looks like a list, but is not JSON",
            fix="Correct the list in ENTRYPOINT or CMD: double quotes, commas between words, none after the last.",
        )
    return missing(command) or broken(command) or RESOLVES.passed(", ".join(way(command)))


def missing(command: ResolvedCommand) -> Outcome | None:
    """Return that PATH holds no such program, or none of what starts it; None where it does."""
    lost = next((name for name, trail in command.starters.items() if trail is None or trail.entry is None), None)
    if lost is None and command.program is not None:
        return None
    word = lost or command.word or command.words[0]
    return RESOLVES.failed(
        f"no program {word!r} in any folder of PATH",
        fix=f"Install {word} into the final stage, or put its folder on PATH with ENV.",
        evidence=tuple(f"looked in {folder}" for folder in command.searched),
    )


def way(command: ResolvedCommand) -> list[str]:
    """Return the command's program, and the interpreters of its scripts."""
    return [str(command.program), *(f"#! {script.resolved}" for script in command.scripts)]


def access(entry: FileEntry) -> str:
    """Return a file's mode and owner."""
    return f"mode {entry.mode & 0o7777:04o}, owner {entry.uid}:{entry.gid}"


def barred(barrier: BlockingFolder, uid: int | None) -> str:
    """Return which folder keeps an account from what lies below it."""
    return f"{barrier.on_the_way_to} is under {barrier.path} ({access(barrier.entry)}), which uid {uid} cannot search"


def broken(command: ResolvedCommand) -> Outcome | None:
    """Return what keeps a command's program from running; None where nothing does."""
    program = command.program
    if program is None or program.entry is None:
        return RESOLVES.failed(
            f"{program}: {program.gap if program else 'not on PATH'}",
            fix=f"Copy {program.end if program else 'it'} into the final stage, at that exact path.",
        )
    if (barrier := command.blocked_by) is not None:
        return RESOLVES.failed(
            barred(barrier, command.account.uid),
            fix="Install it in a folder that every account can search (not under a home folder), or give "
            f"{barrier.path} mode 0755.",
        )
    if found := _broken_script(program.steps[0], command):
        return found
    if program.entry.kind is not FileKind.FILE or not may_execute(program.entry, command.account):
        return _not_executable(program, program.entry, command)
    return _unrunnable(command)


def _broken_script(script: str, command: ResolvedCommand) -> Outcome | None:
    for line in command.scripts:
        if line.line.endswith("\r"):
            return Expect(f"{script} has Unix line ends").failed(
                f"the first line of {script}, `{line.line.rstrip()}`, ends with a carriage return, which the kernel "
                "does not ignore",
                fix=f"Save it with Unix line ends; in .gitattributes: `{posixpath.basename(script)} text eol=lf`.",
            )
        if line.resolved.entry is None:
            return Expect(f"{script}'s first line names an interpreter that the image holds").failed(
                f"{script} starts with `{line.line}`, and {line.resolved.gap}",
                fix=_shebang_fix(script, line.interpreter),
                evidence=(f"script: {script}", f"interpreter: {line.interpreter}", f"missing: {line.resolved.missing}"),
            )
        if not may_execute(line.resolved.entry, command.account):
            return _not_executable(line.resolved, line.resolved.entry, command)
        script = line.resolved.end
    return None


def _unrunnable(command: ResolvedCommand) -> Outcome | None:
    end = (command.scripts[-1].resolved if command.scripts else command.program) or ""
    if command.unrunnable:
        return RESOLVES.failed(
            f"{end} is neither a binary nor a script with a `#!` line: the kernel cannot run it",
            fix=f"If it is a script, begin {command.unrunnable} with `#!/bin/sh` (or its interpreter).",
        )
    if command.loader is not None and command.loader.entry is None:
        return Expect(f"the dynamic loader that {end} was linked for").failed(
            f"{end} needs the loader {command.loader}, and {command.loader.gap}",
            fix="It was built for another system: musl (Alpine) where the image has glibc (Debian), the other way "
            "round, or another processor. Build it on the final stage's own base.",
        )
    return None


def _shebang_fix(script: str, interpreter: str) -> str:
    if not interpreter.startswith("/"):
        return f"Install {interpreter} into the final stage, or put its folder on PATH with ENV."
    if not PYTHON.search(interpreter):
        return f"Install {interpreter} into the final stage, or name an interpreter that is there."
    environment = posixpath.dirname(posixpath.dirname(script))
    built = posixpath.dirname(posixpath.dirname(interpreter))
    return (
        f"Scripts of a virtual environment hold the path that it was made at. Make it at {environment} in the "
        f"builder (not at {built}) and copy it to the same path."
    )


def _not_executable(trail: ResolvedPath, entry: FileEntry, command: ResolvedCommand) -> Outcome:
    uid = command.account.uid
    return RESOLVES.failed(
        f"{trail} ({access(entry)}) is not executable by uid {uid}",
        fix=f"Copy it with `--chmod=0755`, or give the folder that holds it to uid {uid}.",
    )


@check(
    "process/graceful-stop",
    title="Exits on its stop signal",
    severity=Severity.ERROR,
    follows=("process/pid1-is-app",),
    why="A process that has to be killed loses the requests and jobs that it is working on.",
    source="hynek.me, Production-ready Python Docker containers; docker stop's 10 seconds",
    example="# entrypoint.sh stays PID 1, and passes no signal on\nuvicorn shop.api:app",
    fixed="# entrypoint.sh becomes the application\nexec uvicorn shop.api:app",
)
def graceful_stop(boot: Boot, configuration: Configuration, contract: Contract) -> Outcome:
    if contract.job:
        return skipped("a job ends by itself")
    if says_usage(boot, configuration):
        return skipped(SAYS_USAGE.reason)
    if boot.stop is None or not boot.came_up:
        raise UndecidedError("the application did not start, so it could not be stopped")
    stop = boot.stop
    within = f"exits within {contract.stops_within:g} s of {stop.signal}"
    expect = Expect(within)
    if stop.signal.removeprefix("SIG") in {"KILL", "9"}:
        return Expect("a stop signal that the application can handle").failed(
            "its STOPSIGNAL is SIGKILL, which no process can handle",
            fix="Remove STOPSIGNAL, or declare the signal that the application handles, such as SIGTERM.",
        )
    if stop.killed:
        return expect.failed(
            f"did not exit within {stop.seconds:.1f} s of {stop.signal} and was killed",
            fix="Run the application itself as PID 1 (exec form, `exec` in an entrypoint script), handle the "
            "signal, or declare another one with STOPSIGNAL.",
        )
    if stop.code not in {0, *BY_SIGNAL}:
        return Expect(f"{within}, with exit code 0 or that of the signal").failed(
            f"ended {stop.seconds:.1f} s after {stop.signal} with exit code {stop.code}, as if by an error",
            fix="Let the handler of the stop signal finish the work in progress and exit with 0.",
            evidence=tuple(f"log: {with_returns_shown(line)}" for line in boot.log[-15:]),
            severity=Severity.WARNING,  # It does exit.
        )
    return expect.passed(f"exited {stop.seconds:.1f} s after {stop.signal}, exit code {stop.code}")


BECOMES = re.compile(r"(?:^|&&|;)\s*exec\s+\S[^;&|]*$")
"""A line that ends with `exec`: the program replaces the shell."""


def shell_line(words: Sequence[str]) -> str | None:
    """Return the line that a command hands to a shell; None where it starts no shell with a line."""
    name = posixpath.basename(words[0]) if words else ""
    if name not in SHELLS or len(words) < 3:  # noqa: PLR2004 - sh -c LINE
        return None
    at = next((at for at, word in enumerate(words[1:-1], 1) if re.fullmatch(r"-[a-z]*c", word)), None)
    return None if at is None else words[at + 1]


@check(
    "process/exec-form",
    title="Starts its command without a shell in between",
    severity=Severity.WARNING,
    follows=(Cause(check="process/command-resolves", says="looks like a list"),),
    why="A shell as PID 1 does not forward the stop signal, so that the application is killed instead of stopped.",
    source="Docker build check JSONArgsRecommended; hadolint DL3025",
    example="CMD uvicorn shop.api:app --host 0.0.0.0",
    fixed='CMD ["uvicorn", "shop.api:app", "--host", "0.0.0.0"]',
)
def exec_form(configuration: Configuration) -> Outcome:
    if not configuration.words:
        return skipped("the image has no ENTRYPOINT and no CMD; process/command-resolves decides")
    expect = Expect("ENTRYPOINT and CMD in exec form: a JSON list of words")
    (first, start), (second, behind) = configuration.named_words
    # A shell that was given its line as an ENTRYPOINT never looks at CMD.
    kind, line = (first, shell_line(start)) if shell_line(start) is not None else (second, shell_line(behind))
    if line is None:
        return expect.passed(json.dumps(list(configuration.words), ensure_ascii=False))
    if BECOMES.search(line):
        return expect.passed(f"{kind} is in shell form, `{line}`; the shell execs the program")
    return expect.failed(
        f"{kind} is in shell form, `{line}`; the shell stays between the engine and the program",
        fix=_as_list(kind, line),
    )


def _as_list(kind: str, line: str) -> str:
    simple = not re.search(r"[$`;&|<>*?(){}\[\]#~\n]", line)
    try:
        words = shlex.split(line) if simple else []
    except ValueError:
        words = []
    if words:
        return f"Write `{kind}{' =' * kind.islower()} {json.dumps(words, ensure_ascii=False)}`."
    return f"Write a JSON list of words behind {kind}; where a shell is needed, let its line end with `exec PROGRAM`."


VARIABLE = re.compile(r"\$(?:([A-Z_][A-Z0-9_]*)|\{([A-Z_][A-Z0-9_]*)(?:[:?+=-][^}]*)?\})")
"""A variable as a shell would expand it; in lower case it is more likely a part of another language."""


@check(
    "process/variables-expand",
    title="Expands every variable of its command",
    severity=Severity.ERROR,
    why="In a JSON list the program gets `$PORT` itself, as text: only a shell puts the value in its place.",
    source="Dockerfile reference: the exec form does not invoke a command shell",
    example='CMD ["uvicorn", "shop.api:app", "--port", "$PORT"]',
    fixed='CMD ["sh", "-c", "exec uvicorn shop.api:app --port ${PORT}"]',
)
def variables_expand(configuration: Configuration, command: ResolvedCommand) -> Outcome:
    expect = Expect("every variable in the line of a shell, or expanded by the entrypoint script")
    read_by_shell = command.shell or shell_line(configuration.words) is not None or command.expands
    started = configuration.named_words if not read_by_shell else ()
    check_words = configuration.health_words if shell_line(configuration.health_words) is None else ()
    for kind, words in (*started, ("HEALTHCHECK", check_words)):
        for word in words:
            # What has blanks is a program of its own, in whatever language.
            found = VARIABLE.search(word) if not re.search(r"\s", word) else None
            if found:
                line = shlex.join(words).replace("'", "")
                return expect.failed(
                    f"{kind} is a list with the word `{word}`: no shell reads it, so {found.group()} stays as it is",
                    fix=f'Write `{kind}{" =" * kind.islower()} ["sh", "-c", "exec {line}"]`, or let the program read '
                    f"{found[1] or found[2]} from its environment.",
                )
    return expect.passed("no word holds one" if not read_by_shell else "a shell reads it")


@check(
    "process/line-ends",
    title="Its start scripts have Unix line ends",
    severity=Severity.ERROR,
    follows=(Cause(check="process/command-resolves", says="carriage return"),),
    why="A shell takes the carriage return of a Windows line end for a part of the value, the path or the command.",
    source="POSIX, Shell Command Language: a line ends with a newline alone",
    example=". /app/shop.env    # saved with CRLF: every value ends with a carriage return",
    fixed="# .gitattributes\n*.sh text eol=lf\n*.env text eol=lf",
)
def line_ends(command: ResolvedCommand) -> Outcome:
    expect = Expect("the scripts that start it, and the files that they source, end their lines with LF alone")
    if command.windows_files:
        first = command.windows_files[0]
        return expect.failed(
            f"the lines of {', '.join(command.windows_files)} end with CRLF: the shell reads the carriage return, too",
            fix=f"Save {first} with Unix line ends; in .gitattributes: `{posixpath.basename(first)} text eol=lf`.",
        )
    return expect.passed(", ".join(command.sourced) or "no shell script starts it")
