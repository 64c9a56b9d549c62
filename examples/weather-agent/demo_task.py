"""`invoke demo`: the weather agent answers a question without an account. An example of a task beside seatrial's.

The root's tasks.py adds it to seatrial's commands. The compose profile `demo` has what the bot calls.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from seatrial.errors import ExitCode, ProgramError, SettingsError, StackFailedError
from seatrial.tasks import command
from seatrial.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import invoke

    from seatrial.stack.state import Observer
    from seatrial.stack.preflight import Preflight
    from seatrial.compose.runner import Stack
    from seatrial.stack.plan import StackPlan
    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project

APP = "weather-agent"
SERVICE = "demo"
"""The compose service and profile that speak for what the bot calls."""
ASK = ("python", "-m", "demo", "ask")
ENV_FILE = "demo.env"
LONGEST_QUESTION = 4096
"""Characters of a Telegram message."""
LOG_LINES = 10
"""Last lines of each service's output that are shown when there is no answer."""
AGAIN = "Fix it, or allow more time with --timeout, then run `invoke demo` again."
REST = "The next `invoke demo` removes what remains."


@command(
    positional=["question"],
    help={
        "question": "what to ask the weather agent",
        "timeout": "seconds until it must have answered",
        "dry-run": "check whether it could be started, and start nothing",
    },
)
def demo(
    _context: invoke.Context, question: str, timeout: str = "120", dry_run: bool = False
) -> ExitCode:
    """Ask the weather agent a question: it answers without an account."""
    from seatrial.cli import output
    from seatrial.filesystem import locked
    from seatrial.reports.stack_console import print_preflight, progress

    asked = checked(question)
    seconds = output.positive_seconds(timeout)
    project, host = output.project(), output.host()
    engine = output.engine()
    plan = plan_demo(project, engine=engine, host=host)
    if dry_run:
        found = preflight(plan, engine)
        print_preflight(found, output.console())
        return ExitCode.OK if found.ready else ExitCode.UNDECIDED
    with (
        locked(
            plan.file.parent, waiting=lambda: output.say("Waiting for another run on this stack.")
        ),
        progress(output.error_console()) as observer,
    ):
        answer = run_demo(plan, asked, engine=engine, host=host, observer=observer, timeout=seconds)
    print(answer)
    return ExitCode.OK


def checked(question: str) -> str:
    """Return a question that can be asked, without the white space around it.

    Raises:
        SettingsError: it is empty, too long, or not valid text.

    """
    asked = question.strip()
    try:
        asked.encode()
    except UnicodeEncodeError:
        raise SettingsError(
            "the question is not valid UTF-8.", fix="Check your terminal's encoding."
        ) from None
    if not asked:
        raise SettingsError(
            "the question is empty.", fix="Ask something: `invoke demo 'What to wear in Kyiv?'`."
        )
    if len(asked) > LONGEST_QUESTION:
        raise SettingsError(
            f"the question has {len(asked)} characters, more than {LONGEST_QUESTION}.",
            fix="Ask a shorter one.",
        )
    return asked


def plan_demo(project: Project, *, engine: Engine, host: Host) -> StackPlan:
    """Return what is going to be started: the app's compose file with the profile, under a name of its own.

    Raises:
        StackError: compose refuses the file.
        EngineError: compose is not installed, or too old.

    """
    from seatrial.compose import guard
    from seatrial.stack.plan import compose_file, planned

    file = compose_file(project, APP)
    stack = demo_stack(project)
    # Compose gets the variables that the file names.
    compose, reading = guard.guarded(stack, file, project.folder, engine=engine, host=host)
    document, notes = compose.model()
    guard.require_trusted(guard.findings(reading, document, host.trust), lambda _: None)
    return replace(planned(project, stack, file, document), notes=notes, compose=compose)


def demo_stack(project: Project) -> Stack:
    """Return the demo's stack. Its name differs from the app's own, so that one that is up is left alone."""
    from seatrial.compose.runner import identify
    from seatrial.stack.plan import compose_file

    stack = identify(project, APP)
    name, _, digest = stack.compose_project.rpartition("-")
    env_file = compose_file(project, APP).parent / ENV_FILE
    beside = replace(stack.beside, env_files=(env_file,))
    named = f"{name}-{SERVICE}-{digest}"
    return replace(stack, compose_project=named, options=("--profile", SERVICE), beside=beside)


def preflight(plan: StackPlan, engine: Engine) -> Preflight:
    """Check whether the demo could be started."""
    from seatrial.stack.preflight import Preflight
    from seatrial.compose.readiness import ready
    from seatrial.stack.preflight import check_start

    values = ready("env file", f"values come from {plan.file.parent / ENV_FILE}")
    return Preflight(
        stack=plan.stack,
        file=plan.file,
        services=plan.services,
        findings=(values, *check_start(plan, engine)),
    )


def run_demo(
    plan: StackPlan,
    question: str,
    *,
    engine: Engine,
    host: Host,
    observer: Observer,
    timeout: float,
) -> str:
    """Start the bot and its demo service, ask, and remove both, however this ends.

    Args:
        plan: what to start.
        question: what to ask.
        engine: the engine.
        host: this machine.
        observer: told how it goes.
        timeout: seconds until it must have answered.

    Raises:
        StackError: the image has not been built.
        StackFailedError: it did not come up, or did not answer in time.
        StackLeftError: interrupted twice; the message names what remains.
        EngineError: the engine stopped answering.

    """
    from seatrial.compose import runner
    from seatrial.stack import down, up

    program = plan.compose or runner.find(plan.stack, plan.file, engine=engine, host=host)
    for note in plan.notes:
        observer.say(f"compose warns: {note}")
    if not down.down(plan.stack, engine=engine, volumes=True).nothing:
        observer.say("Removed what an earlier demo had left.")
    started = time.monotonic()
    with down.removed_afterwards(plan.stack, engine, say=observer.say, fix=REST):
        try:
            up.up(
                plan,
                engine=engine,
                host=host,
                observer=observer,
                timeout=timeout,
                remove_volumes=True,
            )
        except StackFailedError as error:
            # Its details were shown when it was taken down.
            raise StackFailedError(error.what, where=error.where, fix=AGAIN) from error
        observer.say(f"Asking {APP}: {question}")
        left = max(started + timeout - time.monotonic(), 0)
        try:
            done = program.inside(SERVICE, [*ASK, question], timeout=left, tick=lambda: None)
        except ProgramError as error:
            raise unanswered(plan, engine, f"{APP} gave no answer in time.") from error
        said = runner.messages(done.errors)
        if done.code:
            what = f"{APP} was not asked: `{' '.join(ASK)}` ended with exit code {done.code}."
            raise unanswered(plan, engine, what, said)
        for line in said:
            observer.say(f"{SERVICE}: {line}")
    observer.say(f"{APP} answered after {time.monotonic() - started:.1f} s.")
    return plain(done.output).strip()


def unanswered(
    plan: StackPlan, engine: Engine, what: str, said: Sequence[str] = ()
) -> StackFailedError:
    """Return the error for a question without an answer, with the last lines that each service logged."""
    from seatrial.stack import inspect

    lines = list(said)
    for service in inspect.containers(plan.stack, engine):
        lines.append(f"the last output of {service.service} ({service.health or service.status}):")
        logged = inspect.last_lines(service.id, engine, count=LOG_LINES)
        lines += [f"  {line}" for line in logged] or ["  (none)"]
    return StackFailedError(what, where=str(plan.file), fix=AGAIN, detail="\n".join(lines))
