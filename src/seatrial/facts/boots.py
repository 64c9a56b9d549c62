"""All starts of one image: the hardened one, those with restrictions lifted, and those of level deep."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from seatrial.facts.boot import run_boot
from seatrial.facts.configuration import other_platform
from seatrial.facts.data import NOT_DEEP
from seatrial.facts.restrictions import relaxed_starts
from seatrial.facts.starts import deep_starts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.facts.boot import Starter
    from seatrial.facts.data import Boot, Missing, Starts

    Boots: TypeAlias = tuple[Boot, tuple[Boot, ...], Starts | Missing]
    """The first start, those with restrictions lifted, and those of level deep."""


def boots(starter: Starter, seconds: dict[str, float], *, deep: bool) -> Boots:
    """Boot hardened; when it does not come up, with fewer restrictions, to tell which was why; then the deep starts.

    Args:
        starter: what to start.
        seconds: gets how long each kind of start took.
        deep: whether the deep starts are wanted.

    Raises:
        EngineError: the engine does not answer.

    """
    with timed(seconds, "boot"):
        first = run_boot(starter)
    relaxed: tuple[Boot, ...] = ()
    if not first.up and not first.start_error and not other_platform(starter.configuration, *first.log):
        with timed(seconds, "relaxed boots"):
            relaxed = relaxed_starts(lambda lifted: run_boot(starter, lifted=lifted), at_once=starter.at_once)
    if not deep:
        return first, relaxed, NOT_DEEP
    came_up = sorted((one for one in relaxed if one.up), key=lambda one: len(one.lifted))
    with timed(seconds, "deep starts"):
        return first, relaxed, deep_starts(starter, came_up[0] if came_up else first)


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Note how long the block takes."""
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started
