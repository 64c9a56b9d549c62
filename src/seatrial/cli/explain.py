"""explain."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from seatrial.cli import output
from seatrial.cli.errors import command
from seatrial.errors import ExitCode, SettingsError
from seatrial.suggest import nearest

if TYPE_CHECKING:
    import invoke


# Invoke knows no positional argument that may be left out. Where nothing follows the command's name, it has none.
POSITIONAL = () if sys.argv[-1:] == ["explain"] else ("check",)


@command(positional=POSITIONAL, help={"check": "the check's id, such as identity/non-root; all checks without it"})
def explain(_context: invoke.Context, check: str | None = None) -> ExitCode:
    """Explain a check: its rule, why, its source, what fails it and the mend; without one, list them all."""
    from seatrial.checks.registry import CATALOGUE
    from seatrial.reports.explain import print_catalogue, print_check

    screen = output.screen()
    if not check:
        print_catalogue(CATALOGUE, screen)
        return ExitCode.OK
    known = {one.id: one for one in CATALOGUE}
    if check not in known:
        raise SettingsError(
            f"no check is called {check!r}.",
            fix=nearest(check, known) + " `seatrial explain` lists them all.",
        )
    print_check(known[check], screen)
    return ExitCode.OK
