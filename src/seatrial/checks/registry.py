"""The catalogue: every check, in the order that reports show it."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING

import seatrial.checks
from seatrial.checks.declaration import checks_of
from seatrial.errors import SettingsError
from seatrial.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.checks.model import Check, Level
    from seatrial.settings.model import Contract

ORDER = (
    *("identity", "accounts", "process", "python", "runtime/deep-recursion", "packages", "app"),
    *("native/libraries-resolve", "app/code-read-only", "native", "bytecode", "system", "files", "config/workdir"),
    *("tools", "secrets/files", "health/declared", "secrets/environment", "size", "identity/numeric-user"),
    *("process/exec-form", "health/command-exists", "config", "secrets", "boot", "process/pid1-is-app", "runtime"),
    *("network", "health", "dockerfile", "context", "compose", "stack"),
)
"""The order of reports: a family, in its module's order, or a check that stands apart from its family."""


def _place(check: Check) -> int:
    names = (check.id, check.family)
    return next((ORDER.index(name) for name in names if name in ORDER), len(ORDER))


def _built_in() -> tuple[Check, ...]:
    names = [module.name for module in pkgutil.iter_modules(seatrial.checks.__path__) if module.name != "registry"]
    modules = [import_module(f"{seatrial.checks.__name__}.{name}") for name in names]
    return tuple(sorted(chain.from_iterable(map(checks_of, modules)), key=_place))


CATALOGUE: tuple[Check, ...] = _built_in()
"""All that can be asked, explained and waived: those of `smoke --stack` too, which need the app's services."""
CHECKS: tuple[Check, ...] = tuple(check for check in CATALOGUE if not check.stack)
"""What a smoke of an image asks."""
FAMILIES = frozenset(check.family for check in CATALOGUE)


def up_to(level: Level, own: Sequence[Check] = ()) -> tuple[Check, ...]:
    """Return the checks of a level and of those below it, then the project's own."""
    return tuple(check for check in (*CHECKS, *own) if not check.stack and check.level.rank <= level.rank)


def among_services(level: Level | None, own: Sequence[Check] = ()) -> tuple[Check, ...]:
    """Return the checks of `smoke --stack`: its own, and with a level those that read starts of the app."""
    of_stack = [check for check in (*CATALOGUE, *own) if check.stack]
    return (*of_stack, *(check for check in up_to(level, own) if check.among_services)) if level else tuple(of_stack)


def require_known_waivers(contract: Contract, where: str, own: Sequence[Check] = ()) -> None:
    """Refuse a waiver for a check that does not exist.

    Raises:
        SettingsError: it names one; the message suggests the nearest.

    """
    known = {check.id for check in (*CATALOGUE, *own)}
    for name in contract.waive:
        if name not in known:
            raise SettingsError(
                f"the waiver {name!r} is for a check that does not exist.",
                where=where,
                fix=did_you_mean(name, known),
            )
