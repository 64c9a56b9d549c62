"""Where a smoke's reports go: the screen, files, a job's summary."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.cli import output as surroundings
from seatrial.errors import SettingsError
from seatrial.reports.formats import ENDINGS, FORMATS, render
from seatrial.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from seatrial.checks.verdict import Smoke
    from seatrial.reports.formats import Format


STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable by which GitHub Actions names the file of a job's summary."""
MOST_SUMMARY = 1024 * 1024
"""Bytes that such a file may hold; a larger one is not shown at all."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report to make: its form, and its file; without one it goes to standard output."""

    shape: Format
    file: Path | None = None


def planned(shape: str | None, output: str | None, also: Iterable[str] = ()) -> tuple[Report, ...]:
    """Return the reports that are asked for, the one that may go to the screen first.

    Raises:
        SettingsError: a form does not exist, a file's ending names none, or a file cannot be written: that is found
            out before minutes are spent on what goes into it.

    """
    ending = Path(output).suffix.lower() if output else ""
    first = _known("--format", shape) if shape is not None else ENDINGS.get(ending, "text")
    reports = [Report(shape=first, file=_writable("--output", output) if output is not None else None)]
    for name in also:
        known = ENDINGS.get(Path(name).suffix.lower())
        if known is None:
            endings = ", ".join(ENDINGS)
            raise SettingsError(f"--also {name!r} has no ending that names a form.", fix=f"Known: {endings}.")
        reports.append(Report(shape=known, file=_writable("--also", name)))
    return tuple(reports)


def load(reports: Iterable[Report]) -> None:
    """Import what a report on the screen needs, at a time when nobody waits for it."""
    if any(one.file is None and one.shape == "text" for one in reports):
        from importlib import import_module

        for name in ("rich.console", "seatrial.reports.smoke"):
            import_module(name)


def write(smokes: Sequence[Smoke], reports: Sequence[Report], *, verbose: bool) -> None:
    """Make every report.

    Raises:
        SettingsError: a file cannot be written after all.

    """
    for report in reports:
        if report.file is not None:
            _replace(report.file, render(smokes, report.shape, verbose=verbose))
        elif report.shape == "text":
            from seatrial.reports.smoke import print_smokes

            print_smokes(smokes, surroundings.screen(), verbose=verbose)
        else:
            print(render(smokes, report.shape), end="")
    files = [str(one.file) for one in reports if one.file is not None]
    if reports[0].file is not None:
        for one in smokes:
            surroundings.say(f"{one.verdict.value.upper()}  {one.image}: the report is in {', '.join(files)}")


def summarise(smokes: Sequence[Smoke], environment: Mapping[str, str]) -> None:
    """Append Markdown to the summary of the job that this runs in; a smoke does not fail for want of it."""
    name = environment.get(STEP_SUMMARY)
    if not name:
        return
    file, page = Path(name), render(smokes, "markdown").encode()
    try:
        written = file.stat().st_size if file.exists() else 0
        if written + len(page) > MOST_SUMMARY:
            surroundings.say(f"warning: {name} has no room left for this report; a summary holds 1 MiB.")
            return
        with file.open("ab") as summary:
            summary.write(page)
    except OSError as error:
        surroundings.say(f"warning: {name}, which {STEP_SUMMARY} names, cannot be written: {error.strerror}.")


def _known(option: str, value: str) -> Format:
    for one in FORMATS:
        if one == value:
            return one
    raise SettingsError(f"{option} {value!r} is not known.", fix=did_you_mean(value, FORMATS))


def _writable(option: str, name: str) -> Path:
    file = Path(name)
    try:
        folder = file.parent
        refused = file.is_dir() or not folder.is_dir()
        refused = refused or not os.access(file if file.exists() else folder, os.W_OK)
    except OSError:
        # A name that is too long.
        refused = True
    if refused or not name:
        raise SettingsError("cannot be written.", where=name, fix=f"Give {option} a file in a folder that exists.")
    return file


def _replace(file: Path, text: str) -> None:
    """Write a file whole or not at all; what is no file of its own (a device, a link) is written into."""
    data = text.encode("utf-8", "backslashreplace")
    half = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        if file.exists() and (file.is_symlink() or not file.is_file()):
            file.write_bytes(data)
            return
        try:
            half.write_bytes(data)
            half.replace(file)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(f"cannot be written: {error.strerror}.", where=str(file)) from error
