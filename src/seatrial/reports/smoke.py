"""A smoke for a person: one line a check, and what failed told in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from seatrial.checks.model import Result, Status
from seatrial.checks.verdict import Verdict
from seatrial.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.text import Text

    from seatrial.checks.verdict import Smoke

ID_WIDTH = 27
STATUS_WIDTH = 6
WRAPPED_FROM = 60
"""Columns from which on the value seen stands beside the check; a narrower screen has it below."""


def style_of(status: Status) -> str:
    """Return the colour of a status."""
    match status:
        case Status.PASS:
            return "green"
        case Status.FAIL:
            return "bold red"
        case Status.ERROR:
            return "bold magenta"
        case Status.WAIVED:
            return "yellow"
        case Status.SKIP:
            return "bright_black"
        case _:
            assert_never(status)


def print_smoke(smoke: Smoke, console: Console) -> None:
    """Print a smoke; whatever came from the image is text, never markup or terminal codes."""
    from rich.text import Text

    console.print(Text.assemble(("Smoke of ", "bold"), (plain(smoke.image), "bold cyan"), f"  {smoke.id[:19]}"))
    for result in smoke.checks:
        line = _line(result, wide=console.width >= WRAPPED_FROM or not console.is_terminal)
        if console.is_terminal:
            console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
        else:
            # A log keeps lines whole: nobody can widen it later.
            console.print(line, soft_wrap=True)
    print_failures(smoke, console)
    console.print()
    console.print(verdict_line(smoke))


def print_failures(smoke: Smoke, console: Console) -> None:
    """Print in full what failed, could not be decided, or was waived."""
    undecided: dict[str, list[Result]] = {}
    for result in smoke.checks:
        if result.status is Status.ERROR:
            undecided.setdefault(result.actual, []).append(result)
        elif result.status in {Status.FAIL, Status.WAIVED}:
            console.print()
            _print_in_full(result, console)
    # What has one cause is told once, behind what may be that cause.
    for results in undecided.values():
        console.print()
        _print_undecided(results, console)


def _print_undecided(results: Sequence[Result], console: Console) -> None:
    from rich.text import Text

    names = ", ".join(one.id for one in results)
    _print_below(Text.assemble(("ERROR", style_of(Status.ERROR)), f" {names}"), 0, console)
    _print_below(Text(plain(results[0].actual)), 2, console)
    for row in results[0].evidence:
        _print_below(Text(plain(row), style="bright_black"), 4, console)


def _line(result: Result, *, wide: bool) -> Text:
    from rich.text import Text

    line = Text.assemble(
        (result.status.value.upper().ljust(STATUS_WIDTH), style_of(result.status)),
        " ",
        result.id.ljust(ID_WIDTH),
    )
    if wide:
        line.append(" ")
        line.append(plain(result.actual).replace("\n", " "), style="bright_black")
    return line


def _print_in_full(result: Result, console: Console) -> None:
    from rich.text import Text

    console.print(
        Text.assemble((result.status.value.upper(), style_of(result.status)), f" {result.id}: {result.title}")
    )
    rows = [("seen", result.actual), ("expected", result.expected), ("why", result.why), ("to do", result.fix)]
    for name, value in rows:
        if value:
            _print_below(Text.assemble((f"{name}: ", "bold"), plain(value)), 2, console)
    for row in result.evidence:
        _print_below(Text(plain(row), style="bright_black"), 4, console)


def _print_below(text: Text, indent: int, console: Console) -> None:
    from rich.padding import Padding
    from rich.text import Text

    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        console.print(Text(" " * indent).append_text(text), soft_wrap=True)


def verdict_line(smoke: Smoke) -> Text:
    """Return the verdict, the image and the counts."""
    from rich.text import Text

    words = {Verdict.PASS: "PASS", Verdict.FAIL: "FAIL", Verdict.ERROR: "ERROR"}
    styles = {Verdict.PASS: Status.PASS, Verdict.FAIL: Status.FAIL, Verdict.ERROR: Status.ERROR}
    counts = ", ".join(f"{number} {status.value}" for status, number in smoke.counts.items() if number)
    return Text.assemble(
        (words[smoke.verdict], style_of(styles[smoke.verdict])),
        f"  {plain(smoke.image)}: {counts}, in {smoke.seconds:.1f} s",
    )
