"""What an image's file system holds, of the kinds that checks ask about; plain functions of its index."""

from __future__ import annotations

import posixpath
import re
import stat
from typing import TYPE_CHECKING, Any

import msgspec

from seatrial.facts import ContentKind, Contents, FoundPath
from seatrial.observe.kept import content_key
from seatrial.observe.path_rules import privileges
from seatrial.text import with_bytes_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from seatrial.facts import PathRule
    from seatrial.observe.index import Entry, Index

MOST_ROWS = 200
"""Rows of one kind that are kept; the rest is counted."""
MOST_NAMES = 1000
"""Names of one folder that are kept, where its names are asked for."""
LONGEST_SHOWN = 4000


def shown(path: str) -> str:
    """Return a path that JSON and a screen can hold: bytes that are no UTF-8, line ends and the like are escaped."""
    cut = with_bytes_shown(path[:LONGEST_SHOWN])
    if cut.isprintable():
        return cut
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in cut
    )


def contents_of(index: Index, rules: Iterable[PathRule], folders: Iterable[str] = ()) -> Contents:
    """Return what fits the rules, and the names in some folders."""
    findings = Findings(index, rules)
    wanted: dict[str, list[str]] = {folder: [] for folder in folders}
    for path, entry in index.paths.items():
        findings.look(path, entry)
        if wanted and path != "/" and (names := wanted.get(posixpath.dirname(path))) is not None:
            names.append(shown(posixpath.basename(path)))
    for path, capabilities in index.capabilities.items():
        if gives := privileges(path, capabilities):
            findings.keep(_row(path, index.paths[path], ContentKind.SETUID, capabilities=gives))
    there = {folder: tuple(names[:MOST_NAMES]) for folder, names in wanted.items() if folder in index.paths}
    found, counts = findings.result()
    return Contents(paths=len(index.paths), found=found, counts=counts, folders=there, cut=index.cut)


def _row(path: str, entry: Entry, kind: ContentKind, **more: Any) -> FoundPath:
    """Return the row of a path; a link's mode and owner are nobody's."""
    mode, uid, gid = (entry.mode, entry.uid, entry.gid) if entry.letter != "l" else (0, 0, 0)
    return FoundPath(kind=kind, path=shown(path), mode=mode, uid=uid, gid=gid, size=entry.size, **more)


class _Rule:
    """A rule, ready to be asked."""

    def __init__(self, rule: PathRule) -> None:
        # A name may hold line ends.
        def asked(pattern: str, *, whole: bool = True) -> Callable[[str], object] | None:
            expression = re.compile(pattern, re.DOTALL)
            return (expression.fullmatch if whole else expression.search) if pattern else None

        self.rule = rule
        self.name, self.path, self.but = asked(rule.name), asked(rule.path), asked(rule.but, whole=False)
        self.key = content_key(rule.kind, rule.about, rule.name)

    def fits(self, path: str, entry: Entry, *, sticky: bool, holding: Collection[str]) -> bool:
        rule = self.rule
        if entry.letter not in rule.types or (rule.mode and not (entry.mode & rule.mode and entry.letter != "l")):
            return False
        if rule.unsticky and (sticky or (entry.letter == "d" and entry.mode & stat.S_ISVTX)):
            return False
        if self.name and not self.name(path.rpartition("/")[2]):
            return False
        if (self.path and not self.path(path)) or (self.but and self.but(path)):
            return False
        return not rule.content or self.key in holding


class _Above:
    """What a folder, or one above it, says of the paths below it."""

    __slots__ = ("covered", "sticky", "summary")

    def __init__(self, covered: frozenset[ContentKind], summary: FoundPath | None, *, sticky: bool) -> None:
        self.covered = covered
        """The kinds that a folder above stands for."""
        self.summary = summary
        """The row that sums files up."""
        self.sticky = sticky


NOTHING_ABOVE = _Above(frozenset(), None, sticky=False)


class Findings:
    """What was seen so far; a folder is looked at before what it holds."""

    def __init__(self, index: Index, rules: Iterable[PathRule]) -> None:
        asked = tuple(rules)
        self._holding = index.holding
        self._rules = [_Rule(rule) for rule in asked]
        self._modes = 0
        for rule in asked:
            self._modes |= rule.mode
        self._named = re.compile("|".join(f"(?:{rule.name})" for rule in asked if rule.name), re.DOTALL).fullmatch
        self._above: dict[str, _Above] = {}
        self._found: list[FoundPath] = []
        self._sums: dict[str, list[int]] = {}
        self._summaries: list[FoundPath] = []
        self._counts: dict[str, int] = {}

    def look(self, path: str, entry: Entry) -> None:
        """Keep a path for each rule that it fits."""
        parent, _, name = path.rpartition("/")
        above = self._above.get(parent or "/", NOTHING_ABOVE) if path != "/" else NOTHING_ABOVE
        if entry.letter != "d" and above.summary is not None and entry.size:
            total = self._sums[above.summary.path]
            total[0] += 1
            total[1] += entry.size
        below = above
        if (entry.mode & self._modes and entry.letter != "l") or self._named(name):
            below = self._tell(path, entry, above)
        if entry.letter == "d":
            # Only a folder that all may write to is for files of everybody's; in others the bit says nothing of them.
            if entry.mode & stat.S_ISVTX and entry.mode & stat.S_IWOTH and not below.sticky:
                below = _Above(below.covered, below.summary, sticky=True)
            if below is not NOTHING_ABOVE:
                self._above[path] = below

    def _tell(self, path: str, entry: Entry, above: _Above) -> _Above:
        covered, summary = above.covered, above.summary
        holding = self._holding.get(path, ())
        for rule in self._rules:
            kind = rule.rule.kind
            if kind in covered or not rule.fits(path, entry, sticky=above.sticky, holding=holding):
                continue
            row = _row(path, entry, kind, about=rule.rule.about)
            if rule.rule.summarised:
                summary = row
                self._sums[row.path] = [0, 0]
                self._summaries.append(row)
            else:
                self.keep(row)
            if rule.rule.summarised or rule.rule.whole:
                covered |= {kind}
        if covered is above.covered and summary is above.summary:
            return above
        return _Above(covered, summary, sticky=above.sticky)

    def keep(self, row: FoundPath) -> None:
        """Keep a row, up to the limit; it is counted anyway."""
        self._counts[row.kind] = self._counts.get(row.kind, 0) + 1
        if self._counts[row.kind] <= MOST_ROWS:
            self._found.append(row)

    def result(self) -> tuple[tuple[FoundPath, ...], dict[str, int]]:
        """Return the rows, and how many there were of each kind."""
        for row in self._summaries:
            files, size = self._sums[row.path]
            if files:
                self.keep(msgspec.structs.replace(row, files=files, size=size))
        return tuple(self._found), self._counts
