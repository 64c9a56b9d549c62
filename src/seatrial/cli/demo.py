"""demo: an app at work, without an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.cli import output
from seatrial.cli.errors import command
from seatrial.errors import ExitCode, SettingsError

if TYPE_CHECKING:
    import invoke

    from seatrial.engine.find import Engine
    from seatrial.stack.plan import StackPlan


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
    from seatrial.cli.up import substitute_maker
    from seatrial.filesystem import locked
    from seatrial.reports.stack import progress
    from seatrial.stack import demo as demos
    from seatrial.stack import demo_plan

    if timeout <= 0:
        raise SettingsError(f"--timeout {timeout} leaves no time.", fix="Give seconds above 0.")
    asked = demo_plan.checked(question)
    project, host = output.project(), output.host()
    name = demo_plan.choose(project, app)
    engine = output.engine()
    plan = demo_plan.plan_demo(project, name, engine=engine, host=host)
    if dry_run:
        return _dry_run(plan.up, engine)
    with (
        locked(plan.up.file.parent, waiting=lambda: output.say("Waiting for another run on this stack.")),
        progress(output.progress_screen()) as observer,
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
            substitute=substitute_maker(project, engine, host, observer.say),
        )
    output.say(f"{name} answered after {answer.seconds:.1f} s.")
    print(answer.text)
    return ExitCode.OK


def _dry_run(plan: StackPlan, engine: Engine) -> ExitCode:
    """Look whether a demo could be started, and say all that was found."""
    from seatrial.compose.findings import ready
    from seatrial.reports.stack import print_preflight
    from seatrial.stack.preflight import Preflight, look_at_start

    values = (ready("env file", f"values come from {plan.env_file}"),) if plan.env_file else ()
    findings = (*values, *look_at_start(plan, engine))
    found = Preflight(stack=plan.stack, file=plan.file, services=plan.services, findings=findings)
    print_preflight(found, output.screen())
    return ExitCode.OK if found.ready else ExitCode.UNDECIDED
