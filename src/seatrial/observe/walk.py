"""Looks at a file system as the engine packs it, by the rules that the probe follows; nothing of it is run.

The probe's script has the same walk over a mounted file system: tests/unit/test_walk.py holds both to one answer.
"""

from __future__ import annotations

import posixpath
import re
import stat
import tarfile
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, NamedTuple

import msgspec

from seatrial.facts import ContentKind, FoundPath, Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from seatrial.facts import PathRule


MOST_PATHS = 200_000
MOST_ROWS = 200
"""Rows of one kind that are kept; the rest is counted."""
MOST_READS = 2000
"""Files whose beginning is read."""
MOST_NAMES = 1000
"""Names of one folder that are kept, where its names are asked for."""
BEGINNING = 65536
"""Bytes of a file's beginning that a rule's `content` is looked for in."""
LONGEST = 4000
NEVER_WALKED = ("/proc", "/sys", "/dev")


class Above(NamedTuple):
    """What holds below a folder."""

    sticky: bool = False
    told: frozenset[ContentKind] = frozenset()
    """The kinds that a folder above stands for."""
    heap: str = ""
    """The folder whose files are counted."""


class EnoughError(Exception):
    """A limit was passed."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one look may take."""

    seconds: float
    most: int
    """Bytes."""
    paths: int = MOST_PATHS


class Bounded:
    """A stream that ends with `EnoughError` when it gave too much, or took too long."""

    def __init__(self, raw: IO[bytes], limits: Limits) -> None:
        self._raw = raw
        self._left = limits.most
        self._limits = limits
        self._end = time.monotonic() + limits.seconds

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        if time.monotonic() > self._end:
            raise EnoughError(f"it was read for {self._limits.seconds:g} s")
        part = self._raw.read(size)
        self._left -= len(part)
        if self._left < 0:
            raise EnoughError(f"{self._limits.most // 1_000_000} MB of it were read")
        return part


class Matcher(NamedTuple):
    """A rule with its expressions made ready."""

    rule: PathRule
    name: Callable[[str], object]
    path: Callable[[str], object]
    but: Callable[[str], object]
    content: Callable[[str], object]


def matcher(rule: PathRule) -> Matcher:
    """Return a rule ready to be asked; an expression that it lacks fits, or (`but`) is found in nothing."""
    # A name may hold line ends.
    return Matcher(
        rule=rule,
        name=re.compile(rule.name or ".*", re.DOTALL).fullmatch,
        path=re.compile(rule.path or ".*", re.DOTALL).fullmatch,
        but=re.compile(rule.but or "(?!)", re.DOTALL).search,
        content=re.compile(rule.content, re.DOTALL).search,
    )


