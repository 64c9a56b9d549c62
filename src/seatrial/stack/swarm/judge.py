"""Decides where the services of a stack stand on the swarm; plain functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.stack.swarm.model import BROKEN, Phase, Standing, Update

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from seatrial.stack.swarm.model import SwarmService, Task


def standings(
    services: Iterable[SwarmService], tasks: Sequence[Task], *, before: frozenset[str]
) -> tuple[Standing, ...]:
    """Return where each service stands.

    Args:
        services: the services of the stack.
        tasks: all tasks of the stack.
        before: the ids of the tasks that were there before this deploy: how those end is no failure of it.

    """
    return tuple(_standing(one, [task for task in tasks if task.service_id == one.id], before) for one in services)


def _standing(service: SwarmService, tasks: Sequence[Task], before: frozenset[str]) -> Standing:
    # What is to stay and ends with exit code 0 counts as complete; when swarm itself ends it, as shut down.
    ends = BROKEN if service.job else BROKEN | {"complete"}
    broken = sorted(
        (task for task in tasks if task.state in ends and task.id not in before),
        key=lambda task: task.changed,
        reverse=True,
    )
    if service.job:
        phase, running, wanted = _job(service, tasks)
    else:
        phase, running, wanted = _staying(service, tasks, failed=bool(broken))
    unready = tuple(task for task in tasks if task.active and task.current and task.state != "running")
    return Standing(service=service, phase=phase, running=running, wanted=wanted, broken=tuple(broken), unready=unready)


def _job(service: SwarmService, tasks: Sequence[Task]) -> tuple[Phase, int, int]:
    mine = [task for task in tasks if task.job_round == service.job_round]
    done = sum(task.state == "complete" for task in mine)
    # A job on each node has as many tasks as there are nodes; each failed one is followed by another.
    wanted = service.replicas if service.replicas is not None else sum(task.state not in BROKEN for task in mine)
    if done >= wanted and (done or service.replicas == 0):
        return Phase.DONE, done, wanted
    if mine and all(task.over or task.state == "complete" for task in mine):
        return Phase.FAILED, done, wanted
    return Phase.DEPLOYING, done, wanted


def _staying(service: SwarmService, tasks: Sequence[Task], *, failed: bool) -> tuple[Phase, int, int]:
    active = [task for task in tasks if task.active]
    running = sum(task.current and task.state == "running" for task in active)
    wanted = service.replicas if service.replicas is not None else sum(task.current for task in active)
    match service.update:
        case Update.ROLLED_BACK | Update.ROLLBACK_PAUSED | Update.PAUSED:
            return (Phase.ROLLED_BACK if service.update is Update.ROLLED_BACK else Phase.FAILED), running, wanted
        case Update.ROLLING_BACK:
            return Phase.ROLLING_BACK, running, wanted
        case Update.UPDATING:
            return Phase.DEPLOYING, running, wanted
        case _:
            pass
    if running >= wanted and all(task.current for task in active) and (active or not wanted):
        # One task on each node: none are there before swarm has looked at the nodes.
        settled = service.replicas is not None or bool(active)
        return (Phase.UP if settled else Phase.DEPLOYING), running, wanted
    if failed and wanted and all(task.over for task in tasks):
        # It may not be started again.
        return Phase.FAILED, running, wanted
    return Phase.DEPLOYING, running, wanted
