"""Keeps the indexes and the layers of images in the host's cache folder, by image id: an image is read once.

An id is the digest of an image's content, so that what is kept for it stays true. What is not ours, is damaged or was
written by another version is left aside, and read anew from the image.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import stat
from contextlib import suppress
from importlib import resources
from typing import TYPE_CHECKING, TypeVar

import msgspec

from seatrial.observe.index import Index
from seatrial.observe.layers.saved_image import SavedImage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DECIDING = (
    *(f"observe/{name}" for name in ("index_cache", "index", "archive", "files", "kept", "path_rules", "paths")),
    *(f"observe/layers/{name}" for name in ("layer", "manifests", "saved_image", "compression")),
    *(f"inside/probe/{name}" for name in ("base", "distributions", "native")),
    "capabilities",
)
"""The modules that decide what is kept."""
MOST_FILES = 50
MOST_BYTES = 200_000_000
"""Of all files together."""
LARGEST = 50_000_000
"""Of one file."""
KINDS = (".index", ".layers")
"""How the names of files end."""
ID = re.compile(r"sha256:([0-9a-f]{64})")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds."""

    format: str
    id: str
    index: Index
    in_bytes: bool = False
    """Paths stand as their bytes, a letter each: some of them are no UTF-8."""


class KeptLayers(msgspec.Struct, frozen=True, kw_only=True):
    """What a file of layers holds."""

    format: str
    id: str
    image: SavedImage


KeptForm = TypeVar("KeptForm", Kept, KeptLayers)


@functools.cache
def rules_format() -> str:
    """Return what names the rules that an index is made by, so that one of other rules is not read."""
    digest = hashlib.sha256()
    for name in DECIDING:
        digest.update(resources.files("seatrial").joinpath(f"{name}.py").read_bytes())
    return digest.hexdigest()


def load(cache: Path | None, image: str) -> Index | None:
    """Return what is kept of an image; None where nothing is that can be used."""
    kept = _read(cache, image, "index", Kept)
    if kept is None or kept.index.cut:
        return None
    with suppress(UnicodeError):
        return _renamed(kept.index, "latin-1", "utf-8") if kept.in_bytes else kept.index
    return None


def load_layers(cache: Path | None, image: str) -> SavedImage | None:
    """Return what is kept of an image's layers, likewise."""
    kept = _read(cache, image, "layers", KeptLayers)
    return None if kept is None else kept.image


def _read(cache: Path | None, image: str, kind: str, form: type[KeptForm]) -> KeptForm | None:
    name = _name(image, kind)
    folder = _folder(cache) if cache and name else None
    if folder is None:
        return None
    with suppress(OSError, msgspec.DecodeError, UnicodeError, RecursionError):
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            state = os.fstat(handle)
            if not stat.S_ISREG(state.st_mode) or not _ours(state) or state.st_size > LARGEST:
                return None
            kept = msgspec.msgpack.decode(file.read(LARGEST + 1), type=form)
        if kept.format == rules_format() and kept.id == image:
            # What was used last is removed last.
            os.utime(folder / name, follow_symlinks=False)
            return kept
    return None


def store(cache: Path | None, image: str, index: Index) -> None:
    """Keep what was read of an image, whole or not at all; where that cannot be done, nothing is kept."""
    if not index.cut and _length(index) <= LARGEST:
        _write(cache, _name(image, "index"), lambda: _encoded(image, index))


def store_layers(cache: Path | None, image: str, saved: SavedImage) -> None:
    """Keep what was read of an image's layers, likewise; names that are no UTF-8 are not kept."""
    if saved.cut or sum(_length(layer.index) for layer in saved.layers) > LARGEST:
        return
    kept = KeptLayers(format=rules_format(), id=image, image=saved)
    with suppress(UnicodeEncodeError):
        _write(cache, _name(image, "layers"), lambda: msgspec.msgpack.encode(kept))


def _write(cache: Path | None, name: str, encode: Callable[[], bytes]) -> None:
    if cache is None or not name:
        return
    with suppress(OSError):
        body = encode()
        (cache / "images").mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = _folder(cache)
        if folder is None or len(body) > LARGEST:
            return
        partial = folder / f".{name}.{os.getpid()}"
        with suppress(FileNotFoundError):
            partial.unlink()
        try:
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(body)
            partial.replace(folder / name)
        finally:
            partial.unlink(missing_ok=True)
        _shrink(folder)


def _length(index: Index) -> int:
    """Return about how large a file of an index is, at least."""
    links = sum(len(entry.target) for entry in index.paths.values())
    return links + sum(map(len, index.paths)) + sum(map(len, index.texts.values()))


def _encoded(image: str, index: Index) -> bytes:
    kept = Kept(format=rules_format(), id=image, index=index)
    try:
        return msgspec.msgpack.encode(kept)
    except UnicodeEncodeError:
        renamed = _renamed(index, "utf-8", "latin-1")
        return msgspec.msgpack.encode(msgspec.structs.replace(kept, index=renamed, in_bytes=True))


def _renamed(index: Index, before: str, after: str) -> Index:
    """Return an index whose paths and targets are read anew from their bytes."""

    def name(path: str) -> str:
        return path.encode(before, "surrogateescape").decode(after, "surrogateescape")

    return msgspec.structs.replace(
        index,
        paths={
            name(path): msgspec.structs.replace(entry, target=name(entry.target)) if entry.target else entry
            for path, entry in index.paths.items()
        },
        texts={name(path): text for path, text in index.texts.items()},
        holding={name(path): keys for path, keys in index.holding.items()},
    )


def _name(image: str, kind: str) -> str:
    digest = ID.fullmatch(image)
    return f"{digest[1]}.{kind}" if digest else ""


def _folder(cache: Path) -> Path | None:
    """Return the folder, where it is one of ours that no other account can write to."""
    folder = cache / "images"
    try:
        state = folder.lstat()
    except OSError:
        return None
    return folder if stat.S_ISDIR(state.st_mode) and _ours(state) else None


def _ours(state: os.stat_result) -> bool:
    return state.st_uid == os.geteuid() and not state.st_mode & 0o022


def _shrink(folder: Path) -> None:
    """Remove the oldest files, past the limits."""
    rows = []
    for file in folder.iterdir():
        with suppress(OSError):
            state = file.lstat()
            rows.append((state.st_mtime, state.st_size, file))
    total = 0
    for count, (_, size, file) in enumerate(sorted(rows, key=lambda row: row[0], reverse=True), 1):
        total += size
        ours = file.suffix in KINDS or file.name.startswith(".")
        if ours and (count > MOST_FILES or total > MOST_BYTES):
            with suppress(OSError):
                file.unlink()
