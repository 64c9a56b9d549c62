"""Watches a stack come up, decides when it is up, has failed or timed out, and explains why.

What asks the engine raises EngineError when it does not answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, assert_never

from seatrial.compose.services import waiting_for
from seatrial.engine.containers import start_refusal
from seatrial.engine.find import Engine
from seatrial.engine.startup import StartFollower
from seatrial.errors import StackFailedError
from seatrial.stack import inspect
from seatrial.stack.older_volume import OlderVolume, databases, older_volume
from seatrial.stack.plan import StackPlan
from seatrial.stack.state import ContainerState, ContainerStatus, Health, Observer, Phase, ServiceState, all_up, states

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
    who = _listed([f"{state.service} {condition(state)}" for state in culprits])
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
    yield f"{state.service} {condition(state)}" + (f"; {_listed(waiting)} waited for it" if waiting else "")
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
        yield f"  it waits for {_listed(unmet)}"
    if met:
        yield f"  what {'else ' if unmet else ''}it depends on is there: {_listed(met)}"


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


def _listed(words: Sequence[str]) -> str:
    *most, last = words or [""]
    return f"{', '.join(most)} and {last}" if most else last


POLL = 0.2
"""Seconds between two polls of the engine."""
RETRY_AFTER = 1.0
"""Seconds until compose is asked again to start what waits for a service that crashed."""
LEAST_TIMEOUT = 3
"""Seconds that an engine has at the least to answer one request: a busy one is not a dead one."""


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
