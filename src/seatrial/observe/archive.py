"""Reads what the engine packs of an image: a tar as a stream, strictly and within limits. Nothing is unpacked.

tarfile takes 30 µs for each member, of which an image has some ten thousand; this takes a sixth of that. Formats:
ustar (POSIX.1-1988), pax (POSIX.1-2001), and GNU's long names; anything else ends the reading.
"""

from __future__ import annotations

import functools
import os
import posixpath
import sys
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 512
END = bytes(BLOCK)
PART = 256 * 1024
"""Bytes that are read at a time."""
LARGEST_HEADER = 64 * 1024
"""Bytes of an extended header."""
LONGEST_NAME = 4096
"""Characters of a path, and of what a link says: the kernel takes no longer one (PATH_MAX)."""
TOO_LARGE = 2**62
"""What no size, owner or mode is, and what can still be leapt over."""
EMPTY = sys.getsizeof("")
LETTERS = {b"0": "f", b"\0": "f", b"7": "f", b"1": "h", b"2": "l", b"3": "o", b"4": "o", b"5": "d", b"6": "o"}
"""By a member's type: f (file), h (one more name of a file), l (link), d (folder), o (device, pipe)."""


CAPABILITY = "SCHILY.xattr.security.capability"
"""The key of a pax header under which engines pack that attribute."""


class LimitExceededError(Exception):
    """A limit of the reading was passed."""


class ArchiveError(Exception):
    """What was read is not a tar of the expected form."""


class Stream(Protocol):
    """Where the tar comes from."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes; none at the end."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What reading an image may take."""

    seconds: float
    most: int
    """Bytes."""
    entries: int = 500_000
    names: int = 80_000_000
    """Bytes of all names and of all targets of links, as they are held in memory."""


class Member(NamedTuple):
    """One path of an archive."""

    path: str
    """From the archive's root: `/etc/passwd`. Bytes that are no UTF-8 stand as PEP 383 says."""
    letter: str
    mode: int
    uid: int
    gid: int
    size: int
    target: str
    """What a link says; of one more name of a file, its first name."""
    capability: bytes = b""
    """The attribute of a file that gives capabilities to whoever runs it."""


class Archive:
    """The members of a tar, one after the other; of each, its first bytes may be read before the next one."""

    def __init__(
        self, stream: Stream, limits: Limits, *, seek: Callable[[int, int], object] | None = None, summing: bool = False
    ) -> None:
        """Read a stream; `seek` leaps over what is not asked for, `summing` keeps what `checksum` needs."""
        self._stream, self._limits, self._seek = stream, limits, seek
        self._buffer = b""
        self._at = 0
        self.left = limits.most
        """Bytes that may still be read."""
        self.count = self.names = 0
        """Members so far, and the bytes of their names."""
        self._summing = summing
        self._sum = 0
        self._end = time.monotonic() + limits.seconds
        self._content = 0
        """Bytes of the present member's content that are still to come."""
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        """Yield the members.

        Raises:
            LimitExceededError: there is more than the limits allow.
            ArchiveError: it breaks off, or is not a tar of the expected form.

        """
        extended: dict[str, str] = {}
        while True:
            self._skip(self._content + self._padding)
            self._content = self._padding = 0
            header = self._exactly(BLOCK)
            if header == END:
                return
            _require_checksum(header)
            kind = header[156:157]
            if kind in b"xLKg":
                found = self._extended(kind, _number(header[124:136]))
                # What a global header (g) says is of no member.
                extended |= {} if kind == b"g" else found
                continue
            member = _member(header, kind, extended)
            extended = {}
            self.count += 1
            self.names += sys.getsizeof(member.path) + sys.getsizeof(member.target) - 2 * EMPTY
            if self.count > self._limits.entries:
                raise LimitExceededError(f"it holds more than {self._limits.entries} paths")
            if self.names > self._limits.names:
                raise LimitExceededError(
                    f"its paths have more than {self._limits.names // 1_000_000} MB of names, with the targets of links"
                )
            self._content = member.size if member.letter == "f" else 0
            self._padding = -self._content % BLOCK
            self._sum = 0
            yield member

    def beginning(self, size: int) -> bytes:
        """Return up to so many of the next bytes of the present member."""
        size = min(size, self._content)
        self._content -= size
        found = self._exactly(size)
        if self._summing:
            self._sum = zlib.crc32(found, self._sum)
        return found

    def checksum(self) -> int:
        """Return the CRC-32 of the present member's whole content; the archive is one that sums."""
        while self._content:
            if self._at == len(self._buffer):
                self._fill()
            part = memoryview(self._buffer)[self._at : self._at + self._content]
            self._sum = zlib.crc32(part, self._sum)
            self._at += len(part)
            self._content -= len(part)
        return self._sum

    def read(self, size: int) -> bytes:
        """Return some of the next bytes of the present member, at most `size`; none at its end."""
        if self._content and self._at == len(self._buffer):
            self._fill()
        found = self._buffer[self._at : self._at + min(size, self._content)]
        self._at += len(found)
        self._content -= len(found)
        return found

    def _extended(self, kind: bytes, size: int) -> dict[str, str]:
        """Return what an extended header says of the next member."""
        if size > LARGEST_HEADER:
            raise ArchiveError(f"an extended header of {size} bytes")
        body = self._exactly(size)
        self._skip(-size % BLOCK)
        if kind in b"LK":
            return {"path" if kind == b"L" else "linkpath": _text(body.partition(b"\0")[0])}
        return dict(_records(body))

    def _exactly(self, size: int) -> bytes:
        """Return so many bytes."""
        found = self._buffer[self._at : self._at + size]
        self._at += len(found)
        if len(found) == size:
            return found
        parts, missing = [found], size - len(found)
        while missing:
            self._fill()
            part = self._buffer[:missing]
            self._at = len(part)
            missing -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _skip(self, size: int) -> None:
        while size > len(self._buffer) - self._at:
            size -= len(self._buffer) - self._at
            if self._seek is not None and size > PART:
                self._seek(size, os.SEEK_CUR)
                self._buffer, self._at = b"", 0
                return
            self._fill()
        self._at += size

    def _fill(self) -> None:
        if time.monotonic() > self._end:
            raise LimitExceededError(f"it was read for {self._limits.seconds:g} s")
        self._buffer, self._at = self._stream.read(PART), 0
        if not self._buffer:
            raise ArchiveError("it breaks off")
        self.left -= len(self._buffer)
        if self.left < 0:
            raise LimitExceededError(f"{self._limits.most // 1_000_000} MB of it were read")


