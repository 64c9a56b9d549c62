"""The formats of a smoke's report, the reports that a command's options ask for, and writing them.

An unknown format, or a file that cannot be written, raises SettingsError.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Literal, assert_never, get_args

from rich.console import Console

from seatrial.checks.verdict import Smoke
from seatrial.errors import SettingsError
from seatrial.filesystem import replace
from seatrial.reports.console import print_smokes
from seatrial.text import did_you_mean

Format = Literal["text", "json", "junit", "sarif", "codequality", "markdown", "html"]

FORMATS: tuple[Format, ...] = get_args(Format)

ENDINGS: dict[str, Format] = {
    ".txt": "text",
    ".json": "json",
    ".xml": "junit",
    ".sarif": "sarif",
    ".codequality.json": "codequality",
    "gl-code-quality-report.json": "codequality",
    ".md": "markdown",
    ".html": "html",
}
"""The form that the end of a file's name stands for."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report to make: its form, and its file; without one it goes to standard output."""

    form: Format
    file: Path | None = None


def planned(form: str | None, output: str | None, also: Iterable[str] = ()) -> tuple[Report, ...]:
    """Return the reports that are asked for, first the one that may go to standard output; checked before the smoke."""
    first = _form_of(output or "") or "text"
    if form is not None:
        if form not in FORMATS:
            raise SettingsError(f"--format {form!r} is not known.", fix=did_you_mean(form, FORMATS))
        first = form
    reports = [Report(form=first, file=_writable("--output", output) if output is not None else None)]
    for name in also:
        ending = _form_of(name)
        if ending is None:
            raise SettingsError(f"--also {name!r} has no extension of a report.", fix=f"Known: {', '.join(ENDINGS)}.")
        file = _writable("--also", name)
        if any(report.file is not None and report.file.resolve() == file.resolve() for report in reports):
            raise SettingsError("two reports cannot be in one file.", where=name, fix="Give --also another file.")
        reports.append(Report(form=ending, file=file))
    return tuple(reports)


def _form_of(name: str) -> Format | None:
    """Return the form that a file's name stands for, by the longest end that is known; None where none is."""
    known = [ending for ending in ENDINGS if name.lower().endswith(ending)]
    return ENDINGS[max(known, key=len)] if known else None


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


TEXT_WIDTH = 120
"""Columns of a text report in a file."""
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable by which GitHub Actions names the file of a job's summary."""
MOST_SUMMARY = 1024 * 1024
"""Bytes that such a file may hold; a larger one is not shown at all."""


def render(smokes: Sequence[Smoke], form: Format, *, verbose: bool = False) -> str:
    """Return a report; `verbose` shows more in a text report, the other forms always hold everything."""
    match form:  # Loading all of them would take 80 ms.
        case "json":
            from seatrial.reports.json import as_json as as_form
        case "junit":
            from seatrial.reports.junit import as_junit as as_form
        case "sarif":
            from seatrial.reports.sarif import as_sarif as as_form
        case "codequality":
            from seatrial.reports.ci import as_codequality as as_form
        case "markdown":
            from seatrial.reports.markdown import as_markdown as as_form
        case "html":
            from seatrial.reports.html import as_html as as_form
        case "text":
            return _text(smokes, verbose=verbose)
        case _:
            assert_never(form)
    return as_form(smokes)


def _text(smokes: Sequence[Smoke], *, verbose: bool) -> str:
    file = StringIO()
    console = Console(
        file=file, width=TEXT_WIDTH, force_terminal=False, color_system=None, highlight=False, emoji=False, markup=False
    )
    print_smokes(smokes, console, verbose=verbose)
    return file.getvalue()


def write(
    smokes: Sequence[Smoke],
    reports: Sequence[Report],
    *,
    console: Callable[[], Console],
    say: Callable[[str], None],
    verbose: bool = False,
) -> None:
    """Make every report; `say` receives the files' names when nothing goes to standard output."""
    for report in reports:
        if report.file is not None:
            write_file(report.file, render(smokes, report.form, verbose=verbose))
        elif report.form == "text":
            print_smokes(smokes, console(), verbose=verbose)
        else:
            sys.stdout.write(render(smokes, report.form))
    files = [str(report.file) for report in reports if report.file is not None]
    if reports[0].file is not None:
        for smoke in smokes:
            say(f"{smoke.verdict.value.upper()}  {smoke.image}: the report is in {', '.join(files)}")


def summarise(smokes: Sequence[Smoke], environment: Mapping[str, str], *, say: Callable[[str], None]) -> None:
    """Append Markdown to the summary of the job that this runs in; a summary that cannot be written fails no smoke."""
    name = environment.get(STEP_SUMMARY)
    if not name:
        return
    file, page = Path(name), render(smokes, "markdown").encode("utf-8", "backslashreplace")
    try:
        written = file.stat().st_size if file.exists() else 0
        if written + len(page) > MOST_SUMMARY:
            say(f"warning: {name} has no room left for this report; a summary holds 1 MiB.")
            return
        with file.open("ab") as summary:
            summary.write(page)
    except OSError as error:
        say(f"warning: {name}, which {STEP_SUMMARY} names, cannot be written: {error.strerror}.")


def write_file(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    try:
        replace(file, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise SettingsError(f"cannot be written: {error.strerror}.", where=str(file)) from error
