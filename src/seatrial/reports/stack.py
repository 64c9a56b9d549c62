"""How a stack comes up, on the console: a live table on a terminal, a line per change elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table
from rich.text import Text

from seatrial.compose.findings import Readiness
from seatrial.stack.state import ContainerStatus, Health, Phase, Removed
from seatrial.stack.wait import condition
from seatrial.swarm.conversion import Fate
from seatrial.swarm.rollout import condition as swarm_condition
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from seatrial.stack.logs import LogLine
    from seatrial.stack.preflight import Preflight
    from seatrial.stack.state import Observer, ServiceState, StackState
    from seatrial.swarm.conversion import Conversion
    from seatrial.swarm.state import Deployed, RemovedStack, SwarmServiceState


STYLES = {
    Phase.ABSENT: "dim",
    Phase.WAITING: "dim",
    Phase.STARTING: "yellow",
    Phase.RESTARTING: "red",
    Phase.UP: "green",
    Phase.DONE: "green",
    Phase.FAILED: "bold red",
}


@contextmanager
def progress(console: Console) -> Iterator[Observer]:
    """Show how a stack comes up while the block runs."""
    if not console.is_terminal:
        yield LinePerChange(console)
        return
    with Live(console=console, refresh_per_second=8) as live:
        yield LiveTable(live)


class LiveTable:
    """One table that is drawn again at each look."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def say(self, text: str) -> None:
        """Print a message above the table."""
        _print(self._live.console, text)

    def show(self, services: tuple[ServiceState, ...], seconds: float) -> None:
        """Draw the table."""
        drawn = table(services)
        drawn.caption = f"{seconds:.0f} s"
        drawn.caption_justify = "left"
        self._live.update(drawn)


class LinePerChange:
    """A line for each service whose state has changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Print a message."""
        _print(self._console, text)

    def show(self, services: tuple[ServiceState, ...], seconds: float) -> None:
        """Print what has changed."""
        for one in services:
            now = state_text(one)
            if self._said.get(one.service, Phase.ABSENT.value) != now:
                _print(self._console, f"{seconds:6.1f} s  {one.service}: {now}")
            self._said[one.service] = now


def table(services: Sequence[ServiceState]) -> Table:
    """Return the services as a table: what `ps` prints, and what `up` draws."""
    # As wide as the screen: then the last column alone gives way, and the states stay whole.
    drawn = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for heading in ("service", "state", "health", "since"):
        drawn.add_column(heading, no_wrap=True)
    drawn.add_column("last line of its output", no_wrap=True, overflow="ellipsis", ratio=1)
    for one in services:
        container = one.container
        drawn.add_row(
            Text(plain_line(one.service)),
            Text(state_text(one), style=STYLES[one.phase]),
            Text(container.health.value if container is not None and container.health else "-"),
            Text("-" if container is None else duration(container.seconds)),
            Text(plain_line(one.last_line), style="dim"),
        )
    return drawn


def state_text(state: ServiceState) -> str:
    """Return how a service stands, in a few words."""
    container = state.container
    match state.phase:
        case Phase.FAILED:
            return plain_line(f"failed: {condition(state)}")
        case Phase.UP:
            healthy = container is not None and container.health is Health.HEALTHY
            return "up, healthy" if healthy else "up"
        case Phase.STARTING if container is not None and container.status is ContainerStatus.PAUSED:
            return "paused"
        case Phase.WAITING if state.waits_for:
            return plain_line(f"waiting for {', '.join(state.waits_for)}")
        case Phase.RESTARTING if container is not None:
            return f"restarting after exit code {container.exit_code}"
        case _:
            return state.phase.value