def _member(header: bytes, kind: bytes, extended: dict[str, str]) -> Member:
    letter = LETTERS.get(kind)
    if letter is None:
        raise ArchiveError(f"a member of type {kind!r}, which an engine does not pack")
    name, target = _text(header[:100].partition(b"\0")[0]), ""
    if header[345] and header[257:263] == b"ustar\0":
        prefix = _text(header[345:500].partition(b"\0")[0])
        name = f"{prefix}/{name}"
    if letter in "lh":
        target = _text(header[157:257].partition(b"\0")[0])
    if extended:
        if any(key.startswith("GNU.sparse") for key in extended):
            raise ArchiveError("a file without its holes, which an engine does not pack")
        name = extended.get("path", name)
        target = extended.get("linkpath", target) if letter in "lh" else ""
    if max(len(name), len(target)) > LONGEST_NAME:
        raise ArchiveError(f"a name of {max(len(name), len(target))} characters")
    return Member(
        rooted(name),
        letter,
        _mode(header[100:108]),
        _decimal(extended["uid"]) if "uid" in extended else _number(header[108:116]),
        _decimal(extended["gid"]) if "gid" in extended else _number(header[116:124]),
        _decimal(extended["size"]) if "size" in extended else _number(header[124:136]),
        rooted(target) if letter == "h" else target,
        extended.get(CAPABILITY, "").encode("utf-8", "surrogateescape"),
    )


def rooted(name: str) -> str:
    """Return a path from the root, which no `..` leads out of."""
    if name.isascii() and "//" not in name and "/." not in name and not name.startswith("."):
        return f"/{name.strip('/')}"
    return "/" + posixpath.normpath(f"/{name}").lstrip("/")


def _require_checksum(header: bytes) -> None:
    # The sum of all bytes, its own field counted as eight blanks. Adler-32 holds it in its lower half, after a one,
    # modulo 65521 (RFC 1950), and takes a tenth of the time.
    field = header[148:156]
    if (1 + _number(field) - 256 + sum(field)) % 65521 != zlib.adler32(header) & 0xFFFF:
        raise ArchiveError("a header whose checksum is wrong")


@functools.lru_cache(maxsize=4096)
def _number(field: bytes) -> int:
    """Return an octal number, or a binary one of GNU's, which begins with a set bit."""
    if field[0] == 0x80:  # noqa: PLR2004 - a binary number that is not negative
        number = int.from_bytes(field[1:], "big")
        return number if number < TOO_LARGE else _refuse(field)
    text = field.strip(b"\0 ")
    if not text:
        return 0
    return int(text, 8) if text.isdigit() and not text.strip(b"01234567") else _refuse(field)


@functools.lru_cache(maxsize=1024)
def _mode(field: bytes) -> int:
    """Return the permission bits of a mode: one number in memory, however many files have them."""
    return _number(field) & 0o7777


def _refuse(field: bytes) -> int:
    raise ArchiveError(f"a number that is {field!r}")


def _decimal(text: str) -> int:
    # No long text becomes a number: that takes time.
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < TOO_LARGE):  # noqa: PLR2004
        raise ArchiveError(f"a number that is {text[:30]!r}")
    return int(text)


def _records(body: bytes) -> Iterator[tuple[str, str]]:
    """Yield a pax header's records: `LENGTH KEY=VALUE` and a line end."""
    at = 0
    while at < len(body):
        length, blank, _ = body[at : at + 20].partition(b" ")
        if not blank or not length.isdigit() or not 0 < int(length) <= len(body) - at:
            raise ArchiveError("an extended header that is malformed")
        record = body[at + len(length) + 1 : at + int(length)]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise ArchiveError("an extended header that is malformed")
        yield _text(key), _text(value[:-1])
        at += int(length)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
