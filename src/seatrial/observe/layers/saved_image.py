"""Reads a saved image as a stream, layer by layer; nothing is unpacked or stored, little is in memory at a time.

What is read: the engine's own stream (`docker save`), that archive in a file, packed by gzip or zstd or not, and an OCI
image layout, as a folder or as a tar. In a stream the layers may come before the description that orders them, so each
is read by itself first. No path of an archive is ever opened or written.

Sources: Docker's image specification v1.2, "Combined Image JSON + Filesystem Changeset Format"; the OCI image format
specification 1.1, "Image Layout" and "Image Layer Filesystem Changeset".
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
import time
from contextlib import closing, contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from seatrial.errors import ImageError
from seatrial.observe.archive import BLOCK, END, Archive, ArchiveError, LimitExceededError, Limits, rooted
from seatrial.observe.index import Index
from seatrial.observe.layers.compression import GZIP, ZSTD, Pieces, Readable, unpacked, zstd
from seatrial.observe.layers.layer import MOST_LISTS, Layer, LayerReader, Wanted
from seatrial.observe.layers.manifests import ImageDescription, chosen
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from seatrial.engine.find import Engine
    from seatrial.facts import Configuration

SAVE_TIMEOUT = 600
"""Seconds until the engine sends an image's next bytes: before the first, it gathers all of it on its disk."""
READ_SECONDS = 900.0
MOST_UNPACKED = 30
"""How many times its own size an archive may hold, beside `LEAST`: layers are packed to a third or a quarter."""
LEAST = 500_000_000
MOST_DESCRIBED = 4 * 1024 * 1024
"""Bytes of one description: a manifest, an index, a configuration."""
MOST_DESCRIPTIONS = 32 * 1024 * 1024
MOST_PARTS = 100_000
"""Members of an archive, or files of a layout."""
MOST_LAYERS = 500
"""The engines' own limit is 127."""


class SavedImage(msgspec.Struct, frozen=True, kw_only=True):
    """A saved image; its layers are in order, the oldest first."""

    id: str
    description: ImageDescription
    layers: tuple[Layer, ...]
    names: tuple[str, ...] = ()
    """Its tags, as far as they were saved."""

    @property
    def cut(self) -> tuple[str, ...]:
        """What was left out, and why: a limit was passed, or an archive is damaged."""
        return tuple(f"layer {number}: {why}" for number, layer in enumerate(self.layers, 1) for why in layer.index.cut)


class Part(NamedTuple):
    """A member of what was saved."""

    name: str
    """From its root: `/manifest.json`."""
    size: int
    target: str
    """Of a link, which member it stands for."""
    content: Readable


class Source(NamedTuple):
    """Where a saved image comes from."""

    name: str
    """For messages."""
    parts: Callable[[], Iterator[Part]]
    again: bool
    """It can be read a second time: then only the layers of the image that is meant are read."""
    most: int
    """Bytes that all layers may unpack to."""


def from_engine(engine: Engine, configuration: Configuration) -> SavedImage:
    """Read an image of the engine.

    Raises:
        ImageError: what it sends is no saved image.
        docker.errors.APIError: it refuses.

    """
    with closing(engine.connection(SAVE_TIMEOUT)) as api:
        most = 2 * configuration.unpacked + LEAST
        chunks = api.get_image(configuration.id)
        source = Source(configuration.reference, lambda: _in_tar(Pieces(chunks), most), again=False, most=most)
        return read_saved(source, configuration.platform)


def from_path(path: Path, wanted: str = "", content: Wanted | None = None) -> SavedImage:
    """Read an image from a file or from a folder, of several platforms the one that is wanted, or this machine's.

    `content` says what is kept of files beside.

    Raises:
        ImageError: it is not there, or holds no image that can be read.

    """
    try:
        if path.is_dir():
            size = sum(file.stat().st_size for file in path.glob("blobs/*/*") if file.is_file())
            source = Source(str(path), lambda: _in_folder(path), again=True, most=MOST_UNPACKED * size + LEAST)
            return read_saved(source, wanted, content)
        with _opened(path) as file:
            most = MOST_UNPACKED * os.fstat(file.fileno()).st_size + LEAST
            packed = file.peek(4)[:4].startswith((GZIP, ZSTD))

            def parts() -> Iterator[Part]:
                file.seek(0)
                if packed:
                    return _in_tar(Pieces(unpacked(file)), most)
                return _in_tar(file, most, file.seek)

            return read_saved(Source(str(path), parts, again=not packed, most=most), wanted, content)
    except OSError as error:
        raise ImageError(
            f"it cannot be read: {error.strerror or error}.",
            where=str(path),
            fix="Name a file that `docker save` wrote, or a folder with an OCI image layout.",
        ) from None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    # Without O_NONBLOCK the opening of a pipe waits for a writer.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb", buffering=65536) as file:  # noqa: PTH123 - of a handle
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "it is not a regular file")
        yield file


def _in_tar(stream: Readable, most: int, seek: Callable[[int, int], object] | None = None) -> Iterator[Part]:
    archive = Archive(stream, Limits(seconds=READ_SECONDS, most=most, entries=MOST_PARTS, names=20_000_000), seek=seek)
    for member in archive:
        if member.letter == "f":
            yield Part(member.path, member.size, "", archive)
        elif member.letter in "lh":
            # Engines before 25 put links in the place of layers that are there already.
            target = member.target if member.letter == "h" else posixpath.join(member.path, "..", member.target)
            yield Part(member.path, 0, rooted(target), archive)


