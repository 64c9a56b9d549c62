"""Looks at a file system as the engine packs it, by the rules that the probe follows; nothing of it is run.

The probe's script has the same walk over a mounted file system: tests/unit/test_walk.py holds both to one answer.
"""

from __future__ import annotations

import posixpath
import tarfile
import time
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING

import msgspec

from seatrial.facts import Walk
from seatrial.inside.probe.rules import BEGINNING, NEVER_WALKED, TOP, Findings, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from seatrial.facts import PathRule
    from seatrial.inside.probe.rules import Above, State

MOST_PATHS = 200_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one look may take."""

    seconds: float
    most: int
    """Bytes."""
    paths: int = MOST_PATHS


class Bounded:
    """A stream that ends with `LimitExceededError` when it gave too much, or took too long."""

    def __init__(self, raw: IO[bytes], limits: Limits) -> None:
        self._raw = raw
        self._left = limits.most
        self._limits = limits
        self._end = time.monotonic() + limits.seconds

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        if time.monotonic() > self._end:
            raise LimitExceededError(f"it was read for {self._limits.seconds:g} s")
        part = self._raw.read(size)
        self._left -= len(part)
        if self._left < 0:
            raise LimitExceededError(f"{self._limits.most // 1_000_000} MB of it were read")
        return part


class Walker:
    """Reads packed folders."""

    def __init__(self, rules: Iterable[PathRule], folders: Iterable[str] = ()) -> None:
        self._seen = Findings(map(msgspec.to_builtins, rules), folders, MOST_PATHS)
        self._above: dict[str, Above] = {}

    def read(self, stream: IO[bytes], folder: str, limits: Limits) -> None:
        """Look at everything in a packed folder.

        Args:
            stream: the folder as the engine packs it: a tar of which the folder itself is the first member.
            folder: its path in the image.
            limits: how long, and how much.

        """
        self._seen.most = limits.paths
        try:
            self._begin(folder)
            with tarfile.open(fileobj=Bounded(stream, limits), mode="r|", bufsize=BEGINNING) as archive:  # type: ignore[call-overload]
                for path, member in _members(archive, folder):
                    self._look(path, member, archive)
        except LimitExceededError as limit:
            self.note(f"{folder}: {limit}")
        except tarfile.TarError as error:
            self.note(f"{folder}: what the engine packed could not be read to its end ({error})")

    def note(self, reason: str) -> None:
        """Note what was left out, and why."""
        self._seen.cut.append(reason)

    def result(self) -> Walk:
        """Return what was seen."""
        return msgspec.convert(self._seen.result(), Walk)

    def _begin(self, folder: str) -> None:
        """Work out what folders above this one say of it, by their names: their modes are not seen here."""
        self._above["/"] = TOP
        parts = [part for part in folder.split("/") if part]
        for count in range(1, len(parts)):
            path = "/" + "/".join(parts[:count])
            self._above[path] = self._seen.tell(path, "d", (0, 0, 0, 0), self._above[posixpath.dirname(path)], None)

    def _look(self, path: str, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        parent = posixpath.dirname(path)
        self._seen.count(parent if path != "/" else "", posixpath.basename(path))
        letter, state = _letter(member), _state(member)
        above = self._above.get(parent, TOP)
        below = self._seen.tell(path, letter, state, above, partial(self._beginning, archive, member))
        if letter == "d":
            self._above[path] = below
            if path in self._seen.folders:
                self._seen.listed.setdefault(path, [])

    def _beginning(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
        """Return a file's first bytes, as text of one letter a byte; of a second name of a file nothing."""
        self._seen.count_read()
        content = archive.extractfile(member) if member.isreg() else None
        return content.read(BEGINNING).decode("latin-1") if content else ""


def _letter(member: tarfile.TarInfo) -> str:
    if member.isdir():
        return "d"
    if member.issym():
        return "l"
    return "f" if member.isreg() or member.islnk() else "o"


def _state(member: tarfile.TarInfo) -> State:
    return (0, 0, 0, 0) if member.issym() else (member.mode, member.size, member.uid, member.gid)


def _members(archive: tarfile.TarFile, folder: str) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Yield the members with their paths in the image; the kernel's own file systems are left out."""
    base = posixpath.dirname(folder)
    while (member := archive.next()) is not None:
        # A stream is not gone back in: what was seen need not be kept.
        archive.members = []  # type: ignore[attr-defined]
        path = posixpath.normpath(f"{base}/{member.name}")
        path = f"/{path.lstrip('/')}"
        if not path.startswith(tuple(f"{folder}/" for folder in NEVER_WALKED)):
            yield path, member
