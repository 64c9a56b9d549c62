"""Watches a stack come up, decides when it is up, has failed or timed out, and explains why."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, assert_never

from seatrial.compose.services import waiting_for
from seatrial.errors import StackFailedError
from seatrial.stack import containers as observe
from seatrial.stack.state import ContainerStatus, Health, Phase, all_up, states

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from seatrial.engine.find import Engine
    from seatrial.stack.plan import StackPlan
    from seatrial.stack.state import ContainerState, Observer, ServiceState


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
        case ContainerStatus.CREATED:
            return f"could not be started: {container.error}" if container.error else "has not been started"
        case ContainerStatus.RUNNING:
            return _while_running(container)
        case ContainerStatus.RESTARTING:
            return f"keeps ending with {_code(container)} ({container.restarts} restarts)"
        case ContainerStatus.EXITED:
            # A one-shot's zero is no failure: who is asked about here was to stay.
            wrong = " and was to stay up" if container.exit_code == 0 and state.phase is Phase.FAILED else ""
            return f"ended with {_code(container)}{wrong}"
        case ContainerStatus.PAUSED | ContainerStatus.REMOVING | ContainerStatus.DEAD:
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
    elif state.container is not None and state.container.status is not ContainerStatus.CREATED:
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


POLL = 0.2
"""Seconds between two looks at the engine."""
PAUSE = 1.0
"""Seconds until compose is asked again to start what waits for a service that crashed."""
ANSWER = 3
"""Seconds that an engine has at the least to answer one request: a busy one is no dead one."""


class Clock(Protocol):
    """The passing of time, in seconds; the `time` module is one."""

    def monotonic(self) -> float:
        """Return the time since some moment."""

    def sleep(self, seconds: float, /) -> None:
        """Let time pass."""


class Watch:
    """One stack on its way up, from its creation on."""

    def __init__(
        self,
        plan: StackPlan,
        engine: Engine,
        observer: Observer,
        *,
        before: Sequence[ContainerState],
        timeout: float,
        clock: Clock,
        started: float | None = None,
    ) -> None:
        self._plan = plan
        self._engine = engine
        self._observer = observer
        self._before = frozenset(one.id for one in before)
        self._timeout = timeout
        self._clock = clock
        self._start = clock.monotonic() if started is None else started

    def tick(self) -> None:
        """Look once, while compose works.

        Raises:
            StackFailedError: a service has failed, or the time is over.
            EngineError: the engine stopped answering.

        """
        left = self._timeout - self._elapsed()
        if 0 < left < POLL:
            # The last look is at the end of the time, not a moment after it.
            self._clock.sleep(left)
        self._look(compose_works=True)

    def crashed_and_comes_back(self) -> bool:
        """Tell whether compose gave up on a service that the engine restarts; let a moment pass if so.

        Compose takes a dependency that has crashed once for lost. Here it is given until the timeout.

        Raises:
            StackFailedError: a service has failed for good, or the time is over.
            EngineError: the engine stopped answering.

        """
        again = any(
            one.phase is Phase.RESTARTING
            or (one.phase is Phase.STARTING and one.container is not None and one.container.restarts > 0)
            for one in self._look(compose_works=True)
        )
        if again:
            self._clock.sleep(max(min(PAUSE, self._timeout - self._elapsed()), 0))
        return again

    def until_up(self, compose_said: Sequence[str]) -> tuple[ServiceState, ...]:
        """Look until all is up, after compose has ended.

        Args:
            compose_said: its last messages when it failed, else nothing.

        Raises:
            StackFailedError: compose or a service has failed, or the time is over.
            EngineError: the engine stopped answering.

        """
        if compose_said:
            services = self._observed(compose_works=False)
            self._observer.show(services, self._elapsed())
            raise self._failed(services, compose_said=compose_said)
        while not all_up(services := self._look(compose_works=False)):
            left = self._timeout - self._elapsed()
            self._clock.sleep(max(min(POLL, left), 0))
        return services

    def _look(self, *, compose_works: bool) -> tuple[ServiceState, ...]:
        services = self._observed(compose_works=compose_works)
        elapsed = self._elapsed()
        self._observer.show(services, elapsed)
        if any(one.phase is Phase.FAILED for one in services):
            raise self._failed(services)
        if elapsed >= self._timeout and not all_up(services):
            raise self._failed(services, timed_out=self._timeout)
        return services

    def _observed(self, *, compose_works: bool) -> tuple[ServiceState, ...]:
        # An engine that hangs must not hold up the end of the time.
        self._engine.client.api.timeout = max(math.ceil(self._timeout - self._elapsed()), ANSWER)
        containers = observe.containers(self._plan.stack, self._engine)
        unstarted: frozenset[str] = frozenset()
        if compose_works:
            # Compose may be replacing or restarting what an earlier run left: how that ended, or fares, is no failure.
            unstarted = frozenset(
                one.id
                for one in containers
                if one.id in self._before
                and (one.status is not ContainerStatus.RUNNING or one.health is Health.UNHEALTHY)
            )
        judged = states(self._plan.services, containers, unstarted=unstarted)
        return with_last_lines(judged, self._engine)

    def _failed(
        self,
        services: Sequence[ServiceState],
        *,
        compose_said: Sequence[str] = (),
        timed_out: float | None = None,
    ) -> StackFailedError:
        outputs = {
            one.service: observe.last_lines(one.container.id, self._engine, count=LOG_LINES)
            for one in culprits(services)
            if one.container is not None and one.container.status is not ContainerStatus.CREATED
        }
        error = explain(self._plan, services, outputs=outputs, compose_said=compose_said, timed_out=timed_out)
        # At once: to end compose, and to stop what runs, takes a while.
        for line in (error.what, *error.detail.splitlines()):
            self._observer.say(line)
        error.detail_shown = True
        return error

    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._start


def with_last_lines(services: Sequence[ServiceState], engine: Engine) -> tuple[ServiceState, ...]:
    """Return services with the last line of output of each.

    Raises:
        EngineError: the engine does not answer.

    """
    found: list[ServiceState] = []
    for one in services:
        lines: tuple[str, ...] = ()
        if one.container is not None and one.container.status is not ContainerStatus.CREATED:
            lines = observe.last_lines(one.container.id, engine, count=1)
        found.append(replace(one, last_line=lines[-1]) if lines else one)
    return tuple(found)
