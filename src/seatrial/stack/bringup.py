"""Brings a stack up: observe, decide, act, observe; and undo it when it does not come up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from seatrial.errors import EngineError, StackFailedError
from seatrial.stack import compose, images, observe, ports, remove
from seatrial.stack.address import addresses, machine_of
from seatrial.stack.judge import all_up, declared_by, in_order, states
from seatrial.stack.model import StackState, Status
from seatrial.stack.wait import Watch, with_last_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.stack.compose import Compose
    from seatrial.stack.images import StandIn
    from seatrial.stack.model import Observer, ServiceState, Stack, StackPlan
    from seatrial.stack.wait import Clock


def check(plan: StackPlan, *, engine: Engine) -> None:
    """Look before anything is started whether it can be: own images built, published ports free.

    Raises:
        StackError: an image has not been built, or a port is taken.
        EngineError: the engine does not answer.

    """
    images.require_own(plan, images.present(plan, engine))
    ports.require_free(plan, observe.containers(plan.stack, engine), engine)


def up(
    plan: StackPlan,
    *,
    engine: Engine,
    host: Host,
    observer: Observer,
    timeout: float = 120.0,
    stand_in: StandIn | None = None,
    remove_volumes: bool = False,
    program: Compose | None = None,
    clock: Clock = time,
) -> StackState:
    """Bring a stack up and wait until every service is healthy, runs, or has completed.

    When it does not come up, or is interrupted, what this run started is removed again.

    Args:
        plan: what to bring up.
        engine: the engine.
        host: this machine.
        observer: told how it goes.
        timeout: seconds from the start of the first service; pulls and stand-ins come before.
        stand_in: makes or finds a local image for one that cannot be pulled; None when there is none.
        remove_volumes: when it does not come up, remove the volumes that this run made, too.
        program: compose, where it is to work on another model than the file's.
        clock: the passing of time.

    Raises:
        StackError: an own image has not been built, or a published port is taken.
        ImageError: an image can neither be pulled nor replaced.
        StackFailedError: it did not come up; the message tells which service, and why.
        EngineError: the engine stopped answering.

    """
    started = clock.monotonic()
    program = program or compose.find(plan.stack, plan.file, engine=engine, host=host)
    there = images.present(plan, engine)
    if (same := _unchanged(plan, there, program, engine)) is not None:
        return _up(plan, same, engine, changed=False, seconds=clock.monotonic() - started)
    images.require_own(plan, there)
    before = remove.holdings(plan.stack, engine)
    ports.require_free(plan, before.containers, engine)
    replaced = images.provide(plan, there, compose=program, observer=observer, stand_in=stand_in)
    watch = Watch(plan, engine, observer, before=before.containers, timeout=timeout, clock=clock)
    try:
        services = watch.until_up(program.up(replaced, tick=watch.tick))
    except BaseException:
        # Ctrl-C too: however it ends, nothing half-started stays.
        _undo(plan.stack, before, engine=engine, observer=observer, volumes=remove_volumes)
        raise
    return _up(plan, services, engine, changed=True, seconds=clock.monotonic() - started)


def ps(stack: Stack, *, engine: Engine) -> tuple[ServiceState, ...]:
    """Return where each service of a stack stands now, by its containers' labels; empty when it is down.

    Raises:
        EngineError: the engine does not answer.

    """
    containers = observe.containers(stack, engine)
    return with_last_lines(states(in_order(declared_by(containers)), containers), engine)


def _unchanged(
    plan: StackPlan, there: Mapping[str, str], program: Compose, engine: Engine
) -> tuple[ServiceState, ...] | None:
    """Return the services when all is up already, of the same configuration and images; else None."""
    containers = observe.containers(plan.stack, engine)
    services = states(plan.services, containers)
    if not all_up(services):
        return None
    # An image that is not here runs under a stand-in's name, if it runs.
    missing = {service.name for service in plan.services if service.image not in there}
    replaced = {one.service: one.image for one in containers if one.service in missing and not one.one_off}
    hashes = program.hashes(replaced)
    wanted = {service.name: there.get(service.image or "") for service in plan.services}
    for one in containers:
        if one.one_off or one.service not in wanted:
            continue
        if one.config_hash != hashes.get(one.service) or wanted[one.service] not in {None, one.image_id}:
            return None
    return with_last_lines(services, engine)


def _lost(stack: Stack, before: remove.Holdings, engine: Engine) -> list[str]:
    """Return the services that ran before this run, and whose containers it replaced."""
    there = {one.id for one in observe.containers(stack, engine)}
    return sorted({one.service for one in before.containers if one.status is Status.RUNNING and one.id not in there})


def _undo(stack: Stack, before: remove.Holdings, *, engine: Engine, observer: Observer, volumes: bool) -> None:
    rest = f"`invoke down --app {stack.app}` removes what remains."
    observer.say("Stopping and removing what this run started.")
    try:
        remove.roll_back(stack, engine, before, volumes=volumes)
        if lost := _lost(stack, before, engine):
            observer.say(f"This run had replaced {', '.join(lost)}, so what ran before is gone too; its data stays.")
    except (EngineError, StackFailedError) as error:
        # The reason why it did not come up matters more, and is on its way to the user.
        observer.say(f"Not all of it could be removed: {error.what} {rest}")
    except KeyboardInterrupt:
        observer.say(f"Interrupted again: {rest}")
        raise


def _up(
    plan: StackPlan, services: tuple[ServiceState, ...], engine: Engine, *, changed: bool, seconds: float
) -> StackState:
    return StackState(
        stack=plan.stack,
        services=services,
        addresses=addresses(
            services,
            plan.own_images,
            {service.name: service.image or "" for service in plan.services},
            machine=machine_of(engine.candidate.url),
        ),
        changed=changed,
        seconds=seconds,
    )
