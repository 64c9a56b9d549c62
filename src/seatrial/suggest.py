"""Names: the nearest known one for a misspelt one."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the nearest known name, or lists them all."""
    names = sorted(map(str, known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {', '.join(names)}." if names else "None is declared."


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> str:
    """Return a sentence that suggests the nearest known names; by their last part too, where a family is left out."""
    names = sorted(map(str, known))
    close = difflib.get_close_matches(name, names, n=most, cutoff=0.75)
    close += [one for one in names if name in one.split("/") and one not in close]
    if not close:
        likely = difflib.get_close_matches(name, [one.rpartition("/")[2] for one in names], n=most, cutoff=0.6)
        close = [one for one in names if one.rpartition("/")[2] in likely]
    shown = [repr(one) for one in close[:most]]
    if not shown:
        return "Nothing is called nearly so."
    return f"Did you mean {' or '.join(filter(None, (', '.join(shown[:-1]), shown[-1])))}?"
