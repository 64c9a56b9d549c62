"""Indexes of file systems, for tests of what is read from them."""

from __future__ import annotations

import os
import posixpath
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.facts import Account
from seatrial.observe.index import Entry, Index, IndexFiles
from seatrial.observe.kept import IS_PYTHON, LIBRARY, held, kept_text, pythons, wanted_bytes
from seatrial.observe.python.layout import Access

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

USER = Account(name="app", uid=10001, gids=(10001,), home="/home/app")
PYTHON = "\x7fELF"
"""In a tree: what stands for a Python."""
FOLDER = None
"""In a tree: a folder that is empty."""


def index(tree: Mapping[str, str | None], modes: Mapping[str, tuple[int, int, int]] | None = None) -> Index:
    """Return the index of a tree: text of a file, `-> target` of a link, FOLDER; modes with uid and gid."""
    paths = {"/": Entry("d", 0o755, 0, 0)}
    texts: dict[str, str] = {}
    holding: dict[str, tuple[str, ...]] = {}
    own = modes or {}

    def add(path: str, letter: str, usual: int, body: str = "") -> None:
        mode, uid, gid = own.get(path, (usual, 0, 0))
        paths[path] = Entry(letter, mode, uid, gid, len(body), body if letter == "l" else "")

    for path, body in tree.items():
        above = path
        for parent in reversed([above := posixpath.dirname(above) for _ in range(path.count("/"))]):
            if parent not in paths:
                add(parent, "d", 0o755)
        if body is None:
            add(path, "d", 0o755)
        elif body.startswith("-> "):
            add(path, "l", 0o777, body[3:])
        else:
            add(path, "f", 0o755 if body.startswith(("#!", "\x7fELF")) else 0o644, body)
            mode, raw = paths[path].mode, body.encode()
            if wanted_bytes(path, mode) and (text := kept_text(path, mode, raw)) is not None:
                texts[path] = text
            if found := held(path, raw):
                holding[path] = found
            elif body == PYTHON:
                holding[path] = (IS_PYTHON,)
    return Index(paths=paths, texts=texts, holding=holding)


def access(
    tree: Mapping[str, str | None],
    modes: Mapping[str, tuple[int, int, int]] | None = None,
    who: Account = USER,
) -> Access:
    """Return what an account can do with a tree."""
    return Access(files=IndexFiles(index(tree, modes)), who=who)


def index_of_host(tops: Iterable[Path]) -> Index:
    """Return the index of some folders of this host, and of the folders above them."""
    paths: dict[str, Entry] = {}
    texts: dict[str, str] = {}
    holding: dict[str, tuple[str, ...]] = {}

    def add(path: str) -> None:
        state = os.lstat(path)
        letter = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l"}.get(stat.S_IFMT(state.st_mode), "o")
        target = os.readlink(path) if letter == "l" else ""  # noqa: PTH115 - some thousand of them
        paths[path] = Entry(letter, stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid, state.st_size, target)
        if letter == "f" and (size := wanted_bytes(path, state.st_mode)):
            with open(path, "rb") as file:  # noqa: PTH123 - some thousand of them
                body = file.read(size)
                body += file.read() if size == LIBRARY and not pythons(body) else b""
            text = kept_text(path, state.st_mode, body)
            if text is not None:
                texts[path] = text
            if found := held(path, body):
                holding[path] = found

    for link in Path("/").iterdir():
        add(str(link))
    for top in tops:
        for above in reversed(top.parents):
            add(str(above))
        add(str(top))
        for folder, folders, files in os.walk(top):
            for name in (*folders, *files):
                add(f"{folder.rstrip('/')}/{name}")
    return Index(paths=paths, texts=texts, holding=holding)
