"""Deploys an app's compose file to a swarm, and removes it again: observe, decide, act, observe."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.errors import SettingsError, StackError
from seatrial.stack import compose, images
from seatrial.stack.plan import plan_up
from seatrial.stack.swarm import cli, cluster, materials
from seatrial.stack.swarm.convert import convert
from seatrial.stack.swarm.declared import read_declared
from seatrial.stack.swarm.images import require_built, resolve
from seatrial.stack.swarm.judge import standings
from seatrial.stack.swarm.model import Deployed
from seatrial.stack.swarm.rollout import SETTLE, Rollout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.stack.images import StandIn
    from seatrial.stack.model import StackPlan
    from seatrial.stack.swarm.model import Conversion, Swarm, SwarmService
    from seatrial.stack.swarm.rollout import DeployObserver
    from seatrial.stack.wait import Clock

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""A stack's name. It stands before each service's, and both together are a name of at most 63 characters."""


@dataclass(frozen=True, kw_only=True)
class DeployPlan:
    """What is going to be deployed, before images are looked for."""

    stack: str
    plan: StackPlan
    swarm: Swarm
    document: Mapping[str, Any]
    """Compose's model. It holds the values of env files: it is never printed."""
    open_ports: bool


def stack_name(app: str, given: str | None) -> str:
    """Return the name of an app's stack on a swarm: the given one, or the app's.

    Unlike a stack that `up` brings up, it is the same from every checkout: a swarm is shared.

    Raises:
        SettingsError: the given name is none.

    """
    name = given if given is not None else re.sub(r"[^a-z0-9_-]+", "-", app.lower()).strip("-_")[:40]
    if not NAME.fullmatch(name):
        raise SettingsError(
            f"{name!r} is no name for a stack.",
            fix="Say --stack with lower-case letters, digits, - and _, a letter or digit first, at most 40.",
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
        EngineError: the engine is no swarm manager, or a program is not installed.

    """
    name = stack_name(app, stack)
    swarm = cluster.swarm_of(engine)
    plan = plan_up(project, app, engine=engine, host=host, say=say)
    document, _ = compose.find(plan.stack, plan.file, engine=engine, host=host).model()
    return DeployPlan(stack=name, plan=plan, swarm=swarm, document=document, open_ports=open_ports)


def converted(plan: DeployPlan, engine: Engine, host: Host, *, local: Mapping[str, str] | None = None) -> Conversion:
    """Return the stack file for what is here now.

    Args:
        plan: what is going to be deployed.
        engine: the engine.
        host: this machine.
        local: local images that take the place of a service's own.

    Raises:
        StackError: a secret's file is missing.
        EngineError: the engine does not answer.

    """
    kept = {one.name: one.node_pin for one in cluster.services(plan.stack, engine)}
    return convert(
        plan.document,
        stack=plan.stack,
        project=plan.plan.stack.compose_project,
        images=resolve(plan.plan, engine, local=local or {}),
        contents=materials.read(
            plan.document, materials.variables(plan.plan.file, host.environment), where=plan.plan.file
        ),
        node=plan.swarm.node,
        node_name=plan.swarm.names.get(plan.swarm.node, plan.swarm.node),
        pins={name: pin for name, pin in kept.items() if pin is not None},
        declared=read_declared(plan.plan.file),
        open_ports=plan.open_ports,
    )


def require_deployable(conversion: Conversion, plan: DeployPlan) -> None:
    """Refuse to deploy what would be another application.

    Raises:
        StackError: swarm cannot do without changing it; the message lists all that stands against it.

    """
    refused = conversion.refused
    if not refused:
        return
    places = sorted({note.place for note in refused})
    raise StackError(
        f"swarm cannot run this as it is written: {', '.join(places)}.",
        where=str(plan.plan.file),
        fix="Change that, or accept it where a flag is named.",
        detail="\n".join(f"{note.place}: {note.text}" for note in refused),
    )


def require_ready(conversion: Conversion, plan: DeployPlan, engine: Engine) -> None:
    """Refuse what swarm cannot run as it is written, and an own image that has not been built.

    Raises:
        StackError: it is so.
        EngineError: the engine does not answer.

    """
    require_deployable(conversion, plan)
    require_built(plan.plan, resolve(plan.plan, engine, local={}))


def deploy(
    plan: DeployPlan,
    *,
    engine: Engine,
    host: Host,
    observer: DeployObserver,
    noting: Callable[[Conversion], None],
    looking: Callable[[Conversion], None] = lambda _: None,
    timeout: float = 300.0,
    stand_in: StandIn | None = None,
    clock: Clock = time,
) -> Deployed:
    """Deploy a stack and wait until the swarm has converged.

    Args:
        plan: what to deploy.
        engine: an engine that manages the swarm.
        host: this machine.
        observer: told how it goes.
        noting: told what becomes of the compose file, right before the swarm is changed.
        looking: told the same at first, before it is known whether it can be deployed.
        timeout: seconds from the moment that the swarm has it.
        stand_in: makes or finds a local image for one that cannot be pulled.
        clock: the passing of time.

    Raises:
        StackError: an own image has not been built, or swarm cannot run it as it is written.
        ImageError: an image can neither be pulled nor replaced.
        StackFailedError: it failed or was rolled back; the message tells which service, and why.
        EngineError: the engine stopped answering.

    """
    started = clock.monotonic()
    program = cli.find(engine, host)
    first = converted(plan, engine, host)
    looking(first)
    require_ready(first, plan, engine)
    local = images.provide(
        plan.plan,
        images.present(plan.plan, engine),
        compose=compose.find(plan.plan.stack, plan.plan.file, engine=engine, host=host),
        observer=_Saying(observer),
        stand_in=stand_in,
    )
    conversion = converted(plan, engine, host, local=local)
    noting(conversion)
    before = cluster.services(plan.stack, engine)
    tasks = cluster.tasks(plan.stack, engine, before)
    materials.create(conversion.materials, plan.stack, engine)
    cli.deploy(program, plan.stack, conversion, engine)
    changed = _specs(before) != _specs(cluster.services(plan.stack, engine)) or not all(
        one.good for one in standings(before, tasks, before=frozenset())
    )
    rollout = Rollout(
        plan.stack,
        plan.swarm,
        engine,
        observer,
        before=frozenset(task.id for task in tasks),
        timeout=timeout,
        settle=SETTLE if changed else 0,
        clock=clock,
    )
    found = rollout.until_converged()
    materials.prune(conversion.materials, plan.stack, engine)
    return Deployed(name=plan.stack, standings=found, changed=changed, seconds=clock.monotonic() - started)


def _specs(services: Iterable[SwarmService]) -> dict[str, str]:
    return {one.name: one.spec for one in services}


class _Saying:
    """Hands on what is said while images are fetched; there is nothing to show yet."""

    def __init__(self, observer: DeployObserver) -> None:
        self._observer = observer

    def say(self, text: str) -> None:
        """Hand on a message."""
        self._observer.say(text)

    def show(self, services: tuple[Any, ...], seconds: float) -> None:
        """Show nothing."""
