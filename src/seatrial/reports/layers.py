"""Where an image's bytes are, as tables on the console and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from seatrial.checks.layers import hidden_line, twice_line
from seatrial.facts import Layers
from seatrial.observe.layers.usage import Row, Usage
from seatrial.reports.json import SCHEMA, dumped
from seatrial.text import counted, plain_line, show_size

MOST_ROWS = 12
"""Rows of a table that are printed; JSON has all."""
SMALLEST = 50_000
"""Bytes: instructions with less, and nothing hidden, are one row."""
Cells = tuple[str, str, str, str]


def layers_document(image: str, identity: str, usage: Usage) -> str:
    """Return where an image's bytes are, as JSON."""
    return dumped({"schema": SCHEMA, "image": image, "id": identity, "usage": usage})


def print_layers(image: str, usage: Usage, facts: Layers, console: Console) -> None:
    """Print where an image's bytes are."""
    console.print(Text(plain_line(f"{image}: {summary(usage)}")), soft_wrap=True)
    _print(console, ("size", "hidden", "line", "instruction"), list(_instructions(usage)))
    wasted = [(row.size, twice_line(row, facts)) for row in usage.twice]
    wasted += [(row.size, hidden_line(row, facts)) for row in usage.hidden]
    if large := [line for size, line in sorted(wasted, reverse=True) if size >= SMALLEST]:
        console.print(Text("\nwasted", "bold"))
        for line in large[:MOST_ROWS]:
            console.print(Text(plain_line(line)), soft_wrap=True)
    for title, rows, none in (
        ("Python distribution", usage.distributions, "no Python distribution"),
        ("system package", usage.packages, "no list of system packages"),
        ("folder", usage.folders, "no file"),
    ):
        if rows:
            _print(console, ("size", "saves", "files", title), list(_rows(rows)))
        else:
            console.print(Text(f"\nThe image holds {none}."))
    console.print(Text("\nsaves: what the image would lose without it; the base's bytes stay."), soft_wrap=True)
    for why in usage.cut[:MOST_ROWS]:
        console.print(Text(plain_line(f"Not read: {why}")), soft_wrap=True)


def _print(console: Console, header: Cells, rows: Sequence[Cells]) -> None:
    """Print a table whose last column alone may be cut, on a terminal: a log keeps lines whole."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header) - 1)]
    console.print()
    for row in (header, *rows):
        line = "  ".join([*(cell.rjust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        text = Text(line, "bold" if row is header else "")
        if console.is_terminal:
            text.truncate(console.width, overflow="ellipsis")
        console.print(text, soft_wrap=True)


def summary(usage: Usage) -> str:
    """Return an image's size in a line."""
    layers = counted(len(usage.instructions), "layer")
    base = f", {show_size(usage.base)} of it the base's" if usage.base else ""
    wasted = f"{show_size(usage.wasted)} of the rest is hidden by later layers" if usage.wasted else "nothing is wasted"
    return f"{show_size(usage.size)} in {layers}{base}; {wasted}."


def _instructions(usage: Usage) -> Iterator[Cells]:
    if base := [row for row in usage.instructions if row.base]:
        hidden = sum(row.hidden for row in base)
        yield show_size(usage.base), _amount(hidden), "", f"the base, {counted(len(base), 'layer')}"
    own = [row for row in usage.instructions if not row.base]
    small = [row for row in own if row.size < SMALLEST and not row.hidden]
    for row in own:
        if row not in small:
            text = plain_line(row.instruction) or f"layer {row.layer}, of which the history says nothing"
            yield show_size(row.size), _amount(row.hidden), str(row.line or ""), text
    if small:
        text = f"{len(small)} more, each below {show_size(SMALLEST)}"
        yield show_size(sum(row.size for row in small)), "", "", text


def _amount(size: int) -> str:
    return show_size(size) if size else ""


def _rows(rows: Sequence[Row]) -> Iterator[Cells]:
    for row in rows[:MOST_ROWS]:
        yield show_size(row.size), _amount(row.saves), str(row.files), plain_line(row.name)
    if more := rows[MOST_ROWS:]:
        total, saves = sum(row.size for row in more), sum(row.saves for row in more)
        yield show_size(total), _amount(saves), str(sum(row.files for row in more)), f"{len(more)} more"
