"""The forms of a smoke's report, and where it goes: the screen, files, the summary of a CI job."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal, assert_never, get_args

from seatrial.errors import SettingsError
from seatrial.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rich.console import Console

    from seatrial.checks.verdict import Smoke

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
"""What a file's ending says of its form."""

TEXT_WIDTH = 120
"""Columns of a text report in a file."""


def render(smokes: Sequence[Smoke], shape: Format, *, verbose: bool = False) -> str:
    """Return a report as text; `verbose` tells more in a text report, the others always hold everything."""
    match shape:
        case "text":
            return _text(smokes, verbose=verbose)
        case "json":
            from seatrial.reports.json import as_json

            return as_json(smokes)
        case "junit":
            from seatrial.reports.junit import as_junit

            return as_junit(smokes)
        case "sarif":
            from seatrial.reports.sarif import as_sarif

            return as_sarif(smokes)
        case "markdown":
            from seatrial.reports.markdown import as_markdown

            return as_markdown(smokes)
        case "html":
            from seatrial.reports.html import as_html

            return as_html(smokes)
        case _:
            assert_never(shape)


def _text(smokes: Sequence[Smoke], *, verbose: bool) -> str:
    from rich.console import Console

    from seatrial.reports.console import print_smokes

    file = StringIO()
    console = Console(
        file=file, width=TEXT_WIDTH, force_terminal=False, color_system=None, highlight=False, emoji=False, markup=False
    )
    print_smokes(smokes, console, verbose=verbose)
    return file.getvalue()


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
            replace_file(report.file, render(smokes, report.shape, verbose=verbose))
        elif report.shape == "text":
            from seatrial.reports.console import print_smokes

            print_smokes(smokes, console(), verbose=verbose)
        else:
            sys.stdout.write(render(smokes, report.shape))
    files = [str(one.file) for one in reports if one.file is not None]
    if reports[0].file is not None:
        for one in smokes:
            say(f"{one.verdict.value.upper()}  {one.image}: the report is in {', '.join(files)}")


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


def replace_file(file: Path, text: str) -> None:
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
