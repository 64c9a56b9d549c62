"""A clock that only moves when somebody sleeps, and that carries out what is scheduled on the way."""

from __future__ import annotations

import heapq
import itertools
import signal
import sys
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
TICK = 1e-6
LONGEST = 100_000.0
SCHEDULING = 0.002
"""Real seconds that other threads are given to reach their next sleep."""


class VirtualClock:
    """The passing of time, in seconds; takes the place of the `time` module.

    The thread that made it moves it by sleeping. Another thread's sleep ends when the clock reaches its moment; where
    nobody moves the clock (the first thread waits for the others), the sleep that ends first does.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._owner = threading.get_ident()
        self._lock = threading.RLock()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._beside: dict[int, float] = {}

    def monotonic(self) -> float:
        """Return the seconds since the clock was made."""
        return self.now

    def datetime(self, moment: float | None = None) -> datetime:
        """Return the date and time that a moment stands for."""
        return BEGIN + timedelta(seconds=self.now if moment is None else moment)

    def sleep(self, seconds: float, /) -> None:
        """Let time pass; what is due meanwhile happens, and may raise."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")  # as time.sleep
        # Each sleep moves the clock: what is left of a time limit may be less than a float can hold.
        deadline = round(self.now + (max(seconds, TICK) if seconds else 0), 6)
        assert deadline < LONGEST, "the code under test waits for ever"
        if threading.get_ident() == self._owner:
            self._move(deadline)
            self._let_others_run()
        else:
            self._sleep_beside(deadline)

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Carry out an action at a moment; at once when it has passed."""
        with self._lock:
            heapq.heappush(self._due, (moment, next(self._numbers), action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Carry out an action in some seconds."""
        self.at(self.now + seconds, action)

    def interrupt_at(self, *moments: float) -> None:
        """Press Ctrl-C at these moments."""
        for moment in moments:
            self.at(moment, self._interrupt)

    def _move(self, deadline: float) -> None:
        with self._lock:
            while self._due and self._due[0][0] <= deadline:
                moment, _, action = heapq.heappop(self._due)
                self.now = max(self.now, round(moment, 6))
                action()
            self.now = max(self.now, deadline)

    def _let_others_run(self) -> None:
        """Wait, in real time, until those whose sleep is over have gone on."""
        for _ in range(500):
            due = any(moment <= self.now for moment in list(self._beside.values()))
            if self._beside:
                time.sleep(SCHEDULING)
            if not due:
                return

    def _sleep_beside(self, deadline: float) -> None:
        me = threading.get_ident()
        self._beside[me] = deadline
        try:
            while self.now < deadline:
                time.sleep(SCHEDULING)
                if self._owner_waits() and deadline <= min(self._beside.values()):
                    self._move(deadline)
        finally:
            del self._beside[me]

    def _owner_waits(self) -> bool:
        """Tell whether the thread that made the clock waits for another one to end."""
        frame = sys._current_frames().get(self._owner)  # noqa: SLF001 - only it tells where another thread stands
        names = {caller.f_code.co_name for caller, _ in itertools.islice(traceback.walk_stack(frame), 4)}
        return bool(names & {"join", "_wait_for_tstate_lock", "result"})

    def _interrupt(self) -> None:
        if threading.get_ident() == self._owner:
            raise KeyboardInterrupt
        # The thread that made the clock waits for others, as in `Thread.join`: only a real signal wakes it.
        signal.pthread_kill(self._owner, signal.SIGINT)
        time.sleep(25 * SCHEDULING)
