"""Deploys an app's compose file to a swarm, and removes it again: observe, decide, act, observe."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.compose import runner
from seatrial.compose.readiness import require_unblocked
from seatrial.compose.text import text_of
from seatrial.engine.containers import engine_errors
from seatrial.errors import SettingsError, StackError, StackFailedError
from seatrial.stack import images
from seatrial.stack.plan import plan_up
from seatrial.swarm import cluster, materials
from seatrial.swarm.convert import convert
from seatrial.swarm.rollout import POLL, SETTLE, service_states, until_converged
from seatrial.swarm.state import Deployed, RemovedStack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.stack.images import MakeSubstitute
    from seatrial.stack.plan import StackPlan
    from seatrial.stack.wait import Clock
    from seatrial.swarm.rollout import DeployObserver
    from seatrial.swarm.state import Conversion, Swarm, SwarmService


REPEAT_AFTER = 5.0
"""Seconds until `docker stack rm` is repeated: a network cannot be removed before the last container on it."""


def holdings(stack: str, engine: Engine) -> RemovedStack:
    """Return what the swarm holds of a stack; an EngineError where the engine does not answer."""
    api, chosen = engine.client.api, cluster.label(stack)
    with engine_errors(cluster.INSPECTING):
        services = api.services(filters=chosen)  # type: ignore[no-untyped-call]
        configs = api.configs(filters=chosen)  # type: ignore[no-untyped-call]
        return RemovedStack(
            services=_names(entry["Spec"] for entry in services),
            networks=_names(api.networks(filters=chosen)),
            secrets=_names(entry["Spec"] for entry in api.secrets(filters=chosen)),
            configs=_names(entry["Spec"] for entry in configs),
            kept_volumes=_names(api.volumes(filters=chosen).get("Volumes") or ()),
        )


def _names(listed: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(sorted(str(entry["Name"]) for entry in listed))


def undeploy(
    stack: str,
    *,
    engine: Engine,
    host: Host,
    timeout: float = 120.0,
    seeing: Callable[[RemovedStack], None] = lambda _: None,
    clock: Clock = time,
) -> RemovedStack:
    """Remove a stack; its volumes stay on their nodes.

    `seeing` receives what is left at each poll. Raises a StackFailedError where something is still there after
    `timeout` seconds, and an EngineError where the engine is not a swarm manager, or stopped answering.
    """
    cluster.swarm_of(engine)
    found = holdings(stack, engine)
    seeing(found)
    if found.nothing:
        return found
    program = cluster.find(engine, host)
    start = clock.monotonic()
    asked: float | None = None
    complaint = ""
    while True:
        now = clock.monotonic()
        left = holdings(stack, engine)
        seeing(left)
        # What a lost node still runs, nobody can stop; it goes when the node comes back.
        lost = cluster.lost_nodes(engine)
        containers = [task.id for task in cluster.tasks(stack, engine, ()) if task.node_id not in lost]
        if left.nothing and not containers:
            return found
        if now - start >= timeout:
            raise _stayed(stack, left, len(containers), timeout, complaint)
        if not left.nothing and (asked is None or now - asked >= REPEAT_AFTER):
            complaint, asked = cluster.remove(program, stack, engine), now
        clock.sleep(POLL)


def _stayed(stack: str, left: RemovedStack, containers: int, timeout: float, complaint: str) -> StackFailedError:
    names = [*left.services, *left.networks, *left.secrets, *left.configs]
    if containers:
        names.append(f"{containers} containers")
    return StackFailedError(
        f"after {timeout:g} s there is still: {', '.join(names)}.",
        where=f"stack {stack}",
        fix="See whether its nodes answer (`docker node ls`), then remove it again.",
        detail=complaint,
    )


NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""A stack's name. It stands before each service's, and both together are a name of at most 63 characters."""


@dataclass(frozen=True, kw_only=True)
class DeployPlan:
    """What is going to be deployed, before images are looked for."""

    stack: str
    plan: StackPlan
    swarm: Swarm
    open_ports: bool


def stack_name(app: str, given: str | None) -> str:
    """Return the name of an app's stack on a swarm: the given one, or the app's.

    Unlike a stack that `up` brings up, it is the same from every checkout: a swarm is shared. Raises a SettingsError
    where the given name is not valid.
    """
    name = given if given is not None else re.sub(r"[^a-z0-9_-]+", "-", app.lower()).strip("-_")[:40]
    if not NAME.fullmatch(name):
        raise SettingsError(
            f"{name!r} is not a valid stack name.",
            fix="Use --stack with lower-case letters, digits, - and _, a letter or digit first, at most 40.",
        )
    return name


