"""A smoke's results by family, and several images in one table: apps by Python versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from seatrial.checks.model import Result, Status
from seatrial.checks.verdict import Smoke
from seatrial.text import plain_line

DETAILED = (Status.FAIL, Status.ERROR, Status.WAIVED)
"""The statuses that every report shows in full, the worst first."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """The results of one family."""

    family: str
    results: tuple[Result, ...]

    @property
    def worst(self) -> Status:
        """The worst status: a failure, then what is undecided, then a waiver."""
        statuses = {result.status for result in self.results}
        return next((status for status in (*DETAILED, Status.PASS) if status in statuses), Status.SKIP)

    @property
    def counts(self) -> str:
        """How many of each status."""
        return counted(Counter(result.status for result in self.results))


def grouped(results: Iterable[Result]) -> tuple[Group, ...]:
    """Return the results by family, in the order of the catalogue."""
    families: dict[str, list[Result]] = {}
    for result in results:
        families.setdefault(family_of(result.id), []).append(result)
    return tuple(Group(family=name, results=tuple(found)) for name, found in families.items())


def family_of(check: str) -> str:
    """Return the family of a check's id: `boot` of `boot/healthy`."""
    return check.partition("/")[0]


def name_of(check: str) -> str:
    """Return a check's name within its family: `healthy` of `boot/healthy`."""
    return check.partition("/")[2] or check


def detailed(results: Sequence[Result]) -> list[list[Result]]:
    """Return what is shown in full: failures, undecided checks together by their cause, waivers."""
    causes: dict[str, list[Result]] = {}
    for result in results:
        if result.status is Status.ERROR:
            causes.setdefault(result.actual, []).append(result)
    alone = {status: [[result] for result in results if result.status is status] for status in DETAILED}
    return [*alone[Status.FAIL], *causes.values(), *alone[Status.WAIVED]]


def rows_of(result: Result, *, whole: bool = True) -> list[tuple[str, str]]:
    """Return what a report shows of a result, by name; where several share a cause, that alone."""
    rows = [("seen", result.actual)]
    if whole:
        waived = result.status is Status.WAIVED
        to_do = ("waived", result.fix.removeprefix("Waived: ")) if waived else ("to do", result.fix)
        rows += [("expected", result.expected), ("why", result.why), to_do, ("where", result.where)]
    return [(name, value) for name, value in rows if value]


def counted(statuses: Mapping[Status, int]) -> str:
    """Return how many there are of each status: `3 pass, 1 fail`."""
    return ", ".join(f"{statuses[status]} {status.value}" for status in Status if statuses.get(status))


NO_PYTHON = "no Python"
"""The column of images of which no version is known."""


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The smokes by app and Python version; a pair may have several, when images are named by hand."""

    apps: list[str]
    pythons: list[str]
    cells: dict[tuple[str, str], list[int]]
    """The smokes of an app and a version, by their place in the list."""


def matrix(smokes: Sequence[Smoke]) -> Matrix:
    """Return the table: apps as they come, versions from the oldest on."""
    cells: dict[tuple[str, str], list[int]] = {}
    for number, smoke in enumerate(smokes):
        cells.setdefault((app_of(smoke), smoke.python or NO_PYTHON), []).append(number)
    pythons = sorted({python for _, python in cells}, key=_age)
    return Matrix(apps=list(dict.fromkeys(app for app, _ in cells)), pythons=pythons, cells=cells)


def app_of(smoke: Smoke) -> str:
    """Return the app's name, or the image's where no app describes it."""
    return plain_line(smoke.app or smoke.image)


def heading(python: str) -> str:
    """Return a column's heading: `Python 3.13`."""
    return python if python == NO_PYTHON else f"Python {python}"


def brief(smoke: Smoke) -> str:
    """Return a smoke as a table's cell: its verdict, and how many checks made it so."""
    failed, undecided = smoke.counts.get(Status.FAIL, 0), smoke.counts.get(Status.ERROR, 0)
    detailed = [f"{number} {word}" for number, word in ((failed, "failed"), (undecided, "undecided")) if number]
    return f"{smoke.verdict.value.upper()} {', '.join(detailed) or f'{smoke.counts.get(Status.PASS, 0)} passed'}"


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
