"""A smoke's results by family, and several images in one table: apps by Python versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.checks.model import Result, Status
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from seatrial.checks.verdict import Smoke


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


def to_do(result: Result) -> tuple[tuple[str, str], ...]:
    """Return what is to be done, with its name; of a waiver its reason."""
    if result.status is Status.WAIVED:
        return (("waived", result.fix.removeprefix("Waived: ")),)
    return (("to do", result.fix),) if result.fix else ()


NO_PYTHON = "no Python"
"""The column of images of which no version is known."""


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The smokes by app and Python version; a pair may have several, when images are named by hand."""

    apps: tuple[str, ...]
    pythons: tuple[str, ...]
    cells: dict[tuple[str, str], tuple[int, ...]]
    """The smokes of an app and a version, by their place in the list."""


def matrix(smokes: Sequence[Smoke]) -> Matrix:
    """Return the table: apps as they come, versions from the oldest on."""
    cells: dict[tuple[str, str], tuple[int, ...]] = {}
    for number, one in enumerate(smokes):
        key = (app_of(one), one.python or NO_PYTHON)
        cells[key] = (*cells.get(key, ()), number)
    return Matrix(
        apps=tuple(dict.fromkeys(app for app, _ in cells)),
        pythons=tuple(sorted({python for _, python in cells}, key=_age)),
        cells=cells,
    )


def app_of(smoke: Smoke) -> str:
    """Return the app's name, or the image's where no app describes it."""
    return plain_line(smoke.app or smoke.image)


def heading(python: str) -> str:
    """Return a column's heading: `Python 3.13`."""
    return python if python == NO_PYTHON else f"Python {python}"


def brief(smoke: Smoke) -> str:
    """Return a smoke as a table's cell: its verdict, and how many checks made it so."""
    failed, undecided = smoke.counts.get(Status.FAIL, 0), smoke.counts.get(Status.ERROR, 0)
    told = [f"{number} {word}" for number, word in ((failed, "failed"), (undecided, "undecided")) if number]
    return f"{smoke.verdict.value.upper()} {', '.join(told) or f'{smoke.counts.get(Status.PASS, 0)} passed'}"


def _age(python: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in python.split(".") if part.isdecimal())
    return numbers or (1_000,)


def rows(smokes: Sequence[Smoke]) -> list[list[str]]:
    """Return the table as rows of text, the header first."""
    table = matrix(smokes)
    lines = [["app", *map(heading, table.pythons)]]
    for app in table.apps:
        found = [table.cells.get((app, python), ()) for python in table.pythons]
        lines.append([app, *("; ".join(brief(smokes[number]) for number in numbers) or "-" for numbers in found)])
    return lines
