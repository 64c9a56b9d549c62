"""up: brings an app up with its services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import invoke

from seatrial.cli import output
from seatrial.cli.build import build_apps
from seatrial.cli.command import command
from seatrial.errors import ExitCode, SeatrialError

if TYPE_CHECKING:
    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.stack.plan import StackPlan


@command(
    trusting=True,
    help={
        **output.APP,
        "timeout": "seconds until it must be up",
        "create-env": "copy a missing .env from the .env.example beside the compose file",
        "dry-run": "check whether it could be started, and start nothing",
        **output.FORMAT,
    },
)
def up(
    _context: invoke.Context,
    app: str | None = None,
    timeout: str = "120",
    create_env: bool = False,
    dry_run: bool = False,
    format: str = "text",
) -> ExitCode:
    """Bring an app up with its services; wait until all is healthy, or say why it is not."""
    from seatrial.compose.runner import identify
    from seatrial.reports.stack_console import print_up, progress
    from seatrial.stack.plan import plan_up
    from seatrial.stack.up import bring_up

    seconds, as_json = output.positive_seconds(timeout), output.wants_json(format)
    project = output.project()
    name = output.app_with_stack(project, app)
    if dry_run:
        return _dry_run(project, name, as_json=as_json)
    record = output.UpRecord()

    def document(problem: SeatrialError | None) -> str:
        return record.document(identify(project, name), problem, began=bool(record.observer.states))

    with output.json_at_the_end(document, wanted=as_json):
        engine, host = output.engine(), output.host()
        ask = output.terminal_prompt()
        plan = plan_up(project, name, engine=engine, host=host, say=output.say, create_env=create_env, ask=ask)
        build_missing(plan, engine, host)
        with progress(output.error_console()) as screen:
            observer = record.observer.wrapping(screen)
            state = record.state = bring_up(plan, project, engine=engine, host=host, observer=observer, timeout=seconds)
    if not as_json:
        print_up(state, output.console())
    return ExitCode.OK


def build_missing(plan: StackPlan, engine: Engine, host: Host) -> None:
    """Build the images that the compose file builds and that are not here."""
    from seatrial.stack.images import present, to_build

    if plan.project is not None and (names := to_build(plan, present(plan, engine))):
        build_apps(plan.project, names, engine, host)


def _dry_run(project: Project, name: str, *, as_json: bool) -> ExitCode:
    """Check whether a stack could be started, and print all that was found."""
    from seatrial import offline
    from seatrial.reports.json import preflight_document
    from seatrial.reports.stack_console import print_preflight
    from seatrial.stack.preflight import check_all

    recipes = offline.recipes(project, output.host().trust)

    def has_substitute(image: str) -> bool | SeatrialError:
        found = offline.find_substitute(image, recipes)
        return False if found is None else offline.hindrance(found, output.host()) or True

    found = check_all(
        project,
        name,
        engine=output.engine(),
        host=output.host(),
        has_substitute=has_substitute,
    )
    if as_json:
        print(preflight_document(found), end="")
    else:
        print_preflight(found, output.console())
    if not found.ready:
        return ExitCode.UNDECIDED
    return ExitCode.FAILED if found.errors else ExitCode.OK
