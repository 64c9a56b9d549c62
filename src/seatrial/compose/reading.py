"""What compose is going to read for a compose file, known before compose reads it: from the files' text alone."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.compose.reach import Grade, Reach, Surroundings, path_reach
from seatrial.compose.runner import ALONE, Beside
from seatrial.compose.text import NAMES, passed_through, settled
from seatrial.compose.variables import candidates
from seatrial.errors import StackError
from seatrial.filesystem import exists, is_file
from seatrial.host import Host
from seatrial.trust import Trust
from seatrial.yaml_tree import (
    LARGEST,
    Node,
    Scalar,
    YamlError,
    check_aliases,
    child,
    items_of,
    pairs_of,
    read_documents,
    texts_of,
)

MOST_FILES = 100
"""Compose files that a file may include, directly or through others."""
STEERING = re.compile(
    r"^[^\S\n]*(?:export[^\S\n]+)?((?:COMPOSE|DOCKER|BUILDX|BUILDKIT|LD|GIT|SSH)_\w+|PATH|HOME)[^\S\n]*[=:]",
    re.MULTILINE,
)
"""What an env file sets of compose itself, or of a program that compose starts."""
BARE = re.compile(r"^[^\S\n]*(?:export[^\S\n]+)?([A-Za-z_]\w*)[^\S\n]*$", re.MULTILINE)
"""A line of an env file that takes a variable as the caller has it."""
ASSIGNED = re.compile(r"^[^\S\n]*(?:export[^\S\n]+)?([A-Za-z_]\w*)[^\S\n]*[=:]", re.MULTILINE)
VALUES = re.compile(r"^[^\S\n]*(?:export[^\S\n]+)?([A-Za-z_]\w*)[^\S\n]*=[^\S\n]*(.*)$", re.MULTILINE)
PLAIN_PATH = re.compile(r"[\w./ @+-]*(\$\{\w+:?-[\w./ @+-]*\}[\w./ @+-]*)?")
"""A path that holds at most one variable, with a default."""
REMOTE = re.compile(r"[\w+.-]+:|.*@.*:|github\.com/|.*\.git([#:].*)?$")
CORE = ("str", "int", "float", "bool", "null", "map", "seq")
PLAIN_TAGS = frozenset(("!reset", "!override", *(f"tag:yaml.org,2002:{kind}" for kind in CORE)))
"""Others change a value: `!!binary` hides a path."""


@dataclass(frozen=True, kw_only=True)
class TextFile:
    """A compose file's text."""

    path: Path
    root: Node | None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What compose reads for a file, known before it does."""

    file: Path
    around: Surroundings
    values: tuple[Path, ...] = ()
    """The env files that the variables' values come from."""
    texts: tuple[TextFile, ...] = ()
    files: tuple[Path, ...] = ()
    """Those and the env files, as they are named."""
    asked: dict[str, str] = field(default_factory=dict)
    """The variables that the files name, each with the `file:line` where it is named first."""
    found: tuple[tuple[str, Reach], ...] = ()
    """What compose would read from outside of the project, with its `file:line`."""

    def where(self, reach: Reach) -> str:
        """Return `file:line` of what reaches out, as far as the files tell."""
        placed = [(text.path, *found) for text in self.texts if (found := _line(text.root, reach.path, reach.words))]
        # A service may be declared in several files, and in several documents of one.
        path, line, _ = max(placed, key=lambda place: place[2], default=(self.file, 0, 0))
        return f"{path}:{line}" if line else str(path)


def _line(root: Node | None, path: Sequence[str], words: Sequence[str]) -> tuple[int, int] | None:
    """Return the line of a path's deepest part or of a text in it that holds one of the words, and how deep it is."""
    node, line = root, 0
    for depth, step in enumerate(path):
        found = next(((key, value) for key, value in pairs_of(node) if key.text == step), None)
        if found is None:
            # Without its service or entry, this is another file's.
            return (line, depth) if depth > 1 else None
        line, node = found[0].line, found[1]
    texts = [part for part in _nodes(node) if isinstance(part, Scalar)] if node is not None else []
    for word in filter(None, words):
        whole = (text.line for text in texts if word in {text.text, *text.text.split(":")})
        part = (text.line for text in texts if len(word) > 1 and word in text.text)
        if (hit := next(whole, None) or next(part, None)) is not None:
            return hit, len(path) + 1
    return (line, len(path)) if line else None


def _nodes(node: Node) -> Iterator[Node]:
    """Yield a part and all within it once, keys too."""
    seen: set[int] = set()
    left = [node]
    while left:
        node = left.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            left += [*items_of(node), *(part for pair in pairs_of(node) for part in pair)][::-1]


