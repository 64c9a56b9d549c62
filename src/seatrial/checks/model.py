"""What a check is, what it answers, and how it says that it cannot decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Literal, TypeVar

from msgspec import Struct

from seatrial.facts import DoesNotApply, Unavailable

T = TypeVar("T")


class Status(StrEnum):
    """A check's result in one word."""

    PASS = "pass"  # noqa: S105 - a status
    FAIL = "fail"
    ERROR = "error"
    """It could not be decided."""
    SKIP = "skip"
    """It does not apply."""
    WAIVED = "waived"


class Severity(StrEnum):
    """How much a finding matters, in SARIF's words; the gravest first."""

    ERROR = "error"
    """The image does not start, serve, stop or hold what it should, or it gives a secret away."""
    WARNING = "warning"
    """A hazard in production that trusted sources name."""
    NOTE = "note"
    """Worth knowing: style, small savings, what other people's services do."""

    def counts(self, fail_on: Severity) -> bool:
        """Tell whether a finding of this severity counts where those of `fail_on` and above do."""
        order = list(Severity)
        return order.index(self) <= order.index(fail_on)

    def or_graver(self, other: Severity) -> Severity:
        """Return the graver of two."""
        return self if self.counts(other) else other


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
    """What a check's function answers; made by `passed`, `failed` and `skipped`."""

    status: Status
    expected: str = ""
    actual: str = ""
    fix: str = ""
    evidence: tuple[str, ...] = ()
    where: str = ""
    """`file:line` of what is to be changed, where that is known."""
    severity: Severity | None = None
    """Of this very finding, where it is not the check's own."""
    items: tuple[str, ...] = ()
    """What was found, each by itself, where it may be several things."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A check whose failure explains that another one fails or is undecided: that one is no finding of its own then."""

    check: str
    """Its id."""
    undecided: bool = False
    """It explains what could not be decided, and no failure."""
    says: str = ""
    """An expression that its finding holds."""
    shares: str = ""
    """An expression; what its group matches in the cause's finding is named by the effect, or in its evidence."""
    only: str = ""
    """An expression for the whole of the effect's finding, which may hold more than this cause explains."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One assertion of the catalogue; made by the decorator `check`."""

    id: str
    title: str
    why: str
    """Why it matters, in one sentence."""
    source: str
    """Where the rule comes from: an address, a benchmark's rule, a project's documentation."""
    example: str = ""
    """What fails it, as the line or two that someone would really write."""
    fixed: str = ""
    """The same lines, fixed."""
    severity: Severity = Severity.ERROR
    """Of its findings, where they say no other."""
    demanded_by: tuple[str, ...] = ()
    """Keys of the contract; where it sets one of them, a finding is an error."""
    follows: tuple[Cause, ...] = ()
    """What explains that it fails or is undecided, the likeliest first."""
    level: Level
    """The least level that observes every fact that it reads."""
    stack: bool = False
    """Asked by `smoke --stack` alone, whatever the level: it reads what the app did with its services up."""
    among_services: bool = False
    """Asked by `smoke --stack` too, at its level: it reads a start of the app, which can be made among services."""
    parameters: tuple[tuple[str, bool], ...] = ()
    """The facts that the function reads, by name, and whether it takes a missing one itself."""
    function: Callable[..., Outcome]

    @property
    def family(self) -> str:
        """The part of the id before the slash."""
        return self.id.partition("/")[0]


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
    severity: Severity = Severity.ERROR
    """How much a finding of it matters: error, warning or note; a cause is as grave as what follows from it."""
    severity_reason: str = ""
    """Why the contract gives it this severity; empty where it does not."""
    follows_from: str = ""
    """The check whose failure explains this result: it is no finding of its own, and no part of the verdict."""
    items: tuple[str, ...] = ()
    """What was found, each by itself, where it may be several things; beside a baseline, those that it excuses are left
    out of a finding that is new."""
    baseline: Literal["", "known", "grown", "new"] = ""
    """What a baseline says of a failure: it excuses a known one; empty where there is no baseline."""


class UndecidedError(Exception):
    """A check cannot decide, because a fact is missing."""

    def __init__(self, reason: str, *evidence: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.evidence = tuple(line for line in evidence if line)


class DoesNotApplyError(UndecidedError):
    """A check does not apply, as there is no need of a fact that it reads: it is skipped."""


def passed(actual: str, *, expected: str = "", evidence: tuple[str, ...] = ()) -> Outcome:
    """Return a pass; `actual` says what was seen, as no pass goes without evidence."""
    return Outcome(status=Status.PASS, expected=expected, actual=actual, evidence=evidence)


def failed(
    actual: str | Sequence[str],
    *,
    expected: str,
    fix: str,
    evidence: tuple[str, ...] = (),
    where: str = "",
    severity: Severity | None = None,
    items: Sequence[str] = (),
) -> Outcome:
    """Return a failure: what was expected, what was seen, what to change, and at which `file:line`.

    `severity` is that of this very finding, where it is not the check's own. A check that can find several things gives
    them as a list, or as `items` beside a text: a baseline knows each by itself. Evidence that the text begins with is
    such a list, too.
    """
    if not isinstance(actual, str):
        actual, items = "; ".join(actual), items or actual
    if not items and evidence and actual.startswith(evidence[0]):
        items = evidence
    return Outcome(
        status=Status.FAIL,
        expected=expected,
        actual=actual,
        fix=fix,
        evidence=evidence,
        where=where,
        severity=severity,
        items=tuple(items),
    )


@dataclass(frozen=True)
class Expect:
    """What a check expects, for the outcomes that say so."""

    text: str

    def passed(self, actual: str, *, evidence: tuple[str, ...] = ()) -> Outcome:
        """Return a pass: what was seen."""
        return passed(actual, expected=self.text, evidence=evidence)

    def failed(
        self,
        actual: str | Sequence[str],
        *,
        fix: str,
        evidence: tuple[str, ...] = (),
        where: str = "",
        severity: Severity | None = None,
        items: Sequence[str] = (),
    ) -> Outcome:
        """Return a failure, as `failed` does."""
        seen = partial(failed, evidence=evidence, where=where, severity=severity, items=items)
        return seen(actual, expected=self.text, fix=fix)


def shorten(lines: Sequence[str], most: int, total: int = 0) -> str:
    """Return the first lines as one, and how many more there are."""
    more = max(total, len(lines)) - most
    return "; ".join(lines[:most]) + (f"; and {more} more" if more > 0 else "")


def first_lines(lines: Sequence[str], most: int) -> tuple[str, ...]:
    """Return the first lines of some evidence, and how many more there are."""
    more = len(lines) - most
    return (*lines[:most], *([f"… and {more} more"] if more > 0 else ()))


def skipped(reason: str) -> Outcome:
    """Return that the check does not apply, and why."""
    return Outcome(status=Status.SKIP, actual=reason)


def present(fact: T | Unavailable) -> T:
    """Return a fact, or a part of one; where it is missing, the check is undecided, or does not apply."""
    if isinstance(fact, DoesNotApply):
        raise DoesNotApplyError(fact.reason)
    if isinstance(fact, Unavailable):
        raise UndecidedError(fact.reason, fact.detail)
    return fact
