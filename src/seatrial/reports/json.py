"""Results as JSON for programs: smokes, stacks, deploys."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from seatrial.checks.verdict import Smoke, Verdict, worst
from seatrial.stack.state import Address, ContainerStatus, Removed, ServiceState, all_up
from seatrial.swarm.rollout import condition
from seatrial.swarm.state import ENDED as ENDED_TASKS
from seatrial.swarm.state import Note, RemovedStack, SwarmServiceState, Task

if TYPE_CHECKING:
    from seatrial.compose.runner import Stack
    from seatrial.errors import SeatrialError
    from seatrial.stack.preflight import Preflight


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
    """Return data as JSON in ASCII, so that a terminal takes nothing that an image said for a control code.

    A lone surrogate, which UTF-8 cannot hold, becomes a question mark.
    """
    text = json.dumps(msgspec.to_builtins(data, str_keys=True), indent=2, ensure_ascii=False)
    whole = text.encode("utf-8", "replace").decode()
    return json.dumps(json.loads(whole), indent=2) + "\n"


SCHEMA = 1
"""The form of these documents; a key that is taken away or changes its meaning raises it, a new key does not."""
ENDED = {ContainerStatus.EXITED, ContainerStatus.RESTARTING, ContainerStatus.DEAD}
"""The states that have an exit code; in any other the engine says 0, which means nothing."""


def _document(stack: Stack, **keys: Any) -> str:
    """Return a document about a stack: plain ASCII, by Python's own escapes, whatever a container printed."""
    head = {"schema": SCHEMA, "app": stack.app, "compose_project": stack.compose_project}
    return json.dumps({**head, **keys}, indent=2) + "\n"


def _swarm_document(app: str, stack: str, **keys: Any) -> str:
    """Return a document about a stack on a swarm; the app and the stack's name are empty while they are not known."""
    return json.dumps({"schema": SCHEMA, "app": app or None, "stack": stack or None, **keys}, indent=2) + "\n"


def _problem(error: SeatrialError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {"what": error.what, "where": error.where, "fix": error.fix, "detail": error.detail.splitlines()}


def up_document(
    stack: Stack,
    services: Sequence[ServiceState],
    *,
    addresses: Sequence[Address] = (),
    unanswered: Sequence[str] = (),
    changed: bool,
    seconds: float,
    problem: SeatrialError | None = None,
) -> str:
    """Return how bringing a stack up went; `problem` is why it is not up."""
    return _document(
        stack,
        up=problem is None,
        changed=changed,
        seconds=round(seconds, 3),
        services=[_service(service) for service in services],
        addresses=[{"service": address.service, "address": address.text} for address in addresses],
        unanswered=list(unanswered),
        problem=_problem(problem),
    )


def ps_document(stack: Stack, services: Sequence[ServiceState]) -> str:
    """Return the state of each service of a stack."""
    up = bool(services) and all_up(services)
    return _document(stack, up=up, services=[_service(service) for service in services])


def down_document(stack: Stack, removed: Removed, *, problem: SeatrialError | None = None) -> str:
    """Return what was removed of a stack; nothing where it could not be taken down whole."""
    return _document(
        stack,
        down=problem is None,
        removed={kind: list(getattr(removed, kind)) for kind in ("containers", "networks", "volumes")},
        kept_volumes=list(removed.kept_volumes),
        out_of_reach=list(removed.out_of_reach),
        left_alone=list(removed.strangers),
        problem=_problem(problem),
    )


def restart_plan_document(stack: Stack, services: Sequence[str], *, problem: SeatrialError | None = None) -> str:
    """Return the names of the services that would be restarted."""
    return _document(stack, would_restart=list(services), problem=_problem(problem))


def preflight_document(found: Preflight) -> str:
    """Return what was checked before a start."""
    checks = [
        {
            "check": finding.check,
            "standing": finding.readiness.value,
            "what": finding.what,
            "where": finding.where,
            "fix": finding.fix,
            "evidence": list(finding.evidence),
            "severity": finding.result,
        }
        for finding in found.findings
    ]
    return _document(found.stack, file=str(found.file), ready=found.ready, checks=checks)


def _service(state: ServiceState) -> dict[str, Any]:
    made: dict[str, Any] = {"service": state.service, "state": state.phase.value, "waits_for": list(state.waits_for)}
    if container := state.container:
        made |= {
            "container": container.name,
            "status": container.status.value,
            "health": container.health.value if container.health is not None else None,
            "since_seconds": round(container.seconds, 3),
            "exit_code": container.exit_code if container.status in ENDED else None,
            "restarts": container.restarts,
            "health_outputs": list(container.health_outputs),
        }
    return made | {"last_line": state.last_line}


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
    """Return how a deploy went; `nodes` are host names by id, and `problem` is why it is not deployed."""
    return _swarm_document(
        app,
        stack,
        deployed=problem is None,
        changed=changed,
        seconds=round(seconds, 3),
        services=[_swarm_service(service, nodes) for service in services],
        notes=_notes(notes),
        problem=_problem(problem),
    )


def plan_document(app: str, stack: str, *, notes: Sequence[Note], problem: SeatrialError | None = None) -> str:
    """Return whether a compose file can be deployed, and what happens to it."""
    return _swarm_document(app, stack, deployable=problem is None, notes=_notes(notes), problem=_problem(problem))


def removed_document(
    app: str,
    stack: str,
    *,
    found: RemovedStack | None,
    left: RemovedStack | None,
    seconds: float,
    problem: SeatrialError | None = None,
) -> str:
    """Return what was removed of a stack: what there was and what is left, each None where the swarm was not asked."""
    before, now = _held(found), _held(left)
    return _swarm_document(
        app,
        stack,
        gone=problem is None and left is not None and left.nothing,
        seconds=round(seconds, 3),
        removed={kind: [name for name in names if name not in now[kind]] for kind, names in before.items()},
        left=now,
        kept_volumes=list(found.kept_volumes) if found is not None else [],
        problem=_problem(problem),
    )


def _swarm_service(state: SwarmServiceState, nodes: Mapping[str, str]) -> dict[str, Any]:
    service = state.service
    return {
        "service": service.name,
        "state": state.phase.value,
        "condition": condition(state),
        "job": service.job,
        "wanted": state.wanted,
        "running": state.running,
        "update": service.update.value if service.update is not None else None,
        "tasks": [_task(task, nodes) for task in state.telling],
    }


def _task(task: Task, nodes: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": task.id,
        "slot": task.slot or None,
        "node": nodes.get(task.node_id, task.node_id) or None,
        "container": task.container_id or None,
        "state": task.state,
        "error": task.error,
        # The engine says 0, which means nothing, for a task that has not ended or never ran.
        "exit_code": task.exit_code if task.state in ENDED_TASKS and task.container_id else None,
    }


def _notes(notes: Sequence[Note]) -> list[dict[str, str]]:
    return [{"fate": note.outcome.value, "place": note.place, "text": note.text} for note in notes]


def _held(stack: RemovedStack | None) -> dict[str, list[str]]:
    kinds = ("services", "networks", "secrets", "configs")
    return {kind: list(getattr(stack, kind)) if stack is not None else [] for kind in kinds}
