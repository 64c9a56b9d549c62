"""onboard: a new developer's first day in one command."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import invoke

from seatrial.cli import command as errors
from seatrial.cli import output
from seatrial.cli.build import build_apps
from seatrial.cli.command import command
from seatrial.cli.up import build_missing
from seatrial.errors import EngineError, ExitCode, SeatrialError, StackLeftError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from seatrial.checks.model import Severity
    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.images.plan import BuildPlan
    from seatrial.settings.read import Project
    from seatrial.smoke import Target
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

    console, left = output.console(), Left()
    report.print_step(console, 1, "an engine")
    engine = _engine(project, host, provide=provide_engine)
    report.print_line(console, f"using {engine}")
    build_and_smoke(project, engine, left, severity, lambda at, step: report.print_step(console, at + 1, step))
    report.print_step(console, 4, "up")
    states: list[StackState] = []
    for name in left.others(stacked):
        with left.going_on(name, "it did not come up"):
            states.append(_bring_up(project, name, engine, host))
            report.print_up_line(console, states[-1])
    report.print_next_steps(console, states, [name for name in left.others(apps) if name not in stacked])
    report.print_left(console, left.reasons)
    return left.exit_code


NOT_BUILT = "it was not built"


def build_and_smoke(
    project: Project,
    engine: Engine,
    left: Left,
    fail_on: Severity | None,
    step: Callable[[int, str], None] = lambda *_: None,
) -> Sequence[Smoke]:
    """Build every app and smoke it; print the verdicts, and return the smokes. `step` announces each."""
    from seatrial.cli.smoke import judged_by, known_findings
    from seatrial.smoke import app_target

    host, known = output.host(), known_findings(None, None)
    apps = project.chosen(None)
    step(1, "build")
    targets: list[Target] = []
    for name in apps:
        # What the settings say of it has to hold before anything is built.
        with left.going_on(name, NOT_BUILT):
            targets += judged_by([app_target(project, name, host=host)], fail_on, known)
    build_apps(project, left.others(apps), engine, host, left.not_built)
    step(2, "smoke")
    return _smoke([target for target in targets if target.app not in left.reasons], engine, left)


class Left:
    """The apps that did not come through a step: the others go on."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.exit_code = ExitCode.OK

    def add(self, name: str, reason: str, code: ExitCode) -> None:
        """Leave an app, for a reason; of all exit codes a failure counts most."""
        self.reasons[name] = reason
        if self.exit_code is not ExitCode.FAILED:
            self.exit_code = code

    def others(self, names: Iterable[str]) -> list[str]:
        """Return those that are not left."""
        return [name for name in names if name not in self.reasons]

    def not_built(self, plan: BuildPlan, error: SeatrialError) -> None:
        """Leave an app whose build failed."""
        if isinstance(error, EngineError):
            raise error
        self.add(plan.app, NOT_BUILT, error.exit_code)

    @contextmanager
    def going_on(self, name: str, reason: str) -> Iterator[None]:
        """Show what keeps an app from coming through, and leave it. Nothing goes on without an engine.

        Raises:
            EngineError: the engine answers no more.
            StackLeftError: interrupted.
        """
        try:
            yield
        except (EngineError, StackLeftError):
            raise
        except SeatrialError as error:
            errors.show(error)
            self.add(name, reason, error.exit_code)


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


def _smoke(targets: Sequence[Target], engine: Engine, left: Left) -> Sequence[Smoke]:
    from seatrial.checks.model import Level
    from seatrial.reports.console import print_smoke_line
    from seatrial.smoke import smoke_images

    console, smoked = output.console(), smoke_images(targets, engine, level=Level.STANDARD)
    codes = {target.app or "": ExitCode.UNDECIDED for target in targets}
    for smoke in smoked.smokes:
        print_smoke_line(console, smoke)
        codes[smoke.app] = smoke.verdict.exit_code
    for problem in smoked.problems:
        errors.show(problem)
    for name, code in codes.items():
        if code:
            left.add(name, f"its image does not pass; in full: `invoke smoke --app {name}`", code)
    return smoked.smokes


def _bring_up(project: Project, name: str, engine: Engine, host: Host) -> StackState:
    from seatrial.reports.stack_console import progress
    from seatrial.stack.plan import plan_up
    from seatrial.stack.up import bring_up

    plan = plan_up(project, name, engine=engine, host=host, say=output.say, create_env=True)
    build_missing(plan, engine, host)
    with progress(output.error_console()) as observer:
        return bring_up(plan, project, engine=engine, host=host, observer=observer)
