"""Brings a stack up: observe, decide, act, observe; and undo it when it does not come up.

What asks the engine raises EngineError when it does not answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from seatrial.checks.model import Severity
from seatrial.compose import runner
from seatrial.compose.readiness import Finding, Readiness, require_unblocked
from seatrial.compose.runner import Compose, Stack
from seatrial.compose.services import app_of, in_order
from seatrial.engine.find import API_TIMEOUT, Engine
from seatrial.engine.startup import IDLE_FOR
from seatrial.filesystem import locked
from seatrial.host import Host
from seatrial.settings.read import Project
from seatrial.stack import down, images, inspect
from seatrial.stack.down import remember, undo
from seatrial.stack.images import MakeSubstitute
from seatrial.stack.plan import StackPlan
from seatrial.stack.ports import where_they_listen
from seatrial.stack.preflight import check_catalogue, check_override, check_start
from seatrial.stack.state import (
    Address,
    ContainerState,
    ContainerStatus,
    Observer,
    ServiceState,
    StackState,
    all_up,
    declared_by,
    states,
)
from seatrial.stack.wait import Clock, StartWatcher, with_last_lines

LOCAL = "127.0.0.1"
EVERY_INTERFACE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - read, not bound


def addresses(
    services: Sequence[ServiceState], own_images: Mapping[str, str], images: Mapping[str, str], *, machine: str = LOCAL
) -> tuple[Address, ...]:
    """Return the addresses of a stack's published TCP ports.

    The project's own images are taken to speak HTTP. `machine` is the name of the machine that the engine runs on.
    """
    found: dict[str, Address] = {}
    for state in services:
        for port in state.container.ports if state.container is not None else ():
            if port.published is None or port.protocol != "tcp":
                continue
            ip = machine if port.host_ip in EVERY_INTERFACE else port.host_ip
            text = f"{f'[{ip}]' if ':' in ip else ip}:{port.published}"
            if app_of(images.get(state.service), own_images) is not None:
                text = f"http://{text}"
            found.setdefault(text, Address(service=state.service, text=text))
    return tuple(found.values())


def machine_of(url: str) -> str:
    """Return the machine that an engine's published ports are on, from the engine's address."""
    parts = urlsplit(url)
    return parts.hostname or LOCAL if parts.scheme in {"tcp", "ssh", "http", "https"} else LOCAL


def check(plan: StackPlan, *, engine: Engine) -> None:
    """Check before anything is started whether it can be: own images built, published ports free, values there.

    Raises StackError: it cannot; the message names all that is in the way.
    """
    require_unblocked(tuple(check_start(plan, engine)))


def bring_up(
    plan: StackPlan, project: Project, *, engine: Engine, host: Host, observer: Observer, timeout: float = 120.0
) -> StackState:
    """Bring an app of a project up, as `up` does, while no other process works on the same compose file.

    The observer receives compose's warnings and the compose/* checks that do not pass.
    """
    with locked(plan.file.parent, waiting=lambda: observer.say("Waiting for another run on this stack.")):
        for note in plan.notes:
            observer.say(f"compose warns: {note}")
        for finding in check_override(plan.file, plan.stack.beside.files):
            observer.say(f"{finding.what}. {finding.fix}")
        return up(
            plan,
            engine=engine,
            host=host,
            observer=observer,
            timeout=timeout,
            substitute=images.substitute_maker(project, engine, host, observer.say),
            catalogue=lambda: check_catalogue(project, plan.stack.app, plan.file, engine=engine, host=host),
        )


def up(
    plan: StackPlan,
    *,
    engine: Engine,
    host: Host,
    observer: Observer,
    timeout: float = 120.0,
    substitute: MakeSubstitute | None = None,
    remove_volumes: bool = False,
    catalogue: Callable[[], Iterable[Finding]] = tuple,
    program: Compose | None = None,
    clock: Clock = time,
) -> StackState:
    """Bring a stack up and wait until every service is healthy, runs, or has completed.

    When it does not come up, or is interrupted, what this run started is removed again; with `remove_volumes` the
    volumes that it made, too. The `timeout`, in seconds, begins with the first service: pulls come before. `catalogue`
    gives what the compose/* checks say; `program` is compose, where it works on another model than the file's.

    Raises:
        StackError: an own image has not been built, a published port is taken, or a value is missing.
        ImageError: an image can neither be pulled nor replaced.
        StackFailedError: it did not come up; the message tells which service, and why. The observer has received it.
        StackLeftError: interrupted twice; the message names what remains.
    """
    started = clock.monotonic()
    program = program or plan.compose or runner.find(plan.stack, plan.file, engine=engine, host=host)
    there = images.present(plan, engine)
    if (same := _unchanged(plan, there, program, engine)) is not None:
        if any(_may_still_start(state.container) for state in same):
            # Nothing is changed; whether it stays up is seen as after a start.
            try:
                same = StartWatcher(plan, engine, observer, before=(), timeout=timeout, clock=clock).until_up()
            finally:
                engine.client.api.timeout = API_TIMEOUT
        return stack_state(plan, same, engine, changed=False, seconds=clock.monotonic() - started, clock=clock)
    before = down.holdings(plan.stack, engine)
    check(plan, engine=engine)
    _tell_failed(catalogue(), plan, observer)
    replaced = images.provide(plan, there, compose=program, say=observer.say, substitute=substitute)
    replaced = {**plan.named, **replaced}
    inspected = remember(before.containers, engine)
    watcher = StartWatcher(
        plan, engine, observer, before=before.containers, timeout=timeout, clock=clock, volumes=before.volumes
    )
    try:
        services = _start(program, replaced, watcher)
    except BaseException as reason:
        # Ctrl-C too: however it ends, nothing half-started stays.
        undo(plan.stack, before, reason, inspected=inspected, engine=engine, observer=observer, volumes=remove_volumes)
        raise
    finally:
        engine.client.api.timeout = API_TIMEOUT
    return stack_state(plan, services, engine, changed=True, seconds=clock.monotonic() - started, clock=clock)


def _start(program: Compose, replaced: Mapping[str, str], watcher: StartWatcher) -> tuple[ServiceState, ...]:
    said = program.up(replaced, tick=watcher.tick)
    while said and watcher.is_being_restarted():
        said = program.up(replaced, tick=watcher.tick)
    return watcher.until_up(said)


def _tell_failed(findings: Iterable[Finding], plan: StackPlan, observer: Observer) -> None:
    """Tell what the catalogue finds: in full what is grave, of the rest the checks that do not pass, by severity."""
    lesser: dict[str, list[str]] = {}
    for finding in findings:
        where = finding.where or plan.file.name
        grave = finding.readiness is Readiness.NOTE and finding.check == "compose/engine-socket"
        if grave or finding.readiness is Readiness.ERROR:
            observer.say(f"{finding.word}: {finding.check} ({where}): {finding.what}. {finding.fix}")
        elif finding.readiness is Readiness.NOTE and "/" in finding.check:
            lesser.setdefault(finding.word, []).append(f"{finding.check} ({where})")
    if lesser:
        told = "; ".join(f"{word}: {', '.join(names)}" for word, names in sorted(lesser.items(), key=_gravity))
        observer.say(f"{told}. `invoke up --dry-run --app {plan.stack.app}` says why.")


def _gravity(lesser: tuple[str, list[str]]) -> int:
    words = ("undecided", *Severity, "follows")
    return words.index(lesser[0]) if lesser[0] in words else len(words)


def ps(stack: Stack, *, engine: Engine) -> tuple[ServiceState, ...]:
    """Return the state of each service of a stack, by its containers' labels; empty when it is down."""
    containers = inspect.containers(stack, engine)
    return with_last_lines(states(in_order(declared_by(containers)), containers), engine)


def _unchanged(
    plan: StackPlan, there: Mapping[str, str], program: Compose, engine: Engine
) -> tuple[ServiceState, ...] | None:
    """Return the services when all is up already, of the same configuration and images; else None."""
    containers = inspect.containers(plan.stack, engine)
    services = states(plan.services, containers)
    if not all_up(services) or any(service.image is None for service in plan.services):
        # Without an image, nobody knows what a service should run.
        return None
    own = [container for container in containers if not container.one_off]
    # An image that is not here runs under a local substitute's name, if it runs.
    missing = {service.name for service in plan.services if service.image not in there}
    local = {container.service: container.image for container in own if container.service in missing}
    hashes = program.hashes({**plan.named, **local})
    wanted = {service.name: there.get(service.image or "") for service in plan.services}
    changed = any(
        container.config_hash != hashes.get(container.service)
        or wanted[container.service] not in {None, container.image_id}
        for container in own
        if container.service in wanted
    )
    return None if changed else with_last_lines(services, engine)


def _may_still_start(container: ContainerState | None) -> bool:
    """Tell whether a container runs for so short a time that its start may not be over."""
    if container is None or container.status is not ContainerStatus.RUNNING:
        return False
    return container.health is None and container.seconds < IDLE_FOR


def stack_state(
    plan: StackPlan,
    services: tuple[ServiceState, ...],
    engine: Engine,
    *,
    changed: bool,
    seconds: float,
    clock: Clock,
) -> StackState:
    """Return a stack that is up, with its addresses, and those that nothing listens on."""
    containers = [state.container for state in services if state.container is not None]
    published = {
        container.service: {port.target for port in container.ports if port.published and port.protocol == "tcp"}
        for container in containers
    }
    seen = where_they_listen(containers, published, engine, clock)
    images = {service.name: service.image or "" for service in plan.services}
    others = plan.project.of_services if plan.project is not None else ()
    apps = {image: app for image, app in plan.own_images.items() if app not in others}
    return StackState(
        stack=plan.stack,
        services=services,
        addresses=addresses(services, apps, images, machine=machine_of(engine.candidate.url)),
        unanswered=tuple(str(found) for found in seen if found.silent),
        changed=changed,
        seconds=seconds,
    )
