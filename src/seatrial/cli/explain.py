"""explain: explains a check."""

from __future__ import annotations

import sys

import invoke

from seatrial.cli import output
from seatrial.cli.command import command
from seatrial.errors import SettingsError
from seatrial.text import nearest
from seatrial.trust import Trust

# Invoke has no optional positional argument: without a check's id on the command line, the task has none.
POSITIONAL = () if sys.argv[-1:] == ["explain"] else ("check",)


@command(
    trusting=True,
    positional=POSITIONAL,
    help={"check": "the check's id, such as identity/non-root; all checks without it"},
)
def explain(_context: invoke.Context, check: str | None = None) -> None:
    """Explain a check: its rule, why, its source, what fails it and the fix; without an id, list all checks."""
    from seatrial.checks.registry import CATALOGUE, own_checks
    from seatrial.reports.console import print_catalogue, print_check

    console = output.console()
    # A module of a project's own checks is code that runs here.
    project = None if output.host().trust is Trust.NONE else output.project_if_any()
    catalogue = (*CATALOGUE, *own_checks(project))
    if not check:
        print_catalogue(catalogue, console)
        return
    known = {known.id: known for known in catalogue}
    if check not in known:
        fix = f"{nearest(check, known)} `seatrial explain` lists them all."
        raise SettingsError(f"there is no check {check!r}.", fix=fix)
    print_check(known[check], console)
