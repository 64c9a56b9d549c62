"""The first day, step by step, for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.reports.smoke import print_failures, verdict_line
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from seatrial.checks.verdict import Smoke
    from seatrial.stack.state import StackState

STEPS = 4


def step(console: Console, number: int, title: str) -> None:
    """Print a step's heading."""
    from rich.text import Text

    console.print(Text(f"{number}/{STEPS} {title}", style="bold"))


def line(console: Console, text: str) -> None:
    """Print a line below a heading."""
    from rich.text import Text

    console.print(Text(f"    {plain_line(text)}"), soft_wrap=True)


def smoke_line(console: Console, smoke: Smoke) -> None:
    """Print a smoke's verdict, and in full what failed."""
    from rich.text import Text

    console.print(Text("    ").append_text(verdict_line(smoke)), soft_wrap=True)
    print_failures(smoke, console)


def up_line(console: Console, state: StackState) -> None:
    """Print that a stack is up, and where it answers."""
    how = f"up after {state.seconds:.1f} s" if state.changed else "up already"
    line(console, f"{state.stack.app}: {how}")
    for address in state.addresses:
        line(console, f"  {address.service} answers at {address.text}")


def next_steps(console: Console, states: Sequence[StackState], not_up: Sequence[str]) -> None:
    """Print what to try next."""
    from rich.text import Text

    rows = [
        row
        for state in states
        for row in (
            (f"invoke ps --app {state.stack.app}", "how its services stand"),
            (f"invoke logs --app {state.stack.app}", "what they log"),
            (f"invoke down --app {state.stack.app}", "take it down; its data stays"),
        )
    ]
    rows += [(f"invoke up --app {name}", "not up yet: it wants your own values in its .env") for name in not_up]
    rows.append(("invoke --list", "everything else"))
    width = max(len(command) for command, _ in rows)
    console.print(Text("Try next", style="bold"))
    for command, meaning in rows:
        console.print(Text(f"    {command:{width}}  {meaning}"), soft_wrap=True)
