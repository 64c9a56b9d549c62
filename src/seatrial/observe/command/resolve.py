"""Resolves an image's own command to its program and interpreter, by its configuration and its files."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from seatrial.facts import Account, HealthCommand, ResolvedCommand, ResolvedPath, Shebang, Unavailable
from seatrial.facts.command import SHELLS
from seatrial.observe import paths
from seatrial.observe.command.application import Application, application_of
from seatrial.observe.command.launch import (
    PYTHON,
    Launch,
    behind_wrappers,
    follow_scripts,
    is_wrapper,
    launches,
    unwrapped,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.facts import Account, Boot, Configuration, ResolvedPath
    from seatrial.observe.index import IndexFiles
    from seatrial.observe.paths import Files


PYTHONS_OWN = re.compile("Py_(Bytes)?Main|Py_RunMain|pypy_main_startup|graal", re.IGNORECASE)
"""What the program of every Python calls or holds: CPython's, PyPy's, GraalPy's."""
USUAL_PLACES = ("/usr/local/bin/python3", "/usr/bin/python3", "/opt/venv/bin/python", "/venv/bin/python")
"""Where an interpreter stands in images whose command names none."""
ON_PATH = "first on the image's PATH"
USUAL = "found in a usual place"
GUESSES = {ON_PATH, USUAL}
"""How an interpreter was found that no word names."""


@dataclass(frozen=True, kw_only=True)
class Python:
    """The interpreter that the application runs on, or was meant to."""

    path: str
    why: str
    resolved: ResolvedPath


def resolve_command(
    configuration: Configuration,
    files: Files,
    who: Account,
    interpreter: str | None = None,
    started: Sequence[Launch] | None = None,
) -> ResolvedCommand:
    """Follow the image's command to its program, its `#!` interpreters, and the application's Python.

    `interpreter` is the latter, where the contract names it; `started` are the programs that the command becomes, where
    they have been read already.
    """
    words, shell = unwrapped(configuration.words)
    path, directory = searched(configuration)
    behind = behind_wrappers(words) or list(words)
    starters = [configuration.words[0]] if shell else []
    starters += [word for word in words[: len(words) - len(behind)] if is_wrapper(word)]
    program = paths.search(behind[0], path, directory, files) if behind else None
    scripts = tuple(paths.shebangs(program, path, files)) if program else ()
    last = scripts[-1].resolved if scripts else program
    beginning = files.beginning(last.end) if last else b""
    loader = paths.loader(beginning)
    steps = [step for trail in (program, *(script.resolved for script in scripts)) if trail for step in trail.steps]
    started = launched(configuration, files) if started is None else started
    python = find_python(configuration, files, interpreter, started)
    line = configuration.words[2] if shell else ""
    followed = follow_scripts(program, scripts, line, directory, files)
    meant = application_of(started, files)
    return ResolvedCommand(
        words=words,
        word=behind[0] if behind else "",
        shell=shell,
        searched=tuple(path.split(":")),
        program=program,
        scripts=scripts,
        starters={word: paths.search(word, path, directory, files) for word in starters},
        unrunnable=last.end if last and last.entry and not paths.is_runnable(beginning) else "",
        loader=paths.follow(loader, files) if loader else None,
        blocked_by=paths.blocking_folder(steps, who, files),
        account=who,
        sourced=followed.files,
        windows_files=followed.windows,
        expands=followed.expands,
        python=python.path if python else "",
        python_why=python.why if python else "",
        python_resolved=python.resolved if python else None,
        python_blocked_by=paths.blocking_folder(python.resolved.steps, who, files) if python else None,
        python_loader=paths.loader(files.beginning(python.resolved.end)) if python else "",
        python_is=_is_instead(files, python.resolved) if python else "",
        programs=tuple(launch.words for launch in started),
        modules=meant.modules,
        development=meant.development,
    )


def _is_instead(files: Files, python: ResolvedPath) -> str:
    """Return what the file of an interpreter is, where it is none."""
    first = files.beginning(python.end).partition(b"\n")[0][:200].decode("utf-8", "replace")
    if first.startswith("#!"):
        return f"a script, which begins with {first}"
    known = not first.startswith("\x7fELF") or PYTHONS_OWN.search(files.text(python.end))
    return "" if known else "a program that is not Python: it names none of Python's own functions"


