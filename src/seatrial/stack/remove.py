"""Stops and removes what belongs to a stack, and looks whether anything is left."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seatrial.engine.containers import engine_errors
from seatrial.errors import EngineError, StackFailedError
from seatrial.stack import observe
from seatrial.stack.model import Removed, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.engine.find import Engine
    from seatrial.stack.model import ContainerState, Stack

REMOVING = "removing the stack"
PASSES = 4
"""Looks at what is left: a request that compose had sent when it was interrupted may still be carried out."""


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """What the engine holds of a stack; networks are ids to names, volumes are names."""

    containers: tuple[ContainerState, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    volumes: frozenset[str] = frozenset()


def holdings(stack: Stack, engine: Engine) -> Holdings:
    """Return what the engine holds of a stack, by compose's label.

    Raises:
        EngineError: the engine does not answer.

    """
    api = engine.client.api
    with engine_errors(REMOVING):
        networks = {str(one["Id"]): str(one["Name"]) for one in api.networks(filters=observe.by_label(stack))}
        volumes = api.volumes(filters=observe.by_label(stack)).get("Volumes") or ()
        return Holdings(
            containers=observe.containers(stack, engine),
            networks=networks,
            volumes=frozenset(str(one["Name"]) for one in volumes),
        )


def down(stack: Stack, *, engine: Engine, volumes: bool = False) -> Removed:
    """Stop and remove all of a stack: containers and networks, and its volumes when asked.

    Works by compose's labels alone: the compose file may have changed, or be gone.

    Raises:
        EngineError: the engine does not answer.
        StackFailedError: something could not be removed; the message names it.

    """
    return remove(stack, engine, keep=Holdings(), volumes=volumes)


def roll_back(stack: Stack, engine: Engine, before: Holdings, *, volumes: bool = False) -> Removed:
    """Undo a run: remove what was not there before, and stop what did not run before.

    Raises:
        EngineError: the engine does not answer.
        StackFailedError: something could not be removed; the message names it.

    """
    # Nobody can find the unnamed volumes of a container that is gone: those that this run made go with it.
    removed = remove(stack, engine, keep=before, volumes=volumes, unnamed=True)
    stopped_before = {one.id for one in before.containers if not _alive(one)}
    now = observe.containers(stack, engine)
    _stop([one for one in now if one.id in stopped_before and _alive(one)], engine)
    return removed


def remove(stack: Stack, engine: Engine, *, keep: Holdings, volumes: bool, unnamed: bool = False) -> Removed:
    """Remove all of a stack but what is to be kept.

    Args:
        stack: the stack.
        engine: the engine.
        keep: what stays.
        volumes: its volumes too.
        unnamed: of the volumes at least those that have no name.

    Raises:
        EngineError: the engine does not answer.
        StackFailedError: something could not be removed; the message names it.

    """
    kept = {one.id for one in keep.containers}
    removed: set[str] = set()
    networks: set[str] = set()
    gone: set[str] = set()
    for _ in range(PASSES):
        now = holdings(stack, engine)
        containers = [one for one in now.containers if one.id not in kept]
        doomed = {key: name for key, name in now.networks.items() if key not in keep.networks}
        lost = sorted(now.volumes - keep.volumes) if volumes else []
        if not (containers or doomed or lost):
            return Removed(
                containers=tuple(sorted(removed)),
                networks=tuple(sorted(networks)),
                volumes=tuple(sorted(gone)),
                kept_volumes=tuple(sorted(now.volumes)),
            )
        for level in levels(containers):
            _stop([one for one in level if _alive(one)], engine)
            _remove_containers(level, engine, volumes=volumes or unnamed)
        _remove_rest(doomed, lost, engine)
        removed |= {one.name for one in containers}
        networks |= set(doomed.values())
        gone |= set(lost)
    raise _left(stack, [*(one.name for one in containers), *doomed.values(), *lost])


def levels(containers: Sequence[ContainerState]) -> list[list[ContainerState]]:
    """Return containers in the order to stop them: each before those that it depends on."""
    left = list(containers)
    order: list[list[ContainerState]] = []
    while left:
        needed = {
            dependency.service for one in left for dependency in one.depends_on if dependency.service != one.service
        }
        # In a cycle, which compose refuses to make, all go at once.
        free = [one for one in left if one.service not in needed] or left
        order.append(free)
        left = [one for one in left if one not in free]
    return order


def _alive(container: ContainerState) -> bool:
    return container.status in {Status.RUNNING, Status.RESTARTING, Status.PAUSED}


def _stop(containers: Sequence[ContainerState], engine: Engine) -> None:
    import docker.errors

    problems: list[EngineError] = []

    def stop(one: ContainerState) -> None:
        # The engine kills it itself when its time is over; our request waits as long.
        try:
            with engine_errors(REMOVING), suppress(docker.errors.NotFound):
                engine.client.api.stop(one.id, timeout=one.stop_seconds)
        except EngineError as error:
            problems.append(error)

    # Not a pool: Python waits for a pool's threads, and whoever presses Ctrl-C here wants to leave at once.
    threads = [threading.Thread(target=stop, args=(one,), daemon=True) for one in containers]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if problems:
        raise problems[0]


def _remove_containers(containers: Sequence[ContainerState], engine: Engine, *, volumes: bool) -> None:
    import docker.errors

    with engine_errors(REMOVING):
        for one in containers:
            try:
                engine.client.api.remove_container(one.id, v=volumes, force=True)
            except docker.errors.APIError as error:
                # 404: gone already. 409: being removed by somebody else. The next look tells.
                if error.status_code not in {404, 409}:
                    raise


def _remove_rest(networks: Mapping[str, str], volumes: Sequence[str], engine: Engine) -> None:
    import docker.errors

    api = engine.client.api
    with engine_errors(REMOVING):
        for remover, names in ((api.remove_network, networks), (api.remove_volume, volumes)):
            for name in names:
                try:
                    remover(name)
                except docker.errors.APIError as error:
                    # 403, 409: still used by a container that is not of this stack. The next look tells.
                    if error.status_code not in {403, 404, 409}:
                        raise


def _left(stack: Stack, names: Sequence[str]) -> StackFailedError:
    return StackFailedError(
        f"these could not be removed: {', '.join(names)}.",
        where=stack.compose_project,
        fix="Another container may use them: `docker ps --all` shows it. Remove that one and try again.",
    )
