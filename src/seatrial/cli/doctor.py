"""doctor: looks at the host, and says for each problem what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.cli import output
from seatrial.cli.errors import command
from seatrial.errors import ExitCode
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    import invoke
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


@command()
def doctor(_context: invoke.Context) -> ExitCode:
    """Look at host, engine, disk, network, versions and settings; each problem with its fix."""
    from seatrial.doctor import examine

    findings = examine(output.host(), output.project)
    print_findings(findings, output.screen())
    return ExitCode.OK if all(one.ok for one in findings) else ExitCode.UNDECIDED
