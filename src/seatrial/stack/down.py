"""Stops and removes what belongs to a stack, and undoes an `up` that did not come up."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seatrial.compose.services import in_order
from seatrial.engine.containers import engine_errors, remake
from seatrial.errors import EngineError, StackFailedError, StackLeftError
from seatrial.stack import containers as observe
from seatrial.stack.state import ContainerStatus, Removed, declared_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from seatrial.compose.services import Stack
    from seatrial.engine.find import Engine
    from seatrial.stack.state import ContainerState

    Memory = Mapping[str, Mapping[str, Any]]
    """What the engine said of containers, by id. It holds the values of their environment: it is never printed."""
    from collections.abc import Callable

    from seatrial.stack.state import Observer


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
    return container.status in {ContainerStatus.RUNNING, ContainerStatus.RESTARTING, ContainerStatus.PAUSED}


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


RESTORING = "restoring what ran before"


def remember(containers: Sequence[ContainerState], engine: Engine) -> dict[str, dict[str, Any]]:
    """Return what the engine says of those that run, or have completed: compose may replace them.

    Raises:
        EngineError: the engine does not answer.

    """
    import docker.errors

    found: dict[str, dict[str, Any]] = {}
    good = [one for one in containers if not one.one_off and (one.status is ContainerStatus.RUNNING or _completed(one))]
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
    return container.status is ContainerStatus.EXITED and container.exit_code == 0


def restore(stack: Stack, memory: Memory, engine: Engine) -> Iterator[str]:
    """Start again what ran and was stopped, make anew what was replaced, and yield what was done, as sentences.

    Raises:
        EngineError: the engine does not answer.

    """
    there = {one.id: one for one in observe.containers(stack, engine)}
    for key, inspected in memory.items():
        old = there.get(key)
        if old is not None and old.status in {
            ContainerStatus.RUNNING,
            ContainerStatus.RESTARTING,
            ContainerStatus.PAUSED,
        }:
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


ANSWER = 3
"""Seconds that the engine has to say what remains, when nobody wants to wait."""
PATIENCE = 20
"""Seconds that one request may take while a run is undone; a container's own time to stop comes on top."""


def undo(
    stack: Stack,
    before: Holdings,
    reason: BaseException,
    *,
    memory: Memory,
    engine: Engine,
    observer: Observer,
    volumes: bool,
) -> None:
    """Remove what a run started, let run again what it replaced, and say so.

    Args:
        stack: the stack.
        before: what there was of it before the run.
        reason: why the run is undone.
        memory: what ran of it before the run: it is to run again.
        engine: the engine.
        observer: told of it.
        volumes: remove the volumes that the run made, too.

    Raises:
        StackLeftError: a second Ctrl-C: it leaves at once, and the message names what remains.

    """
    engine.client.api.timeout = PATIENCE
    if _second(reason):
        raise _undo_left(stack, before, engine, fix=_down(stack)) from None
    rest = f"`invoke down --app {stack.app}` removes what remains."
    observer.say("Stopping and removing what this run started.")
    try:
        roll_back(stack, engine, before, volumes=volumes)
        for line in restore(stack, memory, engine):
            observer.say(line)
    except (EngineError, StackFailedError) as error:
        # The reason why it did not come up matters more, and is on its way to the user.
        observer.say(f"Not all of it could be removed: {error.what} {rest}")
        if not isinstance(reason, Exception):
            raise StackLeftError(f"interrupted, and not all is removed: {error.what}", fix=rest) from None
    except BaseException as again:
        if isinstance(again, Exception):
            raise
        raise _undo_left(stack, before, engine, fix=_down(stack)) from None


@contextmanager
def gone_at_the_end(stack: Stack, engine: Engine, *, say: Callable[[str], None], fix: str) -> Iterator[None]:
    """Remove all of a stack when the block is over, its volumes too, however it ends.

    Args:
        stack: the stack; nothing of it is to last.
        engine: the engine.
        say: told when not all could be removed.
        fix: what removes the rest, as a sentence.

    Raises:
        StackLeftError: a second Ctrl-C: it leaves at once, and the message names what remains; or one, and not all
            could be removed.

    """
    try:
        yield
    except StackLeftError as left:
        # What it names is of this stack, which `down` does not know.
        raise StackLeftError(left.what, fix=fix) from None
    except BaseException as reason:
        if _second(reason):
            raise _undo_left(stack, Holdings(), engine, fix=fix) from None
        problem = _take_away(stack, engine, fix=fix)
        if problem and not isinstance(reason, Exception):
            raise StackLeftError(f"interrupted, and not all is removed: {problem}", fix=fix) from None
        if problem:
            say(f"Not all of it could be removed: {problem} {fix}")
        raise
    if problem := _take_away(stack, engine, fix=fix):
        say(f"Not all of it could be removed: {problem} {fix}")


def _take_away(stack: Stack, engine: Engine, *, fix: str) -> str:
    """Remove all of a stack; return why not all could be: what came out of it matters more, and is on its way."""
    try:
        down(stack, engine=engine, volumes=True)
    except (EngineError, StackFailedError) as error:
        return error.what
    except BaseException as again:
        if isinstance(again, Exception):
            raise
        raise _undo_left(stack, Holdings(), engine, fix=fix) from None
    return ""


def _second(reason: BaseException) -> bool:
    """Tell whether somebody has pressed Ctrl-C again, while compose was being ended."""
    first = reason.__context__
    return not isinstance(reason, Exception) and first is not None and not isinstance(first, Exception)


def _down(stack: Stack) -> str:
    return f"`invoke down --app {stack.app}` removes it."


def _undo_left(stack: Stack, before: Holdings, engine: Engine, *, fix: str) -> StackLeftError:
    engine.client.api.timeout = ANSWER
    try:
        now = holdings(stack, engine)
    except EngineError:
        return StackLeftError("interrupted again, and the engine does not say what remains.", fix=fix)
    kept = {one.id for one in before.containers}
    names = [one.name for one in now.containers if one.id not in kept]
    names += [name for key, name in now.networks.items() if key not in before.networks]
    names += sorted(now.volumes - before.volumes)
    return StackLeftError(f"interrupted again; what remains: {', '.join(names) or 'nothing'}.", fix=fix)
