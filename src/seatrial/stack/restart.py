"""Restarts what runs of a stack, and waits until it is healthy again.

What asks the engine raises EngineError when it does not answer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import docker.errors
from msgspec import structs

from seatrial.compose.runner import Stack
from seatrial.compose.services import in_order, waiting_for
from seatrial.engine.containers import engine_errors, refusal
from seatrial.engine.find import API_TIMEOUT, Engine
from seatrial.errors import StackFailedError
from seatrial.facts import Condition, Service
from seatrial.stack import inspect
from seatrial.stack.down import stop
from seatrial.stack.inspect import of_service
from seatrial.stack.plan import StackPlan
from seatrial.stack.state import ALIVE, ContainerState, ContainerStatus, Observer, StackState, declared_by
from seatrial.stack.up import stack_state
from seatrial.stack.wait import Clock, StartWatcher

RESTARTING = "restarting the stack"


def to_restart(stack: Stack, engine: Engine, service: str | None) -> tuple[ContainerState, ...]:
    """Return the containers that a restart is about: those of a service, or all that run.

    A one-shot that has completed is not run again, unless it is named.

    Raises StackError: nothing of the stack is up, or it has no such service.
    """
    found = of_service(stack, inspect.containers(stack, engine), service)
    chosen = tuple(container for container in found if service is not None or container.status in ALIVE)
    return chosen or found


def restart(
    chosen: Sequence[ContainerState],
    *,
    stack: Stack,
    file: Path,
    own_images: Mapping[str, str],
    engine: Engine,
    observer: Observer,
    timeout: float,
    clock: Clock = time,
) -> StackState:
    """Stop these containers and start them again, each behind those that it depends on; wait until all are up.

    They are what `to_restart` returned. Nothing is removed, however it ends. The compose file is named in messages, and
    not read. The `timeout`, in seconds, begins with the first start.

    Raises StackFailedError: it did not come up again; the message tells which service, and why.
    """
    began = clock.monotonic()
    there = inspect.containers(stack, engine)
    # Which service depends on which is read from all of the stack: a one-shot that is not run again may be between.
    everything = in_order(declared_by(there))
    services = _watched(chosen, there, everything)
    plan = StackPlan(stack=stack, file=file, services=services, own_images=own_images)
    for service in reversed(services):
        stop([container for container in chosen if container.service == service.name], engine, doing=RESTARTING)
    watcher = StartWatcher(plan, engine, observer, before=(), timeout=timeout, clock=clock)
    try:
        left = list(chosen)
        for service in services:
            _start([container for container in left if container.service == service.name], plan, engine)
            left = [container for container in left if container.service != service.name]
            if {container.service for container in left} & set(waiting_for(service.name, everything)):
                watcher.until_service_up(service.name, left)
        states = watcher.until_up()
    finally:
        engine.client.api.timeout = API_TIMEOUT
    return stack_state(plan, states, engine, changed=True, seconds=clock.monotonic() - began, clock=clock)


def _watched(
    chosen: Sequence[ContainerState], there: Sequence[ContainerState], everything: Sequence[Service]
) -> tuple[Service, ...]:
    """Return what is watched: what is restarted, and what waited for a one-shot of it, which tells that it is one."""
    names = {container.service for container in chosen}
    waited = [
        container
        for container in there
        for dependency in container.depends_on
        if container.status is ContainerStatus.RUNNING
        and dependency.condition is Condition.COMPLETED
        and dependency.service in names
    ]
    watched = {container.service for container in (*chosen, *waited)}
    checked = {container.service for container in (*chosen, *waited) if container.health is not None}
    return tuple(
        structs.replace(service, checked=service.name in checked) for service in everything if service.name in watched
    )


def _start(containers: Sequence[ContainerState], plan: StackPlan, engine: Engine) -> None:
    with engine_errors(RESTARTING):
        for container in containers:
            try:
                engine.client.api.start(container.id)
            except docker.errors.APIError as error:
                raise StackFailedError(
                    f"{container.service} could not be started: {refusal(error).removesuffix('.')}.",
                    where=str(plan.file),
                    fix=f"Fix it, then run `invoke up --app {plan.stack.app}`.",
                ) from error
