"""whoami, pip list and size: one fact, readable at a glance, and what its checks say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.model import Status
from seatrial.facts import Unavailable
from seatrial.reports.smoke import style_of
from seatrial.sizes import show_size
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from seatrial.checks.verdict import Smoke
    from seatrial.facts import Distribution, Facts


def show(which: str, smoke: Smoke, facts: Facts, console: Console) -> None:
    """Print one classic: the fact as the well-known command prints it, then its checks' results."""
    from rich.text import Text

    lines = {"whoami": _whoami, "pip-list": _pip_list, "size": _size}[which](facts)
    for line in lines:
        console.print(Text(plain_line(line) if which != "pip-list" else line), soft_wrap=True)
    for result in smoke.checks:
        head = Text.assemble((result.status.value.upper(), style_of(result.status)), f" {result.id}: ")
        console.print(head.append(plain_line(result.actual)), soft_wrap=True)
        if result.status in {Status.FAIL, Status.ERROR} and result.fix:
            console.print(Text(f"  to do: {plain_line(result.fix)}"), soft_wrap=True)


def _whoami(facts: Facts) -> Iterable[str]:
    if isinstance(facts.probe, Unavailable):
        return ()
    return (facts.probe.identity.name or str(facts.probe.identity.uid),)


def _size(facts: Facts) -> Iterable[str]:
    return (f"{facts.configuration.reference}  {show_size(facts.configuration.unpacked)}",)


def _pip_list(facts: Facts) -> Iterable[str]:
    if isinstance(facts.probe, Unavailable):
        return ()
    return pip_table(one for one in facts.probe.distributions if not one.base)


def pip_table(distributions: Iterable[Distribution]) -> list[str]:
    """Return a list of packages in `pip list`'s own form: two columns, and a third with editable installs."""
    rows = sorted(
        ((plain_line(one.name), plain_line(one.version), plain_line(one.editable)) for one in distributions),
        key=lambda row: row[0].lower(),
    )
    columns = 3 if any(row[2] for row in rows) else 2
    header = ("Package", "Version", "Editable project location")[:columns]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(columns)]
    lines = [header, tuple("-" * width for width in widths), *(row[:columns] for row in rows)]
    return [" ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
