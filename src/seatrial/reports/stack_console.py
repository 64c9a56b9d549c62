"""Stacks on the console: a live table on a terminal while one comes up, elsewhere a line per change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from seatrial.compose.readiness import Readiness
from seatrial.stack.explain import condition
from seatrial.stack.state import ContainerStatus, Health, Observer, Phase, Removed, ServiceState, StackState
from seatrial.swarm.rollout import condition as swarm_condition
from seatrial.swarm.state import Conversion, Deployed, Outcome, RemovedStack, SwarmServiceState
from seatrial.text import counted, plain, plain_line

if TYPE_CHECKING:
    from seatrial.stack.inspect import LogLine
    from seatrial.stack.preflight import Preflight

STYLES = {
    Phase.ABSENT: "dim",
    Phase.WAITING: "dim",
    Phase.STARTING: "yellow",
    Phase.RESTARTING: "red",
    Phase.UP: "green",
    Phase.DONE: "green",
    Phase.FAILED: "bold red",
}
READINESS_STYLES = {
    Readiness.READY: "green",
    Readiness.NOTE: "yellow",
    Readiness.ERROR: "bold red",
    Readiness.BLOCKED: "bold red",
}
COUNTED = ("error", "warning", "note")
WORD_WIDTH = len("undecided")
HEADINGS = {
    Outcome.REFUSED: "Swarm cannot do this, and the stack is not deployed without it:",
    Outcome.RISK: "Behaves differently on Swarm:",
    Outcome.LOST: "Swarm has no equivalent; left out:",
    Outcome.CHANGED: "Converted for Swarm:",
}
State = TypeVar("State")


@contextmanager
def progress(console: Console) -> Iterator[Observer]:
    """Show how a stack comes up while the block runs."""
    if not console.is_terminal:
        yield ChangedLines(console, describe_service)
        return
    with Live(console=console, refresh_per_second=8) as live:
        yield LiveTable(live)


class LiveTable:
    """One table that is drawn again at each look."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def say(self, text: str) -> None:
        """Print a message above the table."""
        _print(self._live.console, plain(text))

    def show(self, services: tuple[ServiceState, ...], seconds: float) -> None:
        """Draw the table."""
        drawn = table(services)
        drawn.caption = f"{seconds:.0f} s"
        drawn.caption_justify = "left"
        self._live.update(drawn)


class ChangedLines(Generic[State]):
    """A line for each service whose state, in the words of `describe`, has changed."""

    def __init__(self, console: Console, describe: Callable[[State], tuple[str, str]]) -> None:
        self._console = console
        self._describe = describe
        self._shown: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Print a message."""
        _print(self._console, plain(text))

    def show(self, states: tuple[State, ...], seconds: float) -> None:
        """Print what has changed."""
        for service, words in map(self._describe, states):
            if self._shown.get(service, Phase.ABSENT.value) != words:
                _print(self._console, f"{seconds:6.1f} s  {plain_line(f'{service}: {words}')}")
            self._shown[service] = words


def describe_service(state: ServiceState) -> tuple[str, str]:
    """Return a service's name and state."""
    return state.service, state_text(state)


def describe_swarm_service(state: SwarmServiceState) -> tuple[str, str]:
    """Return a service's name and state on a swarm, with the error of a task of it."""
    error = "" if state.good else next((f"; {task.error}" for task in state.telling if task.error), "")
    return state.service.name, swarm_condition(state) + error


def table(services: Sequence[ServiceState]) -> Table:
    """Return the services as a table: what `ps` prints, and what `up` draws."""
    # As wide as the screen: only the last column is cut then.
    drawn = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for heading in ("service", "state", "health", "since"):
        drawn.add_column(heading, no_wrap=True)
    drawn.add_column("last line of its output", no_wrap=True, overflow="ellipsis", ratio=1)
    for state in services:
        container = state.container
        drawn.add_row(
            Text(plain_line(state.service)),
            Text(state_text(state), style=STYLES[state.phase]),
            Text(container.health.value if container is not None and container.health else "-"),
            Text("-" if container is None else duration(container.seconds)),
            Text(plain_line(state.last_line), style="dim"),
        )
    return drawn


def state_text(state: ServiceState) -> str:
    """Return the state of a service in a few words."""
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
    how = f"up after {state.seconds:.1f} s" if state.changed else "up already; nothing has changed"
    _print(console, f"{app} is {how}.")
    for address in state.addresses:
        _print(console, f"  {address.service}: {address.text}")
    for clause in state.unanswered:
        _print(console, f"Nothing answers: {clause}.")


def print_ps(app: str, services: Sequence[ServiceState], console: Console) -> None:
    """Print the state of each service of a stack."""
    if not services:
        _print(console, f"Nothing of {app} is up.")
    elif console.is_terminal:
        console.print(table(services))
    else:
        # A log keeps lines whole, which a table does not.
        for state in services:
            since = duration(state.container.seconds) if state.container is not None else "-"
            line = f"{state.service}: {state_text(state)}, since {since}. {plain_line(state.last_line)}"
            _print(console, line.rstrip())