@dataclass(kw_only=True)
class Walker:
    """What was seen so far."""

    matchers: tuple[Matcher, ...]
    folders: tuple[str, ...] = ()
    """Those whose names are asked for."""
    most_paths: int = MOST_PATHS
    paths: int = 0
    reads: int = 0
    found: list[FoundPath] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    listed: dict[str, list[str]] = field(default_factory=dict)
    heaps: dict[str, FoundPath] = field(default_factory=dict)
    above: dict[str, Above] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)

    def read(self, stream: IO[bytes], folder: str, limits: Limits) -> None:
        """Look at everything in a packed folder.

        Args:
            stream: the folder as the engine packs it: a tar of which the folder itself is the first member.
            folder: its path in the image.
            limits: how long, and how much.

        """
        self.most_paths = limits.paths
        self._begin(folder)
        try:
            with tarfile.open(fileobj=Bounded(stream, limits), mode="r|", bufsize=BEGINNING) as archive:  # type: ignore[call-overload]
                for path, member in _members(archive, folder):
                    self._look(path, member, archive)
        except EnoughError as limit:
            self.cut.append(f"{folder}: {limit}")
        except tarfile.TarError as error:
            self.cut.append(f"{folder}: what the engine packed could not be read to its end ({error})")

    def result(self, unreadable: Iterable[str] = ()) -> Walk:
        """Return what was seen."""
        for heap in self.heaps.values():
            if heap.files:
                self._keep(heap)
        self.heaps.clear()
        return Walk(
            paths=self.paths,
            found=tuple(self.found),
            counts=self.counts,
            folders={folder: tuple(names) for folder, names in self.listed.items()},
            unreadable=tuple(unreadable),
            cut=tuple(self.cut),
        )

    def _begin(self, folder: str) -> None:
        """Work out what folders above this one say of it, by their names: their modes are somebody else's to see."""
        parts = [part for part in folder.split("/") if part]
        above, path = Above(), ""
        self.above["/"] = above
        for part in parts[:-1]:
            path = f"{path}/{part}"
            known = self.above.get(path)
            above = known or self._tell(path, tarfile.TarInfo(part), "d", above, None)
            self.above[path] = above

    def _look(self, path: str, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        self.paths += 1
        if self.paths >= self.most_paths:
            raise EnoughError(f"it holds more than {self.most_paths} paths")
        parent = posixpath.dirname(path)
        if parent in self.folders and path != "/":
            names = self.listed.setdefault(parent, [])
            if len(names) < MOST_NAMES:
                names.append(shown(posixpath.basename(path)))
        letter = _letter(member)
        above = self.above.get(parent, Above())
        below = self._tell(path, member, letter, above, archive)
        if letter == "d":
            if path in self.folders:
                self.listed.setdefault(path, [])
            self.above[path] = below._replace(sticky=above.sticky or bool(member.mode & stat.S_ISVTX))
        elif above.heap and member.size:
            heap = self.heaps[above.heap]
            self.heaps[above.heap] = msgspec.structs.replace(heap, files=heap.files + 1, size=heap.size + member.size)

    def _tell(
        self, path: str, member: tarfile.TarInfo, letter: str, above: Above, archive: tarfile.TarFile | None
    ) -> Above:
        """Keep what fits a rule; return what then holds below a folder. Without an archive, nothing is kept."""
        told, heap, name = above.told, above.heap, posixpath.basename(path)
        beginning: str | None = None
        for one in self.matchers:
            rule = one.rule
            if letter not in rule.types or rule.kind in told or (rule.mode and not member.mode & rule.mode):
                continue
            if rule.unsticky and (above.sticky or (letter == "d" and member.mode & stat.S_ISVTX)):
                continue
            if not one.name(name) or not one.path(path) or one.but(path):
                continue
            if rule.content:
                # Read once: a stream is not gone back in.
                beginning = self._beginning(archive, member) if beginning is None else beginning
                if not one.content(beginning):
                    continue
            row = FoundPath(
                kind=rule.kind,
                path=shown(path),
                about=rule.about,
                mode=0 if letter == "l" else stat.S_IMODE(member.mode),
                uid=member.uid,
                gid=member.gid,
                size=member.size if letter == "f" else 0,
            )
            if rule.heap:
                heap = path
                self._heap(path, row)
            elif archive is not None:
                self._keep(row)
            if rule.heap or rule.whole:
                told |= {rule.kind}
        return Above(sticky=above.sticky, told=told, heap=heap)

    def _heap(self, path: str, row: FoundPath) -> None:
        self.heaps.setdefault(path, row)
        if len(self.heaps) > MOST_READS:
            raise EnoughError(f"it holds more than {MOST_READS} caches")

    def _keep(self, row: FoundPath) -> None:
        self.counts[row.kind] = self.counts.get(row.kind, 0) + 1
        if self.counts[row.kind] <= MOST_ROWS:
            self.found.append(row)

    def _beginning(self, archive: tarfile.TarFile | None, member: tarfile.TarInfo) -> str:
        """Return a file's first bytes, as text of one letter a byte; of a second name of a file nothing."""
        self.reads += 1
        if self.reads > MOST_READS:
            raise EnoughError(f"more than {MOST_READS} files would have to be read")
        content = archive.extractfile(member) if archive is not None and member.isreg() else None
        return content.read(BEGINNING).decode("latin-1") if content else ""


def walker(rules: Iterable[PathRule], folders: Iterable[str] = ()) -> Walker:
    """Return a walker that has seen nothing yet."""
    return Walker(matchers=tuple(map(matcher, rules)), folders=tuple(folders))


def shown(path: str) -> str:
    """Return a path that a report can hold: bytes that are no UTF-8, line ends and the like are escaped."""
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in path[:LONGEST])


def _escaped(letter: str) -> str:
    number = ord(letter)
    # A byte that is no UTF-8, as Python keeps it in a name: PEP 383.
    if 0xDC80 <= number <= 0xDCFF:  # noqa: PLR2004
        return f"\\x{number - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")


def _letter(member: tarfile.TarInfo) -> str:
    if member.isdir():
        return "d"
    if member.issym():
        return "l"
    return "f" if member.isreg() or member.islnk() else "o"


def _members(archive: tarfile.TarFile, folder: str) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Yield the members with their paths in the image; the kernel's own file systems are left out."""
    base = posixpath.dirname(folder)
    while (member := archive.next()) is not None:
        # A stream is not gone back in: what was seen need not be kept.
        archive.members = []  # type: ignore[attr-defined]
        path = posixpath.normpath(f"{base}/{member.name}")
        path = f"/{path.lstrip('/')}"
        if not path.startswith(tuple(f"{one}/" for one in NEVER_WALKED)):
            yield path, member
