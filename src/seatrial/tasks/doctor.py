"""doctor: looks at the host, and says for each problem what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.errors import ExitCode
from seatrial.tasks import surroundings
from seatrial.tasks.boundary import command

if TYPE_CHECKING:
    import invoke


@command()
def doctor(_context: invoke.Context) -> ExitCode:
    """Look at host, engine, disk, network, versions and settings; each problem with its fix."""
    from seatrial.doctor import examine
    from seatrial.reports.doctor import print_findings

    findings = examine(surroundings.host(), surroundings.project)
    print_findings(findings, surroundings.screen())
    return ExitCode.OK if all(one.ok for one in findings) else ExitCode.UNDECIDED
