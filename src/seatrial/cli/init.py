"""init: declares a project's apps."""

from __future__ import annotations

from pathlib import Path

import invoke

from seatrial.cli import output
from seatrial.cli.command import command
from seatrial.errors import SettingsError


@command(help={"dry-run": "print what would be written, and write nothing"})
def init(_context: invoke.Context, dry_run: bool = False) -> None:
    """Declare the project's Dockerfiles as apps in pyproject.toml, and make a tasks.py."""
    from seatrial import scaffold

    plan = scaffold.plan(Path.cwd())
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
