"""up, down, ps, logs: an app with its services."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from seatrial.errors import ExitCode, SettingsError
from seatrial.tasks import surroundings
from seatrial.tasks.boundary import command

if TYPE_CHECKING:
    from collections.abc import Callable

    import invoke

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.stack.model import Observer, StackState

APP = {"app": "the app; may be left out where only one has a compose file"}


@command(
    help=APP
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
    from seatrial.tasks import upping

    if timeout <= 0:
        raise SettingsError(f"--timeout {timeout} leaves no time.", fix="Give seconds above 0.")
    as_json = upping.is_json(format)
    project = surroundings.project()
    name = app_of(project, app)
    if dry_run:
        return upping.dry_run(project, name, as_json=as_json)
    return upping.up(project, name, timeout=timeout, create_env=create_env, as_json=as_json)


def bring_up(
    project: Project,
    name: str,
    *,
    engine: Engine,
    host: Host,
    timeout: float = 120,
    create_env: bool = False,
    ask: Callable[[str], bool] | None = None,
    seen: Callable[[Observer], Observer] = lambda observer: observer,
) -> StackState:
    """Bring one app up, and show how it goes.

    Args:
        project: the project.
        name: the app.
        engine: the engine.
        host: this machine.
        timeout: seconds until it must be up.
        create_env: copy a missing `.env` from its example.
        ask: asks whether to copy it; None where nobody can answer.
        seen: stands between the screen and what is shown on it.

    """
    from seatrial.lock import locked
    from seatrial.reports.stack import progress
    from seatrial.stack import bringup
    from seatrial.stack.plan import plan_up
    from seatrial.stack.preflight import look_at_catalogue
    from seatrial.tasks.upping import told_once

    plan = plan_up(project, name, engine=engine, host=host, say=surroundings.say, create_env=create_env, ask=ask)
    contract = project.app(name).contract
    with (
        locked(plan.file.parent, waiting=lambda: surroundings.say("Waiting for another up of this stack.")),
        progress(surroundings.progress_screen()) as screen,
        told_once(),
    ):
        observer = seen(screen)
        for note in plan.notes:
            observer.say(f"compose warns: {note}")
        return bringup.up(
            plan,
            engine=engine,
            host=host,
            observer=observer,
            timeout=timeout,
            stand_in=stand_in(project, engine, host, observer.say),
            catalogue=lambda: look_at_catalogue(project, plan.file, contract, engine=engine, host=host),
        )


def stand_in(project: Project, engine: Engine, host: Host, say: Callable[[str], None]) -> Callable[[str], str | None]:
    """Return what makes a local image for an official one that cannot be pulled."""

    def make(reference: str) -> str | None:
        from seatrial.images import standins

        recipe = standins.stand_in_for(reference, standins.table(project))
        if recipe is None:
            return None
        return standins.ensure(recipe, engine=engine, host=host, say=say)

    return make


@command(help=APP | {"volumes": "remove its data too", "yes": "do not ask", "dry-run": "say what would be removed"})
def down(
    _context: invoke.Context,
    app: str | None = None,
    volumes: bool = False,
    yes: bool = False,
    dry_run: bool = False,
) -> ExitCode:
    """Take an app's stack down; its data stays unless --volumes is given."""
    from seatrial.reports.stack import print_down, print_ps
    from seatrial.stack import bringup, remove
    from seatrial.stack.names import identify

    project = surroundings.project()
    name = app_of(project, app)
    engine = surroundings.engine()
    stack = identify(project, name)
    if dry_run:
        print_ps(name, bringup.ps(stack, engine=engine), surroundings.screen())
        return ExitCode.OK
    if volumes and not yes:
        _ask(f"Remove the data of {name} for good?")
    removed = remove.down(stack, engine=engine, volumes=volumes)
    print_down(name, removed, surroundings.screen())
    return ExitCode.OK


def _ask(question: str) -> None:
    """Ask before something is lost for good."""
    hint = "Say --yes to do it without being asked."
    if not sys.stdin.isatty():
        raise SettingsError(f"{question} Nobody is there to ask.", fix=hint)
    if input(f"{question} [y/N] ").strip().lower() not in {"y", "yes"}:
        raise SettingsError("Nothing was removed.", fix=hint)


@command(help=APP | {"format": "text or json"})
def ps(
    _context: invoke.Context,
    app: str | None = None,
    format: str = "text",  # noqa: A002 - the option's name
) -> ExitCode:
    """Show how each service of an app stands; exit 0 when all is up, 1 when not."""
    from seatrial.reports.stack import print_ps
    from seatrial.reports.stack_data import ps_document
    from seatrial.stack import bringup
    from seatrial.stack.judge import all_up
    from seatrial.stack.names import identify
    from seatrial.tasks.upping import is_json

    as_json = is_json(format)
    project = surroundings.project()
    name = app_of(project, app)
    stack = identify(project, name)
    services = bringup.ps(stack, engine=surroundings.engine())
    if as_json:
        print(ps_document(stack, services), end="")
    else:
        print_ps(name, services, surroundings.screen())
    return ExitCode.OK if services and all_up(services) else ExitCode.FAILED


@command(
    help=APP
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
    from seatrial.reports.stack import print_log
    from seatrial.stack.logs import logs as lines_of
    from seatrial.stack.names import identify

    project = surroundings.project()
    stack = identify(project, app_of(project, app))
    show = partial(print_log, console=surroundings.screen())
    try:
        for line in lines_of(stack, engine=surroundings.engine(), service=service, follow=follow, tail=tail):
            show(line)
    except KeyboardInterrupt:
        # The way to end --follow: nothing was started, so nothing has to be said.
        return ExitCode.INTERRUPTED
    return ExitCode.OK


def app_of(project: Project, name: str | None) -> str:
    """Return the app that is meant: the named one, or the only one with a compose file."""
    if name is not None:
        project.app(name)
        return name
    composed = [key for key, one in project.settings.apps.items() if one.compose]
    if len(composed) == 1:
        return composed[0]
    raise SettingsError(
        "which app?" if composed else "no app has a compose file.",
        where=f"{project.file.name} [tool.seatrial.apps]",
        fix=f"Say --app with one of: {', '.join(sorted(composed))}." if composed else "Set `compose` for one.",
    )
