"""Why a deploy failed, for the person who started it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.errors import StackFailedError
from seatrial.stack.swarm.model import FINAL_FAILURES, Phase, Update

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from seatrial.stack.swarm.model import Standing, Swarm, Task

LOG_LINES = 20
"""Lines of a failed service's output that are shown."""
MOST_TASKS = 3
"""Tasks of one service that are told of, each in another state or with another error."""
WORDS = {
    Phase.UP: "is up ({})",
    Phase.DONE: "has completed",
    Phase.ROLLED_BACK: "was rolled back: what ran before runs on ({})",
    Phase.ROLLING_BACK: "is being rolled back",
    Phase.FAILED: "failed, and is not started again",
}
MISSING_IMAGE = "No such image"


def culprits(standings: Sequence[Standing]) -> tuple[Standing, ...]:
    """Return the services to blame: those that failed for good, else those that are not where they shall be."""
    failed = tuple(one for one in standings if one.phase in FINAL_FAILURES)
    return failed or tuple(one for one in standings if not one.good)


def explain(
    stack: str,
    standings: Sequence[Standing],
    swarm: Swarm,
    *,
    outputs: Mapping[str, Sequence[str]],
    checks: Mapping[str, Sequence[str]],
    timed_out: float | None = None,
) -> StackFailedError:
    """Return the error that tells why a stack is not as it shall be.

    Args:
        stack: its name.
        standings: where each service stood.
        swarm: the swarm.
        outputs: the last lines of the failed tasks, by service.
        checks: what the last health checks said, by task.
        timed_out: the seconds that were waited for nothing.

    """
    blamed = culprits(standings)
    who = "; ".join(f"{one.service.name} {condition(one)}" for one in blamed)
    late = f" after {timed_out:g} s" if timed_out is not None else ""
    lines = [line for one in blamed for line in _evidence(one, swarm, outputs, checks)]
    if rest := [one for one in standings if one not in blamed]:
        lines.append("the others: " + ", ".join(f"{one.service.name} {condition(one)}" for one in rest))
    return StackFailedError(
        f"{stack} is not deployed{late}: {who}.",
        where=f"stack {stack}",
        fix=_fix(blamed, stack, timed_out=timed_out),
        detail="\n".join(lines),
    )


def condition(standing: Standing) -> str:
    """Return how a service stands, as the rest of a sentence that begins with its name."""
    count = f"{standing.running} of {standing.wanted}"
    match standing.phase:
        case Phase.DEPLOYING:
            return f"completed {count}" if standing.service.job else f"runs {count}"
        case Phase.FAILED if standing.service.update in {Update.PAUSED, Update.ROLLBACK_PAUSED}:
            return f"stopped half-way ({standing.service.update})"
        case _:
            return WORDS[standing.phase].format(count)


def _evidence(
    standing: Standing, swarm: Swarm, outputs: Mapping[str, Sequence[str]], checks: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    name = standing.service.name
    yield f"{name} {condition(standing)}"
    told: set[tuple[str, str]] = set()
    for task in standing.telling:
        if (task.state, task.error) in told:
            continue
        told.add((task.state, task.error))
        yield f"  {_task(name, task, swarm)}"
        if said := checks.get(task.id):
            yield "    its last health checks:"
            yield from (f"      {one}" for one in said)
        if len(told) == MOST_TASKS:
            break
    if output := outputs.get(name):
        yield "  its last output:"
        yield from (f"    {one}" for one in output[-LOG_LINES:])
    elif any(task.container_id for task in standing.telling):
        yield "  it printed nothing that can be read"


def _task(name: str, task: Task, swarm: Swarm) -> str:
    where = f" on {swarm.names.get(task.node_id, task.node_id)}" if task.node_id else ""
    code = f", exit code {task.exit_code}" if task.exit_code else ""
    number = f".{task.slot}" if task.slot else ""
    who = f"the task {name}{number}{where}"
    if task.active:
        return f"{who} is {task.state}" + (f": {task.error}" if task.error else "")
    if task.state == "complete":
        return (
            f"the task {name}{number}{where} ended with exit code 0 and was to stay: by itself, or as it was unhealthy"
        )
    return f"the task {name}{number}{where} {task.state}: {task.error or 'no reason is given'}{code}"


def _fix(blamed: Sequence[Standing], stack: str, *, timed_out: float | None) -> str:
    if any(MISSING_IMAGE in task.error for one in blamed for task in one.broken):
        return "Bring the image to each node: `docker save NAME | docker --host NODE load`, or push it to a registry."
    if timed_out is not None:
        return f"Mend it, or allow more time with --timeout; `docker stack ps --no-trunc {stack}` shows more."
    return "Mend it, then deploy again."
