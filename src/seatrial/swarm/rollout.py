"""Watches a deploy until the swarm has converged, has given up or timed out, and explains why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from seatrial.engine.containers import engine_errors
from seatrial.engine.startup import IDLE_FOR, StartFollower
from seatrial.errors import StackFailedError
from seatrial.stack import inspect
from seatrial.swarm import cluster
from seatrial.swarm.state import BROKEN, FINAL_FAILURES, Phase, SwarmServiceState, Update

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from seatrial.engine.find import Engine
    from seatrial.stack.wait import Clock
    from seatrial.swarm.state import Swarm, SwarmService, Task


def service_states(
    services: Iterable[SwarmService], tasks: Sequence[Task], *, before: frozenset[str]
) -> tuple[SwarmServiceState, ...]:
    """Return the state of each service.

    How tasks end that were there before this deploy is not a failure of it: `before` are their ids.
    """
    return tuple(
        _service_state(service, [task for task in tasks if task.service_id == service.id], before)
        for service in services
    )


def _service_state(service: SwarmService, tasks: Sequence[Task], before: frozenset[str]) -> SwarmServiceState:
    # What should keep running and ends with exit code 0 counts as complete; when swarm itself ends it, as shut down.
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
    return SwarmServiceState(
        service=service, phase=phase, running=running, wanted=wanted, broken=tuple(broken), unready=unready
    )


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
        # One task on each node: none are there before swarm has assigned any.
        settled = service.replicas is not None or bool(active)
        return (Phase.UP if settled else Phase.DEPLOYING), running, wanted
    if failed and wanted and all(task.over for task in tasks):
        # It may not be started again.
        return Phase.FAILED, running, wanted
    return Phase.DEPLOYING, running, wanted


LOG_LINES = 20
"""Lines of a failed service's output that are shown."""
MOST_TASKS = 3
"""Tasks of a service that are described, each with another state or error."""
WORDS = {
    Phase.UP: "is up ({})",
    Phase.DONE: "has completed",
    Phase.ROLLED_BACK: "was rolled back: what ran before runs on ({})",
    Phase.ROLLING_BACK: "is being rolled back",
    Phase.FAILED: "failed, and is not started again",
}
UNSETTLED = f"all services run; not all have for {IDLE_FOR:g} s, or have finished starting"
MISSING_IMAGE = "No such image"


def blamed(services: Sequence[SwarmServiceState]) -> tuple[SwarmServiceState, ...]:
    """Return the services to blame: those that failed for good, else those that are not up."""
    failed = tuple(state for state in services if state.phase in FINAL_FAILURES)
    return failed or tuple(state for state in services if not state.good)


def explain(
    stack: str,
    services: Sequence[SwarmServiceState],
    swarm: Swarm,
    *,
    outputs: Mapping[str, Sequence[str]],
    checks: Mapping[str, Sequence[str]],
    timed_out: float | None = None,
) -> StackFailedError:
    """Return the error that tells why a stack was not deployed.

    `outputs` are the last lines of the failed tasks, by service; `checks` what the last health checks said, by task;
    `timed_out` the seconds after which it timed out.
    """
    culprits = blamed(services)
    who = "; ".join(f"{state.service.name} {condition(state)}" for state in culprits)
    late = f" after {timed_out:g} s" if timed_out is not None else ""
    lines = [line for state in culprits for line in _evidence(state, swarm, outputs, checks)]
    if rest := [state for state in services if state not in culprits]:
        lines.append("the others: " + ", ".join(f"{state.service.name} {condition(state)}" for state in rest))
    return StackFailedError(
        f"{stack} is not deployed{late}: {who or UNSETTLED}.",
        where=f"stack {stack}",
        fix=_fix(culprits, stack, timed_out=timed_out),
        detail="\n".join(lines),
    )


def condition(state: SwarmServiceState) -> str:
    """Return the state of a service in words, to follow its name."""
    count = f"{state.running} of {state.wanted}"
    match state.phase:
        case Phase.DEPLOYING:
            return f"completed {count}" if state.service.job else f"runs {count}"
        case Phase.FAILED if state.service.update in {Update.PAUSED, Update.ROLLBACK_PAUSED}:
            return f"stopped part of the way ({state.service.update})"
        case _:
            return WORDS[state.phase].format(count)


