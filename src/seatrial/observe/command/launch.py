"""What a command launches: behind shells, wrappers, runners and scripts, down to the program.

Everything is read: a script's lines are followed as far as they say by themselves which program it becomes.
"""

from __future__ import annotations

import configparser
import posixpath
import re
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from seatrial.facts.command import SHELLS
from seatrial.observe import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from seatrial.facts import ResolvedPath, Shebang
    from seatrial.observe.paths import Files


PYTHON = re.compile(r"python(\d+(\.\d+)?t?)?$")
WRAPPERS = {"tini", "dumb-init", "env", "exec", "nice", "gosu", "su-exec", "setpriv", "catatonit", "--"}
"""Programs that only start the next word."""
AROUND = {"opentelemetry-instrument", "ddtrace-run", "newrelic-admin", "catatonit", "chpst", "stdbuf", "timeout"}
"""Wrappers too, by their own words before the next program's."""
WITH_ACCOUNT = {"gosu", "su-exec"}
"""Wrappers whose first word is the account to run as."""
RUNNERS = {"uv", "poetry", "pipenv", "pdm", "hatch", "rye"}
"""Installers whose `run` starts the next word in the project's environment."""
RUNNER_VALUES = {"-p", "--project", "--package", "--extra", "--group", "--env-file", "--with", "--python"}
"""Options of theirs that take the next word."""

BUILTINS = {"cd", "set", "export", "umask", "ulimit", "trap", "echo", "printf", "test", ":", "true", ".", "source"}
BUILTINS |= {"unset"}
"""Words that a shell carries out by itself: the program comes after them."""
KEYWORDS = {"if", "for", "while", "until", "case", "eval", "!"}
"""Words that make a line a program of its own."""

VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)(?::?-([^}]*)\})?\}?")
MOST_STEPS = 8
MOST_TEXT = 100_000
"""Characters of a script that are read."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """The program that a command becomes."""

    words: tuple[str, ...]
    directory: str
    environment: Mapping[str, str] = field(default_factory=dict)
    scripts: tuple[str, ...] = ()
    """The shell scripts and configuration files on the way to it."""

    @property
    def name(self) -> str:
        """The program's name."""
        return posixpath.basename(self.words[0]) if self.words else ""


def launches(words: Sequence[str], directory: str, environment: Mapping[str, str], files: Files) -> tuple[Launch, ...]:
    """Return the programs that a command becomes: one, or those of a supervisor; the last that can be told."""
    launch = Launch(words=tuple(words), directory=directory or "/", environment=environment)
    for _ in range(MOST_STEPS):
        if launch.name == "supervisord":
            return tuple(_supervised(launch, files)) or (launch,)
        further = _further(launch, files)
        if further is None or not further.words:
            break
        launch = further
    return (launch,)


def _further(launch: Launch, files: Files) -> Launch | None:
    """Return a launch one step on; None where its program is the end."""
    if not launch.words or PYTHON.fullmatch(launch.name):
        return None
    if is_line(launch.words):
        found = handed_on(launch.words[2], launch.words[4:], launch.environment)
        words = found[0] if found else _simple_command(launch.words[2])
        return replace(launch, words=words, directory=_below(launch.directory, found[1] if found else "."))
    rest = behind_wrappers(launch.words)
    if rest and tuple(rest) != launch.words:
        return replace(launch, words=tuple(rest))
    if len(launch.words) > 1 and launch.name in SHELLS and not launch.words[1].startswith("-"):
        return _through(replace(launch, words=launch.words[1:]), files, named=True)
    if launch.name in RUNNERS and launch.words[1:2] == ("run",):
        environment = launch.environment.get("UV_PROJECT_ENVIRONMENT") or ".venv"
        path = (
            f"{posixpath.join(launch.directory, environment)}/bin:{launch.environment.get('PATH', paths.DEFAULT_PATH)}"
        )
        return replace(launch, words=_behind_runner(launch.words[2:]), environment={**launch.environment, "PATH": path})
    return _through(launch, files)


def _through(launch: Launch, files: Files, *, named: bool = False) -> Launch | None:
    """Return what a shell script launches; `named` tells that a shell was given it, whatever its first line is."""
    path = launch.environment.get("PATH", paths.DEFAULT_PATH)
    word = launch.words[0]
    if named:
        program: ResolvedPath | None = paths.follow(posixpath.join(launch.directory, word), files)
    else:
        program = paths.search(word, path, launch.directory, files)
    if program is None or not program.is_file:
        return None
    line = next(iter(paths.shebangs(program, path, files)), None)
    if not named and (line is None or posixpath.basename(line.interpreter) not in SHELLS):
        return None
    text = files.text(program.end)[:MOST_TEXT]
    found = handed_on(text, launch.words[1:], launch.environment)
    if found is None:
        return None
    words, folder = found
    return replace(
        launch,
        words=words,
        directory=_below(launch.directory, folder),
        scripts=(*launch.scripts, program.steps[0]),
    )


