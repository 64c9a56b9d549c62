"""A smoke's results by family, its findings by gravity, and several images in one table: apps by Python versions."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from seatrial.checks.model import Result, Severity, Status
from seatrial.checks.verdict import SOURCES, Smoke, is_finding
from seatrial.text import counted, listed, plain_line

ORDER = ("error", "undecided", "warning", "note", "follows", "known", "waived", "pass", "skip")
"""The words for a result, the one that needs a person most first."""
WORDS = {Status.ERROR: "undecided", Status.PASS: "pass", Status.SKIP: "skip", Status.WAIVED: "waived"}


def word_of(result: Result) -> str:
    """Return a result in one word: a failure by its severity, what a baseline excuses and what follows as that."""
    if result.follows_from:
        return "follows"
    if result.baseline == "known":
        return "known"
    return WORDS.get(result.status) or result.severity.value


EXCUSED = ("known", "waived")
"""The words for what a baseline or a contract excuses."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """The results of one family."""

    family: str
    results: tuple[Result, ...]

    @property
    def worst(self) -> str:
        """The word of its result that needs a person most."""
        return min(map(word_of, self.results), key=ORDER.index)

    @property
    def counts(self) -> str:
        """How many of each word."""
        words = Counter(map(word_of, self.results))
        return ", ".join(f"{words[word]} {word}" for word in sorted(words, key=SHOWN_FIRST.index))


SHOWN_FIRST = ("pass", *(word for word in ORDER if word != "pass"))


def grouped(results: Iterable[Result]) -> tuple[Group, ...]:
    """Return the results by family, in the order of the catalogue."""
    families: dict[str, list[Result]] = {}
    for result in results:
        families.setdefault(family_of(result.id), []).append(result)
    return tuple(Group(family=name, results=tuple(found)) for name, found in families.items())


def family_of(check: str) -> str:
    """Return the family of a check's id: `boot` of `boot/healthy`."""
    return check.partition("/")[0]


def name_of(check: str) -> str:
    """Return a check's name within its family: `healthy` of `boot/healthy`."""
    return check.partition("/")[2] or check


EFFECTS = 3
"""Checks that are named of those that could not be decided for a finding; JSON and `--verbose` have all of them."""
EFFECT_LINES = 5
"""Lines of evidence, the last, that are shown of a failure that follows from another one."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a report tells at one place: a failure, a waiver, or what could not be decided for one reason."""

    results: tuple[Result, ...]
    """One, or the undecided checks that share a reason, the gravest first."""
    also: tuple[Result, ...] = ()
    """What follows from it."""
    counts: bool
    """It counts in the verdict: reports tell it in full, and others in short."""

    @property
    def first(self) -> Result:
        """Its result, or the first of several."""
        return self.results[0]

    @property
    def word(self) -> str:
        """The word for it: error, warning, note, undecided, known or waived."""
        return word_of(self.first)

    @property
    def names(self) -> str:
        """The ids of its checks."""
        return ", ".join(result.id for result in self.results)

    @property
    def title(self) -> str:
        """What is wanted; empty where it could not be decided."""
        return "" if self.first.status is Status.ERROR else self.first.title

    @property
    def evidence(self) -> tuple[str, ...]:
        """More of what was seen of it, and a little of the failures that follow from it."""
        failed = (result for result in self.also if result.status is Status.FAIL)
        return (
            *self.first.evidence,
            *(line for result in failed for line in _last(result.evidence)),
        )

    @property
    def effects(self) -> list[str]:
        """What follows from it, a line each; what could not be decided for it, in one line."""
        lines = [f"{result.id}: {result.actual}" for result in self.also if result.status is Status.FAIL]
        undecided = [result.id for result in self.also if result.status is Status.ERROR]
        more = len(undecided) - EFFECTS
        named = ", ".join(undecided[:EFFECTS]) + (f" and {more} more" if more > 0 else "")
        return [*lines, *([f"not decided for it: {named}"] if undecided else [])]


