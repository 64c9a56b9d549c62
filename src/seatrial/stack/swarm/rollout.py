"""Watches a deploy until the swarm has converged, has given up, or takes too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from seatrial.stack.swarm import cluster
from seatrial.stack.swarm.explain import LOG_LINES, MOST_TASKS, culprits, explain
from seatrial.stack.swarm.judge import standings
from seatrial.stack.swarm.model import FINAL_FAILURES, Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.engine.find import Engine
    from seatrial.errors import StackFailedError
    from seatrial.stack.swarm.model import Standing, Swarm
    from seatrial.stack.wait import Clock

POLL = 0.5
"""Seconds between two looks at the swarm."""
SETTLE = 5.0
"""Seconds that all must stay up before it counts: what has no health check runs at first, and then may end."""


GIVEN_UP = 2.0
"""Seconds that a failure must last: between the end of a task and the start of its successor there is a moment."""


class DeployObserver(Protocol):
    """Who is told how a deploy goes."""

    def say(self, text: str) -> None:
        """Take a message for a person."""

    def show(self, standings: tuple[Standing, ...], seconds: float) -> None:
        """Take where every service stands, `seconds` after the start."""


class Rollout:
    """One deploy, from the moment that the swarm has it."""

    def __init__(
        self,
        stack: str,
        swarm: Swarm,
        engine: Engine,
        observer: DeployObserver,
        *,
        before: frozenset[str],
        timeout: float,
        settle: float,
        clock: Clock,
    ) -> None:
        self._stack = stack
        self._swarm = swarm
        self._engine = engine
        self._observer = observer
        self._before = before
        self._timeout = timeout
        self._settle = settle
        self._clock = clock
        self._start = clock.monotonic()

    def until_converged(self) -> tuple[Standing, ...]:
        """Look until every service is where it shall be, and has stayed so.

        Raises:
            StackFailedError: a service failed or was rolled back, or the time is over.
            EngineError: the engine stopped answering.

        """
        good_since: float | None = None
        bad_since: float | None = None
        while True:
            found = self._observed()
            elapsed = self._clock.monotonic() - self._start
            self._observer.show(found, elapsed)
            if any(one.phase in FINAL_FAILURES for one in found) and not _under_way(found):
                bad_since = elapsed if bad_since is None else bad_since
                if elapsed - bad_since >= GIVEN_UP:
                    raise self._failed(found)
            else:
                bad_since = None
            if all(one.good for one in found):
                good_since = elapsed if good_since is None else good_since
                if elapsed - good_since >= self._settle:
                    return found
            else:
                good_since = None
            if elapsed >= self._timeout:
                raise self._failed(found, timed_out=self._timeout)
            self._clock.sleep(max(min(POLL, self._timeout - elapsed), 0))

    def _observed(self) -> tuple[Standing, ...]:
        services = cluster.services(self._stack, self._engine)
        return standings(services, cluster.tasks(self._stack, self._engine, services), before=self._before)

    def _failed(self, found: Sequence[Standing], *, timed_out: float | None = None) -> StackFailedError:
        blamed = culprits(found)
        outputs = {one.service.name: cluster.output(one, self._swarm, self._engine, count=LOG_LINES) for one in blamed}
        checks = {
            task.id: cluster.health_outputs(task, self._swarm, self._engine)
            for one in blamed
            for task in one.telling[:MOST_TASKS]
        }
        return explain(self._stack, found, self._swarm, outputs=outputs, checks=checks, timed_out=timed_out)


def _under_way(found: Sequence[Standing]) -> bool:
    """Tell whether another service is being rolled back: its end is waited for, so that the message is whole."""
    return any(one.phase is Phase.ROLLING_BACK for one in found)
