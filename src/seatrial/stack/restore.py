"""What ran of a stack before an `up` that failed runs again afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.engine.containers import engine_errors, remake
from seatrial.errors import EngineError
from seatrial.stack import observe
from seatrial.stack.judge import declared_by, in_order
from seatrial.stack.model import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from seatrial.engine.find import Engine
    from seatrial.stack.model import ContainerState, Stack

    Memory = Mapping[str, Mapping[str, Any]]
    """What the engine said of containers, by id. It holds the values of their environment: it is never printed."""

RESTORING = "restoring what ran before"


def remember(containers: Sequence[ContainerState], engine: Engine) -> dict[str, dict[str, Any]]:
    """Return what the engine says of those that run, or have completed: compose may replace them.

    Raises:
        EngineError: the engine does not answer.

    """
    import docker.errors

    found: dict[str, dict[str, Any]] = {}
    good = [one for one in containers if not one.one_off and (one.status is Status.RUNNING or _completed(one))]
    # In the order in which they start: each after what it depends on.
    order = in_order(declared_by(good))
    with engine_errors(RESTORING):
        for one in (one for service in order for one in good if one.service == service.name):
            try:
                found[one.id] = engine.client.api.inspect_container(one.id)
            except docker.errors.NotFound:
                continue  # Gone since it was listed: nothing that this run replaces.
    return found


def _completed(container: ContainerState) -> bool:
    return container.status is Status.EXITED and container.exit_code == 0


def restore(stack: Stack, memory: Memory, engine: Engine) -> Iterator[str]:
    """Start again what ran and was stopped, make anew what was replaced, and yield what was done, as sentences.

    Raises:
        EngineError: the engine does not answer.

    """
    there = {one.id: one for one in observe.containers(stack, engine)}
    for key, inspected in memory.items():
        old = there.get(key)
        if old is not None and old.status in {Status.RUNNING, Status.RESTARTING, Status.PAUSED}:
            continue
        before = observe.read_container(inspected, now=None)
        service = before.service
        if _completed(before):
            if old is None:
                # No container can be made that has completed without running: it would be no restoring to run it.
                yield f"{service} had completed before; its container is gone, so the next `up` runs it again."
            continue
        try:
            with engine_errors(RESTORING):
                again = key if old is not None else remake(engine.client.api, dict(inspected))
                engine.client.api.start(again)
        except EngineError as error:
            yield f"{service} ran before and could not be restored: {error.what} Its data stays."
        else:
            yield f"{service} runs again as it did before."
