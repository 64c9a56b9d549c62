"""A deploy to a swarm: a line per change on the console, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.reports.json import SCHEMA, problem_table, stack_data_text
from seatrial.swarm.conversion import Fate
from seatrial.swarm.rollout import condition
from seatrial.swarm.state import ENDED
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from seatrial.errors import SeatrialError
    from seatrial.swarm.conversion import Conversion, Note
    from seatrial.swarm.state import Deployed, RemovedStack, SwarmServiceState, Task


def deploy_document(
    app: str,
    stack: str,
    services: Sequence[SwarmServiceState],
    *,
    notes: Sequence[Note],
    nodes: Mapping[str, str],
    changed: bool,
    seconds: float,
    problem: SeatrialError | None = None,
) -> str:
    """Return how a deploy went.

    Args:
        app: the app; empty where it is not known which is meant.
        stack: the stack's name on the swarm; empty where it has none yet.
        services: where each service stands; of a deploy that failed, where it stood last.
        notes: what became of the compose file.
        nodes: the host name of each node, by id.
        changed: whether the swarm was changed.
        seconds: how long it took.
        problem: why it is not deployed; None where it is.

    """
    return stack_data_text(
        {
            **_head(app, stack),
            "deployed": problem is None,
            "changed": changed,
            "seconds": round(seconds, 3),
            "services": [_service(one, nodes) for one in services],
            "notes": _notes(notes),
            "problem": problem_table(problem),
        }
    )


def plan_document(app: str, stack: str, *, notes: Sequence[Note], problem: SeatrialError | None = None) -> str:
    """Return whether a compose file can be deployed, and what becomes of it."""
    return stack_data_text(
        {
            **_head(app, stack),
            "deployable": problem is None,
            "notes": _notes(notes),
            "problem": problem_table(problem),
        }
    )


def removed_document(
    app: str,
    stack: str,
    *,
    found: RemovedStack | None,
    left: RemovedStack | None,
    seconds: float,
    problem: SeatrialError | None = None,
) -> str:
    """Return what was removed of a stack.

    Args:
        app: the app; empty where it is not known which is meant.
        stack: the stack's name; empty where it has none.
        found: what there was; None where nobody could look.
        left: what there is by now; None where nobody could look.
        seconds: how long it took.
        problem: why not all of it is gone; None where it is, or was to stay.

    """
    before, now = _held(found), _held(left)
    removed = {kind: [name for name in names if name not in now[kind]] for kind, names in before.items()}
    return stack_data_text(
        {
            **_head(app, stack),
            "gone": problem is None and left is not None and left.nothing,
            "seconds": round(seconds, 3),
            "removed": removed,
            "left": now,
            "kept_volumes": list(found.kept_volumes) if found is not None else [],
            "problem": problem_table(problem),
        }
    )


def _head(app: str, stack: str) -> dict[str, Any]:
    return {"schema": SCHEMA, "app": app or None, "stack": stack or None}


def _service(state: SwarmServiceState, nodes: Mapping[str, str]) -> dict[str, Any]:
    service = state.service
    return {
        "service": service.name,
        "state": state.phase.value,
        "condition": condition(state),
        "job": service.job,
        "wanted": state.wanted,
        "running": state.running,
        "update": service.update.value if service.update is not None else None,
        "tasks": [_task(one, nodes) for one in state.telling],
    }


def _task(task: Task, nodes: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": task.id,
        "slot": task.slot or None,
        "node": nodes.get(task.node_id, task.node_id) or None,
        "container": task.container_id or None,
        "state": task.state,
        "error": task.error,
        # Of what has not ended, or never ran, the engine says 0, which means nothing.
        "exit_code": task.exit_code if task.state in ENDED and task.container_id else None,
    }


def _notes(notes: Sequence[Note]) -> list[dict[str, str]]:
    return [{"fate": one.fate.value, "place": one.place, "text": one.text} for one in notes]


def _held(stack: RemovedStack | None) -> dict[str, list[str]]:
    return {
        kind: list(getattr(stack, kind)) if stack is not None else []
        for kind in ("services", "networks", "secrets", "configs")
    }


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
    for one in state.services:
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
