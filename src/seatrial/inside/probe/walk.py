"""A walk over the file system as this user sees it, and what it finds by the rules that it is given.

`seatrial.observe.contents` walks what the engine packs, and keeps what it finds with the same `Findings`.
"""

import os
import re
import stat
import time
from functools import partial
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import MAX_TEXT, fact

if TYPE_CHECKING:
    from typing import Callable, Dict, FrozenSet, Iterable, Iterator, List, Optional, Tuple

    from seatrial.inside.probe.base import Row

    Above = Tuple[bool, FrozenSet[str], Optional[Row]]
    """Of a folder: it or one above it is sticky; the kinds that one above stands for; the row that sums files up."""
    State = Tuple[int, int, int, int]
    """Mode, size, uid and gid of a path; zeros for a link."""

MAX_ROWS = 200
"""Rows of one kind that are kept; the rest is counted."""
MAX_READS = 2000
"""Files whose beginning is read."""
MAX_NAMES = 1000
"""Names of one folder that are kept, where its names are asked for."""
BEGINNING = 65536
"""Bytes of a file's beginning in which a rule's `content` is looked for."""
NEVER_WALKED = ("/proc", "/sys", "/dev")
TOP: "Above" = (False, frozenset(), None)


class LimitExceededError(Exception):
    """A limit of the walk was passed."""


def shown(path: str) -> str:
    """Return a path that JSON and a screen can hold: bytes that are no UTF-8, line ends and the like are escaped."""
    if path.isprintable():
        return path[:MAX_TEXT]
    return "".join(map(shown_letter, path[:MAX_TEXT]))


def shown_letter(letter: str) -> str:
    if letter.isprintable():
        return letter
    # A byte that is no UTF-8, as Python keeps it in a name: PEP 383.
    if 0xDC80 <= ord(letter) <= 0xDCFF:
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")


def compiled(rule: "Row") -> "Row":
    """Return a rule with its expressions ready to be asked."""
    made = dict(rule)
    for key, search in (("name", False), ("path", False), ("but", True), ("content", True)):
        if rule[key]:
            # A name may hold line ends.
            expression = re.compile(rule[key], re.DOTALL)
            made[key] = expression.search if search else expression.fullmatch
    return made


class Findings:
    """What was seen so far."""

    def __init__(self, rules: "Iterable[Row]", folders: "Iterable[str]", most: int) -> None:
        asked = list(rules)
        self.rules = [compiled(rule) for rule in asked]
        self.modes = 0
        for rule in asked:
            self.modes |= rule["mode"]
        names = "|".join("(?:{})".format(rule["name"]) for rule in asked if rule["name"])
        self.named = re.compile(names or "(?!)", re.DOTALL).fullmatch
        self.folders, self.most = set(folders), most
        self.paths, self.reads = 0, 0
        self.found: "List[Row]" = []
        self.summaries: "List[Row]" = []
        self.counts: "Dict[str, int]" = {}
        self.listed: "Dict[str, List[str]]" = {}
        self.unreadable: "List[str]" = []
        self.cut: "List[str]" = []

    def count(self, folder: str, name: str) -> None:
        """Count a path; keep its name where the folder's names are asked for."""
        self.paths += 1
        if self.paths >= self.most:
            raise LimitExceededError(f"it holds more than {self.most} paths")
        if folder in self.folders:
            names = self.listed.setdefault(folder, [])
            if len(names) < MAX_NAMES:
                names.append(shown(name))

    def tell(
        self, path: str, letter: str, state: "State", above: "Above", beginning: "Optional[Callable[[], Optional[str]]]"
    ) -> "Above":
        """Keep a path for each rule that it fits; return what holds below it, as `above` does below its folder.

        `letter` is f (file), d (folder), l (link) or o (other). `beginning` reads the file's beginning, and returns
        None where it cannot; it is None for a path that is checked only for its effect on the paths under it.
        """
        sticky, covered, summary = above
        mode, size = state[0], state[1]
        if letter != "d" and summary is not None and size:
            summary["files"] += 1
            summary["size"] += size
        read: "List[Optional[str]]" = []
        if mode & self.modes or self.named(path.rpartition("/")[2]):
            for rule in self.rules:
                if rule["kind"] in covered or not self.fits(rule, path, letter, mode, sticky):
                    continue
                if rule["content"] and not read:
                    # Once: what the engine packs is a stream, which is not gone back in.
                    read.append(beginning() if beginning else "")
                text = read[0] if rule["content"] else ""
                if rule["content"] and text is not None and not rule["content"](text):
                    continue
                row = row_of(rule, path, letter, state, unread=text is None)
                if rule["summarised"]:
                    summary = row
                    self.add_summary(row)
                elif beginning:
                    self.keep(row)
                if rule["summarised"] or rule["whole"]:
                    covered = covered | {rule["kind"]}
        return sticky or bool(mode & stat.S_ISVTX), covered, summary

    def fits(self, rule: "Row", path: str, letter: str, mode: int, sticky: bool) -> bool:
        """Tell whether a path fits what a rule says of its name and mode."""
        if letter not in rule["types"] or (rule["mode"] and not mode & rule["mode"]):
            return False
        if rule["unsticky"] and (sticky or (letter == "d" and mode & stat.S_ISVTX)):
            return False
        if rule["name"] and not rule["name"](path.rpartition("/")[2]):
            return False
        return not (rule["path"] and not rule["path"](path)) and not (rule["but"] and rule["but"](path))

    def add_summary(self, row: "Row") -> None:
        """Note a folder that is reported at the end with the sum of its files, where it holds any."""
        row["files"], row["size"] = 0, 0
        self.summaries.append(row)
        if len(self.summaries) > MAX_READS:
            raise LimitExceededError(f"it holds more than {MAX_READS} caches")

    def keep(self, row: "Row") -> None:
        self.counts[row["kind"]] = self.counts.get(row["kind"], 0) + 1
        if self.counts[row["kind"]] <= MAX_ROWS:
            self.found.append(row)

    def count_read(self) -> None:
        self.reads += 1
        if self.reads > MAX_READS:
            raise LimitExceededError(f"more than {MAX_READS} files would have to be read")

    def result(self) -> "Row":
        for row in self.summaries:
            if row["files"]:
                self.keep(row)
        self.summaries = []
        return {
            "paths": self.paths,
            "found": self.found,
            "counts": self.counts,
            "folders": self.listed,
            "unreadable": self.unreadable,
            "cut": self.cut,
        }


