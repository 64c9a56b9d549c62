"""The state of each service while a stack comes up, judged from plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, assert_never

from seatrial.compose.runner import Stack
from seatrial.compose.services import completing
from seatrial.facts import Condition, Dependency, Port, Service


class ContainerStatus(StrEnum):
    """The state of a container, by the engine's own names."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


ENDS = frozenset({"no", "on-failure"})
"""The restart policies under which what ends with exit code 0 stays so."""
ALIVE = frozenset({ContainerStatus.RUNNING, ContainerStatus.RESTARTING, ContainerStatus.PAUSED})
"""The states of a container that can be stopped."""


class Health(StrEnum):
    """What a container's health check says."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Phase(StrEnum):
    """How far a service has come up."""

    ABSENT = "not created"
    WAITING = "waiting"
    """Created; compose starts it when what it depends on is ready."""
    STARTING = "starting"
    RESTARTING = "restarting"
    UP = "up"
    DONE = "completed"
    """A one-shot that ended with exit code 0."""
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class ContainerState:
    """A container of a stack, as the engine reports it at one moment."""

    id: str
    name: str
    service: str
    status: ContainerStatus
    one_off: bool = False
    """Made by `compose run`: not one of the service's own."""
    image: str = ""
    """The image's name that it was created from."""
    image_id: str = ""
    config_hash: str = ""
    """Compose's hash of the service's configuration that it was created from."""
    depends_on: tuple[Dependency, ...] = ()
    ports: tuple[Port, ...] = ()
    health: Health | None = None
    """None when it has no health check."""
    health_outputs: tuple[str, ...] = ()
    """What the last health checks printed, oldest first."""
    exit_code: int = 0
    error: str = ""
    """Why the engine could not start it."""
    out_of_memory: bool = False
    restarts: int = 0
    seconds: float = 0.0
    """How long it has been in this state, by the engine's own clock."""
    exposed: frozenset[int] = frozenset()
    """The TCP ports that its image's EXPOSE names."""
    unnamed: tuple[str, ...] = ()
    """Where it has volumes without a name, which no later container gets."""
    start_over: bool | None = None
    """Whether its start is over, where it was followed: it has no health check that would tell."""
    silent: frozenset[int] = frozenset()
    """The TCP ports that it publishes and does not listen on."""
    restart_policy: str = ""
    """When the engine starts it again, by the engine's own names; empty: not known."""
    stop_seconds: int = 10
    """How long it may take to stop before it is killed."""


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """A service at one moment."""

    service: str
    phase: Phase
    container: ContainerState | None = None
    """Its container; of several, the one that is furthest from being up."""
    last_line: str = ""
    """The last line of its output."""
    waits_for: tuple[str, ...] = ()
    """What it depends on that has not come as far as it needs."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a running service can be reached from this machine."""

    service: str
    text: str
    """`http://127.0.0.1:8000` for one of the project's own apps, `127.0.0.1:5432` for others."""


@dataclass(frozen=True, kw_only=True)
class StackState:
    """A stack that is up."""

    stack: Stack
    services: tuple[ServiceState, ...]
    addresses: tuple[Address, ...]
    unanswered: tuple[str, ...] = ()
    """A clause for each service with a published port that nothing listens on."""
    changed: bool
    """False when it was up already and nothing had to be done."""
    seconds: float
    """How long it took."""


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What was removed, by name."""

    containers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    kept_volumes: tuple[str, ...] = ()
    """Volumes of the stack that are still there."""
    out_of_reach: tuple[str, ...] = ()
    """Data that is still there, in volumes without a name, which no later container gets: `SERVICE: PATH`."""
    strangers: tuple[str, ...] = ()
    """Containers that were left alone: they have the stack's label from their image, not of their own."""

    @property
    def nothing(self) -> bool:
        """Tell whether there was nothing to remove."""
        return not (self.containers or self.networks or self.volumes)


class Observer(Protocol):
    """Shows how a stack comes up."""

    def say(self, text: str) -> None:
        """Take a message for a person."""

    def show(self, services: tuple[ServiceState, ...], seconds: float) -> None:
        """Take the state of every service, `seconds` after the start."""


STAYS_UP_AFTER_CRASH = 10.0
"""Seconds that a service must have run after a crash: the engine itself takes ten for a stable restart."""

_WORST_FIRST = (Phase.FAILED, Phase.ABSENT, Phase.RESTARTING, Phase.WAITING, Phase.STARTING, Phase.UP, Phase.DONE)


def states(
    services: Sequence[Service], containers: Sequence[ContainerState], *, unstarted: frozenset[str] = frozenset()
) -> tuple[ServiceState, ...]:
    """Return the state of each service.

    `unstarted` are containers of an earlier run that compose has not reached yet: how they ended is not a failure.
    """
    to_complete = completing(services)
    judged = {
        service.name: _state(
            service,
            [container for container in containers if container.service == service.name and not container.one_off],
            to_complete=service.name in to_complete,
            unstarted=unstarted,
        )
        for service in services
    }
    return tuple(replace(judged[service.name], waits_for=_unmet(service, judged)) for service in services)


def all_up(services: Sequence[ServiceState]) -> bool:
    """Tell whether every service is up or has completed."""
    return all(state.phase in {Phase.UP, Phase.DONE} for state in services)


def declared_by(containers: Sequence[ContainerState]) -> dict[str, Service]:
    """Return by name the services that containers were made for, as their labels tell."""
    services: dict[str, Service] = {}
    for container in containers:
        if not container.one_off:
            services[container.service] = Service(
                name=container.service,
                image=container.image,
                depends_on=container.depends_on,
                ports=container.ports,
                # A label does not tell `restart: "no"` from none at all: what has ended is not blamed for it.
                one_shot=container.restart_policy in ENDS and container.status not in ALIVE,
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
        dependency.service
        for dependency in service.depends_on
        if dependency.service in states and states[dependency.service].phase not in enough[dependency.condition]
    )


def _state(
    service: Service, own: Sequence[ContainerState], *, to_complete: bool, unstarted: frozenset[str]
) -> ServiceState:
    judged = [
        (Phase.WAITING if item.id in unstarted else _phase(service, item, to_complete=to_complete), item)
        for item in own
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
        case ContainerStatus.EXITED if container.exit_code == 0:
            return Phase.DONE if to_complete or _may_complete(service) else Phase.FAILED
        case ContainerStatus.EXITED | ContainerStatus.REMOVING | ContainerStatus.DEAD:
            return Phase.FAILED
    assert_never(container.status)


def _may_complete(service: Service) -> bool:
    """Tell whether compose says that a service may end by itself: what publishes a port is there to serve."""
    return service.one_shot and not service.ports and not service.checked


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
            if container.restarts and container.seconds < STAYS_UP_AFTER_CRASH:
                return Phase.STARTING
            # Of one look alone, all that is known is that it runs.
            return Phase.STARTING if container.start_over is False else Phase.UP
    assert_never(container.health)
