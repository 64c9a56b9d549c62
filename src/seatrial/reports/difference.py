"""What differs between two images: on the console, as JSON, and as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from seatrial.reports.json import SCHEMA, dumped
from seatrial.reports.markdown import text as escaped
from seatrial.smoke.difference import Change, Difference, FileChange, Finding
from seatrial.text import counted, plain_line, show_size

MOST = 20
"""Rows of a table that are printed; JSON has all."""
LONGEST = 120
"""Characters of a value."""


def difference_document(found: Difference) -> str:
    """Return all that differs as JSON."""
    return dumped({"schema": SCHEMA, "difference": found})


def print_difference(found: Difference, console: Console) -> None:
    """Print what differs."""
    for title, rows, more in _tables(found):
        console.print(Text(f"\n{title}", "bold"))
        for row in rows:
            console.print(Text(f"  {row}"), soft_wrap=True)
        if more:
            console.print(Text(f"  … and {more} more"))
    console.print(Text(f"\n{summary(found)}".lstrip() if found.same else f"\n{summary(found)}"), soft_wrap=True)


def difference_markdown(found: Difference) -> str:
    """Return what differs as a comment on a pull request."""
    lines = [f"## {escaped(found.old)} → {escaped(found.new)}", "", escaped(summary(found)), ""]
    for title, rows, more in _tables(found):
        lines += [f"<details><summary>{escaped(title)}</summary>", "", *(f"- {escaped(row)}" for row in rows)]
        lines += [*([f"- … and {more} more"] if more else []), "", "</details>", ""]
    return "\n".join(lines)


def summary(found: Difference) -> str:
    """Return the difference in one line."""
    old, new = found.size
    size = f"{show_size(old)} → {show_size(new)}" + (f" ({_signed(new - old)})" if old != new else "")
    if found.same:
        return plain_line(f"{found.old} and {found.new} do not differ: {show_size(new)}")
    came, went = counted(len(found.came), "finding"), counted(len(found.went), "finding")
    return plain_line(f"{found.old} → {found.new}: {size}; {came} came, {went} went")


def _tables(found: Difference) -> Iterator[tuple[str, list[str], int]]:
    """Yield what differs: a title, its first lines, and how many more there are."""
    for title, findings in (("Findings that came", found.came), ("Findings that went", found.went)):
        yield from _table(title, [_finding(row) for row in findings])
    for title, changes in (
        ("Python distributions", found.distributions),
        ("System packages", found.packages),
        ("Configuration", found.configuration),
    ):
        yield from _table(f"{title}: {_counts(changes)}", [_change(row) for row in changes])
    yield from _table(f"Files: {_counts(found.files)}", [_file(row) for row in found.files])


def _table(title: str, rows: Sequence[str]) -> Iterator[tuple[str, list[str], int]]:
    if rows:
        yield title, list(rows[:MOST]), len(rows[MOST:])


def _counts(changes: Sequence[Change | FileChange]) -> str:
    added = sum(row.before in {"", None} for row in changes)
    removed = sum(row.after in {"", None} for row in changes)
    parts = ((added, "added"), (removed, "removed"), (len(changes) - added - removed, "changed"))
    return ", ".join(f"{number} {word}" for number, word in parts if number)


def _change(row: Change) -> str:
    before, after = (plain_line(value)[:LONGEST] for value in (row.before, row.after))
    name = plain_line(row.name)
    if not before:
        return f"+ {name} {after}"
    return f"- {name} {before}" if not after else f"  {name} {before} → {after}"


def _file(row: FileChange) -> str:
    path = plain_line(row.path)
    if row.before is None:
        return f"+ {path} ({show_size(row.after or 0)})"
    if row.after is None:
        return f"- {path} ({show_size(row.before)})"
    grown = f", {_signed(row.grown)}" if row.grown else ""
    return f"  {path} ({row.why}{grown})"


def _finding(row: Finding) -> str:
    return plain_line(f"{row.severity.value.upper()} {row.check}: {row.seen}")[: 2 * LONGEST]


def _signed(size: int) -> str:
    return f"{'+' if size > 0 else '-'}{show_size(abs(size))}"
