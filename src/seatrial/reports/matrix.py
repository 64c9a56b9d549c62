"""Several images in one table: apps by Python versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.checks.model import Status
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.checks.verdict import Smoke

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
