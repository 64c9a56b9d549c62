"""Where each service stands on its way up: decided on plain data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from seatrial.compose.model import Condition, ContainerStatus, Health, Phase, Service, ServiceState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.compose.model import ContainerState


STAYS_UP = 1.0
"""Seconds that a service without a health check must have run."""
STAYS_UP_AFTER_CRASH = 10.0
"""The same after a crash: the engine itself takes ten seconds of running for a stable restart."""

_WORST_FIRST = (
    Phase.FAILED,
    Phase.ABSENT,
    Phase.RESTARTING,
    Phase.WAITING,
    Phase.STARTING,
    Phase.UP,
    Phase.DONE,
)


def states(
    services: Sequence[Service],
    containers: Sequence[ContainerState],
    *,
    unstarted: frozenset[str] = frozenset(),
) -> tuple[ServiceState, ...]:
    """Return where each service stands.

    Args:
        services: the services of the compose file.
        containers: the stack's containers as the engine reports them.
        unstarted: containers of an earlier run that compose has not come to yet: how they ended then says
            nothing about now.

    """
    to_complete = completing(services)
    judged = {
        service.name: _state(
            service,
            [one for one in containers if one.service == service.name and not one.one_off],
            to_complete=service.name in to_complete,
            unstarted=unstarted,
        )
        for service in services
    }
    return tuple(replace(judged[one.name], waits_for=_unmet(one, judged)) for one in services)


def completing(services: Sequence[Service]) -> frozenset[str]:
    """Return the one-shots that another service waits for to complete."""
    return frozenset(
        one.service for service in services for one in service.depends_on if one.condition is Condition.COMPLETED
    )


def all_up(services: Sequence[ServiceState]) -> bool:
    """Tell whether every service is up or has completed."""
    return all(one.phase in {Phase.UP, Phase.DONE} for one in services)


def waiting_for(service: str, services: Sequence[Service]) -> tuple[str, ...]:
    """Return the services that wait for one, directly or through others, in order."""
    waiting: list[str] = []
    wanted = {service}
    for one in services:  # Each stands after what it depends on.
        if wanted & {dependency.service for dependency in one.depends_on}:
            wanted.add(one.name)
            waiting.append(one.name)
    return tuple(waiting)


def in_order(services: Mapping[str, Service]) -> list[Service]:
    """Return services so that each comes after those that it depends on, else by name."""
    ordered: list[Service] = []
    seen: set[str] = set()

    def place(name: str) -> None:
        if name in seen or name not in services:
            return
        seen.add(name)
        for dependency in services[name].depends_on:
            place(dependency.service)
        ordered.append(services[name])

    for name in sorted(services):
        place(name)
    return ordered


def declared_by(containers: Sequence[ContainerState]) -> dict[str, Service]:
    """Return by name the services that containers were made for, as their labels tell."""
    services: dict[str, Service] = {}
    for one in containers:
        if not one.one_off:
            services[one.service] = Service(
                name=one.service, image=one.image, depends_on=one.depends_on, ports=one.ports
            )
    return services


def _unmet(service: Service, states: Mapping[str, ServiceState]) -> tuple[str, ...]:
    """Return what a service depends on that has not come as far as it needs."""
    enough = {
        Condition.STARTED: {Phase.STARTING, Phase.UP, Phase.DONE},
        Condition.HEALTHY: {Phase.UP},
        Condition.COMPLETED: {Phase.DONE},
    }
    return tuple(
        one.service
        for one in service.depends_on
        if one.service in states and states[one.service].phase not in enough[one.condition]
    )


def _state(
    service: Service, own: Sequence[ContainerState], *, to_complete: bool, unstarted: frozenset[str]
) -> ServiceState:
    judged = [
        (Phase.WAITING if one.id in unstarted else _phase(service, one, to_complete=to_complete), one) for one in own
    ]
    if not judged:
        return ServiceState(service=service.name, phase=Phase.DONE if service.replicas == 0 else Phase.ABSENT)
    phase, container = min(judged, key=lambda pair: _WORST_FIRST.index(pair[0]))
    if len(own) < service.replicas and phase in {Phase.UP, Phase.DONE}:
        phase = Phase.STARTING
    return ServiceState(service=service.name, phase=phase, container=container)


def _phase(service: Service, container: ContainerState, *, to_complete: bool) -> Phase:
    match container.status:
        case ContainerStatus.CREATED:
            return Phase.FAILED if container.error else Phase.WAITING
        case ContainerStatus.RUNNING:
            return _running(container, to_complete=to_complete)
        case ContainerStatus.PAUSED:
            return Phase.STARTING
        case ContainerStatus.RESTARTING:
            return Phase.RESTARTING
        case ContainerStatus.EXITED:
            return _exited(service, container, to_complete=to_complete)
        case ContainerStatus.REMOVING | ContainerStatus.DEAD:
            return Phase.FAILED
    assert_never(container.status)


def _running(container: ContainerState, *, to_complete: bool) -> Phase:
    if to_complete:
        # A one-shot often shares its image, and so its health check, with the service that waits for it.
        return Phase.STARTING
    match container.health:
        case Health.UNHEALTHY:
            return Phase.FAILED
        case Health.STARTING:
            return Phase.STARTING
        case Health.HEALTHY:
            return Phase.UP
        case None:
            needed = STAYS_UP_AFTER_CRASH if container.restarts else STAYS_UP
            return Phase.UP if container.seconds >= needed else Phase.STARTING
    assert_never(container.health)


def _exited(service: Service, container: ContainerState, *, to_complete: bool) -> Phase:
    if container.exit_code != 0:
        return Phase.FAILED
    # What publishes a port or has a health check is there to serve: when it ends, it is down.
    serves = bool(service.ports) or service.checked
    return Phase.FAILED if serves and not to_complete else Phase.DONE
