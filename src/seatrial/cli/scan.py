"""scan: known vulnerabilities of images, as scanners and lists of updates tell them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import invoke

from seatrial.cli import output as edge
from seatrial.cli.command import command
from seatrial.errors import ExitCode, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence


@command(
    trusting=True,
    iterable=["also", "source"],
    help={
        "app": "the app whose image to scan; all apps without it",
        "image": "any image instead: a name, tag, id or digest",
        "contract": "a file with the contract of --image: its `scan` and `fail-on` count",
        "python": "the app's image for this Python version, such as 3.13",
        "fail-on": "error, warning or note: the vulnerabilities with a fix that fail it, those of this severity and "
        "above; by default the contract's `fail-on`, or error",
        "source": "ask this source: trivy, grype, scout, pip-audit or debian; repeatable; by default all that are here",
        "data": "a folder with data for a scan without a network: docs/scan.md tells what it may hold",
        "osv-url": "pip-audit asks this server of OSV's API instead of osv.dev",
        "format": "as smoke's: text, json, junit, sarif, codequality, markdown or html",
        "output": "write the report to this file instead of standard output",
        "also": "write this report too, its format by its extension; repeatable",
        "verbose": "show every source and package in full, what has no fix among it",
    },
)
def scan(
    _context: invoke.Context,
    app: str | None = None,
    image: str | None = None,
    contract: str | None = None,
    python: str | None = None,
    fail_on: str | None = None,
    source: Sequence[str] | None = None,
    data: str | None = None,
    osv_url: str | None = None,
    format: str | None = None,
    output: str | None = None,
    also: Sequence[str] | None = None,
    verbose: bool = False,
) -> ExitCode:
    """Tell what of an image has a known vulnerability and a fix: exit 0 nothing, 1 something, 2 undecided."""
    from seatrial.cli.smoke import finish, judged_by, targets_of
    from seatrial.reports.write import planned
    from seatrial.scan.images import SOURCES, Asking, scan_images

    severity = edge.chosen_severity(fail_on)
    sources = tuple(edge.known_choice("--source", name, SOURCES) for name in source or ())
    folder = None if data is None else Path(data)
    if folder is not None and not folder.is_dir():
        raise SettingsError("there is no such folder.", where=str(folder), fix="Give --data one; see docs/scan.md.")
    reports = planned(format, output, also or ())
    targets = judged_by(targets_of(app, image, contract, python), severity, None)
    asking = Asking(engine=edge.engine(), host=edge.host(), sources=sources, data=folder, osv_url=osv_url)
    with edge.status_line() as status:
        smoked = scan_images(targets, asking, status)
    return finish(smoked, reports, verbose=verbose)
