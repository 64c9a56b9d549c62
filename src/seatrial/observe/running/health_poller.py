"""Follows the image's health check to its program, and asks it when the application may be ready."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import docker.errors
import requests

from seatrial.facts import HealthAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.engine.runs import Run
    from seatrial.facts import Configuration


IDLE = 0.25
"""The share of one processor below which an application counts as waiting."""
SAMPLED = 0.045
"""The fewest seconds between two samples of its processor time: the engine counts in steps of a few milliseconds."""
SLOW = 0.5
"""Seconds after which an engine counts too slowly to be asked again and again."""
AGAIN = 0.4
"""Seconds from a bad answer to the next question."""
FIRST = 0.2
"""Seconds from the start to the first question."""
MOST_SECONDS = 3
"""That one request may take: an image can keep an engine from starting anything in it."""
NANOSECONDS = 1_000_000_000


@contextmanager
def health_poller(run: Run, configuration: Configuration, container: str) -> Iterator[HealthPoller]:
    """Give the poller of a container that has just been started, on its own connection."""
    check, words = configuration.health_check, configuration.health_words
    client = run.engine.connection(MOST_SECONDS)
    try:
        yield HealthPoller(
            client=client,
            container=container,
            words=words,
            timeout=check.timeout if check else 0.0,
            due=time.monotonic() + FIRST,
            over=not words,
        )
    finally:
        client.close()


@dataclass(kw_only=True)
class HealthPoller:
    """Runs the health check of one container, never twice at once."""

    client: docker.APIClient
    container: str
    words: tuple[str, ...]
    """The command line of the health check."""
    timeout: float
    """Seconds that an answer may take: the image's own limit."""
    due: float
    """When it may be asked next, by the monotonic clock."""
    sampled: float = 0.0
    """When its processor time was read."""
    taken: float | None = None
    """Processor seconds that it had taken then; None before the first look."""
    question: str = ""
    """The id of the question in progress."""
    asked: float = 0.0
    """When that was asked."""
    running: float = 0.0
    """When it was last seen without an answer."""
    over: bool = False
    """From here on it is left to the engine."""

    def poll(self, *, busy: bool = False) -> HealthAnswer | None:
        """Poll once; return an answer when there is one.

        `busy`: something else runs in the container beside the application, perhaps the engine's own question.
        """
        if self.over:
            return None
        try:
            if self.question:
                return self._answer()
            now = time.monotonic()
            if now >= self.due and not busy and self._is_idle(now):
                made = self.client.exec_create(self.container, list(self.words), stdout=False, stderr=False)
                self.question, self.asked = made["Id"], time.monotonic()
                self.running = self.asked
                self.client.exec_start(self.question, detach=True)
        except (docker.errors.APIError, docker.errors.InvalidVersion, requests.exceptions.Timeout):
            # It ended meanwhile, the command is not there, or the engine cannot do this: its own question tells that.
            self.over = True
        return None

    def _answer(self) -> HealthAnswer | None:
        said: Any = self.client.exec_inspect(self.question)
        now = time.monotonic()
        if now - self.asked > self.timeout:
            # The engine would have counted it as bad.
            self.over = True
            return None
        if said["Running"] or said["ExitCode"] is None:
            self.running = now
            return None
        self.question, self.taken, self.due = "", None, now + AGAIN
        # It took at least so long: it ended between two looks.
        return HealthAnswer(exit_code=int(said["ExitCode"]), output="", seconds=self.running - self.asked)

    def _is_idle(self, now: float) -> bool:
        """Tell whether it has taken next to nothing since the last look."""
        since = now - self.sampled
        if self.taken is not None and since < SAMPLED:
            return False
        counted: Any = self.client.stats(self.container, stream=False, one_shot=True)
        before, self.sampled = self.taken, now
        try:
            self.taken = int(counted["cpu_stats"]["cpu_usage"]["total_usage"]) / NANOSECONDS
        except (KeyError, TypeError, ValueError):
            self.taken = 0.0
        # A start takes some time of a processor: 0 is an engine that does not count.
        if not self.taken or time.monotonic() - now > SLOW:
            self.over = True
            return False
        return before is not None and self.taken - before < IDLE * since
