"""Why a stack did not come up, in words, and what to do; also for a volume older than its database's password."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from seatrial.checks.known import Kind, kind_of
from seatrial.compose.services import waiting_for
from seatrial.engine.containers import start_refusal
from seatrial.errors import StackFailedError
from seatrial.facts import MountKind
from seatrial.stack.plan import StackPlan
from seatrial.stack.state import ContainerState, ContainerStatus, Health, Phase, ServiceState
from seatrial.text import listed

LOG_LINES = 20
"""Lines of a failed service's output that are shown."""


def blamed(services: Sequence[ServiceState]) -> tuple[ServiceState, ...]:
    """Return the services to blame: those that failed, else those that are not up and wait for no other."""
    failed = tuple(state for state in services if state.phase is Phase.FAILED)
    return failed or tuple(state for state in services if state.phase in {Phase.RESTARTING, Phase.STARTING})


def explain(
    plan: StackPlan,
    services: Sequence[ServiceState],
    *,
    outputs: Mapping[str, Sequence[str]],
    compose_errors: Sequence[str] = (),
    timed_out: float | None = None,
    older: OlderVolume | None = None,
) -> StackFailedError:
    """Return why a stack did not come up, with the last output of the blamed services.

    `compose_errors` are compose's last messages where compose gave up; `timed_out` are the seconds until the timeout.
    """
    culprits = blamed(services)
    if compose_errors:
        # Compose gave up: what merely has not come up yet is not to blame.
        culprits = tuple(state for state in culprits if state.phase in {Phase.FAILED, Phase.RESTARTING})
    lines = [line for state in culprits for line in _evidence(plan, state, services, outputs.get(state.service, ()))]
    if not culprits:
        lines += compose_errors[:-1]
    return StackFailedError(
        _headline(plan, culprits, compose_errors, timed_out) + (f" {older}." if older is not None else ""),
        where=str(plan.file),
        fix=older.fix(plan.stack.app)
        if older is not None
        else _fix(plan, culprits, timed_out=timed_out, full=_disk_is_full([*lines, *compose_errors])),
        detail="\n".join(lines),
    )


def condition(state: ServiceState) -> str:
    """Return the state of a service in words, to follow its name."""
    container = state.container
    if container is None:
        return "has no container"
    match container.status:
        case ContainerStatus.CREATED:
            reason = start_refusal(container.error)
            return f"could not be started: {reason}" if reason else "has not been started"
        case ContainerStatus.RUNNING:
            return _while_running(container)
        case ContainerStatus.RESTARTING:
            return f"keeps ending with {_code(container)} ({container.restarts} restarts)"
        case ContainerStatus.EXITED:
            # A one-shot's zero is not a failure: this service was to keep running.
            wrong = " but should have kept running" if container.exit_code == 0 and state.phase is Phase.FAILED else ""
            return f"ended with {_code(container)}{wrong}"
        case ContainerStatus.PAUSED | ContainerStatus.REMOVING | ContainerStatus.DEAD:
            return f"is {container.status}"
    assert_never(container.status)


def _headline(
    plan: StackPlan, culprits: Sequence[ServiceState], compose_errors: Sequence[str], timed_out: float | None
) -> str:
    who = listed([f"{state.service} {condition(state)}" for state in culprits])
    if timed_out is not None:
        return f"{plan.stack.app} was not up after {timed_out:g} s" + (f": {who}." if who else ".")
    if culprits:
        return f"{plan.stack.app} did not come up: {who}."
    said = compose_errors[-1].removesuffix(".") if compose_errors else "compose gives no reason"
    return f"{plan.stack.app} could not be started: {said}."


def _while_running(container: ContainerState) -> str:
    after = f" after {container.restarts} restarts" if container.restarts else ""
    words = {
        None: _without_check(container),
        Health.UNHEALTHY: "is unhealthy",
        Health.STARTING: "runs and is not healthy yet",
        Health.HEALTHY: "is healthy",
    }
    return words[container.health] + after


def _without_check(container: ContainerState) -> str:
    if container.start_over is not False:
        return "runs"
    if container.silent:
        return f"runs and does not listen on {', '.join(map(str, sorted(container.silent)))}, which it publishes"
    return "runs and has not finished starting"


def _code(container: ContainerState) -> str:
    code = f"exit code {container.exit_code}"
    return f"{code}, out of memory" if container.out_of_memory else code


def _evidence(
    plan: StackPlan, state: ServiceState, services: Sequence[ServiceState], output: Sequence[str]
) -> Iterator[str]:
    waiting = waiting_for(state.service, plan.services)
    yield f"{state.service} {condition(state)}" + (f"; {listed(waiting)} waited for it" if waiting else "")
    yield from _needs(plan, state, services)
    if state.container is not None and state.container.health_outputs:
        yield "  its last health checks:"
        yield from (f"    {line}" for line in state.container.health_outputs)
    if output:
        yield "  its last output:"
        yield from (f"    {line}" for line in output[-LOG_LINES:])
    elif state.container is not None and state.container.status is not ContainerStatus.CREATED:
        yield "  it printed nothing"


