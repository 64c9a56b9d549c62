"""Resolves an image's own command to its program and interpreter, by its configuration and its files."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from msgspec import structs

from seatrial.facts import Account, ResolvedCommand, ResolvedPath, Shebang
from seatrial.facts.command import SHELLS
from seatrial.observe import paths
from seatrial.observe.shell_scripts import follow_scripts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.facts import Configuration
    from seatrial.observe.index import IndexFiles
    from seatrial.observe.paths import Files


PYTHONS_OWN = re.compile("Py_(Bytes)?Main|Py_RunMain|pypy_main_startup|graal", re.IGNORECASE)
"""What the program of every Python calls or holds: CPython's, PyPy's, GraalPy's."""
PYTHON = re.compile(r"python(\d+(\.\d+)?t?)?$")
WRAPPERS = {"tini", "dumb-init", "env", "exec", "nice", "gosu", "su-exec", "setpriv", "catatonit", "--"}
"""Programs that only start the next word."""

WITH_ACCOUNT = {"gosu", "su-exec"}
"""Wrappers whose first word is the account to run as."""

BUILTINS = {
    "cd",
    "set",
    "export",
    "umask",
    "ulimit",
    "trap",
    "echo",
    "printf",
    "test",
    ":",
    "true",
    ".",
    "source",
    "unset",
}
"""Words that a shell carries out by itself: the program comes after them."""

KEYWORDS = {"if", "for", "while", "until", "case", "eval", "!"}
"""Words that make a line a program of its own."""

USUAL_PLACES = ("/usr/local/bin/python3", "/usr/bin/python3", "/opt/venv/bin/python", "/venv/bin/python")
"""Where an interpreter stands in images whose command names none."""

SERVERS = {"uvicorn", "gunicorn", "hypercorn", "granian", "daphne", "celery", "flask", "fastapi", "arq", "dramatiq"}
"""Console scripts that put the working directory on sys.path before they import the application."""


@dataclass(frozen=True, kw_only=True)
class Python:
    """The interpreter that the application runs on, or was meant to."""

    path: str
    why: str
    resolved: ResolvedPath


def resolve_command(
    configuration: Configuration, files: Files, who: Account, interpreter: str | None = None
) -> ResolvedCommand:
    """Follow the image's command to its program, its `#!` interpreters, and the application's Python.

    `interpreter` is the latter, where the contract names it.
    """
    words, shell = unwrapped(configuration.words)
    path, directory = searched(configuration)
    behind = _behind_wrappers(words) or list(words)
    starters = [configuration.words[0]] if shell else []
    starters += [word for word in words[: len(words) - len(behind)] if _is_wrapper(word)]
    program = paths.search(behind[0], path, directory, files) if behind else None
    scripts = tuple(paths.shebangs(program, path, files)) if program else ()
    last = scripts[-1].resolved if scripts else program
    beginning = files.beginning(last.end) if last else b""
    loader = paths.loader(beginning)
    steps = [step for trail in (program, *(script.resolved for script in scripts)) if trail for step in trail.steps]
    python = find_python(configuration, files, interpreter)
    line = configuration.words[2] if shell else ""
    followed = follow_scripts(program, scripts, line, directory, files)
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
    )


def _is_instead(files: Files, python: ResolvedPath) -> str:
    """Return what the file of an interpreter is, where it is none."""
    first = files.beginning(python.end).partition(b"\n")[0][:200].decode("utf-8", "replace")
    if first.startswith("#!"):
        return f"a script, which begins with {first}"
    known = not first.startswith("\x7fELF") or PYTHONS_OWN.search(files.text(python.end))
    return "" if known else "a program that is not Python: it names none of Python's own functions"


def find_python(configuration: Configuration, files: Files, interpreter: str | None = None) -> Python | None:
    """Return the application's Python, which the contract may name (`interpreter`); None where the image holds none."""
    if interpreter:
        return Python(path=interpreter, why="the contract names it", resolved=paths.follow(interpreter, files))
    words, _ = unwrapped(configuration.words)
    return application_python(words, *searched(configuration), files)


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


