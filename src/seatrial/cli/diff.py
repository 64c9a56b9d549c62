"""diff: what differs between two images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import invoke

from seatrial.cli import output
from seatrial.cli.command import command

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.engine.find import Engine
    from seatrial.smoke.difference import Side

FORMATS = ("text", "json", "markdown")


@command(
    trusting=True,
    positional=["old", "new"],
    help={
        "old": "an image: a name, tag, id or digest; or a path of a saved image, such as ./shop.tar",
        "new": "the image to compare it with, likewise",
        "contract": "a TOML file with the keys of an app's contract table, for the findings of both",
        "format": "text, json, or markdown for a pull request",
    },
)
def diff(_context: invoke.Context, old: str, new: str, contract: str | None = None, format: str = "text") -> None:
    """Show what differs between two images: packages, files, sizes, configuration and findings; none is started."""
    from seatrial.reports import difference as reports
    from seatrial.smoke.difference import difference

    known = output.known_choice("--format", format, FORMATS)
    engine = None if _is_archive(old) and _is_archive(new) else output.engine()
    with output.status_line() as status:
        found = difference(*(_side(name, contract, engine, status) for name in (old, new)))
    if known == "text":
        reports.print_difference(found, output.console())
    else:
        print((reports.difference_document if known == "json" else reports.difference_markdown)(found), end="")


def _is_archive(name: str) -> bool:
    """Tell whether an image is named by a path: no reference begins so, and none ends so."""
    return name.startswith(("/", "./", "../", "~")) or name.endswith((".tar", ".tar.gz", ".tgz"))


def _side(name: str, contract: str | None, engine: Engine | None, status: Callable[[str], None]) -> Side:
    from seatrial.smoke import image_target
    from seatrial.smoke.difference import side_of_archive, side_of_engine

    target = image_target(name, Path(contract) if contract else None, output.host().trust)
    if engine is None or _is_archive(name):
        return side_of_archive(target, Path(name).expanduser(), status)
    return side_of_engine(target, engine, status)
