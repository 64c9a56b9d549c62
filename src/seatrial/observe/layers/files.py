"""The files of a saved image, as a container would see them; what was not kept is read from the archive again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import structs

from seatrial.observe.index import IndexFiles
from seatrial.observe.kept import PROGRAM, wanted_bytes
from seatrial.observe.layers.saved_image import from_path
from seatrial.observe.layers.stacked import merged, stacked
from seatrial.text import is_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from seatrial.facts import FileEntry
    from seatrial.observe.layers.saved_image import SavedImage

KEPT = 4096
"""Bytes of a program's beginning that are kept."""
WHOLE = 1024 * 1024
"""The most that is read of a small file such as /etc/passwd."""
LARGEST_SOURCE = 1_000_000
MOST_SOURCES = 50_000_000
LIKELY = re.compile(r"(?!.*/lib(?:64)?/python3).*|.*/__init__\.py", re.DOTALL).fullmatch
"""Sources that are the application's, or say whether a package has modules that no file shows."""
ACCOUNT_FILE = re.compile(r"/etc/(?:passwd|shadow|group)").fullmatch


def _at_first(path: str, _size: int) -> int:
    """Return how many bytes of a file are kept when an archive is read."""
    return WHOLE if ACCOUNT_FILE(path) else KEPT if PROGRAM(path) else 0


class ArchiveFiles:
    """`seatrial.observe.paths.Files` over a saved image in a file or folder."""

    def __init__(self, path: Path, platform: str = "") -> None:
        """Read an image; see `from_path`."""
        self._path, self._platform = path, platform
        self.image = self._with_second_names(from_path(path, platform, _at_first))
        self.stacked = stacked(self.image.layers)
        self.index = IndexFiles(merged(self.stacked))
        self._read: dict[str, bytes] = {}
        self._sources: dict[str, str | None] = {}
        """Python files that were read; None of what could not be."""

    def _with_second_names(self, image: SavedImage) -> SavedImage:
        """Return an image with what more names of its files hold, which take a second reading."""
        wanted: dict[str, int] = {}
        left = MOST_SOURCES
        for layer in image.layers:
            for path in layer.unread:
                entry, first = layer.index.paths[path], layer.second_names[path]
                size = min(wanted_bytes(path, entry.mode), entry.size)
                left -= size
                if left > 0:
                    wanted[first] = max(size, wanted.get(first, 0))
        if not wanted:
            return image
        again = from_path(self._path, self._platform, lambda file, size: min(size, wanted.get(file, 0)))
        layers = (made.looked_at(read.bodies) for made, read in zip(image.layers, again.layers, strict=True))
        return structs.replace(image, layers=tuple(layers))

    def entry(self, path: str) -> FileEntry | None:
        """Return what stands at a path, its last part not followed; None where nothing does."""
        return self.index.entry(path)

    def beginning(self, path: str) -> bytes:
        """Return the first bytes of a regular file."""
        return self._body(path, KEPT)[:KEPT]

    def text(self, path: str) -> str:
        """Return a small text file; empty where there is none."""
        return self._body(path, WHOLE).decode("utf-8", errors="replace")

    def python_files(self, path: str) -> Mapping[str, str]:
        """Return the text of the Python files below a path, or of that file; what is too large is left out."""
        real, paths = self.index.folder(path), self.index.index.paths
        there = [file for file in paths if self._is_source(file) and is_below(file, real)]
        if any(file not in self._sources for file in there):
            self._load(there)
        texts = ((file, self._sources[file]) for file in there)
        return {path + file.removeprefix(real): text for file, text in texts if text is not None}

    def _is_source(self, file: str) -> bool:
        entry = self.index.index.paths[file]
        return file.endswith(".py") and entry.letter == "f" and entry.size <= LARGEST_SOURCE

    def _load(self, asked: Iterable[str]) -> None:
        """Read source files, and those that are likely asked for next: a reading of the archive takes seconds."""
        paths = self.index.index.paths
        likely = (file for file in paths if LIKELY(file) and self._is_source(file))
        wanted: set[str] = set()
        left = MOST_SOURCES
        for file in dict.fromkeys((*asked, *likely)):
            if file not in self._sources and paths[file].size <= left:
                left -= paths[file].size
                wanted.add(file)
        firsts = {self.image.layers[self.stacked.visible[file] - 1].second_names.get(file, file) for file in wanted}
        # Layers below may hold other files of these names.
        left = 2 * MOST_SOURCES

        def bytes_of(file: str, size: int) -> int:
            nonlocal left
            if file not in firsts or size > min(left, LARGEST_SOURCE):
                return 0
            left -= size
            return size

        found = self._again(bytes_of)
        for file in {*asked, *wanted} - self._sources.keys():
            body = found.get(file, None if paths[file].size else b"")
            self._sources[file] = None if body is None else body.decode("utf-8", "replace")

    def _body(self, path: str, size: int) -> bytes:
        entry = self.index.found(path)
        if entry is None or entry.letter != "f":
            return b""
        place = path if path in self.index.index.paths else self.index.place(path)
        size = min(size, entry.size)
        number = self.stacked.visible[place]
        layer = self.image.layers[number - 1]
        body = self._read.get(place, layer.bodies.get(place, b""))
        if len(body) < size:
            first = layer.second_names.get(place, place)
            body = self._again(lambda file, _: size if file == first else 0, {first: place}).get(place, b"")
            self._read[place] = body
        return body

    def _again(self, wanted: Callable[[str, int], int], names: Mapping[str, str] | None = None) -> dict[str, bytes]:
        """Read the archive again; return what is wanted of the files that a container sees."""
        image = from_path(self._path, self._platform, wanted)
        found: dict[str, bytes] = {}
        for number, layer in enumerate(image.layers, 1):
            for file, body in layer.bodies.items():
                place = (names or {}).get(file, file)
                if self.stacked.visible.get(place) == number:
                    found[place] = body
        return found
