"""Reads the log of a start, which may be a flood, within limits."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from seatrial.engine.streams import close_stream

if TYPE_CHECKING:
    from seatrial.engine.containers import Container


KEPT_LINES = 100
KEPT_LINE = 1000
"""Characters of one line."""
KEPT_BYTES = 64 * 1024
STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d) ")
STAMP_BYTES = 64
"""Bytes in which the engine's time of a line has its place."""


def last_lines(booted: Container, *, since: str = "") -> tuple[tuple[str, ...], bool]:
    """Return the last lines of the log, and whether more was written than is kept.

    A flood is kept small by the engine (log rotation) and here. `since` is the engine's time from which on they count.
    """
    kept, cut = bytearray(), False
    later = datetime.fromisoformat(since).timestamp() if since else None
    stream = booted.client.logs(booted.id, stream=True, tail=KEPT_LINES, since=later)
    for part in stream:
        kept += part
        if len(kept) > 2 * KEPT_BYTES:
            cut = True
            del kept[:-KEPT_BYTES]
        if cut and len(kept) > KEPT_BYTES:
            del kept[:-KEPT_BYTES]
    lines = lines_in(bytes(kept))[-KEPT_LINES:]
    cut = cut or any(len(line) > KEPT_LINE for line in lines)
    return tuple(line[:KEPT_LINE] for line in lines), cut


def lines_in(output: bytes) -> list[str]:
    """Return the lines of an output, with their carriage returns: these tell of files with Windows line ends."""
    lines = output.decode("utf-8", errors="replace").split("\n")
    return lines if lines[-1] else lines[:-1]


def first_line_after(booted: Container, started_at: str) -> float | None:
    """Return the seconds from the start to the first line that the log holds; None where it holds none.

    Of a log that was rotated, the first line is gone: the oldest that is left came later.
    """
    kept = bytearray()
    stream = booted.client.logs(booted.id, stream=True, follow=False, timestamps=True)
    try:
        for part in stream:
            kept += part
            if len(kept) >= STAMP_BYTES:
                break
    finally:
        close_stream(stream)
    found = STAMP.match(bytes(kept))
    if found is None:
        return None
    return between(started_at, found.group().decode().strip())


def between(first: str, last: str) -> float:
    """Return the seconds between two of the engine's times (RFC 3339, nanoseconds)."""
    return max(0.0, (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds())
