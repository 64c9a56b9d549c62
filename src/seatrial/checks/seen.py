"""What the checks of an image's contents share: the evidence, and when there is too little of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.model import UndecidedError
from seatrial.facts.data import Missing
from seatrial.sizes import show_size

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from seatrial.facts.data import ContentKind, Contents, Facts, Found

SHOWN = 5
"""Paths that a finding's first line names; the rest is evidence."""


def contents_of(facts: Facts) -> Contents:
    """Return what the image's file system holds.

    Raises:
        UndecidedError: nobody looked at it.

    """
    if isinstance(facts.contents, Missing):
        raise UndecidedError(facts.contents.reason, facts.contents.detail)
    return facts.contents


def kept(contents: Contents, kind: ContentKind) -> list[Found]:
    """Return what was found of a kind, as far as it was kept."""
    return sorted((one for one in contents.found if one.kind is kind), key=lambda one: one.path)


def refuse_partial(contents: Contents) -> None:
    """Let nothing pass that was not looked at.

    Raises:
        UndecidedError: a part of the file system was not.

    """
    if not contents.paths:
        raise UndecidedError("no path of the image was seen")
    left_out = (*contents.cut, *(f"{folder} could not be read" for folder in contents.unreadable))
    if left_out:
        raise UndecidedError(f"the file system was not seen whole: {left_out[0]}", *left_out[1:])


def looked_at(contents: Contents) -> str:
    """Return how much was looked at, for a pass."""
    return f"{contents.paths} paths looked at"


def named(rows: Sequence[Found], total: int = 0) -> str:
    """Return rows as one line: the first ones, and how many more there are."""
    more = max(total, len(rows)) - SHOWN
    line = "; ".join(str(one) for one in rows[:SHOWN])
    return f"{line}; and {more} more" if more > 0 else line


def heaps(rows: Sequence[Found]) -> str:
    """Return folders with what they hold, as one line."""
    return "; ".join(f"{one.path}: {one.files} files, {show_size(one.size)}" for one in rows)


def base_name(path: str) -> str:
    """Return the last part of a path."""
    return path.rpartition("/")[2]


def usr_merged(path: str) -> str:
    """Return a path as it is where /bin is a link to /usr/bin: older images have both folders."""
    return f"/usr{path}" if path.startswith(("/bin/", "/sbin/", "/lib/", "/lib64/")) else path


def without(rows: Sequence[Found], allowed: Collection[str]) -> list[Found]:
    """Return the rows whose path is not allowed."""
    names = {usr_merged(path.rstrip("/")) for path in allowed}
    return [one for one in rows if usr_merged(one.path) not in names]
