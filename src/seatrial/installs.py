"""Which Python packages a Dockerfile's RUN lines install, and whether their versions are fixed; plain functions."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from seatrial.facts.sources import Instruction

LEADING = {
    *("if", "then", "else", "elif", "do", "while", "until", "!", "{", "(", "exec", "time", "command"),
    *("env", "sudo"),
}
"""Words of a shell before a program."""
WITH_VALUE = {
    *("-r", "--requirement", "-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f", "--find-links"),
    *("-t", "--target", "--prefix", "--root", "--python", "-p", "--platform", "--python-version"),
    *("--python-platform", "--implementation", "--abi", "--only-binary", "--no-binary", "--cache-dir", "--timeout"),
    *("--retries", "--proxy", "--cert", "--client-cert", "--trusted-host", "--upgrade-strategy", "--progress-bar"),
    *("--report", "--src", "--log", "--exists-action", "--use-feature", "--config-settings", "-C", "--group"),
    *("--extra", "--index-strategy", "--index", "--keyring-provider", "--link-mode", "--exclude-newer"),
    *("--default-index", "--directory", "--project", "-e", "--editable", "--root-user-action", "--upgrade-package"),
    *("-P", "--with", "--no-build-isolation-package"),
}
"""Options of pip and uv whose value is a separate word."""
TOOLS = {"pip", "setuptools", "wheel", "uv", "poetry", "pdm", "pipenv", "hatch", "pip-tools"}
"""What installs packages is not a dependency of the application."""
PYLOCK = re.compile(r"pylock(\.[^.]+)?\.toml")
"""The names of lock files that PEP 751 allows."""
LOCKING = re.compile(r"\b(UV_FROZEN|UV_LOCKED)=[\"']?(1|true)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Install:
    """One command that installs Python packages."""

    tool: str
    """uv sync, pip, poetry, pdm or pipenv."""
    words: tuple[str, ...]
    """What follows the subcommand."""
    line: int
    shown: str
    locked_by_environment: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        """The requirement files that it names."""
        return self._values("-r", "--requirement") + (self.requirements if self.tool == "pip sync" else ())

    @property
    def constraints(self) -> tuple[str, ...]:
        """The constraint files that it names."""
        return self._values("-c", "--constraint")

    @property
    def requirements(self) -> tuple[str, ...]:
        """The requirements that it names one by one."""
        found = list(self._values("-e", "--editable"))
        skip = False
        for word in self.words:
            if skip:
                skip = False
            elif word.startswith("-"):
                skip = word in WITH_VALUE
            else:
                found.append(word)
        return tuple(found)

    @property
    def of_the_project(self) -> bool:
        """Whether it installs what the project needs, not only what installs it."""
        names = {re.split(r"[\[<>=!~;@\s]", name, maxsplit=1)[0].lower() for name in self.requirements}
        return self.tool not in {"pip", "pip sync"} or bool(self.files) or bool(names - TOOLS)

    def _values(self, *options: str) -> tuple[str, ...]:
        found: list[str] = []
        for at, word in enumerate(self.words):
            name, equals, value = word.partition("=")
            if word in options and at + 1 < len(self.words):
                found.append(self.words[at + 1])
            elif name in options and equals:
                found.append(value)
            elif word[:2] in options and len(word) > 2 and not word.startswith("--"):  # noqa: PLR2004 - `-rFILE`
                found.append(word[2:])
        return tuple(found)


def installs(instruction: Instruction, *, locked: bool = False) -> Iterator[Install]:
    """Yield what a RUN installs; `locked` tells that the stage's ENV has uv keep to the lock."""
    for words in commands(instruction):
        if found := _install(words):
            yield Install(
                tool=found[0],
                words=found[1],
                line=instruction.line,
                shown=" ".join(words),
                locked_by_environment=locked or any(LOCKING.match(word) for word in words),
            )


def commands(instruction: Instruction) -> Iterator[tuple[str, ...]]:
    """Yield the simple commands of a RUN: its line, or the lines of its heredoc."""
    line = " ".join(instruction.words)
    if line.startswith("["):
        with suppress(ValueError):
            yield tuple(str(word) for word in json.loads(line))
            return
    for text in (line, *instruction.body.replace("\\\n", " ").splitlines()):
        yield from _simple(text)


def _simple(text: str) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|<>()")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        words = re.sub(r"(&&|\|\||[;|])", r" \1 ", text).split()
    command: list[str] = []
    redirected = False
    for word in [*words, ";"]:
        if word and set(word) <= set(";&|()"):
            if command:
                yield tuple(command)
            command, redirected = [], False
        elif word and set(word) <= set("<>"):
            redirected = True
        elif not redirected:
            command.append(word)


