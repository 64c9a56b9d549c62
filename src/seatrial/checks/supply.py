"""supply/*: what an image is made of, and whether it still gets fixes."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from seatrial.checks.declaration import check
from seatrial.checks.model import Expect, Outcome, Severity, skipped
from seatrial.facts import Inventory, Probe, Unavailable

SOON = 90
"""Days before the end in which it is told."""
LAST_BEFORE_YEARLY = 8
"""Python 3.8 was the last before there was one each October."""


@functools.cache
def releases() -> Mapping[str, dict[str, date]]:
    """Return until when releases of Linux get fixes, by the distribution's id and its version."""
    table = tomllib.loads(Path(__file__).with_name("end_of_life.toml").read_text(encoding="utf-8"))
    return {name: rows for name, rows in table.items() if isinstance(rows, dict)}


IS_PYTHON = re.compile("Python ").match


def python_ends(version: str) -> date | None:
    """Return the last day on which a Python gets security fixes: the end of the fifth October after its first.

    Sources: PEP 602, and PEP 569 for 3.8.
    """
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0]
    if major != "3" or not minor.isdecimal() or int(minor) < LAST_BEFORE_YEARLY:
        return date.min if major.isdecimal() else None
    return date(2016 + int(minor), 10, 31)


@check(
    "supply/end-of-life",
    title="Runs on releases that still get security fixes",
    severity=Severity.WARNING,
    why="A hole that becomes known after the end of a release is never mended in it.",
    source="PEP 602; the releases of Debian, LTS included, and of Ubuntu, as Debian's distro-info-data has them",
    example="FROM python:3.8-slim-bullseye",
    fixed="FROM python:3.13-slim-trixie",
)
def end_of_life(inventory: Inventory, by_files: Probe | Unavailable, today: date) -> Outcome:
    expect = Expect("a Python, and a Linux, that get security fixes today")
    pythons = inventory.pythons if isinstance(by_files, Unavailable) else (by_files.interpreter.version,)
    ends = {f"Python {version}": python_ends(version) for version in pythons}
    if (release := inventory.release) is not None:
        ends[release.title or f"{release.id} {release.version}"] = releases().get(release.id, {}).get(release.version)
    known = {name: end for name, end in ends.items() if end is not None}
    if not known:
        return skipped(f"until when {' and '.join(ends) or 'its release'} gets fixes is not known here")
    told = [
        f"{name} has had none since {end}" if end > date.min else f"{name} gets none"
        for name, end in known.items()
        if end < today
    ]
    if told:
        return expect.failed(told, fix=_fix(known, today))
    if soon := [f"{name} gets none after {end}" for name, end in known.items() if (end - today).days <= SOON]:
        return expect.failed(soon, fix=_fix(known, today), severity=Severity.NOTE)
    return expect.passed("; ".join(f"{name} until {end}" for name, end in known.items()))


def _fix(known: Mapping[str, date], today: date) -> str:
    old = [name for name, end in known.items() if (end - today).days <= SOON]
    # The newest one, or the one before it until that has been there for a year.
    python = f"move to a later Python, such as 3.{today.year - 2012}"
    base = "base the final stage on a later release: another suite in its base's tag"
    fixes = [python] * any(map(IS_PYTHON, old)) + [base] * (not all(map(IS_PYTHON, old)))
    text = ", and ".join(fixes)
    return f"{text[:1].upper()}{text[1:]}."
