"""One layer of an image: its files, what it removes from the layers below it, and whose the files are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from seatrial.observe.archive import LimitExceededError
from seatrial.observe.index import Index, IndexReader
from seatrial.observe.kept import METADATA

if TYPE_CHECKING:
    from seatrial.observe.archive import Archive, Member

MOST_PLACES = 500
"""Folders and files of one distribution that are kept."""
MOST_LISTS = 48_000_000
"""Bytes of the package managers' lists of files that are kept."""
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
PACKAGE_LIST = re.compile(
    r"/var/lib/dpkg/info/[^/]+\.list|/var/lib/dpkg/status\.d/[^/]+\.md5sums|/lib/apk/db/installed"
).fullmatch


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One layer: what it adds, and what it takes away from those below it."""

    index: Index
    """Its own files; what a later layer does to them is not seen here."""
    packed: int = 0
    """Bytes that it takes in what was read."""
    removed: tuple[str, ...] = ()
    """Paths that it removes."""
    emptied: tuple[str, ...] = ()
    """Folders of which nothing below it is left."""
    second_names: tuple[str, ...] = ()
    """Further names of files, which take no bytes."""
    digests: dict[str, int] = {}
    """The CRC-32 of each file's content: enough to tell a copy by, together with its size."""
    lists: dict[str, str] = {}
    """Where installed packages say which files are theirs: Debian's and Alpine's lists, distributions' RECORDs."""

    @property
    def sizes(self) -> dict[str, int]:
        """The bytes of each file, under its first name."""
        seconds = frozenset(self.second_names)
        files = self.index.paths.items()
        return {path: entry.size for path, entry in files if entry.letter == "f" and path not in seconds}


class LayerReader(IndexReader):
    """Reads a layer: its files, as the index of an image has them, its whiteouts, and whose the files are."""

    def __init__(self, most_lists: int = MOST_LISTS) -> None:
        super().__init__()
        self._beginning = b""
        """Of the present file, what was read of it already."""
        self.lists_left = most_lists
        """Bytes of lists that may still be kept."""
        self._removed: dict[str, None] = {}
        self._emptied: dict[str, None] = {}
        self._seconds: list[str] = []
        self._digests: dict[str, int] = {}
        self._lists: dict[str, str] = {}

    def layer(self, packed: int) -> Layer:
        """Return what was read."""
        return Layer(
            index=self.index(),
            packed=packed,
            removed=tuple(self._removed),
            emptied=tuple(self._emptied),
            second_names=tuple(self._seconds),
            digests=self._digests,
            lists=self._lists,
        )

    def _take(self, member: Member, archive: Archive) -> None:
        path = member.path
        folder, _, name = path.rpartition("/")
        if name.startswith(WHITEOUT):
            if name == OPAQUE:
                self._emptied[folder or "/"] = None
            elif not name.startswith(f"{WHITEOUT}{WHITEOUT}"):
                self._removed[f"{folder}/{name.removeprefix(WHITEOUT)}"] = None
            return
        self._beginning = b""
        super()._take(member, archive)
        if member.letter == "f" and member.size:
            if PACKAGE_LIST(path):
                text = self._beginning + archive.beginning(METADATA)
                self._keep_list(path, text.decode("utf-8", "surrogateescape"))
            self._digests[path] = archive.checksum()
        elif member.letter == "h":
            self._seconds.append(path)
            if member.target in self._digests:
                self._digests[path] = self._digests[member.target]

    def _keep(self, path: str, mode: int, body: bytes) -> None:
        self._beginning = body
        super()._keep(path, mode, body)
        if path.endswith(".dist-info/RECORD"):
            self._keep_list(path, "\n".join(places_recorded(body)))

    def _keep_list(self, path: str, text: str) -> None:
        self.lists_left -= len(text)
        if self.lists_left < 0:
            raise LimitExceededError(f"its packages' lists of files have more than {MOST_LISTS // 1_000_000} MB")
        self._lists[path] = text


def places_recorded(record: bytes) -> list[str]:
    """Return where a distribution's files lie, from the folder of its RECORD: folders end with a slash.

    Of a package that is the folder above its modules, and each folder in it: distributions may share a namespace.
    """
    found: dict[str, None] = {}
    for raw in re.findall(rb"^\"?([^,\"\r\n]+)", record, re.MULTILINE):
        name = raw.decode("utf-8", "surrogateescape")
        parts = name.split("/")
        if parts[0] == ".." or len(parts) == 1:
            found[name] = None
        else:
            found["/".join(parts[: min(len(parts) - 1, 2)]) + "/"] = None
            if len(found) >= MOST_PLACES:
                break
    return list(found)
