"""One layer of an image: its files, what it removes from the layers below it, and whose the files are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from seatrial.observe.archive import LimitExceededError
from seatrial.observe.index import Index, IndexReader
from seatrial.observe.kept import METADATA, held, kept_text, wanted_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.observe.archive import Archive, Member

Wanted = Callable[[str, int], int]
"""By a file's path and size: how many bytes of its beginning are asked for."""
MOST_PLACES = 500
"""Folders and files of one distribution that are kept."""
MOST_LISTS = 48_000_000
"""Bytes of the package managers' lists of files that are kept."""
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
PACKAGE_LIST = re.compile(
    r"/var/lib/dpkg/info/[^/]+\.list|/var/lib/dpkg/status\.d/[^/]+\.md5sums|(?:/usr)?/lib/apk/db/installed"
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
    second_names: dict[str, str] = {}
    """Further names of files, which take no bytes: the first name of each."""
    unread: tuple[str, ...] = ()
    """Of these, whose content decides something, and was not looked at under the first name."""
    digests: dict[str, int] = {}
    """The CRC-32 of each file's content: enough to tell a copy by, together with its size."""
    bodies: dict[str, bytes] = {}
    """What was asked for of files' content; never kept beyond the command."""
    lists: dict[str, str] = {}
    """Where installed packages say which files are theirs: Debian's and Alpine's lists, distributions' RECORDs."""

    def looked_at(self, bodies: Mapping[str, bytes]) -> Layer:
        """Return the layer with what its unread names hold, by the first names of their files."""
        index, left = self.index, []
        holding, texts = dict(index.holding), dict(index.texts)
        for path in self.unread:
            body, mode = bodies.get(self.second_names[path]), index.paths[path].mode
            if body is None:
                left.append(path)
                continue
            body = body[: wanted_bytes(path, mode)]
            if found := held(path, body):
                holding[path] = found
            if (text := kept_text(path, mode, body)) is not None:
                texts[path] = text
        index = msgspec.structs.replace(index, holding=holding, texts=texts)
        return msgspec.structs.replace(self, index=index, unread=tuple(left))

    @property
    def sizes(self) -> dict[str, int]:
        """The bytes of each file, under its first name."""
        files = self.index.paths.items()
        return {path: entry.size for path, entry in files if entry.letter == "f" and path not in self.second_names}


class LayerReader(IndexReader):
    """Reads a layer: its files, as the index of an image has them, its whiteouts, and whose the files are."""

    def __init__(self, most_lists: int = MOST_LISTS, wanted: Wanted | None = None) -> None:
        super().__init__()
        self._wanted = wanted
        self._beginning = b""
        """Of the present file, what was read of it already."""
        self._bodies: dict[str, bytes] = {}
        self.lists_left = most_lists
        """Bytes of lists that may still be kept."""
        self._removed: dict[str, None] = {}
        self._emptied: dict[str, None] = {}
        self._seconds: dict[str, str] = {}
        self._digests: dict[str, int] = {}
        self._lists: dict[str, str] = {}

    def layer(self, packed: int) -> Layer:
        """Return what was read."""
        return Layer(
            index=self.index(),
            packed=packed,
            removed=tuple(self._removed),
            emptied=tuple(self._emptied),
            second_names=self._seconds,
            unread=tuple(self._second_names),
            bodies=self._bodies,
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
            if self._wanted is not None and (size := self._wanted(path, member.size)):
                more = archive.beginning(max(size - len(self._beginning), 0))
                self._bodies[path] = self._beginning[:size] + more
            if PACKAGE_LIST(path):
                text = self._beginning + archive.beginning(METADATA)
                self._keep_list(path, text.decode("utf-8", "surrogateescape"))
            self._digests[path] = archive.checksum()
        elif member.letter == "h":
            self._seconds[path] = member.target
            if member.target in self._digests:
                self._digests[path] = self._digests[member.target]
            if member.target in self._bodies:
                self._bodies[path] = self._bodies[member.target]

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
