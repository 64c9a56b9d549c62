"""The forms that a smoke's report can have, and the reports that a command's options ask for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from seatrial.errors import SettingsError
from seatrial.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

Format = Literal["text", "json", "junit", "sarif", "markdown", "html"]

FORMATS: tuple[Format, ...] = get_args(Format)

ENDINGS: dict[str, Format] = {
    ".txt": "text",
    ".json": "json",
    ".xml": "junit",
    ".sarif": "sarif",
    ".md": "markdown",
    ".html": "html",
}
"""The form that a file name extension stands for."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report to make: its form, and its file; without one it goes to standard output."""

    form: Format
    file: Path | None = None


def planned(form: str | None, output: str | None, also: Iterable[str] = ()) -> tuple[Report, ...]:
    """Return the reports that are asked for, first the one that may go to standard output.

    Raises:
        SettingsError: a form does not exist, an extension stands for none, or a file cannot be written. That is
            checked before the smoke, which takes a while.

    """
    ending = Path(output).suffix.lower() if output else ""
    first = _known("--format", form) if form is not None else ENDINGS.get(ending, "text")
    reports = [Report(form=first, file=_writable("--output", output) if output is not None else None)]
    for name in also:
        known = ENDINGS.get(Path(name).suffix.lower())
        if known is None:
            endings = ", ".join(ENDINGS)
            raise SettingsError(f"--also {name!r} has no extension of a report.", fix=f"Known: {endings}.")
        reports.append(Report(form=known, file=_writable("--also", name)))
    return tuple(reports)


def _known(option: str, value: str) -> Format:
    for form in FORMATS:
        if form == value:
            return form
    raise SettingsError(f"{option} {value!r} is not known.", fix=did_you_mean(value, FORMATS))


def _writable(option: str, name: str) -> Path:
    file = Path(name)
    try:
        there = file.parent.is_dir() and not file.is_dir()
        writable = there and os.access(file if file.exists() else file.parent, os.W_OK)
    except OSError:
        writable = False  # The name is too long.
    if not writable or not name:
        raise SettingsError("cannot be written.", where=name, fix=f"Give {option} a file in a folder that exists.")
    return file
