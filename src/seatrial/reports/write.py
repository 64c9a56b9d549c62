"""Writes reports: to the screen, to files, to the summary of a CI job."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from rich.console import Console

from seatrial.errors import SettingsError
from seatrial.filesystem import replace
from seatrial.reports.console import print_smokes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from seatrial.checks.verdict import Smoke
    from seatrial.reports.forms import Format, Report

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
    """Make every report.

    Args:
        smokes: what to report.
        reports: the first one may go to standard output, the others go to files.
        console: returns the console for a text report.
        say: told where the report is, when nothing goes to standard output.
        verbose: whether a text report shows every check in full.

    Raises:
        SettingsError: a file cannot be written after all.

    """
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
    file, page = Path(name), render(smokes, "markdown").encode()
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
    """Write a file whole or not at all.

    Raises:
        SettingsError: it cannot be written.

    """
    try:
        replace(file, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise SettingsError(f"cannot be written: {error.strerror}.", where=str(file)) from error
