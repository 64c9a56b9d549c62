"""What was looked at before a stack is started, on the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.stack.finding import Standing
from seatrial.text import plain_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from seatrial.stack.finding import Preflight

STYLES = {Standing.READY: "green", Standing.NOTE: "yellow", Standing.BLOCKED: "bold red"}


def print_preflight(found: Preflight, console: Console) -> None:
    """Print what was found, a line each with its fix below it, and what it comes to."""
    from rich.text import Text

    app = found.stack.app
    _print(Text(f"{plain_line(app)}: {found.file} as {found.stack.compose_project}"), console)
    for service in found.services:
        waits = ", ".join(one.service for one in service.depends_on)
        _print(Text(plain_line(f"{service.name}" + (f", after {waits}" if waits else ""))), console, indent=2)
    width = max((len(one.check) for one in found.findings), default=0)
    for one in found.findings:
        line = Text(one.standing.value.ljust(8), style=STYLES[one.standing])
        line.append(f" {one.check:{width}}  {plain_line(one.what)}", style="default")
        _print(line, console)
        if one.standing is not Standing.READY:
            more = " ".join(part for part in (f"{one.where}:" if one.where and one.fix else one.where, one.fix) if part)
            if more:
                _print(Text(plain_line(more)), console, indent=width + 11)
    blocked = sum(one.standing is Standing.BLOCKED for one in found.findings)
    notes = sum(one.standing is Standing.NOTE for one in found.findings)
    if blocked:
        _print(Text(f"{plain_line(app)} cannot be started: {blocked} to mend first."), console)
    else:
        more = f"; {notes} to know of" if notes else ""
        _print(Text(f"{plain_line(app)} can be started{more}. Nothing was started or changed."), console)


def _print(line: Text, console: Console, *, indent: int = 0) -> None:
    console.print(" " * indent, line, sep="", soft_wrap=True)
