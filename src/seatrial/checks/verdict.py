"""The one place that makes results from checks, links each to its cause, and makes the verdict of them."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from seatrial.checks.baseline import Record, compared, counted
from seatrial.checks.declaration import ask
from seatrial.checks.model import Cause, Check, Outcome, Result, Severity, Status, UndecidedError
from seatrial.checks.places import place
from seatrial.errors import ExitCode
from seatrial.facts import Facts, Lint, Probe, Unavailable
from seatrial.requirements import UnclearMarkerError
from seatrial.settings.model import Contract
from seatrial.text import with_bytes_shown

LONGEST = 4000
"""Characters of one value or line of evidence."""
MOST_EVIDENCE = 200
"""Lines of evidence of one check."""
MOST_TEXT = 20_000
"""Characters of the evidence of one check: what an image prints must not make a report too large to open."""

MOST_PAID = 10
"""Entries of a baseline that are told as paid."""
UNMET = (Status.FAIL, Status.ERROR)
"""The statuses of a check that does not hold, and of one that could not be decided."""
UNASKED = Contract()
"""What holds where nobody asks for anything."""


class Verdict(StrEnum):
    """The result of a smoke."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    ERROR = "error"

    @property
    def exit_code(self) -> ExitCode:
        """The command's exit code."""
        codes = {Verdict.PASS: ExitCode.OK, Verdict.FAIL: ExitCode.FAILED, Verdict.ERROR: ExitCode.UNDECIDED}
        return codes[self]


class Smoke(Struct, frozen=True, kw_only=True):
    """A smoke of one image: what every report is made from."""

    schema: int = 1
    """The form of this document; a key that is taken away or changes its meaning raises it, a new key does not."""
    image: str
    """The image, as it was asked for; of sources without one, the app or the file."""
    id: str
    """The image's id, as the engine knows it; empty where only sources were checked."""
    verdict: Verdict
    """Pass, fail (a check failed) or error (it could not be decided)."""
    seconds: float
    """How long it took."""
    counts: dict[Status, int]
    """How many checks there are of each status."""
    checks: tuple[Result, ...]
    """Every check's result, in the catalogue's order."""
    app: str = ""
    """The app whose image it is; empty for an image that no app describes."""
    python: str = ""
    """The Python version that it was meant for, or runs: `3.13`; empty where neither is known."""
    level: str = ""
    """How much was done: quick, standard or deep; stack for the app with its services; archive for a saved
    image, of which nothing was run; sources without an image;
    scan for known vulnerabilities."""
    timings: dict[str, float] = {}
    """Seconds that each observation took; some run beside each other."""
    notes: tuple[str, ...] = ()
    """What of the project's own say held in this verdict, or did not count; and that the machine was busy."""
    fail_on: Severity = Severity.ERROR
    """The findings that count in the verdict: those of this severity and above."""
    findings: dict[Severity, int] = {}
    """How many findings there are of each severity: checks that failed, without those that follow from another one."""
    undecided: dict[Severity, int] = {}
    """How many checks of each severity could not be decided, counted likewise."""
    unpacked: int = 0
    """Bytes that the image takes on disk; 0 where they were not asked for."""
    baseline: str = ""
    """The baseline that it was compared with; empty where there was none."""
    known: dict[Severity, int] = {}
    """How many findings of each severity that baseline excuses; they are not among `findings`."""


def smoke_of(
    facts: Facts,
    contract: Contract,
    checks: Iterable[Check],
    *,
    seconds: float,
    app: str = "",
    level: str = "",
    notes: Sequence[str] = (),
) -> Smoke:
    """Judge an image by its facts."""
    results = _results(facts, contract, tuple(checks))
    return Smoke(
        image=truncate(facts.configuration.reference),
        id=facts.configuration.id,
        seconds=round(seconds, 3),
        **summed_up(results, Severity(contract.fail_on)),
        app=app,
        python=_python(facts, contract),
        level=level,
        timings={name: round(took, 3) for name, took in facts.seconds.items()},
        notes=tuple(map(truncate, (*notes, *_held(facts), *_slowed(facts), *_unneeded(results, contract)))),
        unpacked=facts.configuration.unpacked,
    )


def beside(smoke: Smoke, record: Record | None, contract: Contract, *, name: str, file: str) -> Smoke:
    """Judge a smoke again, beside what a baseline, the file of that name, records of its image, called `name` there."""
    if record is None:
        said = f"{file} records nothing of {name}: `--update-baseline` adds it"
        notes = (*smoke.notes, said) if smoke.verdict is Verdict.FAIL else smoke.notes
        return replace(smoke, baseline=file, notes=notes)
    found = compared(smoke.checks, record, contract, unpacked=smoke.unpacked, file=file)
    paid = [f"paid: {entry.check}: {entry.cause}; `--update-baseline` takes it out of {file}" for entry in found.paid]
    more = [f"paid: {len(paid) - MOST_PAID} more"] if len(paid) > MOST_PAID else []
    return replace(
        smoke,
        **summed_up(found.results, smoke.fail_on),
        baseline=file,
        notes=tuple(map(truncate, (*smoke.notes, *paid[:MOST_PAID], *more))),
    )


