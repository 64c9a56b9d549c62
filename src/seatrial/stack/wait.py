"""Watches a stack come up, and decides when it is up, has failed or timed out.

What asks the engine raises EngineError when it does not answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from seatrial.engine.find import Engine
from seatrial.engine.startup import StartFollower
from seatrial.errors import StackFailedError
from seatrial.stack import inspect
from seatrial.stack.explain import LOG_LINES, blamed, databases, explain, older_volume
from seatrial.stack.plan import StackPlan
from seatrial.stack.state import ContainerState, ContainerStatus, Health, Observer, Phase, ServiceState, all_up, states

POLL = 0.2
"""Seconds between two polls of the engine."""
RETRY_AFTER = 1.0
"""Seconds until compose is asked again to start what waits for a service that crashed."""
LEAST_TIMEOUT = 3
"""The least seconds that an engine has to answer one request: a busy one is not a dead one."""


class Clock(Protocol):
    """The passing of time, in seconds; the `time` module is one."""

    def monotonic(self) -> float:
        """Return the time since some moment."""

    def sleep(self, seconds: float, /) -> None:
        """Let time pass."""


class StartWatcher:
    """Watches a stack come up, from its creation on.

    How the containers of an earlier run (`before`) stand while compose works is not a failure; `volumes` are those that
    it left. The timeout, in seconds, counts from now. What looks raises StackFailedError when compose or a service has
    failed for good, or the time is over.
    """

    def __init__(
        self,
        plan: StackPlan,
        engine: Engine,
        observer: Observer,
        *,
        before: Sequence[ContainerState],
        timeout: float,
        clock: Clock,
        volumes: Iterable[str] = (),
    ) -> None:
        self._plan = plan
        self._engine = engine
        self._observer = observer
        self._before = frozenset(container.id for container in before)
        self._volumes = frozenset(volumes)
        self._timeout = timeout
        self._clock = clock
        self._start = clock.monotonic()
        self._followers: dict[tuple[str, int], StartFollower] = {}

    def tick(self) -> None:
        """Look once, while compose works."""
        self._look(compose_works=True)

    def is_being_restarted(self) -> bool:
        """Tell whether compose gave up on a service that the engine restarts; let a moment pass if so.

        Compose gives up on a dependency that has crashed once. Here it is waited for until the timeout.
        """
        restarted = any(
            state.phase is Phase.RESTARTING
            or (state.phase is Phase.STARTING and state.container is not None and state.container.restarts > 0)
            for state in self._look(compose_works=True)
        )
        if restarted:
            self._sleep(RETRY_AFTER)
        return restarted

    def until_up(self, compose_errors: Sequence[str] = ()) -> tuple[ServiceState, ...]:
        """Look until all is up, after compose has ended; `compose_errors` is what it said when it gave up."""
        if compose_errors:
            services = self._observed(compose_works=False)
            self._observer.show(services, self._elapsed())
            raise self._failed(services, compose_errors=compose_errors)
        while not all_up(services := self._look(compose_works=False)):
            self._sleep(POLL)
        return services

    def until_service_up(self, name: str, unstarted: Iterable[ContainerState]) -> None:
        """Look until a service is up, while others are not started yet."""
        self._before = frozenset(container.id for container in unstarted)
        while not all_up([state for state in self._look(compose_works=True) if state.service == name]):
            self._sleep(POLL)

    def _look(self, *, compose_works: bool) -> tuple[ServiceState, ...]:
        left = self._timeout - self._elapsed()
        if 0 < left < POLL:
            # The last look is at the end of the time, not a moment before or after it.
            self._clock.sleep(left)
        services = self._observed(compose_works=compose_works)
        elapsed = self._elapsed()
        self._observer.show(services, elapsed)
        if any(state.phase is Phase.FAILED for state in services):
            raise self._failed(services)
        if elapsed >= self._timeout and not all_up(services):
            raise self._failed(services, timed_out=self._timeout)
        return services

    def _observed(self, *, compose_works: bool) -> tuple[ServiceState, ...]:
        # An engine that hangs must not hold up the end of the time.
        self._engine.client.api.timeout = max(math.ceil(self._timeout - self._elapsed()), LEAST_TIMEOUT)
        containers = [self._followed(container) for container in inspect.containers(self._plan.stack, self._engine)]
        # Compose may be replacing or restarting what an earlier run left: how that ended is not a failure.
        unstarted = frozenset(
            container.id
            for container in (containers if compose_works else ())
            if container.id in self._before
            and (container.status is not ContainerStatus.RUNNING or container.health is Health.UNHEALTHY)
        )
        return with_last_lines(states(self._plan.services, containers, unstarted=unstarted), self._engine)

    def _followed(self, container: ContainerState) -> ContainerState:
        """Return a container with whether its start is over, where no health check tells."""
        if container.status is not ContainerStatus.RUNNING or container.health is not None:
            return container
        published = frozenset(port.target for port in container.ports if port.protocol == "tcp")
        follower = self._followers.setdefault(
            # Each start anew: how idle it was before a crash tells nothing.
            (container.id, container.restarts),
            StartFollower(
                client=self._engine.client.api,
                container=container.id,
                ports=published or container.exposed,
                required=bool(published),
            ),
        )
        # Its start may be older than this run: compose leaves alone what runs already.
        over = follower.is_over(self._clock.monotonic())
        silent = frozenset() if follower.listening is None else published - follower.listening
        return replace(container, start_over=over, silent=silent)

    def _failed(
        self, services: Sequence[ServiceState], *, compose_errors: Sequence[str] = (), timed_out: float | None = None
    ) -> StackFailedError:
        outputs = {state.service: _output(state, self._engine, count=LOG_LINES) for state in blamed(services)}
        asked = [state for state in services if state.service in databases(self._plan)]
        refusals = {state.service: _output(state, self._engine, count=LOG_LINES) for state in asked}
        error = explain(
            self._plan,
            services,
            outputs=outputs,
            compose_errors=compose_errors,
            timed_out=timed_out,
            older=older_volume(self._plan, {**refusals, **outputs}, self._volumes),
        )
        # At once: to end compose, and to stop what runs, takes a while.
        for line in (error.what, *error.detail.splitlines()):
            self._observer.say(line)
        error.detail_shown = True
        return error

    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._start

    def _sleep(self, seconds: float) -> None:
        self._clock.sleep(max(min(seconds, self._timeout - self._elapsed()), 0))


def with_last_lines(services: Sequence[ServiceState], engine: Engine) -> tuple[ServiceState, ...]:
    """Return services with the last line of output of each."""
    return tuple(replace(state, last_line="".join(_output(state, engine, count=1))) for state in services)


def _output(state: ServiceState, engine: Engine, *, count: int) -> tuple[str, ...]:
    if state.container is None or state.container.status is ContainerStatus.CREATED:
        return ()
    return inspect.last_lines(state.container.id, engine, count=count)