def _install(words: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    rest = list(words)
    while rest and (rest[0] in LEADING or re.match(r"[A-Za-z_]\w*=", rest[0])):
        rest.pop(0)
    name = posixpath.basename(rest[0]) if rest else ""
    if re.fullmatch(r"python[\d.]*", name) and "-m" in rest[:-1]:
        rest = rest[rest.index("-m") + 1 :]
        name = rest[0]
    rest = _from_subcommand(rest[1:])
    if re.fullmatch(r"pip[\d.]*", name) and rest[:1] == ["install"]:
        return "pip", tuple(rest[1:])
    if name == "uv" and rest[:1] == ["sync"]:
        return "uv sync", tuple(rest[1:])
    if name == "uv" and rest[:1] == ["pip"]:
        inner = _from_subcommand(rest[1:])
        tools = {"install": "pip", "sync": "pip sync"}
        return (tools[inner[0]], tuple(inner[1:])) if inner and inner[0] in tools else None
    if name in {"poetry", "pdm", "pipenv"} and rest[:1] in (["install"], ["sync"]):
        return name, tuple(rest[1:])
    return None


def _from_subcommand(words: list[str]) -> list[str]:
    rest = list(words)
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in WITH_VALUE else rest[1:]
    return rest


@dataclass(frozen=True, kw_only=True)
class Loose:
    """Something whose version is left open."""

    what: str
    file: str = ""
    """The requirement file that says so; empty where the Dockerfile does."""
    line: int


DECLARATIONS = {"pyproject.toml", "setup.cfg", "setup.py"}
"""Files that say what a project needs, and not which versions."""


def loose(install: Install, texts: Mapping[str, str], *, after_lock: bool = False) -> tuple[list[Loose], list[str]]:
    """Return what an install leaves open, and the requirement files that it names and the context lacks.

    After a lock was installed in the same stage, a folder of the project counts as fixed.
    """
    words = set(install.words)
    if install.tool in {"uv sync", "pipenv"}:
        if install.tool == "pipenv":
            held = bool(words & {"--deploy", "--ignore-pipfile"}) or " sync" in install.shown
        else:
            held = bool(words & {"--frozen", "--locked"}) or install.locked_by_environment
        return ([] if held else [Loose(what=install.shown, line=install.line)]), []
    if install.tool in {"poetry", "pdm"} or words & {"--require-hashes", "--no-index"}:
        # poetry and pdm install what their lock says, and stop where there is none.
        return [], []
    found: list[Loose] = []
    unseen: list[str] = []
    for name in (*install.files, *install.constraints):
        if PYLOCK.fullmatch(posixpath.basename(name)):
            continue  # It holds exact versions alone.
        if posixpath.basename(name) in DECLARATIONS:
            found.append(Loose(what=name, line=install.line))
            continue
        path = _path(name, texts)
        if path is None:
            unseen.append(name)
        else:
            found += open_lines(path, texts)
    if install.constraints or install.tool == "pip sync":
        return found, unseen
    local = after_lock or "--no-deps" in words
    open_ones = (name for name in install.requirements if not fixed(name, local=local))
    return [*found, *(Loose(what=name, line=install.line) for name in open_ones)], unseen


def _path(name: str, texts: Mapping[str, str]) -> str | None:
    """Return the context's file that a name in the image means: the one of that path, or of that name."""
    tidy = posixpath.normpath(name).lstrip("/")
    same = [path for path in texts if path == tidy] or [path for path in texts if tidy.endswith(f"/{path}")]
    by_name = [path for path in texts if posixpath.basename(path) == posixpath.basename(tidy)]
    return next(iter(same or by_name), None)


def open_lines(path: str, texts: Mapping[str, str], seen: frozenset[str] = frozenset()) -> list[Loose]:
    """Return the lines of a requirement file that leave a version open."""
    if path in seen:
        return []
    found: list[Loose] = []
    for number, line in _logical(texts[path]):
        if nested := re.match(r"(?:-r|--requirement)[ =]*(\S+)", line):
            other = _path(posixpath.join(posixpath.dirname(path), nested[1]), texts)
            found += open_lines(other, texts, seen | {path}) if other else []
        elif editable := re.match(r"(?:-e|--editable)[ =]*(\S+)", line):
            found += [] if fixed(editable[1], local=True) else [Loose(what=line, file=path, line=number)]
        elif not line.startswith("-") and "--hash" not in line and not fixed(line, local=True):
            found.append(Loose(what=line, file=path, line=number))
    return found


def _logical(text: str) -> Iterator[tuple[int, str]]:
    parts: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        parts.append(line.removesuffix("\\").strip())
        if not line.endswith("\\"):
            whole = " ".join(part for part in parts if part)
            if whole:
                yield number - len(parts) + 1, whole
            parts = []


def fixed(requirement: str, *, local: bool) -> bool:
    """Tell whether a requirement leaves no version open; a `local` folder's own dependencies come from elsewhere."""
    text = requirement.partition(";")[0].partition(" --")[0].strip()
    if text.startswith("$"):
        # Only the build knows what it stands for.
        return True
    if re.search(r"\.(whl|tar\.gz|zip)(\[[^\]]*\])?$", text.partition("#")[0]):
        return True
    if re.search(r"^(git|hg|svn)\+|@\s*(git|hg)\+", text):
        return re.search(r"@[0-9A-Za-z._/-]+(#|$)", text.rpartition("://")[2].partition("/")[2]) is not None
    if re.match(r"[\w.-]+(\[[^\]]*\])?\s*@\s*\S+", text):
        return True
    if text.startswith((".", "/")) or text.endswith("/"):
        return local
    return re.search(r"={2,3}\s*[^\s,*]+$", text) is not None
