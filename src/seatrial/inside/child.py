"""What the probe's children begin with: they answer on their own pipe, without a module that an image may replace."""

import sys

if sys.path and sys.path[0] == "":
    del sys.path[0]
import os
from typing import TYPE_CHECKING

from seatrial.inside.handed import OUT, SECRET

if TYPE_CHECKING:
    from typing import Any

out = os.fdopen(OUT, "w", encoding="utf-8", errors="backslashreplace")


def quoted(value: "Any") -> str:
    """Return a value as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(quoted(entry) for entry in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(quoted(key) + ": " + quoted(entry) for key, entry in value.items()) + "}"
    letters = str(value)
    if not letters.isprintable() or '"' in letters or "\\" in letters:
        letters = "".join(
            letter if letter.isprintable() and letter not in '"\\' else ("\\u" + format(ord(letter), "04x"))[:6]
            for letter in letters
        )
    return '"' + letters + '"'


def say(**row: object) -> None:
    out.write(SECRET + quoted(row) + "\n")
    out.flush()
