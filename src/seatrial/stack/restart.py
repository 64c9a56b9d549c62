"""Restarts what runs of a stack, and waits until it is healthy again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec import structs

from seatrial.compose.services import in_order, waiting_for
from seatrial.engine.containers import engine_errors, refusal
from seatrial.engine.find import API_TIMEOUT
from seatrial.errors import StackFailedError
from seatrial.facts import Condition
from seatrial.stack import containers as observe
from seatrial.stack.containers import of_service
from seatrial.stack.plan import StackPlan
from seatrial.stack.state import ContainerStatus, StackState, all_up, declared_by
from seatrial.stack.up import addresses, machine_of
from seatrial.stack.wait import POLL, Watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from seatrial.compose.services import Stack
    from seatrial.engine.find import Engine
    from seatrial.facts import Service
    from seatrial.stack.state import ContainerState, Observer, ServiceState
    from seatrial.stack.wait import Clock

RESTARTING = "restarting the stack"
RUNS = {ContainerStatus.RUNNING, ContainerStatus.RESTARTING, ContainerStatus.PAUSED}


def to_restart(stack: Stack, engine: Engine, service: str | None) -> tuple[ContainerState, ...]:
    """Return the containers that a restart is about: those of a service, or all that run.

    A one-shot that has completed is not run again, unless it is named.

    Raises:
        StackError: nothing of the stack is up, or it has no such service.
        EngineError: the engine does not answer.

    """
    found = of_service(stack, observe.containers(stack, engine), service)
    chosen = tuple(one for one in found if service is not None or one.status in RUNS)
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

    Nothing is removed, however it ends.

    Args:
        chosen: what `to_restart` returned.
        stack: the stack.
        file: its compose file, for messages; what it says by now is not looked at.
        own_images: the project's own images.
        engine: the engine.
        observer: told how it goes.
        timeout: seconds from the first start until all must be up.
        clock: the passing of time.

    Raises:
        StackFailedError: it did not come up again; the message tells which service, and why.
        EngineError: the engine stopped answering.

    """
    began = clock.monotonic()
    there = observe.containers(stack, engine)
    # What depends on what is told by all of the stack: a one-shot that is not run again stands in between, too.
    everything = in_order(declared_by(there))
    services = _services(chosen, there, everything)
    plan = StackPlan(stack=stack, file=file, env_file=None, services=services, own_images=own_images)
    for service in reversed(services):
        _stop([one for one in chosen if one.service == service.name], engine)
    started = clock.monotonic()

    def watch(observer: Observer, waiting: Sequence[ContainerState] = ()) -> Watch:
        return Watch(plan, engine, observer, before=waiting, timeout=timeout, clock=clock, started=started)

    try:
        left = list(chosen)
        for service in services:
            _start([one for one in left if one.service == service.name], plan, engine)
            left = [one for one in left if one.service != service.name]
            if {one.service for one in left} & set(waiting_for(service.name, everything)):
                seen = _Seen(observer)
                _until_up(service.name, watch(seen, left), seen, clock)
        up = watch(observer).until_up(())
    finally:
        engine.client.api.timeout = API_TIMEOUT
    images = {one.name: one.image or "" for one in services}
    return StackState(
        stack=stack,
        services=up,
        addresses=addresses(up, own_images, images, machine=machine_of(engine.candidate.url)),
        changed=True,
        seconds=clock.monotonic() - began,
    )


def _services(
    chosen: Sequence[ContainerState], there: Sequence[ContainerState], everything: Sequence[Service]
) -> tuple[Service, ...]:
    """Return what is watched: what is restarted, and what waited for a one-shot of it, which tells that it is one."""
    names = {one.service for one in chosen}
    waited = [
        each
        for each in there
        for one in each.depends_on
        if each.status is ContainerStatus.RUNNING and one.condition is Condition.COMPLETED and one.service in names
    ]
    watched = {one.service for one in (*chosen, *waited)}
    checked = {one.service for one in (*chosen, *waited) if one.health is not None}
    return tuple(structs.replace(one, checked=one.name in checked) for one in everything if one.name in watched)


class _Seen:
    """Hands on what it is told, and keeps the last of it."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.services: tuple[ServiceState, ...] = ()

    def say(self, text: str) -> None:
        """Hand on a message."""
        self._observer.say(text)

    def show(self, services: tuple[ServiceState, ...], seconds: float) -> None:
        """Hand on the state of every service."""
        self.services = services
        self._observer.show(services, seconds)


def _until_up(name: str, watch: Watch, seen: _Seen, clock: Clock) -> None:
    """Wait for a service that others depend on."""
    while True:
        watch.tick()
        if all_up([one for one in seen.services if one.service == name]):
            return
        clock.sleep(POLL)


def _stop(level: Sequence[ContainerState], engine: Engine) -> None:
    with engine_errors(RESTARTING):
        for one in level:
            if one.status in RUNS:
                engine.client.api.stop(one.id, timeout=one.stop_seconds)


def _start(containers: Sequence[ContainerState], plan: StackPlan, engine: Engine) -> None:
    import docker.errors

    with engine_errors(RESTARTING):
        for one in containers:
            try:
                engine.client.api.start(one.id)
            except docker.errors.APIError as error:
                raise StackFailedError(
                    f"{one.service} could not be started: {refusal(error)}.".replace("..", "."),
                    where=str(plan.file),
                    fix=f"Mend it, then run `invoke up --app {plan.stack.app}`.",
                ) from error
