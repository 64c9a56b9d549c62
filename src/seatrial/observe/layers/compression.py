"""Unpacks gzip and zstd as a stream, a bounded part at a time; what is damaged ends the stream."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Protocol

BLOCK = 1024 * 1024
"""Bytes that are unpacked at a time."""
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
LARGEST_WINDOW = 25
"""The binary logarithm of the most bytes that zstd may look back: 32 MiB, four times what its level 19 does."""


class Readable(Protocol):
    """Where bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes; none at the end."""


class Chunks:
    """Reads from chunks of any size as from one file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Return the next bytes: fewer than `size` at the end only."""
        gathered = [self._rest]
        length = len(self._rest)
        while length < size and (chunk := next(self._chunks, None)) is not None:
            gathered.append(chunk)
            length += len(chunk)
        data = b"".join(gathered)
        self._rest = data[size:]
        return data[:size]


class Pieces:
    """Reads chunks as they come, whatever size is asked for: nothing is copied."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = filter(None, chunks)

    def read(self, _size: int) -> bytes:
        """Return the next chunk; none at the end."""
        return next(self._chunks, b"")


def unpacked(content: Readable) -> Iterator[bytes]:
    """Yield what a stream holds, unpacked where it is packed; zstd as it is where nothing unpacks it."""
    first = content.read(BLOCK)
    blocks = _chain(first, iter(lambda: content.read(BLOCK), b""))
    if first.startswith(ZSTD) and (module := zstd()) is not None:
        return _read(module, blocks)
    return _inflated(blocks) if first.startswith(GZIP) else blocks


def zstd() -> ModuleType | None:
    """Return what unpacks zstd: Python's own module from 3.14 on, or its backport."""
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return import_module(name)
    return None


def _read(module: ModuleType, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack zstd, as little at a time as gzip."""
    bounded = {module.DecompressionParameter.window_log_max: LARGEST_WINDOW}
    with suppress(module.ZstdError, EOFError), module.ZstdFile(Chunks(iter(blocks)), options=bounded) as file:
        yield from iter(lambda: file.read(BLOCK), b"")


def _inflated(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip, of which one file may hold several streams."""
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for block in blocks:
        rest = block
        while rest:
            try:
                yield inflate.decompress(rest, BLOCK)
            except zlib.error:
                return
            rest = inflate.unconsumed_tail
            if inflate.eof:
                rest = inflate.unused_data
                inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    yield inflate.flush()


def _chain(first: bytes, blocks: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from blocks