def row_of(rule: "Row", path: str, letter: str, state: "State", *, unread: bool) -> "Row":
    mode, size, uid, gid = state
    return {
        "kind": rule["kind"],
        "path": shown(path),
        "about": rule["about"],
        "mode": stat.S_IMODE(mode),
        "uid": uid,
        "gid": gid,
        "size": size if letter == "f" else 0,
        "unread": unread,
    }


@fact
def walk(request: "Row") -> "Optional[Row]":
    asked = request.get("walk")
    return Walk(asked).run(asked["seconds"]) if asked else None


class Walk:
    """One walk, folder by folder, that follows no link and enters no mount."""

    def __init__(self, asked: "Row") -> None:
        self.root = asked["root"].rstrip("/")
        self.seen = Findings(asked["rules"], asked["folders"], asked["most"])
        self.device = os.lstat(self.root or "/").st_dev
        self.left: "List[Tuple[str, Above]]" = [("", TOP)]

    def run(self, seconds: float) -> "Row":
        # On a busy machine the probe gets what is left over: it is the work that is bounded first, then the wait.
        self.end, self.most_work = time.monotonic() + seconds, time.thread_time() + seconds / 2
        try:
            while self.left:
                folder, above = self.left.pop()
                try:
                    with os.scandir(self.root + folder or "/") as entries:
                        self.enter(folder, above, entries)
                except OSError:
                    self.beyond(folder)
        except LimitExceededError as limit:
            self.seen.cut.append(str(limit))
        return self.seen.result()

    def beyond(self, folder: str) -> None:
        """Note a folder that cannot be listed: the engine reads it, where it can be asked for by this name."""
        unreadable = self.seen.unreadable
        if len(unreadable) >= MAX_ROWS:
            raise LimitExceededError(f"more than {MAX_ROWS} folders cannot be read")
        if len(folder) > 1000 or shown(folder) != folder:
            self.seen.cut.append(f"{shown(folder[:200])} cannot be read")
        elif folder not in unreadable:
            unreadable.append(folder or "/")

    def enter(self, folder: str, above: "Above", entries: "Iterator[os.DirEntry[str]]") -> None:
        if (folder or "/") in self.seen.folders:
            self.seen.listed.setdefault(folder or "/", [])
        seen, sum_up = self.seen, above[2] is not None
        for entry in entries:
            seen.count(folder or "/", entry.name)
            if seen.paths % 500 == 0 and self.late():
                raise LimitExceededError(f"only {seen.paths} paths were checked in time")
            path = folder + "/" + entry.name
            if entry.is_symlink():
                if seen.named(entry.name):
                    seen.tell(path, "l", (0, 0, 0, 0), above, lambda: "")
                continue
            state = entry.stat(follow_symlinks=False)
            mode = state.st_mode
            letter = "d" if stat.S_ISDIR(mode) else "f" if stat.S_ISREG(mode) else "o"
            below = above
            # Most paths fit no rule: a call for each of them would take a sixth of the walk's time.
            if letter == "d" or sum_up or mode & seen.modes or seen.named(entry.name):
                row = (mode, state.st_size, state.st_uid, state.st_gid)
                below = seen.tell(path, letter, row, above, partial(self.beginning, path))
            if letter != "d" or path in NEVER_WALKED:
                continue
            if state.st_dev != self.device:
                self.beyond(path)
            else:
                self.left.append((path, below))

    def late(self) -> bool:
        return time.monotonic() > self.end or time.thread_time() > self.most_work

    def beginning(self, path: str) -> "Optional[str]":
        """Return a file's first bytes, as text of one letter a byte; None where they cannot be read."""
        self.seen.count_read()
        try:
            # What stands here now need not be what stood here a moment ago: no link is followed, no pipe waited on.
            file = os.open(self.root + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                return os.read(file, BEGINNING).decode("latin-1")
            finally:
                os.close(file)
        except OSError:
            return None
