"""A file's mode as Go writes it: `-rwxr-xr-x`, `drwxr-xr-x`, `Lrwxrwxrwx`, `dtrwxrwxrwx`, `urwxr-xr-x`."""

from __future__ import annotations

import stat

from seatrial.facts import FileKind

SPECIAL = ((stat.S_ISUID, "u"), (stat.S_ISGID, "g"), (stat.S_ISVTX, "t"))
KINDS = {FileKind.FOLDER: "d", FileKind.LINK: "L", FileKind.FILE: ""}


def shown_mode(mode: int, kind: FileKind) -> str:
    """Return a mode's text; `mode` is the permission bits with setuid, setgid and sticky."""
    marks = KINDS.get(kind, "?") + "".join(letter for bit, letter in SPECIAL if mode & bit)
    letters = "rwxrwxrwx"
    bits = "".join(letter if mode & (1 << (8 - place)) else "-" for place, letter in enumerate(letters))
    return (marks or "-") + bits