def duration(seconds: float) -> str:
    """Return a length of time as people write it: 4 s, 3 min, 2 h, 5 d."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def print_up(state: StackState, console: Console) -> None:
    """Print that a stack is up, and where it answers."""
    app = state.stack.app
    if state.changed:
        _print(console, f"{app} is up after {state.seconds:.1f} s.")
    else:
        _print(console, f"{app} is up already; nothing has changed.")
    for address in state.addresses:
        _print(console, f"  {address.service}: {address.text}")


def print_ps(app: str, services: Sequence[ServiceState], console: Console) -> None:
    """Print where each service of a stack stands."""
    if not services:
        _print(console, f"Nothing of {app} is up.")
    elif console.is_terminal:
        console.print(table(services))
    else:
        # A table is made for a screen's width; a log keeps lines whole.
        for one in services:
            since = duration(one.container.seconds) if one.container is not None else "-"
            _print(console, f"{one.service}: {state_text(one)}, since {since}. {plain_line(one.last_line)}".rstrip())


def print_down(app: str, removed: Removed, console: Console) -> None:
    """Print what was removed, and what is still there."""
    if removed.nothing:
        _print(console, f"Nothing of {app} is up: nothing to remove.")
    else:
        parts = [
            f"{len(names)} {kind}{'' if len(names) == 1 else 's'} ({', '.join(names)})"
            for kind, names in (
                ("container", removed.containers),
                ("network", removed.networks),
                ("volume", removed.volumes),
            )
            if names
        ]
        _print(console, f"{app} is down. Removed: {'; '.join(parts)}.")
    if removed.kept_volumes:
        _print(console, f"Its data stays: {', '.join(removed.kept_volumes)} (--volumes removes it, too).")


def print_log(line: LogLine, console: Console) -> None:
    """Print a line of a service's output, whole and as it is."""
    _print(console, f"{line.service} | {line.text}")


def _print(console: Console, text: str) -> None:
    # No markup, no highlighting, no wrapping: outside text reaches the screen as text.
    console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)


STACK_LOOK_STYLES = {Readiness.READY: "green", Readiness.NOTE: "yellow", Readiness.BLOCKED: "bold red"}


def print_preflight(found: Preflight, console: Console) -> None:
    """Print what was found, a line each with its fix below it, and what it comes to."""
    app = found.stack.app
    _stack_look_print(Text(f"{plain_line(app)}: {found.file} as {found.stack.compose_project}"), console)
    for service in found.services:
        waits = ", ".join(one.service for one in service.depends_on)
        _stack_look_print(
            Text(plain_line(f"{service.name}" + (f", after {waits}" if waits else ""))), console, indent=2
        )
    width = max((len(one.check) for one in found.findings), default=0)
    for one in found.findings:
        line = Text(one.readiness.value.ljust(8), style=STACK_LOOK_STYLES[one.readiness])
        line.append(f" {one.check:{width}}  {plain_line(one.what)}", style="default")
        _stack_look_print(line, console)
        if one.readiness is not Readiness.READY:
            more = " ".join(part for part in (f"{one.where}:" if one.where and one.fix else one.where, one.fix) if part)
            if more:
                _stack_look_print(Text(plain_line(more)), console, indent=width + 11)
    blocked = sum(one.readiness is Readiness.BLOCKED for one in found.findings)
    notes = sum(one.readiness is Readiness.NOTE for one in found.findings)
    if blocked:
        _stack_look_print(Text(f"{plain_line(app)} cannot be started: {blocked} to mend first."), console)
    else:
        more = f"; {notes} to know of" if notes else ""
        _stack_look_print(Text(f"{plain_line(app)} can be started{more}. Nothing was started or changed."), console)


def _stack_look_print(line: Text, console: Console, *, indent: int = 0) -> None:
    console.print(" " * indent, line, sep="", soft_wrap=True)


HEADINGS = {
    Fate.REFUSED: "Swarm cannot, and it is not deployed without:",
    Fate.RISK: "Careful, on a swarm this is otherwise:",
    Fate.LOST: "Swarm has nothing like it, and it is left out:",
    Fate.CHANGED: "Said in swarm's own words:",
}


class DeployLines:
    """A line for each service whose state has changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Print a message."""
        _print(self._console, plain_line(text))

    def show(self, services: tuple[SwarmServiceState, ...], seconds: float) -> None:
        """Print what has changed."""
        for one in services:
            now = swarm_condition(one)
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
    for one in state.services:
        _print(console, f"  {plain_line(one.service.name)} {swarm_condition(one)}")


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
