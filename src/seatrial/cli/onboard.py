"""onboard: a new developer's first day in one command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import invoke

from seatrial.cli import command as errors
from seatrial.cli import output
from seatrial.cli.build import build_apps
from seatrial.cli.command import command
from seatrial.cli.up import build_missing
from seatrial.errors import EngineError, ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from seatrial.checks.model import Severity
    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.stack.state import StackState


@command(
    trusting=True,
    help={
        "provide-engine": "where no engine answers, fetch and start one of seatrial's own",
        "fail-on": "error, warning or note: the findings of a smoke that keep an app from being brought up",
        "dry-run": "print what would be done, and do nothing",
    },
)
def onboard(
    _context: invoke.Context, provide_engine: bool = False, dry_run: bool = False, fail_on: str | None = None
) -> ExitCode:
    """First day: find or provide an engine, build every app, smoke it, bring it up, say where it answers."""
    severity = output.chosen_severity(fail_on)
    project, host = output.project(), output.host()
    apps = project.chosen(None)
    stacked = [name for name, app in apps.items() if app.compose and app.onboard]
    if dry_run:
        return _plan(list(apps), stacked, host)
    from seatrial.reports import console as report

    console = output.console()
    report.print_step(console, 1, "an engine")
    engine = _engine(project, host, provide=provide_engine)
    report.print_line(console, f"using {engine}")
    report.print_step(console, 2, "build")
    build_apps(project, list(apps), engine, host)
    report.print_step(console, 3, "smoke")
    if code := _smoke(project, list(apps), engine, host, console, severity):
        report.print_line(console, "Not brought up: every image has to pass first. In full: `invoke smoke`.")
        return code
    report.print_step(console, 4, "up")
    states: list[StackState] = []
    for name in stacked:
        states.append(_bring_up(project, name, engine, host))
        report.print_up_line(console, states[-1])
    report.print_next_steps(console, states, [name for name in apps if name not in stacked])
    return ExitCode.OK


def _plan(apps: list[str], stacked: list[str], host: Host) -> ExitCode:
    from seatrial.engine.find import find_engine

    try:
        engine = str(find_engine(host))
    except EngineError:
        engine = "none answers; with --provide-engine seatrial fetches and starts one"
    print(f"engine: {engine}")
    print(f"would build and smoke: {', '.join(apps)}")
    print(f"would bring up: {', '.join(stacked) or 'nothing'}")
    return ExitCode.OK


def _engine(project: Project, host: Host, *, provide: bool) -> Engine:
    from seatrial import offline
    from seatrial.engine.find import find_engine

    try:
        return find_engine(host)
    except EngineError as error:
        if any(host.environment.get(name) for name in ("DOCKER_HOST", "DOCKER_CONTEXT")):
            # That engine was asked for by name: another one in its place would only surprise.
            raise
        if not provide and not _agreed():
            error.fix = "Start Docker, set DOCKER_HOST, or give --provide-engine to have seatrial bring its own."
            raise
    return offline.start_engine(host, project.settings.engine, output.say)


def _agreed() -> bool:
    """Ask on a terminal; elsewhere the answer is no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    output.say("No Docker engine answers. seatrial can download one and run it next to whatever this host has.")
    return output.confirmed("Do that?")


def _smoke(
    project: Project, names: list[str], engine: Engine, host: Host, console: Console, fail_on: Severity | None
) -> ExitCode:
    from seatrial.checks.model import Level
    from seatrial.reports.console import print_smoke_line
    from seatrial.smoke import app_target, smoke_images

    targets = [app_target(project, name, host=host).failing_on(fail_on) for name in names]
    smoked = smoke_images(targets, engine, level=Level.STANDARD)
    for smoke in smoked.smokes:
        print_smoke_line(console, smoke)
    for problem in smoked.problems:
        errors.show(problem)
    return smoked.exit_code


def _bring_up(project: Project, name: str, engine: Engine, host: Host) -> StackState:
    from seatrial.reports.stack_console import progress
    from seatrial.stack.plan import plan_up
    from seatrial.stack.up import bring_up

    plan = plan_up(project, name, engine=engine, host=host, say=output.say, create_env=True)
    build_missing(plan, engine, host)
    with progress(output.error_console()) as observer:
        return bring_up(plan, project, engine=engine, host=host, observer=observer)
