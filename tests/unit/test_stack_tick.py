from __future__ import annotations

import sys
import time

import pytest

from seatrial import process
from seatrial.errors import ProgramError

SLEEPER = [sys.executable, "-c", "import time; time.sleep(30)"]


def ignore(_: str) -> None:
    """Take a line and do nothing with it."""


def test_a_program_is_ended_when_a_tick_raises() -> None:
    ticks: list[float] = []

    def tick() -> None:
        ticks.append(time.monotonic())
        if len(ticks) == 3:
            raise LookupError

    start = time.monotonic()
    with pytest.raises(LookupError):
        process.stream(SLEEPER, timeout=20, on_output=ignore, on_error=ignore, tick=tick)
    assert time.monotonic() - start < 10
    assert len(ticks) == 3


def test_a_timeout_holds_while_ticking() -> None:
    with pytest.raises(ProgramError, match=r"longer than 0\.5 s"):
        process.stream(SLEEPER, timeout=0.5, on_output=ignore, on_error=ignore, tick=lambda: None)


def test_a_program_that_ends_by_itself_is_not_disturbed() -> None:
    argv = [sys.executable, "-c", "import time; time.sleep(0.5); print('done')"]
    done = process.stream(argv, timeout=20, on_output=ignore, on_error=ignore, tick=lambda: None)
    assert (done.code, done.output) == (0, "done\n")
