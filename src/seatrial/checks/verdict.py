"""The one place that makes results from checks, and the verdict from results."""

from __future__ import annotations

import time
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from seatrial.checks.model import Check, Outcome, Result, Status, UndecidedError
from seatrial.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.facts.data import Facts
    from seatrial.settings.model import Contract


LONGEST = 4000
"""Characters of one value or line of evidence."""
MOST_EVIDENCE = 200
"""Lines of evidence of one check."""


class Verdict(StrEnum):
    """What a smoke came to."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    ERROR = "error"

    @property
    def exit_code(self) -> ExitCode:
        """The command's exit code."""
        match self:
            case Verdict.PASS:
                return ExitCode.OK
            case Verdict.FAIL:
                return ExitCode.FAILED
            case Verdict.ERROR:
                return ExitCode.UNDECIDED
            case _:
                assert_never(self)


class Smoke(Struct, frozen=True, kw_only=True):
    """A smoke of one image: what every report is made from."""

    schema: int = 1
    image: str
    id: str
    verdict: Verdict
    seconds: float
    counts: dict[Status, int]
    checks: tuple[Result, ...]


def smoke_of(facts: Facts, contract: Contract, checks: Iterable[Check], *, seconds: float) -> Smoke:
    """Judge an image by its facts."""
    results = tuple(judge(check, facts, contract) for check in checks)
    counts = Counter(one.status for one in results)
    return Smoke(
        image=facts.configuration.reference,
        id=facts.configuration.id,
        verdict=verdict_of(results),
        seconds=round(seconds, 3),
        counts={status: counts.get(status, 0) for status in Status},
        checks=results,
    )


def verdict_of(results: Iterable[Result]) -> Verdict:
    """Reduce results to a verdict. What could not be decided is no pass, and neither is nothing at all."""
    statuses = {one.status for one in results}
    if Status.FAIL in statuses:
        return Verdict.FAIL
    if Status.ERROR in statuses or Status.PASS not in statuses:
        return Verdict.ERROR
    return Verdict.PASS


def clipped(text: str) -> str:
    """Return text that a report can hold: an image decides how long what it says is."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def judge(check: Check, facts: Facts, contract: Contract) -> Result:
    """Run one check; waive it where the contract says so."""
    started = time.perf_counter()
    try:
        outcome = check.function(facts, contract)
    except UndecidedError as undecided:
        outcome = Outcome(
            status=Status.ERROR,
            actual=f"could not be decided: {undecided.reason}",
            evidence=undecided.evidence,
        )
    status, fix = outcome.status, outcome.fix
    reason = contract.waive.get(check.id)
    if reason is not None and status in {Status.FAIL, Status.ERROR}:
        status, fix = Status.WAIVED, f"Waived: {reason}"
    return Result(
        id=check.id,
        title=check.title,
        status=status,
        expected=outcome.expected,
        actual=clipped(outcome.actual),
        why=check.why,
        fix=fix,
        evidence=tuple(clipped(line) for line in outcome.evidence[:MOST_EVIDENCE]),
        seconds=round(time.perf_counter() - started, 6),
    )
