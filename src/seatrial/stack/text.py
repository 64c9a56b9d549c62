"""What containers and compose print, as lines that are safe to show."""

from __future__ import annotations

from seatrial.text import plain

LONGEST_LINE = 1000
"""Characters of a line that are kept."""


def lines_of(output: str | bytes) -> tuple[str, ...]:
    """Return the lines of outside output that hold anything, each plain and cut to `LONGEST_LINE`."""
    text = output.decode("utf-8", "replace") if isinstance(output, bytes) else output
    lines = (line.expandtabs(4).rstrip() for line in plain(text).split("\n"))
    return tuple(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in lines if line)
