"""How a deploy to a swarm goes, on the console: a line per change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.stack.swarm.explain import condition
from seatrial.stack.swarm.model import Fate
from seatrial.text import plain_line

if TYPE_CHECKING:
    from rich.console import Console

    from seatrial.stack.swarm.model import Conversion, Deployed, RemovedStack, Standing

HEADINGS = {
    Fate.REFUSED: "Swarm cannot, and it is not deployed without:",
    Fate.RISK: "Careful, on a swarm this is otherwise:",
    Fate.LOST: "Swarm has nothing like it, and it is left out:",
    Fate.CHANGED: "Said in swarm's own words:",
}


class DeployLines:
    """A line for each service whose standing has changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Print a message."""
        _print(self._console, plain_line(text))

    def show(self, standings: tuple[Standing, ...], seconds: float) -> None:
        """Print what has changed."""
        for one in standings:
            now = condition(one)
            if not one.good:
                now += next((f"; {task.error}" for task in one.telling if task.error), "")
            if self._said.get(one.service.name) != now:
                _print(self._console, plain_line(f"{seconds:.1f} s {one.service.name} {now}"))
            self._said[one.service.name] = now


def print_notes(conversion: Conversion, console: Console) -> None:
    """Print what becomes of a compose file on a swarm: what matters most comes first."""
    for fate, heading in HEADINGS.items():
        chosen = [note for note in conversion.notes if note.fate is fate]
        if chosen:
            _print(console, heading)
        for note in chosen:
            _print(console, f"  {plain_line(note.place)}: {plain_line(note.text)}")


def print_deployed(state: Deployed, console: Console) -> None:
    """Print that a stack is deployed."""
    if state.changed:
        _print(console, f"{state.name} is deployed after {state.seconds:.1f} s.")
    else:
        _print(console, f"{state.name} is deployed already; nothing has changed.")
    for one in state.standings:
        _print(console, f"  {plain_line(one.service.name)} {condition(one)}")


def print_removed(name: str, removed: RemovedStack, console: Console, *, planned: bool = False) -> None:
    """Print what was removed of a stack, or with `planned` what would be."""
    if removed.nothing:
        _print(console, f"Nothing of the stack {name} is on this swarm.")
    else:
        parts = [
            f"{len(names)} {kind}{'' if len(names) == 1 else 's'} ({', '.join(names)})"
            for kind, names in (
                ("service", removed.services),
                ("network", removed.networks),
                ("secret", removed.secrets),
                ("config", removed.configs),
            )
            if names
        ]
        what = "Would be removed" if planned else "Removed"
        _print(console, f"{what}: {'; '.join(parts)}.")
    if removed.kept_volumes:
        kept = ", ".join(removed.kept_volumes)
        _print(console, f"Its data stays on this node: {kept}; other nodes may hold more (`docker volume ls` there).")


def _print(console: Console, text: str) -> None:
    # No markup, no highlighting, no wrapping: outside text reaches the screen as text.
    console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)
