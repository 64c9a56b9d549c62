"""Follows paths, PATH and `#!` lines through an image's files, the way the kernel would; plain functions."""

from __future__ import annotations

import io
import posixpath
import struct
from typing import TYPE_CHECKING, Protocol

from seatrial.facts import Account, BlockingFolder, FileEntry, FileKind, ResolvedPath, Shebang
from seatrial.facts.command import may_execute
from seatrial.inside.probe.base import named_for_env, shebang
from seatrial.inside.probe.native import elf_segments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


MAX_LINKS = 40
"""As many links as Linux follows before it gives up with ELOOP."""

PT_INTERP = 3
"""The program header that names a binary's dynamic loader: elf(5)."""

MAX_SCRIPTS = 5
"""As many `#!` lines in a row as Linux follows (BINPRM_MAX_RECURSION in older kernels)."""

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The PATH that Docker gives a container whose image sets none."""


class Files(Protocol):
    """An image's files, read without running anything."""

    def entry(self, path: str) -> FileEntry | None:
        """Return what stands at a path, its last part not followed; None where nothing does."""

    def beginning(self, path: str) -> bytes:
        """Return the first bytes of a regular file."""

    def text(self, path: str) -> str:
        """Return a small text file; empty where there is none."""


def follow(path: str, files: Files) -> ResolvedPath:
    """Follow a path link by link to its end."""
    steps = [posixpath.normpath(path)]
    for _ in range(MAX_LINKS):
        entry = files.entry(steps[-1])
        if entry is None:
            return ResolvedPath(steps=tuple(steps), entry=None, missing=first_missing(steps[-1], files))
        if entry.kind is not FileKind.LINK:
            return ResolvedPath(steps=tuple(steps), entry=entry)
        steps.append(_pointed_to(steps[-1], entry.target, files))
    return ResolvedPath(steps=tuple(steps[:4]), entry=None, missing="the links go round in a circle")


def _pointed_to(link: str, target: str, files: Files) -> str:
    folder = posixpath.dirname(link)
    if target.startswith(".."):
        # `..` counts from where the folder really is: /bin/x -> ../lib/x lies in /usr/lib where /bin is a link.
        folder = real_folder(folder, files.entry)
    return posixpath.normpath(posixpath.join(folder, target))


def real_folder(folder: str, look: Callable[[str], FileEntry | None]) -> str:
    """Return where a folder really is, where links among its parts lead somewhere else; `look` follows none."""
    here, rest, left = "/", _parts(folder), MAX_LINKS
    while rest:
        step = posixpath.join(here, rest.pop(0))
        entry = look(step)
        if entry is not None and entry.kind is FileKind.LINK and left > 0:
            left -= 1
            here, rest = "/", _parts(posixpath.normpath(posixpath.join(here, entry.target, *rest)))
        else:
            here = step
    return here


def first_missing(path: str, files: Files) -> str:
    """Return the first part of a path that is not there."""
    here = ""
    for part in _parts(path):
        here = f"{here}/{part}"
        if files.entry(here) is None:
            return here
    return path


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def search(word: str, path_variable: str, directory: str, files: Files) -> ResolvedPath | None:
    """Find a command's program the way a container runtime does: by PATH, unless it holds a slash."""
    if "/" in word:
        return follow(posixpath.join(directory, word), files)
    broken: ResolvedPath | None = None
    for folder in path_variable.split(":"):
        candidate = posixpath.join(directory, folder or ".", word)
        if files.entry(candidate) is not None:
            trail = follow(candidate, files)
            if trail.entry is None:
                # The runtime looks on; only where it finds no other is this link what is wrong.
                broken = broken or trail
            elif trail.entry.kind is not FileKind.FOLDER and trail.entry.mode & 0o111:
                return trail
    return broken


def shebangs(program: ResolvedPath, path_variable: str, files: Files) -> Iterator[Shebang]:
    """Yield the `#!` lines from a program to a binary."""
    trail = program
    for _ in range(MAX_SCRIPTS):
        if not trail.is_file:
            return
        beginning = files.beginning(trail.end)
        interpreter = shebang(beginning)
        if interpreter is None:
            return
        line, path = interpreter
        by_env = named_for_env(line, path)
        found = search(by_env, path_variable, "/", files) if by_env else follow(path, files)
        trail = found or ResolvedPath(steps=(by_env,), entry=None, missing=f"{by_env} is not on PATH")
        yield Shebang(line=line, interpreter=by_env or path, resolved=trail)


def is_runnable(beginning: bytes) -> bool:
    """Tell whether the kernel can run a file: a binary, or a script with a `#!` line."""
    return beginning.startswith((b"\x7fELF", b"#!"))


def loader(beginning: bytes) -> str:
    """Return the dynamic loader that a binary names; empty where it names none (static, or no binary)."""
    if not beginning.startswith(b"\x7fELF") or len(beginning) < 64:  # noqa: PLR2004 - the ELF header
        return ""
    try:
        segments = elf_segments(io.BytesIO(beginning), beginning)
    except struct.error:
        # Its headers are none.
        return ""
    named = (beginning[at : at + length] for kind, _, at, length in segments if kind == PT_INTERP)
    return next(named, b"").partition(b"\0")[0].decode("utf-8", errors="replace")


def blocking_folder(paths: Iterable[str], who: Account, files: Files) -> BlockingFolder | None:
    """Return the first folder on the way to paths that an account cannot search, by its permission bits."""
    if who.uid is None:
        return None
    for path in paths:
        for folder in _folders_above(path):
            entry = follow(folder, files).entry
            if entry is not None and entry.kind is FileKind.FOLDER and not may_execute(entry, who):
                return BlockingFolder(path=folder, entry=entry, on_the_way_to=path)
    return None


def _folders_above(path: str) -> list[str]:
    parts = path.split("/")[1:-1]
    return [f"/{'/'.join(parts[: count + 1])}" for count in range(len(parts))]