ITSELF = {"$0", "$BASH_SOURCE", "${BASH_SOURCE[0]}", "${BASH_SOURCE}"}
"""Words by which a script starts itself again, as another account: that is not what it becomes."""
CLOSING = {"fi", "done", "esac", "}", "wait", "exit", "return"}
OPENING = {"then", "else", "do", "{"}


def handed_on(
    text: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[tuple[str, ...], str] | None:
    """Return the words that a shell's text becomes, and the folder that it goes to; None where only a shell can tell.

    That is what its only `exec` says, or else its last command, where that names a program.
    """
    lines = [line for line in text.replace("\\\n", " ").splitlines() if not line.lstrip().startswith("#")]
    known = {**environment, **_assigned([line.strip() for line in lines])}
    commands = _commands("\n".join(lines))
    folder = "."
    made: dict[tuple[str, ...], str] = {}
    for command in commands:
        if command[0] == "cd" and (target := _expanded(command[1:2], (), known)):
            folder = posixpath.join(folder, target[0])
        elif command[0] != "exec" or not ITSELF.isdisjoint(command):
            continue
        elif words := _expanded(command[1:], arguments, known):
            made.setdefault(words, folder)
    if made:
        return next(iter(made.items())) if len(made) == 1 else None
    last = commands[-1] if commands else []
    words = _expanded(last, arguments, known)
    return None if not words or words[0] in KEYWORDS | BUILTINS | CLOSING | {"exec"} else (words, folder)


def _tokens(text: str) -> list[str]:
    """Return a shell's words and operators; none where a quote is not closed."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace_split, lexer.whitespace, lexer.commenters = True, " \t\r", ""
    try:
        return list(lexer)
    except ValueError:
        return []


def _commands(text: str) -> list[list[str]]:
    """Return the simple commands of a shell's text, each by its words; none where it cannot be taken apart."""
    commands: list[list[str]] = [[]]
    redirected = False
    for word in _tokens(text):
        if word and set(word) <= set(";&|()\n"):
            commands.append([])
            redirected = False
        elif word and set(word) <= set("<>&"):
            redirected = True
        elif not redirected and not (commands[-1] == [] and (word in OPENING or re.match(r"[A-Za-z_]\w*=", word))):
            commands[-1].append(word)
    return [command for command in commands if command]


def _assigned(lines: Sequence[str]) -> dict[str, str]:
    """Return the variables that lines set to text that says itself."""
    found: dict[str, str] = {}
    for line in lines:
        if match := re.fullmatch(r"(?:export\s+)?([A-Za-z_]\w*)=(\"[^\"`$]*\"|'[^']*'|[^\s\"'`$;&|]*)", line):
            found[match[1]] = match[2].strip("\"'")
        elif match := re.fullmatch(r"(?:export\s+)?([A-Za-z_]\w*)=\"?\$\{\1:-([^}\s\"`$]*)\}\"?", line):
            found.setdefault(match[1], match[2])
    return found


def _expanded(words: Sequence[str], arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return words with variables in their places; none where it cannot be told which program they name."""
    made: list[str] = []
    for word in words:
        if word in {"$@", "$*"}:
            made.extend(arguments)
        else:
            made.append(VARIABLE.sub(lambda match: _value(match, environment), word))
    return () if not made or any(mark in made[0] for mark in "$`*?[") else tuple(made)


def _value(match: re.Match[str], environment: Mapping[str, str]) -> str:
    value = environment.get(match[1]) or match[2]
    return match[0] if value is None else value


def _supervised(launch: Launch, files: Files) -> Iterator[Launch]:
    """Yield what a supervisord's configuration starts. Source: supervisord's documentation, Configuration File."""
    words = launch.words
    given = next((words[at + 1] for at, word in enumerate(words[:-1]) if word in {"-c", "--configuration"}), "")
    usual = ("supervisord.conf", "etc/supervisord.conf", "/etc/supervisord.conf", "/etc/supervisor/supervisord.conf")
    for place in (given,) if given else usual:
        path = posixpath.join(launch.directory, place)
        text = files.text(path)[:MOST_TEXT] if files.entry(path) else ""
        parsed = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";",))
        try:
            parsed.read_string(text)
        except configparser.Error:
            continue
        for section in parsed.sections():
            command = parsed.get(section, "command", fallback="") if section.startswith("program:") else ""
            first = next(iter(_commands(command)), [])
            if words := _expanded(first, (), launch.environment):
                directory = posixpath.join(launch.directory, parsed.get(section, "directory", fallback="."))
                started = launches(words, posixpath.normpath(directory), launch.environment, files)
                yield replace(started[0], scripts=(path, *started[0].scripts))


def _below(directory: str, folder: str) -> str:
    return posixpath.normpath(posixpath.join(directory, folder))


def is_line(words: Sequence[str]) -> bool:
    """Tell whether words give a shell a line: `sh -c LINE`."""
    return len(words) >= 3 and posixpath.basename(words[0]) in SHELLS and words[1] in {"-c", "-ec", "-lc"}  # noqa: PLR2004


def unwrapped(words: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Return the command's words, and whether they stood in a line for a shell."""
    if is_line(words):
        return _simple_command(words[2]) or tuple(words), True
    return tuple(words), False


def _simple_command(line: str) -> tuple[str, ...]:
    """Return the words of the first program that a shell's line starts; empty where only a shell can tell."""
    command: list[str] = []
    for word in [*_tokens(line.replace("\\\n", " ")), ";"]:
        if word and set(word) <= set(";&|\n"):
            while command and (command[0] == "exec" or re.match(r"[A-Za-z_]\w*=", command[0])):
                command = command[1:]
            if command and command[0] not in BUILTINS:
                break
            command = []
        else:
            command.append(word)
    defined = any(word.startswith("(") for word in command[1:2])  # `main() { …; }; main`
    opaque = not command or defined or command[0] in KEYWORDS or any(mark in command[0] for mark in "$`(){}*?[")
    return () if opaque else tuple(command)


def is_wrapper(word: str) -> bool:
    """Tell whether a word is a program that starts the next one."""
    name = posixpath.basename(word)
    return name in WRAPPERS and name not in {"exec", "--"}


def behind_wrappers(words: Sequence[str]) -> list[str]:
    """Return the words from the program on that wrappers start."""
    rest = list(words)
    while rest and posixpath.basename(rest[0]) in WRAPPERS | AROUND:
        name = posixpath.basename(rest.pop(0))
        # Their own options, an option's number (`nice -n 10`), variables (`env KEY=value`), an account.
        while len(rest) > 1 and re.match(r"-.|\d+[smh]?$|[A-Za-z_]\w*=|run-program$", rest[0]) and rest[0] != "--":
            rest.pop(0)
        if name in WITH_ACCOUNT:
            rest = rest[1:]
    return rest


def behind_scripts(words: Sequence[str]) -> list[str]:
    """Return the words behind wrappers, and behind scripts that are known by their names alone."""
    rest = behind_wrappers(words)
    while len(rest) > 1 and rest[0].endswith(".sh"):
        rest = behind_wrappers(rest[1:])
    return rest


def _behind_runner(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words that `uv run` and its like start; `-m MODULE` is Python's."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word in {"-m", "--module"}:
            return ("python", "-m", *rest)
        if word == "--":
            break
        if word in RUNNER_VALUES and rest:
            rest.pop(0)
    if rest and rest[0].endswith(".py"):
        rest.insert(0, "python")
    return tuple(rest)


SOURCED = re.compile(r"(?:^|[;&|({]|\b(?:then|do|else))\s*(?:\.|source)\s+([\"']?)([^\s\"';&|()]+)\1", re.MULTILINE)
RUN = re.compile(r"(?<![\w./-])(\.{0,2}/[\w./-]*\.(?:sh|bash))\b")
EXPANDS = re.compile(r"\b(?:eval|envsubst)\b")
MOST_FILES = 20


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What the text of the scripts tells."""

    files: tuple[str, ...] = ()
    """The scripts, and what they source or run, in the order in which they were found."""
    windows: tuple[str, ...] = ()
    """Those with Windows line ends."""
    expands: bool = False
    """One of the scripts may expand variables in its arguments."""


def follow_scripts(
    program: ResolvedPath | None, scripts: Sequence[Shebang], line: str, directory: str, files: Files
) -> Followed:
    """Follow a command that a shell reads: its program, where that is a shell script, and a `line` for a shell."""
    wanted = _named(line, directory)
    starts_with_return = False
    if program is not None and scripts and _is_shell(scripts[0]):
        wanted.insert(0, program.end)
        starts_with_return = scripts[0].line.endswith("\r")
    seen: dict[str, str] = {}
    while wanted and len(seen) < MOST_FILES:
        path = wanted.pop(0)
        trail = paths.follow(path, files)
        if path not in seen and trail.is_file:
            seen[path] = files.text(trail.end)
            wanted += _named(seen[path], directory)
    own = program.end if program is not None else ""
    # Of the program itself, a first line that ends so is told by where it leads.
    windows = [path for path, text in seen.items() if "\r\n" in text and not (path == own and starts_with_return)]
    return Followed(files=tuple(seen), windows=tuple(windows), expands=any(map(EXPANDS.search, seen.values())))


def _is_shell(script: Shebang) -> bool:
    return posixpath.basename(script.interpreter) in SHELLS or posixpath.basename(script.resolved.end) in SHELLS


def _named(text: str, directory: str) -> list[str]:
    """Return the files that a script's text sources or runs; those whose names hold a variable are left out."""
    # The carriage returns of the script itself are not part of the names in it.
    lines = "\n".join(line for line in text.replace("\r", "").split("\n") if not line.lstrip().startswith("#"))
    found = [match[2] for match in SOURCED.finditer(lines)] + [match[1] for match in RUN.finditer(lines)]
    return [posixpath.normpath(posixpath.join(directory, name)) for name in found if "$" not in name]
