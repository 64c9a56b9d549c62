"""demo: an app at work, without an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.errors import ExitCode, SettingsError
from seatrial.tasks import surroundings
from seatrial.tasks.boundary import command

if TYPE_CHECKING:
    import invoke

    from seatrial.engine.find import Engine
    from seatrial.stack.model import StackPlan


@command(
    help={
        "question": "what to ask the app",
        "app": "the app; may be left out where only one has a demo",
        "timeout": "seconds until it must have answered",
        "dry-run": "say what would be brought up, and start nothing",
    }
)
def demo(
    _context: invoke.Context, question: str, app: str | None = None, timeout: int = 120, dry_run: bool = False
) -> ExitCode:
    """Ask an app a question: it answers between stand-ins of what it calls, without an account."""
    from seatrial.lock import locked
    from seatrial.reports.stack import progress
    from seatrial.stack import demo as demos
    from seatrial.stack import demo_plan
    from seatrial.tasks.composed import stand_in

    if timeout <= 0:
        raise SettingsError(f"--timeout {timeout} leaves no time.", fix="Give seconds above 0.")
    asked = demo_plan.checked(question)
    project, host = surroundings.project(), surroundings.host()
    name = demo_plan.choose(project, app)
    engine = surroundings.engine()
    plan = demo_plan.plan_demo(project, name, engine=engine, host=host)
    if dry_run:
        return _dry_run(plan.up, engine)
    with (
        locked(plan.up.file.parent, waiting=lambda: surroundings.say("Waiting for another run on this stack.")),
        progress(surroundings.progress_screen()) as observer,
    ):
        for note in plan.up.notes:
            observer.say(f"compose warns: {note}")
        answer = demos.demo(
            plan,
            asked,
            engine=engine,
            host=host,
            observer=observer,
            timeout=timeout,
            stand_in=stand_in(project, engine, host, observer.say),
        )
    surroundings.say(f"{name} answered after {answer.seconds:.1f} s.")
    print(answer.text)
    return ExitCode.OK


def _dry_run(plan: StackPlan, engine: Engine) -> ExitCode:
    """Look whether a demo could be started, and say all that was found."""
    from seatrial.reports.stack_look import print_preflight
    from seatrial.stack.finding import Preflight, ready
    from seatrial.stack.preflight import look_at_start

    values = (ready("env file", f"values come from {plan.env_file}"),) if plan.env_file else ()
    findings = (*values, *look_at_start(plan, engine))
    found = Preflight(stack=plan.stack, file=plan.file, services=plan.services, findings=findings)
    print_preflight(found, surroundings.screen())
    return ExitCode.OK if found.ready else ExitCode.UNDECIDED
