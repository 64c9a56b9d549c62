"""Suggestions for misspelt names."""

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
    """Return a sentence that suggests the nearest known names; their last part alone is compared, too."""
    names = sorted(map(str, known))
    close = difflib.get_close_matches(name, names, n=most, cutoff=0.75)
    close += [full for full in names if name in full.split("/") and full not in close]
    if not close:
        likely = difflib.get_close_matches(name, [full.rpartition("/")[2] for full in names], n=most, cutoff=0.6)
        close = [full for full in names if full.rpartition("/")[2] in likely]
    shown = [repr(name) for name in close[:most]]
    if not shown:
        return "There is no similar name."
    return f"Did you mean {' or '.join(filter(None, (', '.join(shown[:-1]), shown[-1])))}?"
