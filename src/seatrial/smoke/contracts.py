"""How much of a project's own say counts in its verdict, by how far the project is trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from seatrial import capabilities
from seatrial.errors import SettingsError
from seatrial.settings.model import Contract, ScanContract
from seatrial.settings.read import key_in, line_of
from seatrial.trust import Trust

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.settings.read import Project

UNTRUSTED = "as the project is not trusted"


def counted(contract: Contract, trust: Trust, file: Path, table: str = "") -> tuple[Contract, tuple[str, ...]]:
    """Return what counts of a contract, which a table of a file holds, and a line for each part that does not.

    Raises:
        SettingsError: it asks for capabilities that give the host away, and the host may not be given.
    """
    given = [name for name in contract.capabilities if name in capabilities.HOST]
    if given and trust is not Trust.HOST:
        raise SettingsError(
            f"{', '.join(given)} would give the image a part of the host: refused.",
            where=_where(file, table, "capabilities"),
            fix="Take it out; or, if the image may have that, give --trust host.",
        )
    if trust is not Trust.NONE:
        return contract, ()
    notes = [
        f"{_where(file, table, key)}: {what} {name} does not count, {UNTRUSTED} ({reason})"
        for key, what, exceptions in (
            ("waive", "the waiver of", contract.waive),
            ("lint-ignore", "the exception of", contract.lint_ignore),
            ("compose-exceptions", "the exception of", contract.compose_exceptions),
            ("scan.waive", "the waiver of", {name: waiver.reason for name, waiver in contract.scan.waive.items()}),
            ("severity", "the severity of", {name: change.reason for name, change in contract.severity.items()}),
        )
        for name, reason in exceptions.items()
    ]
    if contract.fail_on != Contract().fail_on:
        where = _where(file, table, "fail-on")
        notes.append(f"{where}: `fail-on = {contract.fail_on}` does not count, {UNTRUSTED}; `--fail-on` does")
    if contract.max_growth != Contract().max_growth:
        where = _where(file, table, "max-growth")
        notes.append(f"{where}: `max-growth = {contract.max_growth:g}` does not count, {UNTRUSTED}")
    own: dict[str, Any] = {
        "waive": {},
        "lint_ignore": {},
        "compose_exceptions": {},
        "scan": ScanContract(),
        "severity": {},
        "fail_on": Contract().fail_on,
        "max_growth": Contract().max_growth,
    }
    return msgspec.structs.replace(contract, **own), tuple(notes)


def unasked(project: Project) -> tuple[str, ...]:
    """Return a line for each module of checks that an untrusted project names: it is not imported."""
    where = _where(project.file, key_in(project.file), "checks")
    return tuple(
        f"{where}: the checks of {name} are not asked, {UNTRUSTED}: they would run on this host"
        for name in project.settings.checks
    )


def _where(file: Path, table: str, key: str) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        text = ""
    line = line_of(text, [part for part in (*table.split("."), *key.split(".")) if part])
    return f"{file}:{line}" if line else str(file)
