"""A deploy as JSON, for programs: what `deploy`, `deploy --dry-run` and `deploy --remove` say with `--format json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.reports.stack_data import SCHEMA, problem_table, text
from seatrial.stack.swarm.explain import condition
from seatrial.stack.swarm.model import ENDED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.errors import SeatrialError
    from seatrial.stack.swarm.model import Note, RemovedStack, Standing, Task


def deploy_document(
    app: str,
    stack: str,
    standings: Sequence[Standing],
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
        standings: where each service stands; of a deploy that failed, where it stood last.
        notes: what became of the compose file.
        nodes: the host name of each node, by id.
        changed: whether the swarm was changed.
        seconds: how long it took.
        problem: why it is not deployed; None where it is.

    """
    return text(
        {
            **_head(app, stack),
            "deployed": problem is None,
            "changed": changed,
            "seconds": round(seconds, 3),
            "services": [_service(one, nodes) for one in standings],
            "notes": _notes(notes),
            "problem": problem_table(problem),
        }
    )


def plan_document(app: str, stack: str, *, notes: Sequence[Note], problem: SeatrialError | None = None) -> str:
    """Return whether a compose file can be deployed, and what becomes of it."""
    return text(
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
    return text(
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


def _service(standing: Standing, nodes: Mapping[str, str]) -> dict[str, Any]:
    service = standing.service
    return {
        "service": service.name,
        "state": standing.phase.value,
        "condition": condition(standing),
        "job": service.job,
        "wanted": standing.wanted,
        "running": standing.running,
        "update": service.update.value if service.update is not None else None,
        "tasks": [_task(one, nodes) for one in standing.telling],
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
