"""Whether an image holds what code names: modules, time zones, locales, codecs, programs; by its files."""

from __future__ import annotations

import codecs
import encodings
import posixpath
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.observe.files import KERNEL
from seatrial.observe.python import installed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seatrial.observe.python.layout import Access, Layout


REMOVED = {
    **dict.fromkeys(("asynchat", "asyncore", "distutils", "imp", "smtpd"), (3, 12)),
    **dict.fromkeys(
        ("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap", "nis", "nntplib"), (3, 13)
    ),
    **dict.fromkeys(("ossaudiodev", "pipes", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib"), (3, 13)),
}
"""Modules that the standard library no longer has, from which version on: PEP 594, PEP 632."""


@dataclass(frozen=True)
class Place:
    """What a name means."""

    folders: tuple[str, ...] = ()
    """A package's folder, or those of a namespace package."""
    file: str = ""
    """A module's file."""
    regular: bool = False
    known: bool = True
    """It is there."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Its folders, or its file; none of what is not there, or has no file."""
        return self.folders or ((self.file,) if self.file else ())


EXTENSIONS = (".so", ".py", ".pyc")
"""Endings of modules; in a folder the first counts."""
NOWHERE = Place(known=False)
BUILT_IN = Place()


class Finder:
    """Looks for modules as the import system does, by names of files: the import system's own search, PEP 420."""

    def __init__(self, layout: Layout, root: str, access: Access) -> None:
        self.files = access.files
        self.folders = tuple(dict.fromkeys(filter(None, (root, *layout.path))))
        digits = re.match(r"(\d+)\.(\d+)", layout.version)
        self.version = (int(digits[1]), int(digits[2])) if digits else (3, 0)
        library = {f"python{layout.version}", "lib-dynload"}
        self.standard = tuple(f"{folder}/" for folder in layout.path if posixpath.basename(folder) in library)
        self._names: dict[str, dict[str, list[str]]] = {}
        self.sites = tuple(f"{folder}/" for folder in self.folders if self._is_site(folder))

    def _is_site(self, folder: str) -> bool:
        """Tell whether a folder is one that distributions are installed into: `pip install --target` takes any."""
        own = folder.endswith(("/site-packages", "/dist-packages"))
        return own or any(name.endswith(".dist-info") for name in self.files.names(folder))

    def _in(self, folder: str) -> dict[str, list[str]]:
        """Return the names in a folder, by what stands before their first dot."""
        if folder not in self._names:
            found: dict[str, list[str]] = {}
            for name in self.files.names(folder):
                found.setdefault(name.partition(".")[0], []).append(name)
            self._names[folder] = found
        return self._names[folder]

    def find(self, name: str, folders: Iterable[str]) -> Place:
        """Return what a name means in some folders; the first regular package or module, or else a namespace."""
        portions: list[str] = []
        for folder in folders:
            names = self._in(folder).get(name, ())
            if name in names and self._is(posixpath.join(folder, name), "d"):
                own = posixpath.join(folder, name)
                if any(entry.startswith("__init__.") for entry in self._in(own).get("__init__", ())):
                    return Place(folders=(own,), regular=True)
                portions.append(own)
            modules = [entry for extension in EXTENSIONS for entry in names if entry.endswith(extension)]
            if modules:
                return Place(file=posixpath.join(folder, modules[0]))
        return Place(folders=tuple(portions)) if portions else NOWHERE

    def _is(self, path: str, letter: str) -> bool:
        entry = self.files.end(path)
        return entry is not None and entry.letter == letter

    def top(self, name: str) -> Place:
        """Return what a top-level name means."""
        place = self.find(name, self.folders)
        if place.known:
            return place
        if name in sys.builtin_module_names or name in sys.stdlib_module_names or name in REMOVED:
            gone = REMOVED.get(name)
            if (
                gone is None
                or self.version < gone
                or (name == "distutils" and self.find("setuptools", self.folders).known)
            ):
                return BUILT_IN
        return NOWHERE

    def not_executable(self, module: str) -> str:
        """Return why `python -m MODULE` cannot run a module, in Python's words; empty where nothing says so."""
        top, *rest = module.split(".")
        for place in self.find(top, self.folders).folders:
            names = self.files.names(posixpath.join(place, *rest))
            package = any(name.startswith("__init__.") for name in names)
            if package and not any(name.startswith("__main__.") for name in names):
                return f"No module named {module}.__main__; {module!r} is a package and cannot be directly executed"
        return ""

    def is_standard(self, place: Place) -> bool:
        """Tell whether something belongs to the standard library."""
        paths = [path for path in place.paths if not path.startswith(self.sites)]
        return any(path.startswith(self.standard) for path in paths)

    def is_own(self, place: Place) -> bool:
        """Tell whether something is the application's: neither the standard library's, nor where pip installs."""
        there = place.known and place != BUILT_IN and not self.is_standard(place)
        return there and not any(path.startswith(self.sites) for path in place.paths)

    def missing(self, dotted: str) -> tuple[str, Place]:
        """Return the part of a name that is not there, and the package that lacks it; empty where all is there."""
        first, *rest = dotted.split(".")
        place = self.top(first)
        if not place.known:
            return first, NOWHERE
        if place == BUILT_IN or self.is_standard(place):
            return "", place
        seen = first
        for part in rest:
            if place.file:
                # A module may stand for a package by itself, as six.moves does.
                return "", place
            below = self.find(part, place.folders)
            seen = f"{seen}.{part}"
            if not below.known:
                return seen, place
            place = below
        return "", place


PROGRAM = re.compile(r"/[\w./+-]+|[\w.+-]+")
"""A program by its whole path or by its name alone; any other path depends on the working directory."""
PLAIN_LOCALES = re.compile(r"|C|POSIX|C\.(?:utf-?8|UTF-?8)")
ZONES = ("/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo")
"""Where `zoneinfo` looks unless told otherwise: sysconfig's TZPATH."""
SHELL_WORDS = {
    *("cd", "echo", "exit", "export", "set", "source", "test", "true", "false", "ulimit", "umask", "exec", "if", "for"),
}


@dataclass(frozen=True, kw_only=True)
class Held:
    """What the image holds of what code may name."""

    finder: Finder
    access: Access
    environment: Mapping[str, str]
    path: str
    """PATH."""
    directory: str

    def lacks(self, kind: str, name: str) -> bool:
        """Tell whether the image lacks a zone, locale, codec or program of that name; false where it cannot be told."""
        lacks = {
            "zone": self._lacks_zone,
            "locale": self._lacks_locale,
            "codec": self._lacks_codec,
            "program": self._lacks_program,
        }
        return lacks[kind](name)

    def _lacks_zone(self, name: str) -> bool:
        if self.environment.get("PYTHONTZPATH") or not re.fullmatch(r"[\w+/-]+", name):
            return False
        files = self.access.files
        there = any(files.end(posixpath.join(folder, name)) for folder in ZONES)
        packaged = self.finder.find("tzdata", self.finder.folders)
        return not there and not any(files.end(posixpath.join(folder, "zoneinfo", name)) for folder in packaged.folders)

    def _lacks_locale(self, name: str) -> bool:
        files = self.access.files
        given = self.environment.get("LOCPATH") or files.end("/usr/lib/locale/locale-archive")
        # musl takes any name.
        musl = any(entry.startswith("ld-musl") for entry in files.names("/lib"))
        if PLAIN_LOCALES.fullmatch(name) or given or musl:
            return False
        wanted = _plain_locale(name)
        return all(_plain_locale(entry) != wanted for entry in files.names("/usr/lib/locale"))

    def _lacks_codec(self, name: str) -> bool:
        try:
            module = codecs.lookup(name).name.replace("-", "_").lower()
        except (LookupError, ValueError):
            return False  # A package may have registered it.
        if not (Path(encodings.__file__).parent / f"{module}.py").is_file():
            return False
        names = {entry for folder in self.finder.standard for entry in self.access.files.names(f"{folder}encodings")}
        return bool(names) and not names & {f"{module}.py", f"{module}.pyc"}

    def _lacks_program(self, name: str) -> bool:
        if not PROGRAM.fullmatch(name) or name in SHELL_WORDS:
            return False
        if name.startswith("/"):
            return self.access.files.end(name) is None and not name.startswith(KERNEL)
        return installed.program(name, self.path, self.directory, self.access) == ""


def _plain_locale(name: str) -> str:
    """Return a locale's name as glibc compares it: `de_DE.UTF-8` is `de_DE.utf8`."""
    language, dot, charset = name.partition(".")
    return language + dot + re.sub(r"[^a-z0-9]", "", charset.lower())