def _last(evidence: Sequence[str]) -> Sequence[str]:
    """Return the last lines: a log or a traceback tells at its end what happened."""
    if len(evidence) <= EFFECT_LINES:
        return evidence
    return (f"… {len(evidence) - EFFECT_LINES} lines before", *evidence[-EFFECT_LINES:])


def findings(smoke: Smoke) -> list[Finding]:
    """Return what a report tells in full or in short: the gravest first, of equals failures; what is excused last."""
    reasons: dict[tuple[str, str], list[Result]] = {}
    for result in sorted(smoke.checks, key=lambda result: list(Severity).index(result.severity)):
        if is_finding(result, Status.FAIL, Status.WAIVED):
            reasons[result.id, ""] = [result]
        elif is_finding(result, Status.ERROR):
            reasons.setdefault(("", result.actual), []).append(result)
    effects: dict[str, list[Result]] = {}
    for result in smoke.checks:
        if result.follows_from:
            effects.setdefault(result.follows_from, []).append(result)
    found = [
        Finding(
            results=tuple(results),
            also=tuple(effects.get(results[0].id, ())),
            counts=word_of(results[0]) not in EXCUSED and results[0].severity.counts(smoke.fail_on),
        )
        for results in reasons.values()
    ]
    return sorted(found, key=_gravity)


def _gravity(finding: Finding) -> tuple[int, int, bool]:
    first = finding.first
    excused = ("", *EXCUSED).index(finding.word if finding.word in EXCUSED else "")
    return excused, list(Severity).index(first.severity), first.status is not Status.FAIL


def rows_of(finding: Finding) -> list[tuple[str, str]]:
    """Return what a report shows of a finding, by name; of what could not be decided, the reason alone."""
    result = finding.first
    rows = [("seen", result.actual)]
    if result.status is not Status.ERROR:
        waived = result.status is Status.WAIVED
        to_do = ("waived", result.fix.removeprefix("Waived: ")) if waived else ("to do", result.fix)
        rows += [("expected", result.expected), ("why", result.why), to_do, ("where", result.where)]
    rows += [("severity", severity_of(result))]
    rows += [("also", line) for line in finding.effects]
    return [(name, value) for name, value in rows if value]


def short_rows_of(finding: Finding) -> list[tuple[str, str]]:
    """Return what a report shows of a finding that does not count, beside what was seen; little of a known one."""
    result = finding.first
    what = [] if finding.word == "known" else [("to do", result.fix), ("where", result.where)]
    rows = [*what, *(("also", line) for line in finding.effects)]
    return [(name, value) for name, value in rows if value]


def severity_of(result: Result) -> str:
    """Return the severity that the contract gives a check, with its reason; empty where it gives it none."""
    return f"{result.severity.value}, by the contract: {result.severity_reason}" if result.severity_reason else ""


def rest_of(smoke: Smoke) -> str:
    """Return how many checks found nothing, and how long the smoke took: `61 pass, 9 skip, in 6.2 s`."""
    quiet = {status: smoke.counts.get(status, 0) for status in (Status.PASS, Status.SKIP, Status.WAIVED)}
    counts = ", ".join(f"{number} {status.value}" for status, number in quiet.items() if number)
    seconds = f"in {smoke.seconds:.1f} s"
    return f"{counts}, {seconds}" if counts else seconds.capitalize()


def made_of(smoke: Smoke) -> str:
    """Return what a verdict is made of: `2 errors (fail-on = error); 3 warnings and 8 notes do not count`."""
    counting = [severity for severity in Severity if severity.counts(smoke.fail_on)]
    others = [severity for severity in Severity if severity not in counting]
    parts = [*_amounts(smoke.findings, counting), *_amounts(smoke.undecided, counting, "undecided ")]
    if not parts:
        *most, last = (severity.value for severity in counting)
        parts = [f"no {', '.join(most)} or {last}" if most else f"no {last}"]
    rest = [*_amounts(smoke.findings, others), *_amounts(smoke.undecided, others, "undecided ")]
    nothing = "" if smoke.counts.get(Status.PASS) else "no check passed; "
    alone = len(rest) == 1 and rest[0].startswith("1 ")
    ignored = f"; {listed(rest)} {'does' if alone else 'do'} not count" if rest else ""
    known = f"; {excused}" if (excused := known_of(smoke)) else ""
    return f"{nothing}{listed(parts)} (fail-on = {smoke.fail_on.value}){ignored}{known}"


