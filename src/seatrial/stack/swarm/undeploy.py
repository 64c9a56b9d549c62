"""Removes a stack from a swarm, and waits until it is gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from seatrial.engine.containers import engine_errors
from seatrial.errors import StackFailedError
from seatrial.stack.swarm import cli, cluster
from seatrial.stack.swarm.model import RemovedStack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.stack.wait import Clock

POLL = 0.5
"""Seconds between two looks at the swarm."""
AGAIN = 5.0
"""Seconds until the swarm is told again: a network cannot go before the last container on it."""


def holdings(stack: str, engine: Engine) -> RemovedStack:
    """Return what the swarm holds of a stack.

    Raises:
        EngineError: the engine does not answer.

    """
    api, chosen = engine.client.api, cluster.label(stack)
    with engine_errors(cluster.LOOKING):
        services = api.services(filters=chosen)  # type: ignore[no-untyped-call]
        configs = api.configs(filters=chosen)  # type: ignore[no-untyped-call]
        return RemovedStack(
            services=_names(one["Spec"] for one in services),
            networks=_names(api.networks(filters=chosen)),
            secrets=_names(one["Spec"] for one in api.secrets(filters=chosen)),
            configs=_names(one["Spec"] for one in configs),
            kept_volumes=_names(api.volumes(filters=chosen).get("Volumes") or ()),
        )


def _names(listed: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(sorted(str(one["Name"]) for one in listed))


def undeploy(
    stack: str,
    *,
    engine: Engine,
    host: Host,
    timeout: float = 120.0,
    seeing: Callable[[RemovedStack], None] = lambda _: None,
    clock: Clock = time,
) -> RemovedStack:
    """Remove a stack; its volumes stay on their nodes.

    Args:
        stack: its name.
        engine: an engine that manages the swarm.
        host: this machine.
        timeout: seconds until all must be gone.
        seeing: told at each look what there is of it.
        clock: the passing of time.

    Raises:
        StackFailedError: something is still there after that time.
        EngineError: the engine is no swarm manager, or stopped answering.

    """
    cluster.swarm_of(engine)
    found = holdings(stack, engine)
    seeing(found)
    if found.nothing:
        return found
    program = cli.find(engine, host)
    start = clock.monotonic()
    told: float | None = None
    complaint = ""
    while True:
        now = clock.monotonic()
        left = holdings(stack, engine)
        seeing(left)
        # What a lost node still runs, nobody can stop; it goes when the node comes back.
        lost = cluster.lost_nodes(engine)
        containers = [task.id for task in cluster.tasks(stack, engine, ()) if task.node_id not in lost]
        if left.nothing and not containers:
            return found
        if now - start >= timeout:
            raise _stayed(stack, left, len(containers), timeout, complaint)
        if not left.nothing and (told is None or now - told >= AGAIN):
            complaint, told = cli.remove(program, stack, engine), now
        clock.sleep(POLL)


def _stayed(stack: str, left: RemovedStack, containers: int, timeout: float, complaint: str) -> StackFailedError:
    names = [*left.services, *left.networks, *left.secrets, *left.configs]
    if containers:
        names.append(f"{containers} containers")
    return StackFailedError(
        f"after {timeout:g} s there is still: {', '.join(names)}.",
        where=f"stack {stack}",
        fix="See whether its nodes answer (`docker node ls`), then remove it again.",
        detail=complaint,
    )