def unwrapped(words: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Return the command's words, and whether they stood in a line for a shell."""
    if len(words) >= 3 and posixpath.basename(words[0]) in SHELLS and words[1] in {"-c", "-ec", "-lc"}:  # noqa: PLR2004 - sh -c LINE
        return _simple_command(words[2]) or tuple(words), True
    return tuple(words), False


def _simple_command(line: str) -> tuple[str, ...]:
    """Return the words of the first program that a shell's line starts; empty where only a shell can tell."""
    lexer = shlex.shlex(line.replace("\\\n", " "), posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace_split = True
    lexer.whitespace = " \t\r"
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        return ()
    command: list[str] = []
    for word in [*words, ";"]:
        if word and set(word) <= set(";&|\n"):
            while command and (command[0] == "exec" or re.match(r"[A-Za-z_]\w*=", command[0])):
                command = command[1:]
            if command and command[0] not in BUILTINS:
                break
            command = []
        else:
            command.append(word)
    opaque = not command or command[0] in KEYWORDS or any(mark in command[0] for mark in "$`(){}*?[")
    return () if opaque else tuple(command)


def application_python(words: Sequence[str], path: str, directory: str, files: Files) -> Python | None:
    """Return the interpreter that the command runs on; None where the image holds none.

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
    return _fallback(path, directory, files)


def _programs(words: Sequence[str]) -> list[str]:
    """Return the words that may name the application's program: the one behind wrappers, and behind a script."""
    programs: list[str] = []
    rest = _behind_wrappers(words)
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
            return Python(path=trail.steps[0], why="first on the image's PATH", resolved=trail)
    for place in (*USUAL_PLACES, posixpath.join(directory, ".venv/bin/python")):
        if files.entry(place) is not None:
            return Python(path=place, why="found in a usual place", resolved=paths.follow(place, files))
    return None


def import_root(words: Sequence[str], directory: str, environment: Mapping[str, str] | None = None) -> str:
    """Return what the command puts first on sys.path; empty where that is nothing of the application's.

    The rules are Python's own (`python FILE`: the file's folder; `-m`, `-c`: the working directory) and
    those of the servers that add the working directory themselves. An entrypoint script hands on to the words
    behind it. With PYTHONSAFEPATH, -P or -I, Python adds nothing.
    """
    rest = _behind_scripts(words)
    name = posixpath.basename(rest[0]) if rest else ""
    if name in SERVERS:
        option = next((word for word in ("--app-dir", "--chdir") if word in rest[:-1]), None)
        return posixpath.join(directory, rest[rest.index(option) + 1]) if option else directory
    if PYTHON.fullmatch(name):
        options = list(takewhile(lambda word: word.startswith("-") and word not in {"-m", "-c"}, rest[1:]))
        if (environment or {}).get("PYTHONSAFEPATH") or any(re.match(r"-\w*[IP]", word) for word in options):
            return ""
        first = next((word for word in rest[1:] if word in {"-m", "-c"} or not word.startswith("-")), "-c")
        return directory if first in {"-m", "-c"} else posixpath.dirname(posixpath.join(directory, first))
    return ""


def named_modules(words: Sequence[str]) -> tuple[str, ...]:
    """Return the modules that the command itself names: `uvicorn PACKAGE.MODULE:APP`, `python -m PACKAGE`."""
    rest = _behind_scripts(words)
    if rest and PYTHON.fullmatch(posixpath.basename(rest[0])):
        # Behind the first word that is not an option, everything is the application's own.
        options = list(takewhile(lambda word: word.startswith("-") and word != "-m", rest[1:]))
        rest = rest[1 + len(options) :]
        if len(rest) < 2 or rest[0] != "-m":  # noqa: PLR2004 - `-m MODULE`
            return ()
        rest = rest[1:]
        if rest[0] not in SERVERS:
            return (rest[0],)
    if rest and posixpath.basename(rest[0]) in SERVERS:
        return tuple(word for word in rest[1:] if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", word))[:1]
    return ()


def module_that_runs(words: Sequence[str]) -> str:
    """Return the module that `python -m MODULE` runs as a program; empty where the command runs none, or a server."""
    rest = _behind_scripts(words)
    python = bool(rest) and PYTHON.fullmatch(posixpath.basename(rest[0])) is not None
    named = named_modules(words)
    return named[0] if python and named and ":" not in named[0] else ""


def _is_wrapper(word: str) -> bool:
    name = posixpath.basename(word)
    return name in WRAPPERS and name not in {"exec", "--"}


def _behind_scripts(words: Sequence[str]) -> list[str]:
    rest = _behind_wrappers(words)
    while len(rest) > 1 and rest[0].endswith(".sh"):
        rest = _behind_wrappers(rest[1:])
    return rest


def _behind_wrappers(words: Sequence[str]) -> list[str]:
    rest = list(words)
    while rest and posixpath.basename(rest[0]) in WRAPPERS:
        name = posixpath.basename(rest.pop(0))
        # Their own options, an option's number (`nice -n 10`), variables (`env KEY=value`), an account.
        while len(rest) > 1 and re.match(r"-.|\d+$|[A-Za-z_]\w*=", rest[0]) and rest[0] != "--":
            rest.pop(0)
        if name in WITH_ACCOUNT:
            rest = rest[1:]
    return rest
