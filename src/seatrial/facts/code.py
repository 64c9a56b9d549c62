"""What an image's own code asks for, read from its files: imports, and names of things outside of Python."""

from __future__ import annotations

from seatrial.facts.base import Fact
from seatrial.facts.probe import PathAccess


class MissingModule(Fact, frozen=True, kw_only=True):
    """An import of a module that the image's interpreter would not find."""

    asked: str
    """The whole name that is imported."""
    missing: str
    """The part of it that is not there: a top-level name, or a module of a package that is."""
    file: str
    line: int
    nested: bool
    """Inside of a function: it fails when that is called."""
    certain: bool
    """The start loads the file, and nothing decides whether the import is carried out."""
    reached: bool = True
    """The start may load the file."""
    lies_in: str = ""
    """A folder off the interpreter's path that holds it."""


class NamedThing(Fact, frozen=True, kw_only=True):
    """Something that the code names and the image lacks."""

    kind: str
    """zone, locale, codec or program."""
    name: str
    file: str
    line: int
    certain: bool
    """The start loads the file, and nothing decides whether that line is carried out."""
    reached: bool = True
    """The start may load the file."""


class OwnPackage(Fact, frozen=True, kw_only=True):
    """A package of the application's own, with its files that are no code, as they are in the image."""

    name: str
    folder: str
    files: tuple[str, ...] = ()
    """From its folder."""
    installed: bool = False
    """It lies where distributions are installed: what it holds was decided by a build backend."""


class OwnCode(Fact, frozen=True, kw_only=True):
    """The application's own modules."""

    packages: tuple[str, ...] = ()
    """Their top-level names."""
    modules: int = 0
    reached: int = 0
    """How many of them a start loads or may load, by their imports."""
    missing: tuple[MissingModule, ...] = ()
    named: tuple[NamedThing, ...] = ()
    asked: int = 0
    """How many imports and names were looked at."""
    packaged: tuple[OwnPackage, ...] = ()
    texts: tuple[str, ...] = ()
    """The short texts in it: what it calls its files by is among them."""
    home: str = ""
    """`file:line` that asks for the home folder, in a module that the start loads."""
    home_folder: PathAccess | None = None
    unread: tuple[str, ...] = ()
    """Modules that could not be read, and why."""
