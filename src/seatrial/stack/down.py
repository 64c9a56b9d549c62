"""Stops and removes what belongs to a stack, and undoes an `up` that did not come up.

What asks the engine raises EngineError when it does not answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from seatrial.compose.runner import Stack
from seatrial.compose.services import in_order
from seatrial.engine.containers import engine_errors, recreate
from seatrial.engine.find import Engine
from seatrial.errors import EngineError, StackFailedError, StackLeftError
from seatrial.stack import inspect
from seatrial.stack.state import ALIVE, ContainerState, ContainerStatus, Observer, Removed, declared_by

Inspections = Mapping[str, Mapping[str, Any]]
"""What the engine said of containers, by id. It holds the values of their environment: it is never printed."""


REMOVING = "removing the stack"
PASSES = 4
"""Looks at what is left: a request that compose had sent when it was interrupted may still be carried out."""
NOT_FOUND = 404
INTERRUPTED_STOP = 3.0
"""Seconds that the services have to stop, all together, where somebody waits for the end: the rest is killed."""
PRIVATE_STOP = 10.0
"""The same for a stack of which nothing is kept."""
GONE_OR_GOING = (NOT_FOUND, 409)
"""It is removed already, or being removed by another process."""
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


NOTHING = Holdings()


def holdings(stack: Stack, engine: Engine) -> Holdings:
    """Return what the engine holds of a stack."""
    api = engine.client.api
    with engine_errors(REMOVING):
        networks = api.networks(filters=inspect.by_label(stack))
        volumes = api.volumes(filters=inspect.by_label(stack)).get("Volumes") or ()
    return Holdings(
        containers=inspect.containers(stack, engine),
        networks={str(network["Id"]): str(network["Name"]) for network in networks},
        volumes=frozenset(str(volume["Name"]) for volume in volumes),
    )


def down(
    stack: Stack,
    *,
    engine: Engine,
    volumes: bool = False,
    unnamed: bool = False,
    keep: Holdings = NOTHING,
    within: float | None = None,
) -> Removed:
    """Stop and remove all of a stack but what to keep: containers and networks; with `volumes` its volumes, too.

    With `unnamed` at least those of its volumes that have no name. What has not stopped `within` so many seconds is
    killed, however long its compose file gives it. Raises StackFailedError: something could not be removed; the
    message names it.
    """
    until = None if within is None else time.monotonic() + within
    removed: list[Holdings] = []
    for _ in range(PASSES):
        now = holdings(stack, engine)
        left = now.without(keep)
        if not volumes:
            left = replace(left, volumes=frozenset())
        if not left.names():
            return Removed(
                containers=tuple(sorted({container.name for gone in removed for container in gone.containers})),
                networks=tuple(sorted({name for gone in removed for name in gone.networks.values()})),
                volumes=tuple(sorted({name for gone in removed for name in gone.volumes})),
                kept_volumes=tuple(sorted(now.volumes)),
                out_of_reach=() if volumes or unnamed else tuple(sorted(_unnamed(removed))),
                strangers=inspect.strangers(stack, engine),
            )
        for level in levels(left.containers):
            stop(level, engine, until=until)
            for container in level:
                with engine_errors(REMOVING, ignoring=GONE_OR_GOING):
                    engine.client.api.remove_container(container.id, v=volumes or unnamed, force=True)
        for network in left.networks:
            with engine_errors(REMOVING, ignoring=IN_USE):
                engine.client.api.remove_network(network)
        for volume in sorted(left.volumes):
            with engine_errors(REMOVING, ignoring=IN_USE):
                engine.client.api.remove_volume(volume)
        removed.append(left)
    raise StackFailedError(
        f"these could not be removed: {', '.join(left.names())}.",
        where=stack.compose_project,
        fix="Another container may use them: `docker ps --all` shows it. Remove that container and try again.",
    )


def _unnamed(removed: Sequence[Holdings]) -> set[str]:
    """Return the volumes without a name of containers that were removed: `SERVICE: PATH`."""
    containers = (container for gone in removed for container in gone.containers)
    return {f"{container.service}: {path}" for container in containers for path in container.unnamed}


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


def stop(
    containers: Sequence[ContainerState], engine: Engine, *, doing: str = REMOVING, until: float | None = None
) -> None:
    """Stop those containers that run, all at once; each is killed when its time is over, or that of them all.

    `until` is a time of the monotonic clock.
    """
    problems: list[EngineError] = []
    most = float("inf") if until is None else max(0, until - time.monotonic())

    def stop_container(container: ContainerState) -> None:
        try:
            with engine_errors(doing, ignoring=[NOT_FOUND]):
                engine.client.api.stop(container.id, timeout=int(min(container.stop_seconds, most)))
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


RESTORING = "restoring what ran before"
SHORT_TIMEOUT = 3
"""Seconds that the engine has to say what remains, when nobody wants to wait."""
UNDO_TIMEOUT = 20
"""Seconds that one request may take while a run is undone; a container's own time to stop comes on top."""


def remember(containers: Sequence[ContainerState], engine: Engine) -> dict[str, dict[str, Any]]:
    """Return what the engine says of those that run, or have completed, each after what it depends on.

    Compose may replace them; `restore` makes them again.
    """
    found: dict[str, dict[str, Any]] = {}
    good = [
        container
        for container in containers
        if not container.one_off and (container.status is ContainerStatus.RUNNING or _completed(container))
    ]
    for service in in_order(declared_by(good)):
        for container in good:
            if container.service == service.name:
                # One that is gone since it was listed is nothing that this run replaces.
                with engine_errors(RESTORING, ignoring=[NOT_FOUND]):
                    found[container.id] = engine.client.api.inspect_container(container.id)
    return found


