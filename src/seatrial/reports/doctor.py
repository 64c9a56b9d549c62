"""The doctor's findings for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from seatrial.doctor import Finding


def print_findings(findings: Iterable[Finding], console: Console) -> None:
    """Print each finding on a line, and below a problem what to do."""
    from rich.text import Text

    for one in findings:
        mark = ("ok      ", "green") if one.ok else ("problem ", "bold red")
        console.print(Text.assemble(mark, f"{one.topic}: {plain_line(one.seen)}"), soft_wrap=True)
        if one.fix:
            console.print(Text(f"        to do: {plain_line(one.fix)}"), soft_wrap=True)