SOURCES = "sources"
"""The level of a check of sources alone."""


def check_of(
    name: str,
    facts: Mapping[str, object],
    contract: Contract,
    checks: Iterable[Check],
    *,
    seconds: float,
    app: str = "",
    notes: Sequence[str] = (),
) -> Smoke:
    """Judge sources without their image, by some facts; `name` is the app or the file."""
    results = _results(facts, contract, tuple(checks))
    return Smoke(
        image=truncate(name),
        id="",
        seconds=round(seconds, 3),
        **summed_up(results, Severity(contract.fail_on)),
        app=app,
        level=SOURCES,
        notes=tuple(map(truncate, (*notes, *_configured(facts.get("lint")), *_unneeded(results, contract)))),
    )


def _results(facts: Facts | Mapping[str, object], contract: Contract, checks: Sequence[Check]) -> tuple[Result, ...]:
    judged = [judge(check, facts, contract) for check in checks]
    return linked(judged, checks, fixed={result.id for result in judged if result.severity_reason})


def _held(facts: Facts) -> Iterator[str]:
    """Yield what the project itself decided of its verdict, beside its contract."""
    if not isinstance(facts.sources, Unavailable):
        yield from _configured(facts.sources.lint)
    if where := facts.configuration.command_from:
        words = shlex.join(facts.configuration.words) or "nothing"
        yield f"started with the command in {where}, not the image's own: {words}"


def _configured(lint: object) -> Iterator[str]:
    if isinstance(lint, Lint) and lint.configuration:
        yield f"hadolint was asked with the project's own {lint.configuration}"


def _unneeded(results: Iterable[Result], contract: Contract) -> Iterator[str]:
    """Yield the waivers that nothing needs any more."""
    for result in results:
        if result.status is Status.PASS and result.id in contract.waive:
            yield f"the waiver of {result.id} is not needed any more: it passes. Remove it from the contract's `waive`."


WAITED_LONG = 5.0
"""Seconds in which an import that waits for a processor may pass a limit."""


def _slowed(facts: Facts) -> Iterator[str]:
    """Yield that the machine was too busy for what was measured and bounded."""
    if isinstance(facts.probe, Probe) and facts.probe.waited > WAITED_LONG:
        took = facts.seconds.get("probe", facts.probe.waited)
        yield (
            f"the machine was busy: the image's interpreter waited {min(facts.probe.waited, took):.0f} s for a "
            f"processor in {took:.0f} s. What took too long, and times, may be others when it has less to do"
        )


def _python(facts: Facts, contract: Contract) -> str:
    """Return the version that the contract wants, or else the one that the interpreter gives: `3.13`."""
    if contract.python is not None:
        return contract.python
    said = "" if isinstance(facts.probe, Unavailable) else facts.probe.interpreter.version
    found = re.match(r"\d{1,3}\.\d{1,3}", said)
    return found.group() if found else ""


def summed_up(results: tuple[Result, ...], fail_on: Severity) -> dict[str, Any]:
    """Return the keys of a smoke that follow from its results."""
    failed, undecided = ([result for result in results if is_open(result, kind)] for kind in UNMET)
    return {
        "verdict": verdict_of(results, fail_on),
        "counts": {status: sum(result.status is status for result in results) for status in Status},
        "checks": results,
        "fail_on": fail_on,
        "findings": {severity: sum(result.severity is severity for result in failed) for severity in Severity},
        "undecided": {severity: sum(result.severity is severity for result in undecided) for severity in Severity},
        "known": counted(results),
    }


def is_finding(result: Result, *statuses: Status) -> bool:
    """Tell whether a result of one of these statuses is a finding of its own, and not the effect of another one."""
    return result.status in statuses and not result.follows_from


def is_open(result: Result, *statuses: Status) -> bool:
    """Tell whether it is such a finding, and no baseline excuses it."""
    return is_finding(result, *statuses) and result.baseline != "known"


def decisive(results: Iterable[Result], fail_on: Severity) -> list[Result]:
    """Return what keeps an image from passing: the findings that count, and what counts and could not be decided."""
    return [result for result in results if is_open(result, *UNMET) and result.severity.counts(fail_on)]


def verdict_of(results: Iterable[Result], fail_on: Severity = Severity.ERROR) -> Verdict:
    """Reduce results to a verdict, by those whose severity counts.

    An undecided check is not a pass, and neither is having no check that passes.
    """
    found = tuple(results)
    statuses = {result.status for result in decisive(found, fail_on)}
    if Status.FAIL in statuses:
        return Verdict.FAIL
    if Status.ERROR in statuses or all(result.status is not Status.PASS for result in found):
        return Verdict.ERROR
    return Verdict.PASS


def worst(smokes: Sequence[Smoke]) -> Verdict:
    """Return the verdict of several smokes together: a failure counts most, then what could not be decided."""
    verdicts = {smoke.verdict for smoke in smokes}
    return next((worst for worst in (Verdict.FAIL, Verdict.ERROR, Verdict.PASS) if worst in verdicts), Verdict.ERROR)


