"""Runs commands side by side, in turns, and prints medians: one machine's state is the same for all of them."""

from __future__ import annotations

import os
import platform
import statistics
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROUNDS = 7


def measure(candidates: Mapping[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Call each candidate once a round, in turns; each returns the seconds that count.

    One round before is not counted: it compiles the modules, and reads from the disk what the others have in memory.
    """
    # Where this is set, every start of a Python program would compile all its modules anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for candidate in candidates.values():
        candidate()
    for _ in range(rounds):
        for name, candidate in candidates.items():
            taken[name].append(candidate())
    return taken


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def heading(title: str) -> None:
    """Print what is measured, when and on what."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(f"{title}: {datetime.now(tz=UTC):%Y-%m-%d}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}")


def table(taken: Mapping[str, list[float]]) -> None:
    """Print each candidate's median, fastest and slowest round, in seconds."""
    width = max(len(name) for name in taken)
    print(f"{'':{width}}  median     min     max")
    for name, seconds in taken.items():
        print(f"{name:{width}}  {statistics.median(seconds):6.2f}  {min(seconds):6.2f}  {max(seconds):6.2f}")
