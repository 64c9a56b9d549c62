"""Watches a stack come up, and decides when it is up, has failed, or takes too long."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from seatrial.stack import observe
from seatrial.stack.explain import LOG_LINES, culprits, explain
from seatrial.stack.judge import all_up, states
from seatrial.stack.model import Health, Phase, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.engine.find import Engine
    from seatrial.errors import StackFailedError
    from seatrial.stack.model import ContainerState, Observer, ServiceState, StackPlan

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
                if one.id in self._before and (one.status is not Status.RUNNING or one.health is Health.UNHEALTHY)
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
            if one.container is not None and one.container.status is not Status.CREATED
        }
        error = explain(self._plan, services, outputs=outputs, compose_said=compose_said, timed_out=timed_out)
        # At once: to end compose, and to stop what runs, takes a while.
        for line in (error.what, *error.detail.splitlines()):
            self._observer.say(line)
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
        if one.container is not None and one.container.status is not Status.CREATED:
            lines = observe.last_lines(one.container.id, engine, count=1)
        found.append(replace(one, last_line=lines[-1]) if lines else one)
    return tuple(found)
