"""The catalogue: every check, in the order that reports show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks import (
    application,
    boot,
    bytecode,
    compose,
    config,
    context,
    declared,
    dockerfile,
    files,
    health,
    identity,
    lock,
    network,
    packages,
    process,
    python,
    restrictions,
    runtime,
    stack,
    starts,
    system,
    tools,
)
from seatrial.checks import application as code
from seatrial.checks import application as native
from seatrial.checks import dockerfile as dockerfile_installs
from seatrial.checks import identity as accounts
from seatrial.checks import python as environment
from seatrial.checks.model import Level
from seatrial.errors import SettingsError
from seatrial.suggest import did_you_mean

if TYPE_CHECKING:
    from seatrial.checks.model import Check
    from seatrial.settings.model import Contract

CHECKS: tuple[Check, ...] = (
    *identity.CHECKS,
    *accounts.CHECKS_ACCOUNTS,
    *process.CHECKS,
    *python.CHECKS,
    *environment.CHECKS_ENVIRONMENT,
    *packages.CHECKS,
    *lock.CHECKS,
    *application.CHECKS,
    *code.CHECKS_CODE,
    *native.CHECKS_NATIVE,
    *bytecode.CHECKS,
    *system.CHECKS,
    *files.CHECKS,
    *tools.CHECKS,
    *config.CHECKS,
    *declared.CHECKS,
    *config.CHECKS_METADATA,
    *boot.CHECKS,
    *restrictions.CHECKS,
    *starts.CHECKS,
    *runtime.CHECKS,
    *network.CHECKS,
    *health.CHECKS,
    *dockerfile.CHECKS,
    *dockerfile_installs.CHECKS_DOCKERFILE_INSTALLS,
    *context.CHECKS,
    *compose.CHECKS,
)
"""What a smoke of an image asks."""
CATALOGUE: tuple[Check, ...] = (*CHECKS, *stack.CHECKS)
"""All that can be asked, explained and waived: those of `smoke --stack` too, which need the app's services."""


def among_services(level: Level) -> tuple[Check, ...]:
    """Return the checks of `smoke --stack`: its own, and those of a level that starts of the app decide.

    With another command, an image is run alone: what its ENTRYPOINT waits for says nothing of that.
    """
    decided = (*process.CHECKS, *boot.CHECKS, *restrictions.CHECKS, *starts.CHECKS, *runtime.CHECKS, *network.CHECKS)
    started = [
        check
        for check in (*decided, *health.CHECKS)
        if check.level is not Level.QUICK and check.level.rank <= level.rank and check.id != "runtime/command-override"
    ]
    return (*stack.CHECKS, *started)


def up_to(level: Level) -> tuple[Check, ...]:
    """Return the checks of a level and of those below it."""
    return tuple(check for check in CHECKS if check.level.rank <= level.rank)


def require_known_waivers(contract: Contract, where: str) -> None:
    """Refuse a waiver for a check that does not exist.

    Raises:
        SettingsError: it names one; the message suggests the nearest.

    """
    known = {check.id for check in CATALOGUE}
    for name in contract.waive:
        if name not in known:
            raise SettingsError(
                f"the waiver {name!r} is for a check that does not exist.",
                where=where,
                fix=did_you_mean(name, known),
            )
