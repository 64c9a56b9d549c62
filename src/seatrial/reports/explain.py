"""A check explained: its rule, why it matters, its source, what fails it and the fix."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from seatrial.checks.model import Check
from seatrial.reports.groups import family_of
from seatrial.reports.markdown import fenced

LEVELS = {
    "quick": "quick: without a start of the application",
    "standard": "standard: with one real start",
    "deep": "deep: with more starts or builds",
}
STACK = "smoke --stack: with the app's services up"


def print_check(check: Check, console: Console) -> None:
    """Print everything about a check."""
    console.print(Text.assemble((check.id, "bold cyan"), "  ", (check.title, "bold")))
    asked = ("asked by", STACK) if check.stack else ("level", LEVELS[check.level.value])
    rows = (asked, ("why", check.why), ("source", check.source))
    for name, value in rows:
        console.print(Text.assemble((f"{name}: ", "bold"), value), soft_wrap=not console.is_terminal)
    for name, block in (("fails", check.example), ("fixed", check.fixed)):
        if block:
            console.print()
            console.print(Text(f"{name}:", style="bold red" if name == "fails" else "bold green"))
            for line in block.strip("\n").splitlines():
                console.print(Padding(Text(line), (0, 0, 0, 4), expand=False), soft_wrap=not console.is_terminal)
    console.print()
    waiver = f'waive = {{ "{check.id}" = "your reason" }}'
    console.print(Text.assemble(("to waive it: ", "bold"), f"in the contract, {waiver}"), soft_wrap=True)


def print_catalogue(checks: Sequence[Check], console: Console) -> None:
    """Print every check's id and title, by family."""
    families: dict[str, list[Check]] = {}
    for check in checks:
        families.setdefault(family_of(check.id), []).append(check)
    width = max(len(check.id) for check in checks)
    for number, (family, found) in enumerate(families.items()):
        if number:
            console.print()
        console.print(Text(family, style="bold"))
        for check in found:
            line = Text.assemble("  ", (check.id.ljust(width), "cyan"), f"  {check.title}")
            console.print(line, soft_wrap=not console.is_terminal)
    console.print()
    console.print(Text(f"{len(checks)} checks. `seatrial explain CHECK` explains one."))


def text_help(check: Check) -> str:
    """Return a check's explanation as plain text."""
    parts = [check.title + ".", check.why, f"Source: {check.source}"]
    parts += [f"{name}:\n{block}" for name, block in (("Fails", check.example), ("Fixed", check.fixed)) if block]
    return "\n\n".join(parts)


def markdown_help(check: Check) -> str:
    """Return a check's explanation as Markdown."""
    lines = [check.why, "", f"Source: {check.source}"]
    for name, block in (("Fails:", check.example), ("Fixed:", check.fixed)):
        if block:
            lines += ["", name, "", *fenced(block.strip("\n"))]
    return "\n".join(lines)
