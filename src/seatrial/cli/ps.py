"""ps and logs: how an app's services are, and what they log. Two commands of a few lines each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import invoke

from seatrial.cli import output
from seatrial.cli.command import command
from seatrial.errors import ExitCode

if TYPE_CHECKING:
    from seatrial.compose.runner import Stack
    from seatrial.stack.state import ServiceState


@command(help={**output.APP, **output.FORMAT})
def ps(_context: invoke.Context, app: str | None = None, format: str = "text") -> ExitCode:
    """Show the state of each service of an app; exit 0 when all is up, 1 when not."""
    from seatrial.compose.runner import identify
    from seatrial.stack.state import all_up

    as_json = output.wants_json(format)
    project = output.project()
    services = print_services(identify(project, output.app_with_stack(project, app)), as_json=as_json)
    return ExitCode.OK if services and all_up(services) else ExitCode.FAILED


def print_services(stack: Stack, *, as_json: bool) -> tuple[ServiceState, ...]:
    """Print the state of each service of a stack, and return them."""
    from seatrial.reports.json import ps_document
    from seatrial.reports.stack_console import print_ps
    from seatrial.stack.up import ps as services_of

    services = services_of(stack, engine=output.engine())
    if as_json:
        print(ps_document(stack, services), end="")
    else:
        print_ps(stack.app, services, output.console())
    return services


@command(
    help={
        **output.APP,
        "service": "only this service",
        "follow": "go on with what is logged from now on",
        "tail": "how many last lines of each service",
    }
)
def logs(
    _context: invoke.Context,
    app: str | None = None,
    service: str | None = None,
    follow: bool = False,
    tail: str = "100",
) -> ExitCode:
    """Show what the services of an app log."""
    from seatrial.compose.runner import identify
    from seatrial.reports.stack_console import print_log
    from seatrial.stack.inspect import logs as lines_of

    lines = output.whole_number("--tail", tail)
    project = output.project()
    stack = identify(project, output.app_with_stack(project, app))
    console = output.console()
    try:
        for line in lines_of(stack, engine=output.engine(), service=service, follow=follow, tail=lines):
            print_log(line, console)
    except KeyboardInterrupt:
        # The way to end --follow: nothing was started, so there is nothing to report.
        return ExitCode.INTERRUPTED
    return ExitCode.OK
