"""What is found out about a stack before its start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from seatrial.errors import StackError


class Readiness(StrEnum):
    """What a finding means for the start."""

    READY = "ready"
    NOTE = "note"
    """Worth knowing; the start goes on."""
    ERROR = "error"
    """It can be started, and does not do what it should: by a check of the catalogue."""
    BLOCKED = "blocked"
    """Nothing can be started before this is fixed."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A finding of the checks before the start."""

    check: str
    """`compose file`, `env file`, `variable`, `port`, `image`, or a check of the catalogue: `compose/ports`."""
    readiness: Readiness
    what: str
    """A sentence; it never holds the value of a variable."""
    where: str = ""
    """`file:line`, where that is known."""
    fix: str = ""
    evidence: tuple[str, ...] = ()
    """More of what was seen, line by line."""
    result: str = ""
    """Of a check that does not pass: its severity, `follows` or `undecided`, as a smoke says it."""

    @property
    def word(self) -> str:
        """The word for it in a report."""
        return self.result or self.readiness.value


def ready(check: str, what: str, *, where: str = "") -> Finding:
    """Return that something is as it must be."""
    return Finding(check=check, readiness=Readiness.READY, what=what, where=where)


def note(check: str, what: str, *, where: str = "") -> Finding:
    """Return something that is worth knowing."""
    return Finding(check=check, readiness=Readiness.NOTE, what=what, where=where)


def blocked(check: str, what: str, *, where: str, fix: str) -> Finding:
    """Return something that blocks the start."""
    return Finding(check=check, readiness=Readiness.BLOCKED, what=what, where=where, fix=fix)


def require_unblocked(findings: Sequence[Finding]) -> None:
    """Raise StackError while something blocks the start: it names all of that at once."""
    if found := [finding for finding in findings if finding.readiness is Readiness.BLOCKED]:
        raise unready(found)


def unready(found: Sequence[Finding]) -> StackError:
    """Return the error for what blocks the start: the first in full, the others below it."""
    first, *others = found
    more = f" ({len(others)} more below)" if others else ""
    return StackError(f"{first.what}{more}", where=first.where, fix=first.fix, detail="\n".join(map(as_line, others)))


def as_line(finding: Finding) -> str:
    """Return a finding as a line."""
    where = f"{finding.where}: " if finding.where else ""
    return f"{where}{finding.what}" + (f" {finding.fix}" if finding.fix else "")
