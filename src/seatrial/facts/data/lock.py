"""What a lock file resolves to, before an image's interpreter decides which of it applies."""

from __future__ import annotations

from seatrial.facts.data.base import Fact


class Want(Fact, frozen=True, kw_only=True):
    """One package that is asked for, and when."""

    name: str
    version: str = ""
    """Which of several locked versions; empty where the lock holds only one."""
    marker: str = ""
    extras: tuple[str, ...] = ()
    """The extras of that package that are asked for with it."""
    only: tuple[str, ...] = ()
    """The project's extras and groups that ask for it; empty where it is always wanted."""


class Locked(Fact, frozen=True, kw_only=True):
    """One package of a lock, its name normalised."""

    name: str
    version: str = ""
    """Empty where the lock names none: a project's own folder, or an address."""
    local: bool = False
    """The project itself, or another folder of it: an image need not hold it as a distribution."""
    marker: str = ""
    """Where the lock holds several versions: when this one is meant."""
    wants: tuple[Want, ...] = ()
    extras: dict[str, tuple[Want, ...]] = {}


class Lock(Fact, frozen=True, kw_only=True):
    """A lock file."""

    file: str
    project: str = ""
    """The project's own name, normalised."""
    whole: bool = True
    """It names everything that is to be installed; pinned requirements may name the direct ones only."""
    roots: tuple[Want, ...] = ()
    packages: tuple[Locked, ...] = ()
    names: tuple[str, ...] = ()
    """The extras and groups that it knows."""
    defaults: tuple[str, ...] = ()
    """The groups that it installs unless told otherwise, without those of development."""
