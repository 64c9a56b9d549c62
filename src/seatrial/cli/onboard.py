"""onboard: a new developer's first day in one command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from seatrial.cli import build, output, up
from seatrial.cli.errors import command
from seatrial.errors import EngineError, ExitCode

if TYPE_CHECKING:
    import invoke

    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.stack.state import StackState


@command(
    help={
        "provide-engine": "where no engine answers, fetch and start one of seatrial's own",
        "dry-run": "say what would be done, and do nothing",
    }
)
def onboard(_context: invoke.Context, provide_engine: bool = False, dry_run: bool = False) -> ExitCode:
    """First day: find or provide an engine, build every app, smoke it, bring it up, say where it answers."""
    from seatrial.checks.verdict import worst
    from seatrial.reports import onboard as report

    project, host = output.project(), output.host()
    apps = project.chosen(None)
    stacked = [name for name, app in apps.items() if app.compose and app.onboard]
    if dry_run:
        return _plan(list(apps), stacked, host)
    screen = output.screen()
    report.step(screen, 1, "an engine")
    engine = _engine(project, host, provide=provide_engine)
    report.line(screen, f"using {engine}")
    report.step(screen, 2, "build")
    _build(project, list(apps), engine, host)
    report.step(screen, 3, "smoke")
    smokes = _smoke(project, list(apps), engine, host)
    for one in smokes:
        report.smoke_line(screen, one)
    if (verdict := worst(smokes)).exit_code:
        report.line(screen, "Not brought up: an image has to pass first. In full: `invoke smoke`.")
        return verdict.exit_code
    report.step(screen, 4, "up")
    states: list[StackState] = []
    for name in stacked:
        states.append(up.bring_up(project, name, engine=engine, host=host, create_env=True))
        report.up_line(screen, states[-1])
    report.next_steps(screen, states, [name for name in apps if name not in stacked])
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
            error.fix = "Start Docker, set DOCKER_HOST, or say --provide-engine to have seatrial bring its own."
            raise
    return offline.start_engine(host, project.settings.engine, output.say)


def _agreed() -> bool:
    """Ask on a terminal; elsewhere nobody can agree."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    output.say("No Docker engine answers. seatrial can fetch one from Debian's archive and run it beside yours.")
    return input("Do that? [y/N] ").strip().lower() in {"y", "yes"}


def _build(project: Project, names: list[str], engine: Engine, host: Host) -> None:
    from seatrial.engine.builders import choose
    from seatrial.images.plan import plan_matrix

    choice = choose(None, host.environment)
    build.build_all(plan_matrix(project, names), engine=engine, host=host, project=project, choice=choice)


def _smoke(project: Project, names: list[str], engine: Engine, host: Host) -> list[Smoke]:
    from seatrial import smoke as smoking
    from seatrial.checks.model import Level

    return [
        smoking.smoke(smoking.app_target(project, name, host=host), engine, level=Level.STANDARD, say=lambda _: None)[0]
        for name in names
    ]


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
