"""init: declares a project's apps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import invoke

from seatrial.cli import output
from seatrial.cli.command import command
from seatrial.errors import SettingsError

if TYPE_CHECKING:
    from seatrial.adopt.model import Understanding


@command(
    help={
        "dry-run": "print what is understood of the project and what would be written, and write nothing",
        "format": "of what --dry-run prints: text or json",
    }
)
def init(_context: invoke.Context, dry_run: bool = False, format: str = "text") -> None:
    """Declare the project's Dockerfiles as apps in pyproject.toml, and make a tasks.py."""
    from seatrial import scaffold

    as_json = output.wants_json(format)
    if as_json and not dry_run:
        raise SettingsError("--format json is for --dry-run.", fix="Add --dry-run, or leave --format out.")
    understanding = _understanding(as_json=as_json) if dry_run else None
    if as_json:
        return
    plan = scaffold.plan(Path.cwd(), understanding)
    for file, text in plan.items():
        print(f"{'would write' if dry_run else 'writing'} {file}:")
        print("".join(f"    {line}\n" for line in text.strip().splitlines()))
    if not plan:
        print("nothing to do: the project declares its apps already")
    tasks = Path("tasks.py")
    if tasks not in plan and tasks.is_file() and b"seatrial" not in tasks.read_bytes():
        print("tasks.py exists: add `from seatrial.tasks import ns` to it, and `invoke build` is `seatrial build`")
    if not dry_run:
        try:
            scaffold.write(plan)
        except OSError as error:
            raise SettingsError(f"cannot be written: {error.strerror}.", where=str(error.filename)) from error
        if plan:
            output.project()


def _understanding(*, as_json: bool) -> Understanding:
    """Print and return what is understood of the current folder; as JSON with what would be written, where known."""
    from seatrial import scaffold
    from seatrial.adopt.understand import understand
    from seatrial.reports.understanding import print_understanding, understanding_document

    understanding = understand(Path.cwd())
    if not as_json:
        print_understanding(output.console(), understanding)
        return understanding
    try:
        plan: Mapping[Path, str] = scaffold.plan(Path.cwd(), understanding)
    except SettingsError:
        plan = {}
    print(understanding_document(understanding, plan), end="")
    return understanding