def _completed(container: ContainerState) -> bool:
    return container.status is ContainerStatus.EXITED and container.exit_code == 0


def restore(stack: Stack, inspected: Inspections, engine: Engine) -> Iterator[str]:
    """Start again what ran and was stopped, make anew what was replaced, and yield what was done, as sentences."""
    there = {container.id: container for container in inspect.containers(stack, engine)}
    for key, inspection in inspected.items():
        now = there.get(key)
        if now is not None and now.status in ALIVE:
            continue
        before = inspect.read_container(inspection, now=None)
        service = before.service
        if _completed(before):
            if now is None:
                # No container can be made that has completed without running: that would not restore it.
                yield f"{service} had completed before; its container was removed, so the next `up` runs it again."
            continue
        try:
            with engine_errors(RESTORING):
                again = key if now is not None else recreate(engine.client.api, dict(inspection))
                engine.client.api.start(again)
        except EngineError as error:
            named = "" if before.unnamed else " Its data stays."
            yield f"{service} ran before and could not be restored: {error.what}{named}"
        else:
            yield f"{service} runs again as it did before."


def roll_back(
    stack: Stack, engine: Engine, before: Holdings, *, volumes: bool = False, within: float | None = None
) -> Removed:
    """Remove what was not there before, and stop what did not run before; `within` and errors are those of `down`."""
    until = None if within is None else time.monotonic() + within
    # Nobody can find the unnamed volumes of a container that is gone: those that this run made go with it.
    removed = down(stack, engine=engine, volumes=volumes, unnamed=True, keep=before, within=within)
    stopped_before = {container.id for container in before.containers if container.status not in ALIVE}
    again = [container for container in inspect.containers(stack, engine) if container.id in stopped_before]
    stop(again, engine, until=until)
    return removed


def undo(
    stack: Stack,
    before: Holdings,
    reason: BaseException,
    *,
    inspected: Inspections,
    engine: Engine,
    observer: Observer,
    volumes: bool,
) -> None:
    """Remove what a run started, with `volumes` also the volumes that it made; let run again what it replaced; say so.

    `before` is what there was of the stack, `inspected` what ran of it, `reason` why the run is undone.

    Raises:
        StackLeftError: a second Ctrl-C: it leaves at once, and the message names what remains; or one, and not all
            could be removed.
    """
    engine.client.api.timeout = UNDO_TIMEOUT
    rest = f"`invoke down --app {stack.app}` removes what remains."

    def carry_out(within: float | None) -> None:
        observer.say("Stopping and removing what this run started.")
        roll_back(stack, engine, before, volumes=volumes, within=within)
        for line in restore(stack, inspected, engine):
            observer.say(line)

    _undo(carry_out, reason, stack, engine, before, say=observer.say, fix=rest)


@contextmanager
def removed_afterwards(stack: Stack, engine: Engine, *, say: Callable[[str], None], fix: str) -> Iterator[None]:
    """Remove all of a stack when the block is over, its volumes too, however it ends.

    `say` receives a message when not all could be removed, and `fix`, a sentence, says what removes the rest. Raises
    StackLeftError as `undo` does.
    """

    def carry_out(within: float | None) -> None:
        down(stack, engine=engine, volumes=True, within=PRIVATE_STOP if within is None else within)

    try:
        yield
    except StackLeftError as left:
        # `invoke down`, which it names, does not know this stack.
        raise StackLeftError(left.what, fix=fix) from None
    except BaseException as reason:
        _undo(carry_out, reason, stack, engine, NOTHING, say=say, fix=fix)
        raise
    _undo(carry_out, None, stack, engine, NOTHING, say=say, fix=fix)


def _undo(
    carry_out: Callable[[float | None], object],
    reason: BaseException | None,
    stack: Stack,
    engine: Engine,
    before: Holdings,
    *,
    say: Callable[[str], None],
    fix: str,
) -> None:
    """Carry out an undoing. What fails in it is said: the reason matters more, and is on its way to the user.

    It is told the seconds within which services are to stop; None where they have the time that they ask for.
    """
    interrupted = reason is not None and not isinstance(reason, Exception)
    if reason is not None and _is_second_interrupt(reason):
        raise _left(stack, engine, before, fix=fix) from None
    try:
        carry_out(INTERRUPTED_STOP if interrupted else None)
    except (EngineError, StackFailedError) as error:
        if interrupted:
            raise StackLeftError(f"interrupted, and not all is removed: {error.what}", fix=fix) from None
        say(f"Not all of it could be removed: {error.what} {fix}")
    except BaseException as again:
        if isinstance(again, Exception):
            raise
        raise _left(stack, engine, before, fix=fix) from None


def _is_second_interrupt(reason: BaseException) -> bool:
    """Tell whether somebody has pressed Ctrl-C again, while compose was being ended."""
    first = reason.__context__
    return not isinstance(reason, Exception) and first is not None and not isinstance(first, Exception)


def _left(stack: Stack, engine: Engine, before: Holdings, *, fix: str) -> StackLeftError:
    """Return the error that names what remains of a run."""
    engine.client.api.timeout = SHORT_TIMEOUT
    try:
        names = holdings(stack, engine).without(before).names()
    except EngineError:
        return StackLeftError("interrupted again, and the engine does not say what remains.", fix=fix)
    return StackLeftError(f"interrupted again; what remains: {', '.join(names) or 'nothing'}.", fix=fix)