def _evidence(
    state: SwarmServiceState, swarm: Swarm, outputs: Mapping[str, Sequence[str]], checks: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    name = state.service.name
    yield f"{name} {condition(state)}"
    described: set[tuple[str, str]] = set()
    for task in state.telling:
        if (task.state, task.error) in described:
            continue
        described.add((task.state, task.error))
        yield f"  {_task(name, task, swarm)}"
        if said := checks.get(task.id):
            yield "    its last health checks:"
            yield from (f"      {line}" for line in said)
        if len(described) == MOST_TASKS:
            break
    if output := outputs.get(name):
        yield "  its last output:"
        yield from (f"    {line}" for line in output[-LOG_LINES:])
    elif any(task.container_id for task in state.telling):
        yield "  it printed nothing that can be read"


def _task(name: str, task: Task, swarm: Swarm) -> str:
    where = f" on {swarm.names.get(task.node_id, task.node_id)}" if task.node_id else ""
    code = f", exit code {task.exit_code}" if task.exit_code else ""
    number = f".{task.slot}" if task.slot else ""
    who = f"the task {name}{number}{where}"
    if task.active:
        return f"{who} is {task.state}" + (f": {task.error}" if task.error else "")
    if task.state == "complete":
        return f"{who} ended with exit code 0 but should have kept running: by itself, or as it was unhealthy"
    return f"{who} {task.state}: {task.error or 'no reason is given'}{code}"


def _fix(culprits: Sequence[SwarmServiceState], stack: str, *, timed_out: float | None) -> str:
    if any(MISSING_IMAGE in task.error for state in culprits for task in state.broken):
        return "Bring the image to each node: `docker save NAME | docker --host NODE load`, or push it to a registry."
    if any(state.broken for state in culprits):
        # What ends again and again does not need more time.
        return f"Fix why it ends, then deploy again; `docker stack ps --no-trunc {stack}` shows more."
    if timed_out is not None:
        return f"Fix it, or allow more time with --timeout; `docker stack ps --no-trunc {stack}` shows more."
    return "Fix it, then deploy again."


POLL = 0.5
"""Seconds between two polls of the swarm."""
SETTLE = IDLE_FOR
"""Seconds that all must stay up before it counts: on other nodes, nothing else tells when a start is over."""
GIVEN_UP = 2.0
"""Seconds that a failure must last: between the end of a task and the start of its successor there is a moment."""


class DeployObserver(Protocol):
    """Shows how a deploy goes."""

    def say(self, text: str) -> None:
        """Take a message for a person."""

    def show(self, services: tuple[SwarmServiceState, ...], seconds: float) -> None:
        """Take the state of every service, `seconds` after the start."""


class NodeStarts:
    """Follows the starts of the tasks on the engine's own node that have no health check."""

    def __init__(self, swarm: Swarm, engine: Engine) -> None:
        self._swarm = swarm
        self._engine = engine
        self._followers: dict[str, StartFollower | None] = {}
        """By task; None of one with a health check: swarm itself waits for that."""
        self._over: set[str] = set()

    def are_over(self, tasks: Sequence[Task], now: float) -> bool:
        """Look once, and tell whether all are over."""
        mine = [task for task in tasks if task.container_id and task.node_id == self._swarm.node]
        # Each is looked at: how idle it has been is counted from the first look on.
        looks = [self._is_over(task, now) for task in mine if task.active and task.state == "running"]
        return all(looks)

    def _is_over(self, task: Task, now: float) -> bool:
        if task.id not in self._followers:
            self._followers[task.id] = self._follower(task)
        follower = self._followers[task.id]
        if task.id not in self._over and (follower is None or follower.is_over(now)):
            self._over.add(task.id)
        return task.id in self._over

    def _follower(self, task: Task) -> StartFollower | None:
        with engine_errors("inspecting the swarm's containers", ignoring=[404]):
            inspected = self._engine.client.api.inspect_container(task.container_id)
            container = inspect.read_container(inspected, now=None)
            if container.health is None:
                return StartFollower(
                    client=self._engine.client.api, container=container.id, ports=container.exposed, required=False
                )
        return None


def until_converged(
    stack: str,
    swarm: Swarm,
    engine: Engine,
    observer: DeployObserver,
    *,
    before: frozenset[str],
    settle: float,
    timeout: float,
    clock: Clock,
) -> tuple[SwarmServiceState, ...]:
    """Wait until every service is up or has completed, and has stayed so for `settle` seconds.

    `before` are the ids of the tasks that were there before the deploy. Raises a StackFailedError where a service
    failed or was rolled back, or it took longer than `timeout` seconds.
    """
    start = clock.monotonic()
    starts = NodeStarts(swarm, engine)
    good_since: float | None = None
    failed_since: float | None = None
    while True:
        services = cluster.services(stack, engine)
        tasks = cluster.tasks(stack, engine, services)
        found = service_states(services, tasks, before=before)
        elapsed = clock.monotonic() - start
        observer.show(found, elapsed)
        good = all(state.good for state in found)
        good_since = _since(good_since, elapsed, holds=good)
        failed_since = _since(failed_since, elapsed, holds=_has_failed(found))
        if failed_since is not None and elapsed - failed_since >= GIVEN_UP:
            raise _failed(found, stack, swarm, engine)
        # What nothing was changed of is not followed; the others are, beside the time that they must stay up.
        over = not settle or (good and starts.are_over(tasks, clock.monotonic()))
        if good_since is not None and elapsed - good_since >= settle and over:
            return found
        if elapsed >= timeout:
            raise _failed(found, stack, swarm, engine, timed_out=timeout)
        clock.sleep(min(POLL, timeout - elapsed))


def _failed(
    found: Sequence[SwarmServiceState], stack: str, swarm: Swarm, engine: Engine, *, timed_out: float | None = None
) -> StackFailedError:
    culprits = blamed(found)
    outputs = {state.service.name: cluster.output(state, swarm, engine, count=LOG_LINES) for state in culprits}
    tasks = [task for state in culprits for task in state.telling[:MOST_TASKS]]
    checks = {task.id: cluster.health_outputs(task, swarm, engine) for task in tasks}
    return explain(stack, found, swarm, outputs=outputs, checks=checks, timed_out=timed_out)


def _since(since: float | None, now: float, *, holds: bool) -> float | None:
    """Return since when something holds, or None where it does not."""
    if not holds:
        return None
    return now if since is None else since


def _has_failed(found: Sequence[SwarmServiceState]) -> bool:
    """Tell whether a service has failed and no other is being rolled back: the message is to tell the end of that."""
    failed = any(state.phase in FINAL_FAILURES for state in found)
    return failed and all(state.phase is not Phase.ROLLING_BACK for state in found)
