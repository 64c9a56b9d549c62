"""Known vulnerabilities of what is installed in an image: sources are asked, and what has a fix is judged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from seatrial.checks.model import Severity
from seatrial.text import plain_line


class Kind(StrEnum):
    """Where a package comes from."""

    SYSTEM = "system"
    """The Linux distribution's package manager."""
    PYTHON = "python"
    OTHER = "other"


SEVERITIES = {
    "critical": Severity.ERROR,
    "high": Severity.ERROR,
    "medium": Severity.WARNING,
    "moderate": Severity.WARNING,
    "low": Severity.NOTE,
    "negligible": Severity.NOTE,
}
"""By a scanner's word; what nobody has rated is an error."""


@dataclass(frozen=True, kw_only=True)
class Vulnerability:
    """A known vulnerability of an installed package, as a source tells it."""

    kind: Kind
    package: str
    version: str
    ids: tuple[str, ...] = ()
    """Its advisory, and other names of it; none where a list tells only that there is a security update."""
    fixed: str = ""
    """The version, or the versions, that have the fix; empty where there is none yet."""
    severity: Severity = Severity.ERROR
    about: str = ""
    """More of it, in a few words."""

    def __post_init__(self) -> None:
        """Refuse, with a TypeError, what is no text: it comes from another program's report."""
        texts = (self.package, self.version, *self.ids, self.fixed, self.about)
        if not all(isinstance(text, str) for text in texts):
            raise TypeError(f"text was expected for {self.package!r:.200}")

    @property
    def advisory(self) -> str:
        """Its best known name; empty where it has none."""
        return next((name for name in self.ids if name.startswith("CVE-")), *self.ids[:1] or ("",))

    @property
    def line(self) -> str:
        """It on one line."""
        ids = " ".join(self.ids) or "security update"
        fixed = f"fixed in {self.fixed}" if self.fixed else "no fix yet"
        return plain_line(f"{self.package} {self.version}: {ids}, {fixed}{f': {self.about}' if self.about else ''}")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a source says of an image."""

    covers: frozenset[Kind]
    """The kinds of packages that it knows."""
    said: str
    """What it looked at."""
    found: tuple[Vulnerability, ...] = ()
    evidence: tuple[str, ...] = ()