def _needs(plan: StackPlan, state: ServiceState, services: Sequence[ServiceState]) -> Iterator[str]:
    """Yield which of its dependencies a service waits for, and which are as it needs them."""
    own = next((service.depends_on for service in plan.services if service.name == state.service), ())
    needed = {dependency.service for dependency in own}
    unmet = [f"{other.service}, which {condition(other)}" for other in services if other.service in state.waits_for]
    met = [other.service for other in services if other.service in needed - {*state.waits_for}]
    if unmet:
        yield f"  it waits for {listed(unmet)}"
    if met:
        yield f"  what {'else ' if unmet else ''}it depends on is there: {listed(met)}"


def _disk_is_full(lines: Sequence[str]) -> bool:
    return any("no space left on device" in line.lower() for line in lines)


def _fix(plan: StackPlan, culprits: Sequence[ServiceState], *, timed_out: float | None, full: bool) -> str:
    again = f"run `invoke up --app {plan.stack.app}` again"
    if full:
        return f"A disk is full: make room for its volumes (`docker system df` shows what takes it), then {again}."
    if any(state.container is not None and state.container.out_of_memory for state in culprits):
        return f"Raise its memory limit or make it use less, then {again}."
    loops = any(state.container is not None and state.container.restarts for state in culprits)
    if timed_out is not None and not loops:
        return f"Fix it, or allow more time with --timeout, then {again}."
    return f"Fix it, then {again}."


REFUSALS = (
    (Kind.POSTGRES, re.compile(r"password authentication failed for user \"?([\w.-]+)"), "POSTGRES_PASSWORD"),
    (Kind.MYSQL, re.compile(r"Access denied for user '([\w.-]+)'@"), "MYSQL_PASSWORD"),
    (Kind.MONGO, re.compile(r"(?:SCRAM\S* authentication|Authentication) failed()"), "MONGO_INITDB_ROOT_PASSWORD"),
)
"""What a database or its client says of a wrong password, and the variable that counts only in a new volume."""


@dataclass(frozen=True, kw_only=True)
class OlderVolume:
    """A volume that is older than the password."""

    service: str
    volume: str
    kind: Kind
    user: str
    variable: str

    def __str__(self) -> str:
        """Return it as a sentence without its full stop."""
        return (
            f"{self.service} refused the password: the volume {self.volume} is older than the password, and "
            f"{self.variable} counts only when a volume is new"
        )

    def fix(self, app: str) -> str:
        """Return what to do: nothing of the data is lost by it."""
        change = "change it in the database"
        if self.kind is Kind.POSTGRES:
            command = f"psql -U {self.user} -d template1 -c \"ALTER USER {self.user} PASSWORD 'NEW'\""
            change = f"change it there: `invoke exec --app {app} --service {self.service} -- {command}`"
        return (
            f"Set the password that the volume was made with, and run `invoke up --app {app}`. For another one, then "
            f"{change}, set it where the old one was, and run `up` again. `invoke down --app {app} --volumes` would "
            "make way for a new volume, and delete all data of the old one."
        )


def older_volume(plan: StackPlan, outputs: Mapping[str, Sequence[str]], volumes: Iterable[str]) -> OlderVolume | None:
    """Return the volume that a database refuses a password for; None where none was there before this run.

    `outputs` are lines of services; `volumes` are those of the stack that were there, by their real names.
    """
    there = frozenset(volumes)
    said = "\n".join(line for lines in outputs.values() for line in lines)
    for kind, pattern, variable in REFUSALS:
        found = pattern.search(said)
        for service in plan.services if found else ():
            kept = [mount for mount in service.volumes if mount.kind is MountKind.VOLUME and mount.source]
            names = [_real_name(plan, mount.source) for mount in kept]
            old = next((name for name in names if name in there), None)
            if found and old is not None and kind_of(service.image) is kind:
                return OlderVolume(service=service.name, volume=old, kind=kind, user=found[1], variable=variable)
    return None


def databases(plan: StackPlan) -> frozenset[str]:
    """Return the services that are databases with a password."""
    kinds = {kind for kind, _, _ in REFUSALS}
    return frozenset(service.name for service in plan.services if kind_of(service.image) in kinds)


def _real_name(plan: StackPlan, key: str) -> str:
    declared = (plan.document.get("volumes") or {}).get(key) or {}
    return str(declared.get("name") or f"{plan.stack.compose_project}_{key}")