def find_python(
    configuration: Configuration,
    files: Files,
    interpreter: str | None = None,
    started: Sequence[Launch] | None = None,
) -> Python | None:
    """Return the application's Python, which the contract may name (`interpreter`); None where the image holds none.

    `started` are the programs that the command becomes, where they have been read already.
    """
    if interpreter:
        return Python(path=interpreter, why="the contract names it", resolved=paths.follow(interpreter, files))
    path, directory = searched(configuration)
    for launch in launched(configuration, files) if started is None else started:
        if found := python_of(launch.words, launch.environment["PATH"], launch.directory, files):
            return found
    return _fallback(path, directory, files)


def launched(
    configuration: Configuration, files: Files, environment: Mapping[str, str] | None = None
) -> tuple[Launch, ...]:
    """Return the programs that the image's command becomes, with the variables that it gets."""
    path, directory = searched(configuration)
    given = {**configuration.environment, **(environment or {})}
    return launches(configuration.words, directory, {"PATH": path, **given}, files)


def searched(configuration: Configuration) -> tuple[str, str]:
    """Return the PATH that a container of the image has, and the folder that it begins in."""
    path = configuration.environment.get("PATH", paths.DEFAULT_PATH)
    return path, configuration.working_directory or "/"


MOST_FOLDERS = 100
"""Folders of a PATH that are looked through one by one; of a longer one, those that are there."""


def with_short_path(configuration: Configuration, files: IndexFiles) -> Configuration:
    """Return a configuration whose PATH names only folders that are there, each once; others find nothing anyway."""
    path, directory = searched(configuration)
    there: dict[str, str] = {}
    for folder in path.split(":"):
        place = posixpath.normpath(posixpath.join(directory, folder or "."))
        entry = files.end(place)
        if entry is not None and entry.letter == "d":
            there.setdefault(files.folder(place), folder)
    return structs.replace(configuration, environment={**configuration.environment, "PATH": ":".join(there.values())})


def python_of(words: Sequence[str], path: str, directory: str, files: Files) -> Python | None:
    """Return the interpreter that a command runs on; None where it names none.

    A script whose `#!` interpreter is missing was meant to run on the interpreter beside it: that one is
    read, so that a report can still say what the environment holds.
    """
    for word in _programs(words):
        program = paths.search(word, path, directory, files)
        if program is None:
            continue
        if PYTHON.fullmatch(posixpath.basename(word)):
            return Python(path=program.steps[0], why=f"the command runs {word}", resolved=program)
        found = _python_of_script(word, program, path, files)
        if found:
            return found
    return None


def _programs(words: Sequence[str]) -> list[str]:
    """Return the words that may name the application's program: the one behind wrappers, and behind a script."""
    programs: list[str] = []
    rest = behind_wrappers(words)
    for word in rest[:8]:
        if word.startswith("-") and word != "--":
            continue
        programs.append(word)
        if not posixpath.basename(word).endswith(".sh") and "=" not in word:
            break
    return programs


def _python_of_script(word: str, program: ResolvedPath, path: str, files: Files) -> Python | None:
    scripts: tuple[Shebang, ...] = tuple(paths.shebangs(program, path, files))
    named = next((script for script in scripts if PYTHON.fullmatch(posixpath.basename(script.interpreter))), None)
    if named is None:
        return None
    if named.resolved.entry is not None:
        return Python(path=named.resolved.steps[0], why=f"the first line of {word} names it", resolved=named.resolved)
    for name in ("python", "python3"):
        beside = paths.follow(posixpath.join(posixpath.dirname(program.steps[0]), name), files)
        if files.entry(beside.steps[0]) is not None:
            why = f"it stands beside {word}, whose first line names {named.interpreter}, which is not there"
            return Python(path=beside.steps[0], why=why, resolved=beside)
    return Python(path=named.interpreter, why=f"the first line of {word} names it", resolved=named.resolved)