def read_ahead(file: Path, around: Surroundings, host: Host, *, beside: Beside = ALONE) -> Reading:
    """Return what compose is going to read for a file and those beside it: what they include, the env files.

    Where the project is not trusted, no file outside of it is opened.

    Raises StackError: a file stands for more than the limits allow.
    """
    reader = _Reader(
        around=around, trusted=host.trust is not Trust.NONE, known=host.programs_environment, host=host.environment
    )
    for name in filter(None, host.environment.get("COMPOSE_ENV_FILES", "").split(",")):
        # The host's own choice: read, and not judged.
        reader.take_env(file.parent / name, judged=False)
    for env in beside.values(file):
        reader.values_of(*candidates(env))
    for each in (file, *beside.files):
        reader.compose_file(each, file.parent, str(each), "the compose file is")
    return Reading(
        file=file,
        around=around,
        values=beside.values(file),
        texts=tuple(reader.texts),
        files=tuple(dict.fromkeys((*(text.path for text in reader.texts), *reader.env_files))),
        asked=reader.asked,
        found=tuple(reader.found),
    )


@dataclass(kw_only=True)
class _Reader:
    """Reads what compose is going to read."""

    around: Surroundings
    trusted: bool
    known: Mapping[str, str]
    """The variables that compose gets unasked."""
    host: Mapping[str, str]
    """All variables of the host."""
    texts: list[TextFile] = field(default_factory=list)
    asked: dict[str, str] = field(default_factory=dict)
    found: list[tuple[str, Reach]] = field(default_factory=list)
    seen: set[tuple[Path, Path]] = field(default_factory=set)
    env_files: list[Path] = field(default_factory=list)
    env: str = ""
    """The text of all env files so far: variables that they name have other values than their defaults."""

    def compose_file(self, path: Path, folder: Path, where: str, does: str) -> None:
        """Read a compose file whose paths begin in a folder or its own, and those that it includes or extends."""
        resolved = self._allowed(path, where, does)
        if resolved is None or (resolved, folder) in self.seen:
            return
        self.seen.add((resolved, folder))
        if len(self.seen) > MOST_FILES:
            raise StackError(f"more than {MOST_FILES} files are included.", where=where, fix="Include fewer.")
        for root in self._documents(path):
            self._document(root, path, folder)

    def _document(self, root: Node, path: Path, folder: Path) -> None:
        for node in _nodes(root):
            self._value(node, path)
        self._includes(root, path, folder)
        for _, service in pairs_of(child(root, "services")):
            self._service(service, path, folder)
        for key in ("secrets", "configs"):
            for _, entry in pairs_of(child(root, key)):
                if isinstance(name := child(entry, "environment"), Scalar):
                    self.asked.setdefault(name.text, f"{path}:{name.line}")

    def _documents(self, path: Path) -> tuple[Node, ...]:
        """Return what a compose file holds; nothing where it cannot be read, and compose says so better.

        Compose merges several documents of a file; of a project that is not trusted, only one is taken.
        """
        text = _bounded_text(path)
        if text is None:
            return ()
        try:
            roots = read_documents(text, several=self.trusted)
        except YamlError as error:
            self._unread(path, text, error)
            self.ask(text, str(path))
            return ()
        self.texts += [TextFile(path=path, root=root) for root in roots]
        return roots

    def _unread(self, path: Path, text: str, error: YamlError) -> None:
        """Refuse what stands for too much, and in an untrusted project all that cannot be checked."""
        where, fix = f"{path}:{error.line}", "Make it smaller: with fewer aliases, or several files."
        if error.limit:
            raise StackError(f"{error.what}.", where=where, fix=fix) from None
        try:
            check_aliases(text)
        except YamlError as limit:
            raise StackError(f"{limit.what}.", where=f"{path}:{limit.line}", fix=fix) from None
        if not self.trusted:
            self._out(where, f"it cannot be checked ({error.what})")

    def _value(self, node: Node, path: Path) -> None:
        where = f"{path}:{node.line}"
        for name in NAMES.findall(node.text.replace("$$", "")) if isinstance(node, Scalar) else ():
            self.asked.setdefault(name, where)
        if node.tag and not self.trusted and node.tag not in PLAIN_TAGS:
            self._out(where, f"the tag {node.tag} cannot be checked")

    def _includes(self, root: Node, path: Path, folder: Path) -> None:
        for item in items_of(child(root, "include")):
            begins = [
                found
                for text in texts_of(child(item, "project_directory"))
                for found in self._paths(folder, text, path, "it includes files for the folder")
            ]
            for text in texts_of(child(item, "env_file")):
                self._env_file(folder, text, path)
            for text in texts_of(child(item, "path") or item):
                for file in self._paths(folder, text, path, "it includes"):
                    begins = begins or [file.parent]
                    for begin in begins:
                        self.values_of(begin / ".env")
                        self.compose_file(file, begin, f"{path}:{text.line}", "it includes")

    def _service(self, service: Node, path: Path, folder: Path) -> None:
        for environment in (child(service, "environment"), child(child(service, "build"), "args")):
            for name, line in passed_through(environment):
                self.asked.setdefault(name, f"{path}:{line}")
        for text in texts_of(child(child(service, "extends"), "file")):
            for file in self._paths(folder, text, path, "it extends"):
                self.compose_file(file, file.parent, f"{path}:{text.line}", "it extends")
        for key in ("env_file", "label_file"):
            node = child(service, key)
            for item in items_of(node) or ((node,) if node is not None else ()):
                for text in texts_of(child(item, "path") or item):
                    self._env_file(folder, text, path)

    def _env_file(self, folder: Path, text: Scalar, path: Path) -> None:
        for file in self._paths(folder, text, path, "it reads the env file"):
            self.env_files.append(file)
            self.take_env(file)

    def values_of(self, *files: Path) -> None:
        """Read the first of some env files that exists: variables take their values from it.

        All are judged, links that lead nowhere too: which is read is decided again later, and others explain variables.
        """
        self.env_files += files
        there = [file for file in files if os.path.lexists(file)]
        allowed = [file for file in there if self._allowed(file, str(file), "the env file is", Grade.OUTSIDE)]
        for file in list(filter(exists, allowed))[:1]:
            text = self.take_env(file)
            for found in () if self.trusted else STEERING.finditer(text):
                line = text.count("\n", 0, found.start(1)) + 1
                self._out(f"{file}:{line}", f"it sets {found[1]}, which steers compose itself")

    def take_env(self, file: Path, *, judged: bool = True) -> str:
        """Return an env file's text, whose variables are asked for."""
        text = small_text(file)
        if text is None and judged and not self.trusted and is_file(file):
            self._out(str(file), "the env file cannot be checked: it is too large, or cannot be read")
        text = text or ""
        self.ask(text, str(file), env=True)
        self.env += f"{text}\n"
        return text

    def ask(self, text: str, shown: str, *, env: bool = False) -> None:
        """Take the variables that a text names."""
        for number, line in enumerate(text.splitlines(), 1):
            names = NAMES.findall(line.replace("$$", "")) if "$" in line else []
            names += BARE.findall(line) if env else []
            for name in names:
                self.asked.setdefault(name, f"{shown}:{number}")

    def _paths(self, folder: Path, text: Scalar, path: Path, does: str) -> list[Path]:
        """Return the local file or folder that a compose file may mean; none where it is not to be opened."""
        where = f"{path}:{text.line}"
        if not self.trusted and (PLAIN_PATH.fullmatch(text.text) is None or self._varies(text.text)):
            self._out(where, f"{does} {text.text}, which cannot be checked")
            return []
        written = settled(text.text, self._values() if self.trusted else None)
        if REMOTE.match(written):
            self._out(where, f"{does} {written}, which is fetched", Grade.HOST)
            return []
        # An included file's paths begin where its project does, an extended one's where it lies.
        begins = dict.fromkeys((folder, path.parent) if written else ())
        if written.startswith("~"):
            begins, written = {self.around.home: None}, written[1:].lstrip("/")
        files = [begin / written for begin in begins]
        return [file for file in files if self._allowed(file, where, does) is not None]

    def _values(self) -> dict[str, str]:
        """Return what compose puts in the place of variables in a path, as far as the env files tell in plain words."""
        return {**{found[1]: found[2].strip().strip("\"'") for found in VALUES.finditer(self.env)}, **self.host}

    def _varies(self, text: str) -> bool:
        """Tell whether a variable of a text may have another value than its default."""
        return any(name in self.known or re.search(rf"\b{name}\b", self.env) for name in NAMES.findall(text))

    def _allowed(self, path: Path, where: str, does: str, grade: Grade = Grade.HOST) -> Path | None:
        """Return where a path leads; None where it leads out of a project that is not trusted."""
        resolved = self.around.resolve(str(path))
        if (seen := path_reach(str(path), self.around, read_only=True)) is not None:
            self._out(where, f"{does} {seen[0]}", grade)
            return resolved if self.trusted else None
        return resolved

    def _out(self, where: str, what: str, grade: Grade = Grade.OUTSIDE) -> None:
        self.found.append((where, Reach(path=(), what=what, grade=grade)))


def _bounded_text(path: Path) -> str | None:
    """Return the text of a regular file that is not too large; None where there is none, which compose names better.

    Raises StackError: it is too large.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except (OSError, ValueError):
        return None
    if len(content) > LARGEST:
        raise StackError(f"larger than {LARGEST} bytes.", where=str(path), fix="Make several files of it.")
    return content.decode("utf-8-sig", errors="replace")


def small_text(path: Path) -> str | None:
    """Return the text of a regular file; None where there is none, or it is too large."""
    try:
        return _bounded_text(path)
    except StackError:
        return None
