"""Asks an application's own health check at the moment when it may have become ready.

The engine asks by the clock: often, and each question takes processors from the application's start; rarely, and
what is ready waits to be asked. An application that starts computes; one that is ready, or waits, does not. So it is
asked as soon as it stops computing, with the command, the account and the environment that the engine asks with.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.facts.data import HealthAnswer

if TYPE_CHECKING:
    from seatrial.engine.containers import Container

IDLE = 0.25
"""The share of one processor below which an application counts as waiting."""
SAMPLED = 0.045
"""The fewest seconds between two looks at what it takes: the engine counts in steps of a few milliseconds."""
AGAIN = 0.4
"""Seconds from a bad answer to the next question."""
FIRST = 0.2
"""Seconds from the start to the first question."""
NANOSECONDS = 1_000_000_000


@dataclass(kw_only=True)
class Asker:
    """Asks one container, one question at a time; a question that is never answered ends with the container."""

    booted: Container
    words: tuple[str, ...]
    """The command line of the health check."""
    due: float
    """When it may be asked next, by the monotonic clock."""
    sampled: float = 0.0
    taken: float | None = None
    """Processor seconds that it had taken then; None before the first look."""
    question: str = ""
    """The id of the question under way."""
    asked: float = 0.0
    """When that was asked."""
    over: bool = False
    """The engine cannot count, or cannot ask: it asks by itself all the same."""

    def look(self) -> HealthAnswer | None:
        """Take one look; return an answer when there is one."""
        import docker.errors

        if self.over:
            return None
        try:
            if self.question:
                return self._answer()
            now = time.monotonic()
            if now >= self.due and self._waits(now):
                made = self.booted.client.exec_create(self.booted.id, list(self.words), stdout=False, stderr=False)
                self.question, self.asked = made["Id"], time.monotonic()
                self.booted.client.exec_start(self.question, detach=True)
        except (docker.errors.APIError, docker.errors.InvalidVersion):
            # It ended meanwhile, or the command is not there: the engine's own question tells that.
            self.over = True
        return None

    def _answer(self) -> HealthAnswer | None:
        said: Any = self.booted.client.exec_inspect(self.question)
        if said["Running"] or said["ExitCode"] is None:
            return None
        now = time.monotonic()
        self.question, self.taken, self.due = "", None, now + AGAIN
        return HealthAnswer(exit_code=int(said["ExitCode"]), output="", seconds=now - self.asked)

    def _waits(self, now: float) -> bool:
        """Tell whether it has taken next to nothing since the last look."""
        since = now - self.sampled
        if self.taken is not None and since < SAMPLED:
            return False
        counted: Any = self.booted.client.stats(self.booted.id, stream=False, one_shot=True)
        before, self.sampled = self.taken, now
        try:
            self.taken = int(counted["cpu_stats"]["cpu_usage"]["total_usage"]) / NANOSECONDS
        except (KeyError, TypeError, ValueError):
            self.over = True
            return False
        return before is not None and self.taken - before < IDLE * since
