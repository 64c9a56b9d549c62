"""The forms that a report can have."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Literal, assert_never, get_args

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    from seatrial.reports.smoke import print_smokes

    file = StringIO()
    console = Console(
        file=file, width=TEXT_WIDTH, force_terminal=False, color_system=None, highlight=False, emoji=False, markup=False
    )
    print_smokes(smokes, console, verbose=verbose)
    return file.getvalue()
