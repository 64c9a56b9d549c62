"""contract: drafts the contract of an image that works."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.cli import output as surroundings
from seatrial.cli.errors import command
from seatrial.errors import ExitCode, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import invoke

    from seatrial.facts import Facts
    from seatrial.settings.model import Contract
    from seatrial.smoke import Target


PATIENCE = 60.0
"""Seconds until it must be healthy, while nobody has said yet how long it takes."""


@command(
    help={
        "image": "a name, tag, id or digest",
        "environment": "a variable that it needs to start, NAME=VALUE, made up; may be given more than once",
        "output": "write it to this file instead of standard output",
        "force": "replace the file where it is there already",
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
    """Draft a contract from an image that works, for a person to edit: exit 1 where it does not come up."""
    from seatrial.checks import registry
    from seatrial.checks.model import Level
    from seatrial.checks.verdict import judge
    from seatrial.reports.contract import contract_text
    from seatrial.smoke.draft import up

    if image is None:
        raise SettingsError("which image?", fix="Give one: --image NAME:TAG.")
    file = _free(output, force=force)
    facts, drafted = _observed(image, _variables(environment or ()))
    results = [judge(check, facts, drafted) for check in registry.up_to(Level.STANDARD)]
    text = contract_text(facts, drafted, results)
    if file is None:
        print(text, end="")
    else:
        _write(file, text)
        surroundings.say(f"{file} is written; now: seatrial smoke --image {image} --contract {file}")
    if up(facts) is not None:
        return ExitCode.OK
    surroundings.say(f"{image} did not come up, so this says only what could be seen; see its last lines:")
    surroundings.say(f"  seatrial smoke --image {image}")
    return ExitCode.FAILED


def _observed(image: str, environment: dict[str, str]) -> tuple[Facts, Contract]:
    """Observe the image, draft, and ask once more for what the draft names and the first look did not know of."""
    import msgspec

    from seatrial.checks.model import Level
    from seatrial.settings.model import Contract
    from seatrial.smoke import observe
    from seatrial.smoke.draft import draft, up, without_guesses

    engine = surroundings.engine()
    asked = Contract(environment=environment, healthy_within=PATIENCE)
    with surroundings.telling() as tell:
        facts = observe(_target(image, asked), engine, Level.STANDARD, tell)
        drafted = draft(facts, environment)
        # With another tmpfs it starts another way: that has to be seen too.
        level = Level.QUICK if drafted.tmpfs == asked.tmpfs else Level.STANDARD
        again = observe(_target(facts.configuration.id, drafted), engine, level, tell)
    if level is Level.QUICK or up(again) is None:
        again = msgspec.structs.replace(again, boot=facts.boot, relaxed=facts.relaxed)
    again = msgspec.structs.replace(again, configuration=facts.configuration)
    final = msgspec.structs.replace(draft(again, environment), tmpfs=drafted.tmpfs)
    return without_guesses(again, final), final


def _target(image: str, contract: Contract) -> Target:
    from seatrial.facts import ProjectFacts
    from seatrial.smoke import Target

    return Target(reference=image, contract=contract, project=ProjectFacts())


def _variables(given: Sequence[str]) -> dict[str, str]:
    import msgspec

    from seatrial.settings.model import Contract

    values: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        try:
            # What no file in UTF-8 can hold is refused here, not when it is written.
            one.encode()
            msgspec.convert({"environment": {name: value}}, Contract)
        except (msgspec.ValidationError, UnicodeEncodeError):
            equals = ""
        if not equals:
            raise SettingsError(f"--environment {one!r} is no variable.", fix="Give it as NAME=VALUE.")
        values[name] = value
    return values


def _free(output: str | None, *, force: bool) -> Path | None:
    """Refuse a file that is there or cannot be written, before the image is started."""
    if output is None:
        return None
    file = Path(output)
    try:
        if file.is_dir() or not file.parent.is_dir() or not os.access(file.parent, os.W_OK):
            raise SettingsError("cannot be written.", where=output, fix="Give --output a file in a folder that exists.")
        if file.exists() and not force:
            raise SettingsError(
                "is there already.", where=output, fix="Name another file, or say --force to replace it."
            )
        # Folders of the kernel's own say that they can be written, and cannot.
        _half(file).touch()
        _half(file).unlink()
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot be written: {getattr(error, 'strerror', error)}.", where=output) from error
    return file


def _half(file: Path) -> Path:
    return file.with_name(f".{file.name}.{os.getpid()}")


def _write(file: Path, text: str) -> None:
    """Write the file whole or not at all."""
    half = _half(file)
    try:
        half.write_text(text, encoding="utf-8")
        half.replace(file)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise SettingsError(f"cannot be written: {error.strerror}.", where=str(file)) from error