def truncate(text: str) -> str:
    """Return text that a report can hold: an image decides how long what it says is, and of which bytes.

    A file name's bytes that are no UTF-8 are shown as their numbers: no file format holds them otherwise.
    """
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
    return with_bytes_shown(shown).encode("utf-8", "backslashreplace").decode()


def truncate_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Return lines of evidence that a report can hold, and how many more there were."""
    kept: list[str] = []
    left = MOST_TEXT
    for line in map(truncate, lines[:MOST_EVIDENCE]):
        left -= len(line)
        if left < 0:
            break
        kept.append(line)
    if len(kept) < len(lines):
        kept.append(f"… and {len(lines) - len(kept)} more lines")
    return tuple(kept)


def judge(check: Check, facts: Facts | Mapping[str, object], contract: Contract) -> Result:
    """Ask a check, of an image's facts or of some by name; waive it where the contract says so."""
    started = time.perf_counter()
    try:
        outcome = ask(check, facts, contract)
    except (UndecidedError, UnclearMarkerError) as undecided:
        outcome = Outcome(
            status=Status.ERROR, actual=f"could not be decided: {undecided.reason}", evidence=undecided.evidence
        )
    status, fix, where = outcome.status, outcome.fix, ""
    severity, reason = _severity(check, outcome, contract)
    if status is Status.FAIL:
        where = outcome.where or place(check.id, outcome.actual, facts, outcome.evidence)
    if status in {Status.FAIL, Status.ERROR} and check.id in contract.waive:
        status, fix = Status.WAIVED, f"Waived: {contract.waive[check.id]}"
    return Result(
        id=check.id,
        title=check.title,
        status=status,
        severity=severity,
        severity_reason=truncate(reason),
        expected=truncate(outcome.expected),
        actual=truncate(outcome.actual),
        why=check.why,
        fix=truncate(fix),
        evidence=truncate_lines(outcome.evidence),
        items=truncate_lines(outcome.items) if status is Status.FAIL else (),
        where=truncate(where),
        seconds=round(time.perf_counter() - started, 6),
    )


def _severity(check: Check, outcome: Outcome, contract: Contract) -> tuple[Severity, str]:
    """Return how much a check's result matters, and the contract's reason where that changes it."""
    for name in (check.id, check.family):
        if change := contract.severity.get(name):
            return Severity(change.severity), change.reason
    # What the contract asks for explicitly is an error without.
    asked = any(getattr(contract, key) != getattr(UNASKED, key) for key in check.demanded_by)
    return outcome.severity or (Severity.ERROR if asked else check.severity), ""


def linked(
    results: Sequence[Result], checks: Iterable[Check], fixed: Collection[str] = frozenset()
) -> tuple[Result, ...]:
    """Return the results, each one that follows from another with that one's id.

    A cause is as grave as the gravest failure that follows from it. The severity of those in `fixed` is not changed:
    what is graver than such a cause stays a finding of its own.
    """
    failed = {result.id: result for result in results if result.status is Status.FAIL}
    follows = {check.id: check.follows for check in checks}
    causes = {
        result.id: cause.check
        for result in results
        if result.status in {Status.FAIL, Status.ERROR}
        for cause in reversed(follows.get(result.id, ()))
        if cause.check in failed and cause.check != result.id and _explains(cause, failed[cause.check], result)
    }
    roots = {name: root for name in causes if (root := _root(name, causes))}
    severities = {name: failed[name].severity for name in roots.values()}
    for result in results:
        root = roots.get(result.id, "")
        if root and root not in fixed and result.status is Status.FAIL:
            severities[root] = severities[root].or_graver(result.severity)
    return tuple(_linked(result, roots.get(result.id, ""), severities) for result in results)


def _linked(result: Result, root: str, severities: dict[str, Severity]) -> Result:
    if result.id in severities:
        return msgspec.structs.replace(result, severity=severities[result.id])
    if root and result.severity.counts(severities[root]) and result.severity is not severities[root]:
        return result
    return msgspec.structs.replace(result, follows_from=root) if root else result


def _root(name: str, causes: dict[str, str]) -> str:
    """Return what a result follows from in the end; empty where that would be itself."""
    passed = [name]
    while (cause := causes.get(passed[-1])) is not None:
        if cause in passed:
            return ""
        passed.append(cause)
    return passed[-1]


def _explains(cause: Cause, finding: Result, effect: Result) -> bool:
    if cause.undecided and effect.status is not Status.ERROR:
        return False
    if cause.says and not re.search(cause.says, finding.actual):
        return False
    if cause.only and effect.status is Status.FAIL and not re.fullmatch(cause.only, effect.actual, re.DOTALL):
        return False
    text = _plain(" ".join((effect.actual, *effect.evidence)))
    return not cause.shares or any(_plain(word) in text for word in re.findall(cause.shares, finding.actual))


def _plain(text: str) -> str:
    return text.lower().replace("-", "_")
