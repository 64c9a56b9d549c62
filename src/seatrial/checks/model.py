"""What a check is, what it answers, and how it says that it cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from seatrial.facts.data import Boot, Facts, Missing, Probe, Start
from seatrial.settings.model import Contract


class Status(StrEnum):
    """What a check came to."""

    PASS = "pass"  # noqa: S105 - a status
    FAIL = "fail"
    ERROR = "error"
    """It could not be decided."""
    SKIP = "skip"
    """It does not apply."""
    WAIVED = "waived"


class Level(StrEnum):
    """How much a smoke does, from quick to deep; each holds the ones before it."""

    QUICK = "quick"
    STANDARD = "standard"
    DEEP = "deep"

    @property
    def rank(self) -> int:
        """Its place in the order."""
        return list(Level).index(self)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a check function answers."""

    status: Status
    expected: str = ""
    actual: str = ""
    fix: str = ""
    evidence: tuple[str, ...] = ()
    where: str = ""
    """`file:line` of what is to be changed, where that is known."""


CheckFunction = Callable[[Facts, Contract], Outcome]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One assertion of the catalogue."""

    id: str
    title: str
    why: str
    """Why it matters, in one sentence."""
    source: str
    """Where the rule comes from."""
    example: str = ""
    """What fails it, as the line or two that someone would really write."""
    mend: str = ""
    """The same lines, mended."""
    level: Level
    stack: bool = False
    """Asked by `smoke --stack`, whatever the level: it looks at the app with its services up."""
    function: CheckFunction


class Result(Struct, frozen=True, kw_only=True):
    """A check's result, as every report shows it."""

    id: str
    """The check, by its family and name: `boot/healthy`."""
    title: str
    """What the image does that passes it."""
    status: Status
    """Pass, fail, error (could not be decided), skip (does not apply) or waived (by the contract)."""
    expected: str
    """What was expected."""
    actual: str
    """What was seen; of an error, why it could not be decided; of a skip, why it does not apply."""
    why: str
    """Why it matters, in one sentence."""
    fix: str
    """What to change; of a waiver, the reason."""
    evidence: tuple[str, ...]
    """More of what was seen, line by line; outside text."""
    seconds: float
    """How long judging took; the facts were gathered before."""
    where: str = ""
    """`file:line` of what is to be changed, where that is known; the file from the project's folder."""


class UndecidedError(Exception):
    """A check cannot tell, for want of a fact."""

    def __init__(self, reason: str, *evidence: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.evidence = tuple(line for line in evidence if line)


def passed(actual: str, *, expected: str = "", evidence: tuple[str, ...] = ()) -> Outcome:
    """Return a pass; `actual` says what was seen, as no pass goes without evidence."""
    return Outcome(status=Status.PASS, expected=expected, actual=actual, evidence=evidence)


def failed(actual: str, *, expected: str, fix: str, evidence: tuple[str, ...] = (), where: str = "") -> Outcome:
    """Return a failure: what was expected, what was seen, what to change, and at which `file:line`."""
    return Outcome(status=Status.FAIL, expected=expected, actual=actual, fix=fix, evidence=evidence, where=where)


def skipped(reason: str) -> Outcome:
    """Return that the check does not apply, and why."""
    return Outcome(status=Status.SKIP, actual=reason)


def probe_of(facts: Facts) -> Probe:
    """Return what the probe said.

    Raises:
        UndecidedError: it could say nothing.

    """
    if isinstance(facts.probe, Missing):
        raise UndecidedError(facts.probe.reason, facts.probe.detail)
    return facts.probe


def boot_of(facts: Facts) -> Boot:
    """Return the boot.

    Raises:
        UndecidedError: there was none.

    """
    if isinstance(facts.boot, Missing):
        raise UndecidedError(facts.boot.reason, facts.boot.detail)
    return facts.boot


def deciding_boot(facts: Facts) -> Boot:
    """Return the start to judge by: the hardened one, unless only its restrictions were in the way.

    Raises:
        UndecidedError: there was none.

    """
    boot = boot_of(facts)
    if boot.up:
        return boot
    return min((one for one in facts.relaxed if one.up), key=lambda one: len(one.lifted), default=boot)


def start_of(facts: Facts) -> Start:
    """Return what the image's command comes down to.

    Raises:
        UndecidedError: it could not be followed.

    """
    if isinstance(facts.start, Missing):
        raise UndecidedError(facts.start.reason, facts.start.detail)
    return facts.start