def known_of(smoke: Smoke) -> str:
    """Return how many findings a baseline excuses: `2 known errors in seatrial-baseline.json`; empty for none."""
    known = _amounts(smoke.known, Severity, "known ")
    return f"{listed(known)} in {plain_line(smoke.baseline)}" if known else ""


def _amounts(found: Mapping[Severity, int], severities: Iterable[Severity], what: str = "") -> list[str]:
    numbers = ((severity, found.get(severity, 0)) for severity in severities)
    return [counted(number, f"{what}{severity.value}") for severity, number in numbers if number]


NO_PYTHON = "no Python"
"""The column of images of which no version is known."""
WORDS_FOR = (NO_PYTHON, SOURCES)
"""The columns that are no version's."""


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The smokes by app and Python version; a pair may have several, when images are named by hand."""

    apps: list[str]
    pythons: list[str]
    cells: dict[tuple[str, str], list[int]]
    """The smokes of an app and a version, by their place in the list."""


def matrix(smokes: Sequence[Smoke]) -> Matrix:
    """Return the table: apps as they come, versions from the oldest on."""
    cells: dict[tuple[str, str], list[int]] = {}
    for number, smoke in enumerate(smokes):
        cells.setdefault((app_of(smoke), column_of(smoke)), []).append(number)
    pythons = sorted({python for _, python in cells}, key=_age)
    return Matrix(apps=list(dict.fromkeys(app for app, _ in cells)), pythons=pythons, cells=cells)


def app_of(smoke: Smoke) -> str:
    """Return the app's name, or the image's where no app describes it."""
    return plain_line(smoke.app or smoke.image)


def column_of(smoke: Smoke) -> str:
    """Return a smoke's column: its Python version, or what stands in its place."""
    return SOURCES if smoke.level == SOURCES else smoke.python or NO_PYTHON


def heading(python: str) -> str:
    """Return a column's heading: `Python 3.13`."""
    return python if python in WORDS_FOR else f"Python {python}"


def brief(smoke: Smoke) -> str:
    """Return a smoke as a table's cell: its verdict, and what made it so."""
    counting = [severity for severity in Severity if severity.counts(smoke.fail_on)]
    parts = _amounts(smoke.findings, counting)
    if undecided := sum(smoke.undecided.get(severity, 0) for severity in counting):
        parts.append(f"{undecided} undecided")
    if known := sum(smoke.known.values()):
        parts.append(f"{known} known")
    return f"{smoke.verdict.value.upper()} {', '.join(parts) or f'{smoke.counts.get(Status.PASS, 0)} passed'}"


def _age(python: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in python.split(".") if part.isdecimal())
    return numbers or (1_000,)


def rows(smokes: Sequence[Smoke]) -> list[list[str]]:
    """Return the table as rows of text, the header first."""
    table = matrix(smokes)
    lines = [["app", *map(heading, table.pythons)]]
    for app in table.apps:
        found = [table.cells.get((app, python), ()) for python in table.pythons]
        lines.append([app, *("; ".join(brief(smokes[number]) for number in numbers) or "-" for numbers in found)])
    return lines


def fingerprint(smoke: Smoke, result: Result) -> str:
    """Return what identifies a finding in every build of an image, whatever tag, time or line it has."""
    image = smoke.app or re.sub(r"(@.*|:[^/:]*)$", "", smoke.image)
    return hashlib.sha256(f"{image} {smoke.python} {result.id}".encode()).hexdigest()
