"""onboard: a new developer's first day in one command."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import invoke

from seatrial.cli import output
from seatrial.cli.command import command
from seatrial.cli.up import build_missing
from seatrial.errors import EngineError, ExitCode
from seatrial.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.cli.prove import Left, Own
    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.stack.state import StackState


@command(
    trusting=True,
    help={
        "provide-engine": "where no engine answers, fetch and start one of seatrial's own",
        "fail-on": "error, warning or note: the findings of a smoke that keep an app from being brought up",
        "repair": "where an image does not pass, change what is certain in the files that init wrote, and smoke again; "
        "on a terminal it is asked",
        "dry-run": "print what would be done, and do nothing",
    },
)
def onboard(
    _context: invoke.Context,
    provide_engine: bool = False,
    dry_run: bool = False,
    fail_on: str | None = None,
    repair: bool = False,
) -> ExitCode:
    """First day: find or provide an engine, build every app, smoke it, bring it up, say where it answers."""
    severity = output.chosen_severity(fail_on)
    project, host = output.project(), output.host()
    apps = project.chosen(None)
    stacked = [name for name, app in apps.items() if app.compose and app.onboard]
    if dry_run:
        return _plan(list(apps), stacked, host)
    from seatrial import scaffold
    from seatrial.adopt.understand import understand
    from seatrial.cli.prove import NOT_OWN, prove
    from seatrial.reports import console as report

    console = output.console()
    report.print_step(console, 1, "an engine")
    engine = _engine(project, host, provide=provide_engine)
    report.print_line(console, f"using {engine}")

    def own(left: Left) -> Own | None:
        if not left.reasons:
            return None
        if host.trust is Trust.NONE:
            if repair:
                output.say("The project is not trusted: nothing is changed.")
            return None
        known = scaffold.still_own(project.folder, partial(understand, project.folder))
        if known is None and repair:
            output.say(f"{NOT_OWN}: nothing is changed.")
        return known

    left = prove(
        project.folder,
        own,
        engine=engine,
        fail_on=severity,
        may_change=partial(_may_change, wanted=repair),
        step=lambda at, step: report.print_step(console, at + 1, step),
    )
    project = output.project()  # Its settings may be other ones by now.
    report.print_step(console, 4, "up")
    states: list[StackState] = []
    for name in left.others(stacked):
        with left.going_on(name, "it did not come up"):
            states.append(_bring_up(project, name, engine, host))
            report.print_up_line(console, states[-1])
    report.print_next_steps(console, states, [name for name in left.others(apps) if name not in stacked])
    report.print_left(console, left.reasons)
    return left.exit_code


def _may_change(names: str, says: Sequence[str], *, wanted: bool) -> str:
    """Return why files that init wrote are not changed: they may be committed by now. Empty where they may be."""
    ask = None if wanted else output.terminal_prompt()
    if wanted or (ask is not None and ask("\n".join((*says, f"Change {names} so, and smoke again?")))):
        return ""
    return "left" if ask is not None else "left; `invoke onboard --repair` does it"


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


def _bring_up(project: Project, name: str, engine: Engine, host: Host) -> StackState:
    from seatrial.reports.stack_console import progress
    from seatrial.stack.plan import plan_up
    from seatrial.stack.up import bring_up

    plan = plan_up(project, name, engine=engine, host=host, say=output.say, create_env=True)
    build_missing(plan, engine, host)
    with progress(output.error_console()) as observer:
        return bring_up(plan, project, engine=engine, host=host, observer=observer)
