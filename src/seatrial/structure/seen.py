"""What was seen of an image for a test: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seatrial.facts import FileKind


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A command that ran to its end."""

    out: bytes
    errors: bytes
    code: int


@dataclass(frozen=True, kw_only=True)
class Refused:
    """What the engine would not do: start a program that is not there, read a file that is not there."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What was ended at a limit of ours: nothing can be said of it."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Stat:
    """A file."""

    kind: FileKind
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A file's bytes."""

    body: bytes


@dataclass(frozen=True, kw_only=True)
class Licences:
    """Licence texts, or why one could not be read, by file."""

    texts: tuple[tuple[str, Contents | Refused | Cut], ...]


Seen = Ran | Refused | Cut | Stat | Contents | Licences
