"""A project's files: the one reader of them here, with limits. Nothing outside of the folder is ever opened."""

from __future__ import annotations

import os
import posixpath
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from seatrial.filesystem import read_bytes

MOST_FILES = 100_000
DEEPEST = 12
LARGEST = 1024 * 1024
"""Bytes of a file."""
BEGINNING = 4096
MOST_BYTES = 128 * 1024 * 1024
"""Bytes of all files together."""
MOST_PARSED = 800_000
"""Bytes of modules that are parsed: about a second."""
SKIPPED = {
    *(".git", ".hg", ".svn", ".venv", "venv", "node_modules", ".nox", ".tox", "__pycache__", "site-packages"),
    *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".idea", ".vscode", ".terraform", ".eggs", "dist"),
    "__pypackages__",
    *("bower_components", ".direnv", ".cache", ".next", ".nuxt", ".ipynb_checkpoints", "htmlcov"),
}
ASIDE = {
    *("test", "tests", "testing", "doc", "docs", "example", "examples", "sample", "samples", "benchmark", "benchmarks"),
    *("demo", "demos", ".github", ".gitlab", ".circleci", ".devcontainer", "vendor", "third_party", "fixtures", "e2e"),
    *("integ_tests", "integration_tests", "unit_tests", ".claude", ".agents", "template", "templates", "contrib"),
    *("cookiecutter", "notebooks"),
}
"""Folders whose files are no part of what runs; the project itself may lie in one."""


class Tree:
    """The files below a folder, by their paths from it; no link of a folder is followed, and none that leads out."""

    def __init__(self, folder: Path, without: Collection[str] = ()) -> None:
        self.folder = folder
        self.without = without
        """Files that are not seen."""
        self.root = os.path.realpath(folder)
        self.files: dict[str, int] = {}
        """Paths with their sizes, those near the top first."""
        self.folders: dict[str, list[str]] = {}
        """The names in each folder."""
        self.notes: list[tuple[str, str]] = []
        """Files that could not be read, and limits, each with the reason."""
        self.left_to_parse = MOST_PARSED
        """Bytes of modules that may still be parsed."""
        self._left = MOST_BYTES
        self._texts: dict[str, str | None] = {}
        self._walk()

    def _walk(self) -> None:
        waiting = deque([("", 0)])
        while waiting:
            here, depth = waiting.popleft()
            try:
                with os.scandir(posixpath.join(self.root, here)) as found:
                    entries = sorted(self._nameable(found, here), key=lambda entry: entry.name)
            except OSError as error:
                self.notes.append((here or ".", f"cannot be read: {error.strerror}"))
                continue
            names = {entry.name for entry in entries}
            if here and "pyvenv.cfg" in names:
                continue
            self.folders[here] = []
            for entry in entries:
                path = f"{here}/{entry.name}" if here else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in SKIPPED and not entry.name.endswith(".egg-info"):
                        self.folders[here].append(entry.name)
                        if depth < DEEPEST and not self._is_template(path, entry.name):
                            waiting.append((path, depth + 1))
                elif path not in self.without and self._is_own_file(entry):
                    if len(self.files) >= MOST_FILES:
                        self.notes.append((".", f"more than {MOST_FILES} files: those deep down were not searched"))
                        return
                    self.folders[here].append(entry.name)
                    self.files[path] = 0

    def _nameable(self, entries: Iterable[os.DirEntry[str]], here: str) -> Iterator[os.DirEntry[str]]:
        """Yield entries without those that no written file could name: line ends, bytes that are no UTF-8."""
        for entry in entries:
            if entry.name.isprintable():
                yield entry
            else:
                path = posixpath.join(here, entry.name)
                self.notes.append((ascii(path)[1:-1], "its name cannot be printed: it is left out"))

    def _is_template(self, path: str, name: str) -> bool:
        found = "{{" in name or "{%" in name
        if found:
            self.notes.append((path, "a template of a project: what is in it was not read"))
        return found

    def _is_own_file(self, entry: os.DirEntry[str]) -> bool:
        if not entry.is_symlink():
            return entry.is_file(follow_symlinks=False)
        target = os.path.realpath(entry.path)
        return target.startswith(f"{self.root}{os.sep}") and os.path.isfile(target)  # noqa: PTH113 - many of them

    def __contains__(self, path: str) -> bool:
        return path in self.files

    def is_folder(self, path: str) -> bool:
        """Tell whether a folder that was looked into stands at a path."""
        return path.strip("./") == "" or path in self.folders

    def text(self, path: str) -> str:
        """Return a file's text, what is not UTF-8 in it replaced; empty where it is none, too large or not there."""
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path] or ""

    def _read(self, path: str) -> str | None:
        if path not in self.files:
            return None
        if self._left <= 0:
            return None
        try:
            content = read_bytes(Path(self.root, path), LARGEST)
        except OSError as error:
            self.notes.append((path, f"cannot be read: {error.strerror}"))
            return None
        self._left -= len(content)
        if self._left <= 0:
            self.notes.append((".", f"more than {MOST_BYTES >> 20} MiB to read: the rest was not read"))
        if b"\0" in content[:BEGINNING]:
            return None
        return content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")

    def beginning(self, path: str) -> bytes:
        """Return the first bytes of a file; empty where it cannot be read or is not there."""
        if path not in self.files:
            return b""
        try:
            # Of a regular file: the walk took no other.
            with open(posixpath.join(self.root, path), "rb") as opened:  # noqa: PTH123 - of a path as it is
                return opened.read(BEGINNING)
        except OSError:
            return b""

    def content(self, path: str, most: int = LARGEST) -> bytes:
        """Return a file's bytes, unremembered; empty where it is too large, cannot be read or is not there."""
        if path not in self.files or self._left <= 0:
            return b""
        try:
            content = read_bytes(Path(self.root, path), most)
        except OSError:
            return b""
        self._left -= len(content)
        return content

    def git_configuration(self) -> str:
        """Return the text of the repository's own configuration; empty where there is none here."""
        file = Path(self.root, ".git", "config")
        if os.path.realpath(file) != str(file):
            return ""
        try:
            return read_bytes(file, LARGEST).decode("utf-8", errors="replace")
        except OSError:
            return ""


def divided(tree: Tree, folders: Iterable[str]) -> dict[str, list[str]]:
    """Return the files of a tree by the nearest of some folders above each; those that are in none are left out."""
    found: dict[str, list[str]] = {folder: [] for folder in folders}
    nearest: dict[str, str | None] = {}
    for path in tree.files:
        folder = posixpath.dirname(path)
        if folder not in nearest:
            above = folder
            while above and above not in found:
                above = posixpath.dirname(above)
            nearest[folder] = above if above in found else None
        if (owner := nearest[folder]) is not None:
            found[owner].append(path)
    return found


def is_aside(path: str, below: str = "") -> bool:
    """Tell whether a path lies in a folder for tests, documentation or examples, seen from a folder."""
    inner = path[len(below) :] if below and path.startswith(f"{below}/") else path
    return any(part.lower() in ASIDE or "{{" in part for part in inner.strip("/").split("/")[:-1])


def joined(*parts: str) -> str:
    """Return a path from the project's folder, `.` for the folder itself; one that leads out begins with `..`."""
    return posixpath.normpath(posixpath.join(*(part or "." for part in parts)))


def line_of(text: str, at: int) -> int:
    """Return the line of an offset."""
    return text.count("\n", 0, at) + 1
