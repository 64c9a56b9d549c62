"""down: takes an app's stack down."""

from __future__ import annotations

import sys

import invoke

from seatrial.cli import output
from seatrial.cli.command import command
from seatrial.errors import SettingsError


@command(
    help={
        **output.APP,
        "volumes": "remove its data too",
        "yes": "do not ask",
        "dry-run": "print what would be removed",
        **output.FORMAT,
    }
)
def down(
    _context: invoke.Context,
    app: str | None = None,
    volumes: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    format: str = "text",
) -> None:
    """Take an app's stack down; its named volumes stay unless --volumes is given."""
    from seatrial.cli.ps import print_services
    from seatrial.compose.runner import identify
    from seatrial.reports.json import down_document
    from seatrial.reports.stack_console import print_down
    from seatrial.stack.down import down as remove
    from seatrial.stack.state import Removed

    as_json = output.wants_json(format)
    project = output.project()
    stack = identify(project, output.app_with_stack(project, app))
    if dry_run:
        print_services(stack, as_json=as_json)
        return
    removed = Removed()
    with output.json_at_the_end(lambda problem: down_document(stack, removed, problem=problem), wanted=as_json):
        engine = output.engine()
        if volumes and not yes:
            _require_consent(f"Remove the data of {stack.app} for good?")
        removed = remove(stack, engine=engine, volumes=volumes)
    if not as_json:
        print_down(stack.app, removed, output.console())


def _require_consent(question: str) -> None:
    hint = "Give --yes to do it without being asked."
    if not sys.stdin.isatty():
        raise SettingsError(f"{question} Standard input is not a terminal.", fix=hint)
    if not output.confirmed(question):
        raise SettingsError("Nothing was removed.", fix=hint)
