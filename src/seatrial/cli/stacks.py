"""up, down, ps, logs: an app with its services."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from seatrial.cli import output
from seatrial.cli import up as composed
from seatrial.cli.errors import command
from seatrial.errors import ExitCode, SettingsError

if TYPE_CHECKING:
    import invoke


@command(
    help=composed.APP
    | {
        "timeout": "seconds until it must be up",
        "create-env": "copy a missing .env from the .env.example beside the compose file",
        "dry-run": "only look whether it could be started, and start nothing",
        "format": "text or json",
    }
)
def up(
    _context: invoke.Context,
    app: str | None = None,
    timeout: int = 120,
    create_env: bool = False,
    dry_run: bool = False,
    format: str = "text",  # noqa: A002 - the option's name
) -> ExitCode:
    """Bring an app up with its services; wait until all is healthy, or say why it is not."""
    from seatrial.cli import output
    from seatrial.cli import up as upping

    if timeout <= 0:
        raise SettingsError(f"--timeout {timeout} leaves no time.", fix="Give seconds above 0.")
    as_json = output.is_json(format)
    project = output.project()
    name = composed.app_of(project, app)
    if dry_run:
        return upping.dry_run(project, name, as_json=as_json)
    return upping.up(project, name, timeout=timeout, create_env=create_env, as_json=as_json)


@command(
    help=composed.APP
    | {
        "volumes": "remove its data too",
        "yes": "do not ask",
        "dry-run": "say what would be removed",
        "format": "text or json",
    }
)
def down(
    _context: invoke.Context,
    app: str | None = None,
    volumes: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    format: str = "text",  # noqa: A002 - the option's name
) -> ExitCode:
    """Take an app's stack down; its data stays unless --volumes is given."""
    from seatrial.cli.output import answered, is_json
    from seatrial.compose.services import identify
    from seatrial.reports.json import down_document, ps_document
    from seatrial.reports.stack import print_down, print_ps
    from seatrial.stack import down as remove
    from seatrial.stack import up as bringup
    from seatrial.stack.down import Removed

    as_json = is_json(format)
    project = output.project()
    name = composed.app_of(project, app)
    stack = identify(project, name)
    if dry_run:
        services = bringup.ps(stack, engine=output.engine())
        if as_json:
            print(ps_document(stack, services), end="")
        else:
            print_ps(name, services, output.screen())
        return ExitCode.OK
    removed = Removed()
    with answered(lambda problem: down_document(stack, removed, problem=problem), as_json=as_json):
        engine = output.engine()
        if volumes and not yes:
            _ask(f"Remove the data of {name} for good?")
        removed = remove.down(stack, engine=engine, volumes=volumes)
    if not as_json:
        print_down(name, removed, output.screen())
    return ExitCode.OK


def _ask(question: str) -> None:
    """Ask before something is lost for good."""
    hint = "Say --yes to do it without being asked."
    if not sys.stdin.isatty():
        raise SettingsError(f"{question} Nobody is there to ask.", fix=hint)
    # Not by `input`: its question goes to standard output, which may have to hold JSON alone.
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise SettingsError("Nothing was removed.", fix=hint)


@command(help=composed.APP | {"format": "text or json"})
def ps(
    _context: invoke.Context,
    app: str | None = None,
    format: str = "text",  # noqa: A002 - the option's name
) -> ExitCode:
    """Show how each service of an app stands; exit 0 when all is up, 1 when not."""
    from seatrial.cli.output import is_json
    from seatrial.compose.services import identify
    from seatrial.reports.json import ps_document
    from seatrial.reports.stack import print_ps
    from seatrial.stack import up as bringup
    from seatrial.stack.state import all_up

    as_json = is_json(format)
    project = output.project()
    name = composed.app_of(project, app)
    stack = identify(project, name)
    services = bringup.ps(stack, engine=output.engine())
    if as_json:
        print(ps_document(stack, services), end="")
    else:
        print_ps(name, services, output.screen())
    return ExitCode.OK if services and all_up(services) else ExitCode.FAILED


@command(
    help=composed.APP
    | {
        "service": "only this service",
        "follow": "go on with what is logged from now on",
        "tail": "as many last lines of each service",
    }
)
def logs(
    _context: invoke.Context,
    app: str | None = None,
    service: str | None = None,
    follow: bool = False,
    tail: int = 100,
) -> ExitCode:
    """Show what the services of an app log."""
    from seatrial.compose.services import identify
    from seatrial.reports.stack import print_log
    from seatrial.stack.logs import logs as lines_of

    project = output.project()
    stack = identify(project, composed.app_of(project, app))
    show = partial(print_log, console=output.screen())
    try:
        for line in lines_of(stack, engine=output.engine(), service=service, follow=follow, tail=tail):
            show(line)
    except KeyboardInterrupt:
        # The way to end --follow: nothing was started, so nothing has to be said.
        return ExitCode.INTERRUPTED
    return ExitCode.OK
