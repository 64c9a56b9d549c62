"""Stops and removes what belongs to a stack, by compose's labels: the compose file may have changed, or be gone."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from seatrial.engine.containers import engine_errors
from seatrial.errors import EngineError, StackFailedError
from seatrial.stack import containers as observe
from seatrial.stack.state import ALIVE, Removed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.compose.services import Stack
    from seatrial.engine.find import Engine
    from seatrial.stack.state import ContainerState

REMOVING = "removing the stack"
PASSES = 4
"""Looks at what is left: a request that compose had sent when it was interrupted may still be carried out."""
NOT_FOUND = 404
GONE_OR_GOING = (NOT_FOUND, 409)
"""It is gone already, or being removed by somebody else."""
IN_USE = (403, *GONE_OR_GOING)
"""A container that is not of this stack still uses it."""


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """What the engine holds of a stack; networks are ids to names, volumes are names."""

    containers: tuple[ContainerState, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    volumes: frozenset[str] = frozenset()

    def without(self, other: Holdings) -> Holdings:
        """Return what the other does not hold."""
        known = {container.id for container in other.containers}
        return Holdings(
            containers=tuple(container for container in self.containers if container.id not in known),
            networks={key: name for key, name in self.networks.items() if key not in other.networks},
            volumes=self.volumes - other.volumes,
        )

    def names(self) -> list[str]:
        """Return the names of all of it."""
        return [*(container.name for container in self.containers), *self.networks.values(), *sorted(self.volumes)]


def holdings(stack: Stack, engine: Engine) -> Holdings:
    """Return what the engine holds of a stack.

    Raises:
        EngineError: the engine does not answer.

    """
    api = engine.client.api
    with engine_errors(REMOVING):
        networks = api.networks(filters=observe.by_label(stack))
        volumes = api.volumes(filters=observe.by_label(stack)).get("Volumes") or ()
    return Holdings(
        containers=observe.containers(stack, engine),
        networks={str(network["Id"]): str(network["Name"]) for network in networks},
        volumes=frozenset(str(volume["Name"]) for volume in volumes),
    )


def down(stack: Stack, *, engine: Engine, volumes: bool = False) -> Removed:
    """Stop and remove all of a stack: containers and networks, and its volumes when asked.

    Raises:
        EngineError: the engine does not answer.
        StackFailedError: something could not be removed; the message names it.

    """
    return remove(stack, engine, keep=Holdings(), volumes=volumes)


def remove(stack: Stack, engine: Engine, *, keep: Holdings, volumes: bool, unnamed: bool = False) -> Removed:
    """Remove all of a stack but what is to be kept.

    Containers, networks, and with `volumes` its volumes; with `unnamed` at least those volumes that have no name.

    Raises:
        EngineError: the engine does not answer.
        StackFailedError: something could not be removed; the message names it.

    """
    containers: set[str] = set()
    networks: set[str] = set()
    removed_volumes: set[str] = set()
    for _ in range(PASSES):
        now = holdings(stack, engine)
        left = now.without(keep)
        if not volumes:
            left = replace(left, volumes=frozenset())
        if not left.names():
            return Removed(
                containers=tuple(sorted(containers)),
                networks=tuple(sorted(networks)),
                volumes=tuple(sorted(removed_volumes)),
                kept_volumes=tuple(sorted(now.volumes)),
            )
        for level in levels(left.containers):
            stop(level, engine)
            for container in level:
                with engine_errors(REMOVING, ignoring=GONE_OR_GOING):
                    engine.client.api.remove_container(container.id, v=volumes or unnamed, force=True)
        for network in left.networks:
            with engine_errors(REMOVING, ignoring=IN_USE):
                engine.client.api.remove_network(network)
        for volume in sorted(left.volumes):
            with engine_errors(REMOVING, ignoring=IN_USE):
                engine.client.api.remove_volume(volume)
        containers |= {container.name for container in left.containers}
        networks |= set(left.networks.values())
        removed_volumes |= left.volumes
    raise StackFailedError(
        f"these could not be removed: {', '.join(left.names())}.",
        where=stack.compose_project,
        fix="Another container may use them: `docker ps --all` shows it. Remove that container and try again.",
    )


def levels(containers: Sequence[ContainerState]) -> list[list[ContainerState]]:
    """Return containers in the order to stop them: each before those that it depends on."""
    left = list(containers)
    order: list[list[ContainerState]] = []
    while left:
        needed = {
            dependency.service
            for container in left
            for dependency in container.depends_on
            if dependency.service != container.service
        }
        # In a cycle, which compose refuses to make, all go at once.
        free = [container for container in left if container.service not in needed] or left
        order.append(free)
        left = [container for container in left if container not in free]
    return order


def stop(containers: Sequence[ContainerState], engine: Engine) -> None:
    """Stop those containers that run, all at once; each is killed when its time is over.

    Raises:
        EngineError: the engine does not answer.

    """
    problems: list[EngineError] = []

    def stop_container(container: ContainerState) -> None:
        try:
            with engine_errors(REMOVING, ignoring=[NOT_FOUND]):
                engine.client.api.stop(container.id, timeout=container.stop_seconds)
        except EngineError as error:
            problems.append(error)

    # Not a pool: Python waits for a pool's threads, and whoever presses Ctrl-C here wants to leave at once.
    threads = [
        threading.Thread(target=stop_container, args=(container,), daemon=True)
        for container in containers
        if container.status in ALIVE
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
