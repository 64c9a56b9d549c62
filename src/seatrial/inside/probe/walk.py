"""The walk: what the file system holds, as this user sees it."""

import os
import stat
import time
from functools import partial
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import fact
from seatrial.inside.probe.rules import BEGINNING, MAX_ROWS, NEVER_WALKED, TOP, Findings, LimitExceededError, shown

if TYPE_CHECKING:
    from typing import Iterator, List, Optional, Tuple

    from seatrial.inside.probe.base import Row
    from seatrial.inside.probe.rules import Above


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