def _fallback(path: str, directory: str, files: Files) -> Python | None:
    for name in ("python", "python3"):
        trail = paths.search(name, path, directory, files)
        if trail is not None:
            return Python(path=trail.steps[0], why=ON_PATH, resolved=trail)
    for place in (*USUAL_PLACES, posixpath.join(directory, ".venv/bin/python")):
        if files.entry(place) is not None:
            return Python(path=place, why=USUAL, resolved=paths.follow(place, files))
    return None


@dataclass(frozen=True, kw_only=True)
class Running:
    """What the processes of a start show of the application."""

    python: Python | None
    application: Application

    @property
    def modules(self) -> tuple[str, ...]:
        """What it imports, by the words of its processes."""
        return self.application.modules

    def told(self, command: ResolvedCommand) -> ResolvedCommand:
        """Return a command with what its words left open."""
        if self.python is None:
            return command
        return structs.replace(
            command,
            modules=self.modules,
            development=command.development or self.application.development,
            python=self.python.path,
            python_why=self.python.why,
            python_resolved=self.python.resolved,
        )


TITLE = re.compile(r"gunicorn: (?:master|worker) \[([^\]]+)\]")
"""What gunicorn calls its processes where setproctitle is installed."""


def running_application(
    boot: Boot, command: ResolvedCommand, files: Files, directory: str, environment: Mapping[str, str]
) -> Running:
    """Return what the processes of a start run on and import, where its command does not tell.

    The engine lists them from outside. Their words are hints: what they name is looked for in the image's files.
    """
    known = None
    if command.python and command.python_resolved is not None:
        known = Python(path=command.python, why=command.python_why, resolved=command.python_resolved)
    if isinstance(boot.process_list, Unavailable):
        return Running(python=known, application=Application())
    launches_seen = []
    for line in boot.process_list.commands:
        titled = TITLE.fullmatch(line)
        words = ("gunicorn", titled[1]) if titled else tuple(line.split())
        launches_seen.append(Launch(words=words, directory=directory, environment=environment))
    python = known
    if known is None or known.why in GUESSES:
        names = (launch.words[0] for launch in launches_seen if PYTHON.fullmatch(launch.name))
        path = next((name for name in names if name.startswith("/")), "")
        trail = paths.follow(path, files) if path else None
        if trail is not None and trail.is_file and (known is None or path != known.path):
            python = Python(path=path, why="a process of its start runs on it", resolved=trail)
    return Running(python=python, application=application_of(launches_seen, files))


SHELLS_OWN = {"exit", "return", "[", "[[", "read", "wait", "kill", "command", "type", "pwd", "shift", "local", "false"}
"""Words that a shell carries out by itself: behind them only the shell can tell what comes."""
TAKES_A_VALUE = {"-W", "-X", "--check-hash-based-pycs"}
"""Options of Python whose value is a separate word."""


def health_command(configuration: Configuration, files: Files, who: Account) -> HealthCommand | None:
    """Return what the health check resolves to; None where the image has none."""
    check = configuration.health_check
    if check is None:
        return None
    # A test that the engine cannot run is shown by its words.
    asked = msgspec.structs.replace(configuration, entrypoint=(), command=configuration.health_words or check.test)
    start = resolve_command(asked, files, who)
    if start.shell and start.word in SHELLS_OWN:
        start = msgspec.structs.replace(start, word="", program=None, scripts=())
    script = script_of(start.words)
    path = posixpath.join(configuration.working_directory or "/", script)
    trail: ResolvedPath | None = paths.follow(path, files) if script else None
    barrier = paths.blocking_folder(trail.steps, who, files) if trail else None
    return HealthCommand(command=start, script=trail, script_blocked_by=barrier)


def script_of(words: Sequence[str]) -> str:
    """Return the file that an interpreter runs; empty where it runs none."""
    name = posixpath.basename(words[0]) if words else ""
    python = PYTHON.fullmatch(name) is not None
    if not python and name not in SHELLS - {"busybox"}:
        return ""
    rest = list(words[1:])
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        # `-c LINE`, `-m MODULE` and `-` (standard input) name no file.
        if option == "-" or (python and option == "--version") or re.match(r"-[A-Za-z]*[cm]$", option):
            return ""
        if python and option in TAKES_A_VALUE and rest:
            rest.pop(0)
    return rest[0] if rest and not any(mark in rest[0] for mark in "$`*") else ""
