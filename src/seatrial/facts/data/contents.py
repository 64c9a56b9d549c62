"""What the image's file system holds, of the kinds that checks ask about."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from seatrial.facts.data.base import Fact


class ContentKind(StrEnum):
    """What a path was found for; `seatrial.facts.rules` says how each is told."""

    SETUID = "setuid"
    WORLD_WRITABLE = "world-writable"
    LEFTOVER = "leftover"
    ENVIRONMENT = "environment"
    """A virtual environment, by its pyvenv.cfg."""
    TESTS = "tests"
    PACKAGE_LISTS = "package-lists"
    INSTALLER_CACHE = "installer-cache"
    BUILD_TOOL = "build-tool"
    REMOTE_ACCESS = "remote-access"
    SECRET = "secret"  # noqa: S105 - a kind of file
    LOGIN_LOG = "login-log"


class Rule(Fact, frozen=True, kw_only=True):
    """How a path is told; what is set must all fit. Both who walk a file system follow the same rules."""

    kind: ContentKind
    about: str = ""
    """What such a path is, for a finding's reader."""
    types: str = "f"
    """Of f (file), d (folder), l (link) and o (other), those that it is for."""
    name: str = ""
    """A regular expression that the base name fits whole."""
    path: str = ""
    """One that the whole path fits."""
    but: str = ""
    """One that must not be found in the path."""
    mode: int = 0
    """Permission bits, of which one is enough."""
    content: str = ""
    """One that the file's beginning holds; where nobody could read it, the path is told as unread."""
    unsticky: bool = False
    """Not for folders with the sticky bit, nor for what is below them."""
    whole: bool = False
    """A folder that stands for everything of its kind below it."""
    heap: bool = False
    """A folder told with the number and size of the files below it, where there are any."""


class Found(Fact, frozen=True, kw_only=True):
    """A path that fits a rule."""

    kind: ContentKind
    path: str
    """What cannot be shown of it (bytes that are no UTF-8, line ends) is escaped."""
    about: str = ""
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    """Bytes; of a heap, of all files below it."""
    files: int = 0
    """Of a heap: the files below it."""
    unread: bool = False
    """Its content decides, and could not be read."""

    def __str__(self) -> str:
        """Return the path, with what is known of it."""
        return f"{self.path} ({self.about})" if self.about else self.path


class Walk(Fact, frozen=True, kw_only=True):
    """What one look at a file system, or at a part of it, saw."""

    paths: int
    """How many paths were looked at."""
    found: tuple[Found, ...] = ()
    counts: dict[str, int] = {}
    """How many were found of each kind; `found` holds the first of them."""
    folders: dict[str, tuple[str, ...]] = {}
    """The names in the folders that were asked for."""
    unreadable: tuple[str, ...] = ()
    """Folders that it could not list, or that something was mounted over."""
    cut: tuple[str, ...] = ()
    """What it left out, and why: a limit was passed."""


class Contents(Walk, frozen=True, kw_only=True):
    """The whole file system: as USER sees it, and what USER may not read by the engine."""

    by: Literal["probe", "engine"]
    """Who looked at most of it."""
