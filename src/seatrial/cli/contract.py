"""contract: drafts the contract of an image that works."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import invoke

from seatrial.cli import output as cli
from seatrial.cli.command import command
from seatrial.errors import ExitCode, SettingsError


@command(
    trusting=True,
    help={
        "image": "a name, tag, id or digest",
        "environment": "a made-up variable that it needs to start, NAME=VALUE; may be given more than once",
        "output": "write it to this file instead of standard output",
        "force": "replace the file where it exists",
    },
    iterable=["environment"],
)
def contract(
    _context: invoke.Context,
    image: str | None = None,
    environment: Sequence[str] | None = None,
    output: str | None = None,
    force: bool = False,
) -> ExitCode:
    """Draft a contract from an image that works, for a person to edit: exit 1 where it does not start."""
    from seatrial.checks import registry
    from seatrial.checks.model import Level
    from seatrial.checks.verdict import judge
    from seatrial.reports.contract import contract_text
    from seatrial.reports.write import write_file
    from seatrial.smoke.draft import draft_image, working_boot

    if image is None:
        raise SettingsError("which image?", fix="Give one: --image NAME:TAG.")
    file = _output_file(output, force=force) if output is not None else None
    variables = _variables(environment or ())
    with cli.status_line() as status:
        facts, drafted = draft_image(image, variables, cli.engine(), status)
    results = [judge(check, facts, drafted) for check in registry.up_to(Level.STANDARD)]
    text = contract_text(facts, drafted, results)
    if file is None:
        print(text, end="")
    else:
        write_file(file, text)
        cli.say(f"{file} is written; now: seatrial smoke --image {image} --contract {file}")
    if working_boot(facts) is not None:
        return ExitCode.OK
    cli.say(f"{image} did not start, so the contract holds only what could be seen; its last lines are in:")
    cli.say(f"  seatrial smoke --image {image}")
    return ExitCode.FAILED


def _variables(given: Sequence[str]) -> dict[str, str]:
    import msgspec

    from seatrial.settings.model import Contract

    values: dict[str, str] = {}
    for variable in given:
        name, equals, value = variable.partition("=")
        try:
            # What UTF-8 cannot hold is refused here, not when the file is written.
            variable.encode()
            msgspec.convert({"environment": {name: value}}, Contract)
        except (msgspec.ValidationError, UnicodeEncodeError):
            equals = ""
        if not equals:
            raise SettingsError(f"--environment {variable!r} is not a variable.", fix="Give it as NAME=VALUE.")
        values[name] = value
    return values


def _output_file(name: str, *, force: bool) -> Path:
    """Return the file to write; one that exists or cannot be written is refused before the image is started."""
    file = Path(name)
    try:
        if file.is_dir() or not file.parent.is_dir() or not os.access(file.parent, os.W_OK):
            raise SettingsError("cannot be written.", where=name, fix="Give --output a file in a folder that exists.")
        if file.exists() and not force:
            raise SettingsError("exists already.", where=name, fix="Name another file, or give --force to replace it.")
        # The kernel's own folders (/proc) say that they can be written, and cannot.
        attempt = file.with_name(f".{file.name}.{os.getpid()}")
        attempt.touch()
        attempt.unlink()
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot be written: {getattr(error, 'strerror', error)}.", where=name) from error
    return file
