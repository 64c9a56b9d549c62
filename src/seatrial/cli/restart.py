"""restart and exec: what is done with a stack that is up."""

from __future__ import annotations

import shlex
import sys
import time
from typing import TYPE_CHECKING

from seatrial.cli import output, up
from seatrial.cli.errors import command
from seatrial.errors import ExitCode, SettingsError

if TYPE_CHECKING:
    import invoke

    from seatrial.errors import SeatrialError
    from seatrial.stack.state import StackState


BEHIND = "--"


@command(
    help=up.APP
    | {
        "service": "only this service; all that run without it",
        "timeout": "seconds until it must be up again",
        "dry-run": "say what would be restarted, and restart nothing",
        "format": "text or json",
    }
)
def restart(
    _context: invoke.Context,
    app: str | None = None,
    service: str | None = None,
    timeout: int = 120,
    dry_run: bool = False,
    format: str = "text",  # noqa: A002 - the option's name
) -> ExitCode:
    """Restart an app's services; wait until all is healthy again, or say why it is not."""
    from seatrial.cli.output import answered, is_json
    from seatrial.cli.up import Recorder
    from seatrial.compose.services import identify
    from seatrial.reports.json import restart_plan_document, up_document
    from seatrial.reports.stack import print_up, progress
    from seatrial.stack import restart as restarting
    from seatrial.stack.plan import compose_file

    as_json = is_json(format)
    if timeout <= 0:
        raise SettingsError(f"--timeout {timeout} leaves no time.", fix="Give seconds above 0.")
    project = output.project()
    name = up.app_of(project, app)
    stack = identify(project, name)
    names: tuple[str, ...] = ()
    state: StackState | None = None
    started, recorder = time.monotonic(), Recorder()

    def document(problem: SeatrialError | None) -> str:
        if dry_run:
            return restart_plan_document(stack, names, problem=problem)
        return up_document(
            stack,
            state.services if state is not None else recorder.services,
            addresses=state.addresses if state is not None else (),
            changed=bool(names),
            seconds=time.monotonic() - started,
            problem=problem,
        )

    with answered(document, as_json=as_json):
        file, engine = compose_file(project, name), output.engine()
        containers = restarting.to_restart(stack, engine, service)
        names = tuple(dict.fromkeys(one.service for one in containers))
        if not dry_run:
            with progress(output.progress_screen()) as screen:
                state = restarting.restart(
                    containers,
                    stack=stack,
                    file=file,
                    own_images={one.image or key: key for key, one in project.settings.apps.items()},
                    engine=engine,
                    observer=recorder.before(screen),
                    timeout=timeout,
                )
    if not as_json:
        if state is not None:
            print_up(state, output.screen())
        else:
            print(f"{name}: would restart {', '.join(names)}")
    return ExitCode.OK


@command(
    name="exec",
    help=up.APP
    | {
        "service": "the service to run it in",
        "command": "the command in one text, as a shell would split it; or give its words behind --",
    },
)
def execute(
    _context: invoke.Context, app: str | None = None, service: str | None = None, command: str | None = None
) -> int:
    """Run a command in a service that is up: exec --service S -- COMMAND...; its exit code is this one's."""
    from seatrial.compose import runner
    from seatrial.compose.services import identify
    from seatrial.stack import containers
    from seatrial.stack.plan import compose_file

    words = words_of(command, sys.argv)
    project = output.project()
    name = up.app_of(project, app)
    if service is None:
        raise SettingsError("which service?", fix="Say --service; `invoke ps` shows those that run.")
    host, engine, stack = output.host(), output.engine(), identify(project, name)
    program = runner.find(stack, compose_file(project, name), engine=engine, host=host)
    containers.running(stack, containers.containers(stack, engine), service)
    return program.enter(service, words, terminal=sys.stdin.isatty() and sys.stdout.isatty())


def words_of(command: str | None, arguments: list[str]) -> list[str]:
    """Return the command to run: the words behind `--`, as they were given, or those of one text.

    Invoke hands on what stands behind `--` as one text, in which nobody finds the words again.

    Raises:
        SettingsError: there is none, or there are two.

    """
    behind = arguments[arguments.index(BEHIND) + 1 :] if BEHIND in arguments else []
    if command is not None and behind:
        raise SettingsError("--command and the words behind -- are two commands.", fix="Give one of them.")
    try:
        words = behind or shlex.split(command or "")
    except ValueError as error:
        raise SettingsError(f"--command {command!r} cannot be split into words: {error}.") from error
    if not words:
        raise SettingsError("which command?", fix="Give it last: exec --service SERVICE -- COMMAND...")
    return words
