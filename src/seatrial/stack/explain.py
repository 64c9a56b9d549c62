"""Why a stack did not come up, for the person who started it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from seatrial.errors import StackFailedError
from seatrial.stack.judge import waiting_for
from seatrial.stack.model import Health, Phase, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from seatrial.stack.model import ContainerState, ServiceState, StackPlan

LOG_LINES = 20
"""Lines of a failed service's output that are shown."""


def culprits(services: Sequence[ServiceState]) -> tuple[ServiceState, ...]:
    """Return the services to blame: those that failed, else those that are not up and wait for nobody."""
    failed = tuple(one for one in services if one.phase is Phase.FAILED)
    if failed:
        return failed
    return tuple(one for one in services if one.phase in {Phase.RESTARTING, Phase.STARTING})


def explain(
    plan: StackPlan,
    services: Sequence[ServiceState],
    *,
    outputs: Mapping[str, Sequence[str]],
    compose_said: Sequence[str] = (),
    timed_out: float | None = None,
) -> StackFailedError:
    """Return the error that tells why a stack did not come up.

    Args:
        plan: what was to come up.
        services: where each service stood.
        outputs: the last lines of the culprits' containers, by service.
        compose_said: compose's last messages, when compose itself gave up.
        timed_out: the seconds that were waited for nothing.

    """
    blamed = culprits(services)
    if compose_said:
        # Compose gave up by itself: what merely has not come up yet is not to blame.
        blamed = tuple(one for one in blamed if one.phase in {Phase.FAILED, Phase.RESTARTING})
    lines = [line for one in blamed for line in _evidence(plan, one, services, outputs.get(one.service, ()))]
    if not blamed:
        lines += compose_said[:-1]
    return StackFailedError(
        _headline(plan, blamed, compose_said, timed_out),
        where=str(plan.file),
        fix=_fix(plan, blamed, timed_out=timed_out, full=_disk_is_full([*lines, *compose_said])),
        detail="\n".join(lines),
    )


def condition(state: ServiceState) -> str:
    """Return how a service stands, as the rest of a sentence that begins with its name."""
    container = state.container
    if container is None:
        return "has no container"
    match container.status:
        case Status.CREATED:
            return f"could not be started: {container.error}" if container.error else "has not been started"
        case Status.RUNNING:
            return _while_running(container)
        case Status.RESTARTING:
            return f"keeps ending with {_code(container)} ({container.restarts} restarts)"
        case Status.EXITED:
            # A one-shot's zero is no failure: who is asked about here was to stay.
            wrong = " and was to stay up" if container.exit_code == 0 and state.phase is Phase.FAILED else ""
            return f"ended with {_code(container)}{wrong}"
        case Status.PAUSED | Status.REMOVING | Status.DEAD:
            return f"is {container.status}"
    assert_never(container.status)


def _headline(
    plan: StackPlan, blamed: Sequence[ServiceState], compose_said: Sequence[str], timed_out: float | None
) -> str:
    who = _listed([f"{one.service} {condition(one)}" for one in blamed])
    if timed_out is not None:
        return f"{plan.stack.app} was not up after {timed_out:g} s" + (f": {who}." if who else ".")
    if blamed:
        return f"{plan.stack.app} did not come up: {who}."
    said = compose_said[-1].removesuffix(".") if compose_said else "compose gives no reason"
    return f"{plan.stack.app} could not be started: {said}."


def _while_running(container: ContainerState) -> str:
    after = f" after {container.restarts} restarts" if container.restarts else ""
    match container.health:
        case Health.UNHEALTHY:
            return f"is unhealthy{after}"
        case Health.STARTING:
            return f"runs and is not healthy yet{after}"
        case Health.HEALTHY:
            return f"is healthy{after}"
        case _:
            return f"runs{after}"


def _code(container: ContainerState) -> str:
    code = f"exit code {container.exit_code}"
    return f"{code}, out of memory" if container.out_of_memory else code


def _evidence(
    plan: StackPlan, state: ServiceState, services: Sequence[ServiceState], output: Sequence[str]
) -> Iterator[str]:
    waiting = waiting_for(state.service, plan.services)
    yield f"{state.service} {condition(state)}" + (f"; {_listed(waiting)} waited for it" if waiting else "")
    yield from _needs(plan, state, services)
    if state.container is not None and state.container.health_outputs:
        yield "  its last health checks:"
        yield from (f"    {one}" for one in state.container.health_outputs)
    if output:
        yield "  its last output:"
        yield from (f"    {one}" for one in output[-LOG_LINES:])
    elif state.container is not None and state.container.status is not Status.CREATED:
        yield "  it printed nothing"


def _needs(plan: StackPlan, state: ServiceState, services: Sequence[ServiceState]) -> Iterator[str]:
    """Yield which of its dependencies a service waits for, and which are as it needs them."""
    needed = {dependency.service for one in plan.services if one.name == state.service for dependency in one.depends_on}
    unmet = [f"{one.service}, which {condition(one)}" for one in services if one.service in state.waits_for]
    met = [one.service for one in services if one.service in needed - {*state.waits_for}]
    if unmet:
        yield f"  it waits for {_listed(unmet)}"
    if met:
        yield f"  what {'else ' if unmet else ''}it depends on is there: {_listed(met)}"


def _disk_is_full(lines: Sequence[str]) -> bool:
    return any("no space left on device" in one.lower() for one in lines)


def _fix(plan: StackPlan, blamed: Sequence[ServiceState], *, timed_out: float | None, full: bool) -> str:
    again = f"run `invoke up --app {plan.stack.app}` again"
    if full:
        return f"A disk is full: make room for its volumes (`docker system df` shows what takes it), then {again}."
    if any(one.container is not None and one.container.out_of_memory for one in blamed):
        return f"Raise its memory limit or make it use less, then {again}."
    if timed_out is not None:
        return f"Mend it, or allow more time with --timeout, then {again}."
    return f"Mend it, then {again}."


def _listed(words: Sequence[str]) -> str:
    *most, last = words or [""]
    return f"{', '.join(most)} and {last}" if most else last
