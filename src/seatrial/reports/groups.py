"""A smoke's results by family, and several images in one table: apps by Python versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
        """How many of each status: `3 pass, 1 fail`."""
        found = [result.status for result in self.results]
        return ", ".join(f"{found.count(status)} {status.value}" for status in Status if status in found)


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


def detailed(results: Sequence[Result]) -> tuple[tuple[Result, ...], ...]:
    """Return what is shown in full: failures, undecided checks together by their cause, waivers."""
    failed = [(result,) for result in results if result.status is Status.FAIL]
    waived = [(result,) for result in results if result.status is Status.WAIVED]
    causes: dict[str, list[Result]] = {}
    for result in results:
        if result.status is Status.ERROR:
            causes.setdefault(result.actual, []).append(result)
    return (*failed, *map(tuple, causes.values()), *waived)


def to_do(result: Result) -> tuple[tuple[str, str], ...]:
    """Return the row that says what to do, with its name; of a waiver the reason."""
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
    for number, smoke in enumerate(smokes):
        key = (app_of(smoke), smoke.python or NO_PYTHON)
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
