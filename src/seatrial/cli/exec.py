"""exec: runs a command in a service that is up."""

from __future__ import annotations

import shlex
import sys

import invoke

from seatrial.cli import output
from seatrial.cli.command import command as task
from seatrial.errors import SettingsError

SEPARATOR = "--"


@task(
    name="exec",
    help={
        **output.APP,
        "service": "the service to run it in",
        "command": "the command as one text, split as a shell does; or give its words after --",
    },
)
def execute(
    _context: invoke.Context, app: str | None = None, service: str | None = None, command: str | None = None
) -> int:
    """Run a command in a service that is up: exec --service S -- COMMAND...; its exit code is this one's."""
    from seatrial.compose import runner
    from seatrial.compose.runner import identify
    from seatrial.stack import inspect
    from seatrial.stack.plan import compose_file

    words = words_of(command, sys.argv)
    project = output.project()
    name = output.app_with_stack(project, app)
    if service is None:
        raise SettingsError("which service?", fix="Give --service; `invoke ps` shows those that run.")
    engine, stack = output.engine(), identify(project, name)
    program = runner.find(stack, compose_file(project, name), engine=engine, host=output.host())
    inspect.running(stack, inspect.containers(stack, engine), service)
    return program.enter(service, words, terminal=sys.stdin.isatty() and sys.stdout.isatty())


def words_of(command: str | None, arguments: list[str]) -> list[str]:
    """Return the command to run: the words after `--`, or those of --command.

    Invoke joins what stands after `--` to one text that cannot be split again, so the process's arguments are read.
    Raises SettingsError where no command was given, or two.
    """
    remainder = arguments[arguments.index(SEPARATOR) + 1 :] if SEPARATOR in arguments else []
    if command is not None and remainder:
        raise SettingsError("--command and the words after -- are two commands.", fix="Give one of them.")
    try:
        words = remainder or shlex.split(command or "")
    except ValueError as error:
        raise SettingsError(f"--command {command!r} cannot be split into words: {error}.") from error
    if not words:
        raise SettingsError("which command?", fix="Give it last: exec --service SERVICE -- COMMAND...")
    return words