def print_down(app: str, removed: Removed, console: Console) -> None:
    """Print what was removed, and what is still there."""
    if removed.nothing:
        _print(console, f"Nothing of {app} is up: nothing to remove.")
    else:
        _print(console, f"{app} is down. Removed: {_counted(removed, ('container', 'network', 'volume'))}.")
    if removed.kept_volumes:
        _print(console, f"Its data stays: {', '.join(removed.kept_volumes)} (--volumes removes it, too).")
    if removed.out_of_reach:
        _print(
            console,
            f"Not there at the next start: the data of {', '.join(removed.out_of_reach)}, in volumes without a name. "
            "Mount a named volume there to keep it.",
        )
    if removed.strangers:
        names = ", ".join(removed.strangers)
        _print(console, f"Left alone: {names}. Compose did not make it: the label of {app} is its image's.")


def print_log(line: LogLine, console: Console) -> None:
    """Print a line of a service's output, whole and as it is."""
    _print(console, f"{line.service} | {line.text}")


def print_preflight(found: Preflight, console: Console) -> None:
    """Print what was checked, a line each with its fix below it, and the result."""
    app = plain_line(found.stack.app)
    _print(console, f"{app}: {found.file} as {found.stack.compose_project}")
    for service in found.services:
        needed = ", ".join(dependency.service for dependency in service.depends_on)
        _print(console, plain_line(service.name + (f", after {needed}" if needed else "")), indent=2)
    width = max((len(finding.check) for finding in found.findings), default=0)
    for finding in found.findings:
        line = Text(finding.word.ljust(WORD_WIDTH), style=READINESS_STYLES[finding.readiness])
        _print(console, line.append(f" {finding.check:{width}}  {plain_line(finding.what)}", style="default"))
        if finding.readiness is not Readiness.READY and (finding.where or finding.fix):
            more = ": ".join(filter(None, (finding.where, finding.fix)))
            _print(console, plain_line(more), indent=width + WORD_WIDTH + 3)
        for said in finding.evidence:
            _print(console, plain_line(said), indent=width + WORD_WIDTH + 3)
    counts = Counter(finding.word for finding in found.findings)
    if blocked := counts[Readiness.BLOCKED.value]:
        _print(console, f"{app} cannot be started: {blocked} to fix first.")
    else:
        told = [counted(counts[word], word) for word in COUNTED if counts[word]]
        told += [f"{undecided} undecided"] if (undecided := counts["undecided"]) else []
        _print(console, f"{'; '.join([f'{app} can be started', *told])}. Nothing was started or changed.")


def print_notes(conversion: Conversion, console: Console) -> None:
    """Print what happens to a compose file on a swarm: what matters most comes first."""
    for outcome, heading in HEADINGS.items():
        notes = [note for note in conversion.notes if note.outcome is outcome]
        if notes:
            _print(console, heading)
        for note in notes:
            _print(console, f"  {plain_line(note.place)}: {plain_line(note.text)}")


def print_deployed(state: Deployed, console: Console) -> None:
    """Print that a stack is deployed."""
    how = f"deployed after {state.seconds:.1f} s" if state.changed else "deployed already; nothing has changed"
    _print(console, f"{state.name} is {how}.")
    for service in state.services:
        _print(console, f"  {plain_line(service.service.name)} {swarm_condition(service)}")


def print_removed(name: str, removed: RemovedStack, console: Console, *, planned: bool = False) -> None:
    """Print what was removed of a stack, or with `planned` what would be."""
    if removed.nothing:
        _print(console, f"Nothing of the stack {name} is on this swarm.")
    else:
        gone = _counted(removed, ("service", "network", "secret", "config"))
        _print(console, f"{'Would be removed' if planned else 'Removed'}: {gone}.")
    if removed.kept_volumes:
        kept = ", ".join(removed.kept_volumes)
        _print(console, f"Its data stays on this node: {kept}; other nodes may hold more (`docker volume ls` there).")


def _counted(removed: Removed | RemovedStack, kinds: Sequence[str]) -> str:
    """Return what is removed, by kind: `2 containers (a, b); 1 network (c)`."""
    names: dict[str, Sequence[str]] = {kind: getattr(removed, f"{kind}s") for kind in kinds}
    return "; ".join(f"{counted(len(found), kind)} ({', '.join(found)})" for kind, found in names.items() if found)


def _print(console: Console, text: str | Text, *, indent: int = 0) -> None:
    """Print a line that is not wrapped. A string becomes a Text: what it holds is not taken for markup."""
    console.print(Text(" " * indent).append(text), soft_wrap=True)
