"""What USER can change of the code that runs, by the owners and modes of an image's files; plain functions."""

from __future__ import annotations

import posixpath
import stat
from typing import TYPE_CHECKING

from msgspec import structs

from seatrial.facts import Changeable, Code
from seatrial.observe.archive import rooted
from seatrial.observe.contents import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from seatrial.observe.index import Entry
    from seatrial.observe.python.layout import Access, Layout

MOST_CODE = 20_000
"""Files of the application's own packages that are judged."""
MOST_CHANGEABLE = 20
"""Paths of one part of the code that are listed; all are counted."""
MODULES = (".py", ".pyc", ".pth")
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Changes:
    """Looks at one part of the code after another; a path that belongs to several is told with the first."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._files = access.files
        self._is_root = access.who.uid == 0
        """Root can change everything: another check reports that."""
        self._looked: set[str] = set()
        self._above: set[tuple[str, str]] = set()
        self._walked: set[str] = set()
        self._linked: set[str] = set()
        self._packages: dict[str, bool] = {}
        self._known: set[str] = set()
        self._found: dict[str, Changeable] = {}

    def of_package(self, name: str, places: Iterable[str]) -> Code:
        """Return what may be changed of a package or module of the application."""
        # From the root: what an image said may be any text.
        here = [rooted(path) for path in places]
        before = len(self._looked)
        if not self._is_root:
            self._walk(here)
        return self._told(name, next(iter(here), ""), files=len(self._looked) - before)

    def of_environment(self, layout: Layout, command: Iterable[str], root: str) -> Iterator[Code]:
        """Yield what may be changed of the command's files, of the interpreter, and of what it imports.

        `command` are the files that the command runs, `root` is the folder that it puts first on sys.path.
        """
        if self._is_root:
            return
        for path in command:
            self._look_with_above(rooted(path))
        yield self._told("what its command runs", own=False)
        for path in (layout.executable, layout.real, f"{layout.prefix}/pyvenv.cfg", layout.library):
            self._look_with_above(path)
        sites = [folder for folder in layout.path if self._is_site(folder)]
        # What is installed for the interpreter below a virtual environment is not imported.
        self._look_below([layout.library], but=[*layout.base, *sites])
        yield self._told("its Python", layout.real, own=False)
        for folder in sites:
            self._look_with_above(folder)
        self._look_below(sites)
        known = {*sites, layout.library, f"{layout.library}/lib-dynload"}
        for folder in (root, *layout.path):
            if folder and folder not in known:
                self._walk(self._modules_in(rooted(folder)))
        yield self._told("the packages on its path", own=False)

    def _told(self, name: str, origin: str = "", *, files: int = 0, own: bool = True) -> Code:
        """Return what was found since the last part; of a folder and what lies below it, the folder alone."""
        found, self._found = self._found, {}
        tops: list[Changeable] = []
        for path in sorted(found, key=lambda path: path.split("/")):
            if not tops or not path.startswith(f"{tops[-1].path.rstrip('/')}/"):
                tops.append(found[path])
        changeable = tuple(structs.replace(row, path=shown(row.path)) for row in tops[:MOST_CHANGEABLE])
        return Code(name=name, origin=origin, files=files, own=own, changeable=changeable, count=len(found))

    def _is_site(self, folder: str) -> bool:
        """Tell whether distributions are installed in a folder."""
        named = posixpath.basename(folder) in {"site-packages", "dist-packages"}
        return named or any(name.endswith((".dist-info", ".egg-info")) for name in self._files.names(folder))

    def _modules_in(self, folder: str) -> Iterator[str]:
        """Yield the modules and regular packages of a folder that may hold other things too."""
        for name in self._files.names(folder):
            path = posixpath.join(folder, name)
            if _is_code(name) or self._is_package(path):
                yield path

    def _is_package(self, path: str) -> bool:
        """Tell whether it is a regular package; thousands of links may lead to one folder that holds very much."""
        place = self._files.folder(path)
        if place not in self._packages:
            self._packages[place] = any(name.startswith("__init__.") for name in self._files.names(place))
        return self._packages[place]

    def _walk(self, places: Iterable[str]) -> None:
        """Look at all that lies in some places, and at the folders above them."""
        left = list(places)
        above = set(left)
        while left and len(self._looked) < MOST_CODE:
            path = left.pop()
            place = self._files.folder(path)
            if place in self._walked:
                continue
            self._walked.add(place)
            if path in above or place != path:
                # Where a link leads, the folders above it matter too.
                self._look_above(path)
                self._look_above(place)
            self._look(path)
            for name in self._files.names(path):
                file = posixpath.join(path, name)
                entry = self._files.end(file)
                if entry is not None and entry.letter == "d":
                    left.append(file)
                else:
                    self._look(file)

    def _look_below(self, folders: Iterable[str], but: Iterable[str] = ()) -> None:
        """Look at the code in some folders, and at the folders that hold some; links are followed."""
        tops = self._tops(folders)
        holders = []
        for path, letter in list(self._open_below(tops, self._tops(but))):
            if letter == "d":
                holders.append(path)
            elif letter == "l":
                self._look_behind(path, tops)
            elif _is_code(path):
                self._look(path)
        code = self._folders_of_code(tops) if holders else set()
        for path in holders:
            if path in code:
                self._look(path)

    def _tops(self, folders: Iterable[str]) -> tuple[str, ...]:
        return tuple(f"{self._files.folder(folder).rstrip('/')}/" for folder in folders)

    def _open_below(self, tops: tuple[str, ...], but: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        """Yield the paths that belong to the account, or that others than the owner may write, and the links.

        There are tens of thousands: most are passed over by their owner and mode.
        """
        uid = self._access.who.uid
        for path, entry in self._files.index.paths.items():
            of_interest = (entry.uid == uid or entry.mode & OTHERS_WRITE) and path.startswith(tops)
            if of_interest and not f"{path}/".startswith(but):
                yield path, entry.letter

    def _look_behind(self, link: str, tops: tuple[str, ...]) -> None:
        """Look at the code that a link leads to, where it lies elsewhere."""
        place = self._files.folder(link)
        entry = self._files.end(place)
        if entry is None or place in self._linked or place.startswith(tops):
            return
        self._linked.add(place)
        if _is_code(place) or any(map(_is_code, self._files.names(place))):
            self._walk([link])

    def _folders_of_code(self, tops: tuple[str, ...]) -> set[str]:
        """Return the folders with code in them, at any depth: others hold data that a package may have to write."""
        found: set[str] = set()
        for path, entry in self._files.index.paths.items():
            if entry.letter != "d" and path.startswith(tops) and _is_code(path):
                folder = posixpath.dirname(path)
                while folder not in found:
                    found.add(folder)
                    folder = posixpath.dirname(folder)
        return found

    def _look_with_above(self, path: str) -> None:
        if self._files.end(path) is not None:
            place = self._files.folder(path)
            self._look_above(path)
            self._look_above(place)
            self._look(place)

    def _look_above(self, path: str) -> None:
        below, above = "", posixpath.dirname(path)
        while (above, below) not in self._above:
            self._above.add((above, below))
            self._look(above, below)
            if above == "/":
                break
            below, above = above, posixpath.dirname(above)

    def _look(self, path: str, below: str = "") -> None:
        self._looked.add(path)
        entry = self._files.end(path)
        if entry is None or entry.letter == "l" or path in self._known:
            # A link that leads nowhere has every permission, and nothing behind it.
            return
        if changes(entry, self._files.end(below) if below else None, self._access):
            self._known.add(path)
            self._found[path] = Changeable(path=path, owner=f"{entry.uid}:{entry.gid}", mode=f"{entry.mode:04o}")


def _is_code(path: str) -> bool:
    """Tell whether the import system, or the loader, may take a file for code."""
    return path.endswith(MODULES) or ".so" in path.rpartition("/")[2]


def changes(entry: Entry, below: Entry | None, access: Access) -> bool:
    """Tell whether the account may change a path: its owner may, who can give himself the permission.

    `below` is the folder in it that matters, where it is not the path itself that holds the code.
    """
    owned = entry.uid == access.who.uid
    allowed = owned or access.permits(entry, 0o2)
    if allowed and below is not None and entry.mode & stat.S_ISVTX and not owned:
        # In a sticky folder, what belongs to others can be neither renamed nor removed.
        return below.uid == access.who.uid
    return allowed
