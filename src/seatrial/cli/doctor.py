"""doctor: checks the host."""

from __future__ import annotations

import invoke

from seatrial.cli import output
from seatrial.cli.command import command
from seatrial.errors import ExitCode


@command()
def doctor(_context: invoke.Context) -> ExitCode:
    """Check host, engine, disk, network, versions and settings; each problem with its fix."""
    from seatrial.doctor import examine
    from seatrial.reports.console import print_findings

    findings = examine(output.host(), output.project)
    print_findings(findings, output.console())
    return ExitCode.OK if all(finding.ok for finding in findings) else ExitCode.UNDECIDED