def _in_folder(folder: Path) -> Iterator[Part]:
    found = chain.from_iterable(map(folder.glob, ("*.json", "*/*.json", "*/layer.tar", "blobs/*/*")))
    for path in sorted(set(islice(found, MOST_PARTS))):
        # A link could lead to any file of the host.
        if path.is_symlink() or not path.is_file() or path.parent.is_symlink() or path.parent.parent.is_symlink():
            continue
        with _opened(path) as file:
            yield Part(f"/{path.relative_to(folder)}", os.fstat(file.fileno()).st_size, "", file)


def read_saved(source: Source, wanted: str = "", content: Wanted | None = None) -> SavedImage:
    """Read the image of a source; of several platforms, the one that is wanted, or this machine's.

    Raises:
        ImageError: it holds none, several, none for that platform, or what it says of itself does not fit together.

    """
    try:
        gathered = _Gathered(source.most, content)
        gathered.read(source.parts(), () if source.again else None)
        image = chosen(gathered.texts, wanted)
        names = [gathered.named(name) for name in image.layers]
        if source.again:
            gathered.read(source.parts(), frozenset(names))
        layers = gathered.in_order(names)
    except (ArchiveError, LimitExceededError) as error:
        raise ImageError(
            f"it cannot be read as a saved image: {plain_line(str(error))}.",
            where=source.name,
            fix="Save it again with `docker save`, or as an OCI layout.",
        ) from None
    return SavedImage(
        id=f"sha256:{hashlib.sha256(image.body).hexdigest()}",
        description=image.description,
        layers=layers,
        names=image.tags,
    )


class _Gathered:
    """What was read so far, in whatever order it came; one budget holds for all layers together."""

    def __init__(self, most: int, content: Wanted | None = None) -> None:
        self._content = content
        self.texts: dict[str, bytes] = {}
        """Descriptions, by their name."""
        self.layers: dict[str, Layer] = {}
        self.links: dict[str, str] = {}
        whole = Limits(seconds=READ_SECONDS, most=most)
        self._left = [whole.most, whole.entries, whole.names, MOST_LISTS]
        self._end = time.monotonic() + whole.seconds
        self._described = 0

    def read(self, parts: Iterator[Part], wanted: Collection[str] | None) -> None:
        """Read descriptions, and the layers that are wanted; None: whatever is one."""
        for part in parts:
            if part.target:
                self.links[part.name] = part.target
                continue
            if part.name in self.layers or (wanted and part.name not in wanted):
                continue
            first = _first(part.content)
            if _is_layer(first):
                if wanted is None or part.name in wanted:
                    self.layers[part.name] = self._layer(part, first)
            elif first[:1] in {b"{", b"["}:
                self._describe(part, first)

    def named(self, name: str) -> str:
        """Return which member a name stands for."""
        return self.links.get(name, name)

    def in_order(self, names: Sequence[str]) -> tuple[Layer, ...]:
        """Return the layers of these names; an ArchiveError where there is none of one."""
        if missing := next((name for name in names if name not in self.layers), None):
            raise ArchiveError(f"it names the layer {missing.lstrip('/')[:200]}, and holds none of that name")
        return tuple(self.layers[name] for name in names)

    def _describe(self, part: Part, first: bytes) -> None:
        self._described += part.size
        if part.size > MOST_DESCRIBED or self._described > MOST_DESCRIPTIONS:
            return
        body = [first, *iter(lambda: part.content.read(BLOCK), b"")]
        self.texts[part.name] = b"".join(body)

    def _layer(self, part: Part, first: bytes) -> Layer:
        if len(self.layers) >= MOST_LAYERS:
            raise LimitExceededError(f"it holds more than {MOST_LAYERS} layers")
        if min(self._left) <= 0:
            return Layer(index=Index(paths={}, cut=("not read: a limit was passed before",)), packed=part.size)
        if first.startswith(ZSTD) and zstd() is None:
            raise ArchiveError("its layers are packed with zstd, which needs 'seatrial[zstd]'")
        reader = LayerReader(self._left[3], self._content)
        most, entries, names, _ = self._left
        archive = Archive(
            Pieces(unpacked(_Joined(first, part.content))),
            Limits(seconds=max(self._end - time.monotonic(), 0.0), most=most, entries=entries, names=names),
            summing=True,
        )
        reader.read_archive(archive)
        self._left = [archive.left, entries - archive.count, names - archive.names, reader.lists_left]
        return reader.layer(part.size)


class _Joined:
    """A stream of which the first bytes were read already."""

    def __init__(self, first: bytes, rest: Readable) -> None:
        self._first, self._rest = first, rest

    def read(self, size: int) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return self._rest.read(size)


def _first(content: Readable) -> bytes:
    first = content.read(BLOCK)
    while 0 < len(first) < BLOCK and (more := content.read(BLOCK - len(first))):
        first += more
    return first


def _is_layer(first: bytes) -> bool:
    # A layer that changes nothing is the end of a tar.
    return first.startswith((GZIP, ZSTD, END)) or first[257:262] == b"ustar"
