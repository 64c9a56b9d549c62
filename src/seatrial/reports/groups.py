"""A smoke's results by family: the part of a check's id before the slash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.checks.model import Result, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TOLD = (Status.FAIL, Status.ERROR, Status.WAIVED)
"""What every report tells in full, in the order of its weight."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """The results of one family."""

    family: str
    results: tuple[Result, ...]

    @property
    def worst(self) -> Status:
        """The status that counts most: a failure, then what could not be decided, then a waiver."""
        statuses = {one.status for one in self.results}
        return next((one for one in (*TOLD, Status.PASS) if one in statuses), Status.SKIP)

    @property
    def counts(self) -> str:
        """How many of each status: `3 pass, 1 fail`."""
        return counted(self.results)


def grouped(results: Iterable[Result]) -> tuple[Group, ...]:
    """Return the families in the order of the catalogue; a family that stands in two places is one."""
    families: dict[str, list[Result]] = {}
    for one in results:
        families.setdefault(family_of(one.id), []).append(one)
    return tuple(Group(family=name, results=tuple(found)) for name, found in families.items())


def family_of(check: str) -> str:
    """Return the family of a check's id: `boot` of `boot/healthy`."""
    return check.partition("/")[0]


def name_of(check: str) -> str:
    """Return a check's name within its family: `healthy` of `boot/healthy`."""
    return check.partition("/")[2] or check


def counted(results: Iterable[Result]) -> str:
    """Return how many results there are of each status, those that are there: `3 pass, 1 fail`."""
    found = [one.status for one in results]
    return ", ".join(f"{found.count(status)} {status.value}" for status in Status if status in found)


def told(results: Sequence[Result]) -> tuple[tuple[Result, ...], ...]:
    """Return what is told in full, by weight: failures, what is undecided (by its cause), waivers."""
    failed = [(one,) for one in results if one.status is Status.FAIL]
    waived = [(one,) for one in results if one.status is Status.WAIVED]
    # What has one cause is told once, behind what may be that cause.
    return (*failed, *with_one_cause(results), *waived)


def with_one_cause(results: Iterable[Result]) -> tuple[tuple[Result, ...], ...]:
    """Return what could not be decided, those with the same reason together: one cause is told once."""
    causes: dict[str, list[Result]] = {}
    for one in results:
        if one.status is Status.ERROR:
            causes.setdefault(one.actual, []).append(one)
    return tuple(tuple(same) for same in causes.values())
