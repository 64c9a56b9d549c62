"""Whether an image holds the time zones, locales, codecs and programs that code names; plain functions on its files."""

from __future__ import annotations

import codecs
import encodings
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.observe import installed
from seatrial.observe.files import KERNEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.observe.finder import Finder
    from seatrial.observe.layout import Access

PROGRAM = re.compile(r"/[\w./+-]+|[\w.+-]+")
"""A program by its whole path or by its name alone; any other path depends on the working directory."""
PLAIN_LOCALES = re.compile(r"|C|POSIX|C\.(?:utf-?8|UTF-?8)")
ZONES = ("/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo")
"""Where `zoneinfo` looks unless told otherwise: sysconfig's TZPATH."""
SHELL_WORDS = {
    "cd",
    "echo",
    "exit",
    "export",
    "set",
    "source",
    "test",
    "true",
    "false",
    "ulimit",
    "umask",
    "exec",
    "if",
    "for",
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
