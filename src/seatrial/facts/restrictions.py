"""Which restriction was in the way: starts of an image that does not come up hardened, each let off some of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from seatrial.facts.data import Restriction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from seatrial.facts.data import Boot

    Lifted = frozenset[Restriction]

AT_ONCE = 2
"""Starts that are learnt from together."""
ALL = frozenset(Restriction)


def next_starts(came_up: Mapping[Lifted, bool]) -> tuple[Lifted, ...]:
    """Return which starts to try next, given which came up; none when nothing more can be learnt.

    First with nothing in the way, beside the likeliest cause; then with one restriction lifted after the other. Where
    it takes more than one, each is tried alone: those that it does not come up with are what is in the way.
    """
    if ALL not in came_up:
        return (ALL, frozenset({Restriction.READ_ONLY}))
    one_lifted = [frozenset({one}) for one in Restriction]
    if not came_up[ALL] or any(came_up.get(lifted) for lifted in one_lifted):
        return ()
    one_left = [ALL - {one} for one in Restriction]
    left = [lifted for lifted in one_lifted if lifted not in came_up]
    left = left or [lifted for lifted in one_left if lifted not in came_up]
    return tuple(left[:AT_ONCE])


def relaxed_starts(start: Callable[[Lifted], Boot], *, at_once: int = AT_ONCE) -> tuple[Boot, ...]:
    """Start an image again and again, `at_once` side by side, until it is clear what was in its way."""
    boots: dict[Lifted, Boot] = {}
    with ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="relaxed") as pool:
        while wanted := next_starts({lifted: boot.up for lifted, boot in boots.items()}):
            boots.update(zip(wanted, pool.map(start, wanted), strict=True))
    return tuple(boots.values())
