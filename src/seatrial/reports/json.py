"""Results as JSON for programs: smokes, stacks, deploys. docs/json.md names every key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from seatrial.checks.verdict import Smoke, Verdict, worst
from seatrial.stack.state import ContainerStatus, Removed, all_up
from seatrial.swarm.rollout import condition
from seatrial.swarm.state import ENDED as ENDED_TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.compose.services import Stack
    from seatrial.errors import SeatrialError
    from seatrial.stack.preflight import Preflight
    from seatrial.stack.state import Address, ServiceState
    from seatrial.swarm.conversion import Note
    from seatrial.swarm.state import RemovedStack, SwarmServiceState, Task


class Smokes(msgspec.Struct, frozen=True, kw_only=True):
    """Several smokes in one document."""

    schema: Literal[1] = 1
    verdict: Verdict
    """The worst of them: a failure counts most, then what could not be decided."""
    smokes: tuple[Smoke, ...]


def as_json(smokes: Sequence[Smoke]) -> str:
    """Return one smoke as an object; several as an object with a list of them."""
    data = smokes[0] if len(smokes) == 1 else Smokes(verdict=worst(smokes), smokes=tuple(smokes))
    return dumped(data)


def dumped(data: object) -> str:
    """Return data as JSON of ASCII letters alone.

    What came from the image is escaped, and no terminal that it is printed on takes it for a code. Half of a pair of
    surrogates, which no UTF-8 holds, becomes the sign for what cannot be shown.
    """
    text = json.dumps(msgspec.to_builtins(data, str_keys=True), indent=2, ensure_ascii=False)
    whole = text.encode("utf-8", "replace").decode()
    return json.dumps(json.loads(whole), indent=2) + "\n"


SCHEMA = 1
"""The form of these documents; a key that is taken away or changes its meaning raises it, a new key does not."""

ENDED = {ContainerStatus.EXITED, ContainerStatus.RESTARTING, ContainerStatus.DEAD}
"""The states that have an exit code; in any other the engine says 0, which means nothing."""


def up_document(
    stack: Stack,
    services: Sequence[ServiceState],
    *,
    addresses: Sequence[Address] = (),
    changed: bool,
    seconds: float,
    problem: SeatrialError | None = None,
) -> str:
    """Return how bringing a stack up went.

    Args:
        stack: the stack.
        services: how each service stands; of a stack that did not come up, how it stood last.
        addresses: where it answers.
        changed: whether anything was started.
        seconds: how long it took.
        problem: why it is not up; None where it is.

    """
    return stack_data_text(
        {
            **_head(stack),
            "up": problem is None,
            "changed": changed,
            "seconds": round(seconds, 3),
            "services": [_service(one) for one in services],
            "addresses": [{"service": one.service, "address": one.text} for one in addresses],
            "problem": problem_table(problem),
        }
    )


def ps_document(stack: Stack, services: Sequence[ServiceState]) -> str:
    """Return how each service of a stack stands."""
    up = bool(services) and all_up(services)
    return stack_data_text({**_head(stack), "up": up, "services": [_service(one) for one in services]})


def down_document(stack: Stack, removed: Removed, *, problem: SeatrialError | None = None) -> str:
    """Return what was removed of a stack; nothing is known of that where it could not be taken down whole."""
    return stack_data_text(
        {
            **_head(stack),
            "down": problem is None,
            "removed": {
                "containers": list(removed.containers),
                "networks": list(removed.networks),
                "volumes": list(removed.volumes),
            },
            "kept_volumes": list(removed.kept_volumes),
            "problem": problem_table(problem),
        }
    )


def restart_plan_document(stack: Stack, services: Sequence[str], *, problem: SeatrialError | None = None) -> str:
    """Return the names of the services that would be restarted."""
    return stack_data_text({**_head(stack), "would_restart": list(services), "problem": problem_table(problem)})


def preflight_document(found: Preflight) -> str:
    """Return what was looked at before a start."""
    checks = [
        {
            "check": one.check,
            "standing": one.readiness.value,
            "what": one.what,
            "where": one.where,
            "fix": one.fix,
        }
        for one in found.findings
    ]
    return stack_data_text({**_head(found.stack), "file": str(found.file), "ready": found.ready, "checks": checks})


def _head(stack: Stack) -> dict[str, Any]:
    return {"schema": SCHEMA, "app": stack.app, "compose_project": stack.compose_project}


def _service(state: ServiceState) -> dict[str, Any]:
    one = state.container
    found: dict[str, Any] = {"service": state.service, "state": state.phase.value, "waits_for": list(state.waits_for)}
    if one is not None:
        found |= {
            "container": one.name,
            "status": one.status.value,
            "health": one.health.value if one.health is not None else None,
            "since_seconds": round(one.seconds, 3),
            "exit_code": one.exit_code if one.status in ENDED else None,
            "restarts": one.restarts,
            "health_outputs": list(one.health_outputs),
        }
    return found | {"last_line": state.last_line}


def problem_table(error: SeatrialError | None) -> dict[str, Any] | None:
    """Return a problem's parts; None where there is none."""
    if error is None:
        return None
    return {"what": error.what, "where": error.where, "fix": error.fix, "detail": error.detail.splitlines()}


def stack_data_text(document: dict[str, Any]) -> str:
    """Return a document as JSON: plain ASCII, by Python's own escapes, whatever a container printed."""
    return json.dumps(document, indent=2) + "\n"


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
            **_stack_head(app, stack),
            "deployed": problem is None,
            "changed": changed,
            "seconds": round(seconds, 3),
            "services": [_deployed_service(one, nodes) for one in services],
            "notes": _notes(notes),
            "problem": problem_table(problem),
        }
    )


def plan_document(app: str, stack: str, *, notes: Sequence[Note], problem: SeatrialError | None = None) -> str:
    """Return whether a compose file can be deployed, and what becomes of it."""
    return stack_data_text(
        {
            **_stack_head(app, stack),
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
            **_stack_head(app, stack),
            "gone": problem is None and left is not None and left.nothing,
            "seconds": round(seconds, 3),
            "removed": removed,
            "left": now,
            "kept_volumes": list(found.kept_volumes) if found is not None else [],
            "problem": problem_table(problem),
        }
    )


def _stack_head(app: str, stack: str) -> dict[str, Any]:
    return {"schema": SCHEMA, "app": app or None, "stack": stack or None}


def _deployed_service(state: SwarmServiceState, nodes: Mapping[str, str]) -> dict[str, Any]:
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
        "exit_code": task.exit_code if task.state in ENDED_TASKS and task.container_id else None,
    }


def _notes(notes: Sequence[Note]) -> list[dict[str, str]]:
    return [{"fate": one.fate.value, "place": one.place, "text": one.text} for one in notes]


def _held(stack: RemovedStack | None) -> dict[str, list[str]]:
    return {
        kind: list(getattr(stack, kind)) if stack is not None else []
        for kind in ("services", "networks", "secrets", "configs")
    }