def plan_deploy(
    project: Project,
    app: str,
    *,
    stack: str | None,
    engine: Engine,
    host: Host,
    say: Callable[[str], None],
    open_ports: bool = False,
) -> DeployPlan:
    """Return what is going to be deployed; nothing is changed.

    Raises:
        SettingsError: no app has that name, or the stack's name is none.
        StackError: the app has no compose file, compose refuses it, or its env file is missing.
        EngineError: the engine is not a swarm manager, or a program is not installed.

    """
    name = stack_name(app, stack)
    swarm = cluster.swarm_of(engine)
    plan = plan_up(project, app, engine=engine, host=host, say=say)
    return DeployPlan(stack=name, plan=plan, swarm=swarm, open_ports=open_ports)


def converted(plan: DeployPlan, engine: Engine, host: Host, *, local: Mapping[str, str] | None = None) -> Conversion:
    """Return the stack file for what is here now; a StackError where a secret's file or variable is missing.

    `local` are local images that take the place of a service's own.
    """
    compose = plan.plan.compose or runner.find(plan.plan.stack, plan.plan.file, engine=engine, host=host)
    kept = {service.name: service.node_pin for service in cluster.services(plan.stack, engine)}
    return convert(
        plan.plan.document,
        stack=plan.stack,
        project=plan.plan.stack.compose_project,
        images=materials.resolve(plan.plan, engine, local=local or {}),
        contents=materials.read(plan.plan.document, compose.values, where=plan.plan.file),
        node=plan.swarm.node,
        node_name=plan.swarm.names.get(plan.swarm.node, plan.swarm.node),
        pins={name: pin for name, pin in kept.items() if pin is not None},
        text=text_of(plan.plan.file, plan.plan.stack.beside.files),
        open_ports=plan.open_ports,
    )


def require_ready(conversion: Conversion, plan: DeployPlan, engine: Engine) -> None:
    """Refuse, with a StackError, what swarm cannot run as it is written, and an own image that has not been built."""
    if refused := conversion.refused:
        raise StackError(
            f"swarm cannot run this as it is written: {', '.join(sorted({note.place for note in refused}))}.",
            where=str(plan.plan.file),
            fix="Change that, or accept it where a flag is named.",
            detail="\n".join(f"{note.place}: {note.text}" for note in refused),
        )
    require_unblocked(tuple(images.check_images(plan.plan, images.present(plan.plan, engine))))


def deploy(
    plan: DeployPlan,
    *,
    engine: Engine,
    host: Host,
    observer: DeployObserver,
    noting: Callable[[Conversion], None],
    looking: Callable[[Conversion], None] = lambda _: None,
    timeout: float = 300.0,
    substitute: MakeSubstitute | None = None,
    clock: Clock = time,
) -> Deployed:
    """Deploy a stack and wait until the swarm has converged.

    `noting` receives the conversion right before the swarm is changed; `looking` receives it at first, before it is
    known whether it can be deployed. `timeout` are seconds from the moment that the swarm has it. `substitute` makes
    or finds a local image for one that cannot be pulled.

    Raises:
        StackError: an own image has not been built, or swarm cannot run it as it is written.
        ImageError: an image can neither be pulled nor replaced.
        StackFailedError: it failed or was rolled back; the message tells which service, and why.
        EngineError: the engine stopped answering.

    """
    started = clock.monotonic()
    program = cluster.find(engine, host)
    first = converted(plan, engine, host)
    looking(first)
    require_ready(first, plan, engine)
    local = images.provide(
        plan.plan,
        images.present(plan.plan, engine),
        compose=plan.plan.compose or runner.find(plan.plan.stack, plan.plan.file, engine=engine, host=host),
        say=observer.say,
        substitute=substitute,
    )
    conversion = converted(plan, engine, host, local=local)
    noting(conversion)
    before = cluster.services(plan.stack, engine)
    tasks = cluster.tasks(plan.stack, engine, before)
    materials.create(conversion.materials, plan.stack, engine)
    cluster.deploy(program, plan.stack, conversion, engine)
    whole = all(state.good for state in service_states(before, tasks, before=frozenset()))
    changed = _specs(before) != _specs(cluster.services(plan.stack, engine)) or not whole
    services = until_converged(
        plan.stack,
        plan.swarm,
        engine,
        observer,
        before=frozenset(task.id for task in tasks),
        settle=SETTLE if changed else 0,
        timeout=timeout,
        clock=clock,
    )
    materials.prune(conversion.materials, plan.stack, engine)
    return Deployed(name=plan.stack, services=services, changed=changed, seconds=clock.monotonic() - started)


def _specs(services: Iterable[SwarmService]) -> dict[str, str]:
    return {service.name: service.spec for service in services}
