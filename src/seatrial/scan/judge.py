"""Makes a verdict's results from what the sources say: a package with a fix is a finding, by the contract's waivers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from seatrial.checks.model import Result, Severity, Status, shorten
from seatrial.checks.supply import releases
from seatrial.checks.verdict import truncate, truncate_lines
from seatrial.facts import Inventory, Unavailable
from seatrial.scan import Answer, Kind, Vulnerability
from seatrial.scan.places import Places, latest
from seatrial.settings.model import ScanWaiver
from seatrial.text import plain_line

if TYPE_CHECKING:
    from datetime import date

MOST_NAMED = 5
"""Advisories of a package that its line names; its evidence has all of them."""
HOLDS = {Kind.SYSTEM: "system packages", Kind.PYTHON: "Python distributions"}
ALONE = {"pip-audit": frozenset({Kind.PYTHON}), "debian": frozenset({Kind.SYSTEM})}
"""The sources that know only this."""
NOBODY = {
    Kind.SYSTEM: "nothing that was asked knows them: for Debian its lists are asked, for other systems install trivy "
    "or grype on this host",
    Kind.PYTHON: "nothing that was asked knows them: `pip install seatrial[scan]` brings pip-audit; trivy and "
    "grype know them too",
}


def results_of(
    answers: Mapping[str, Answer | Unavailable],
    inventory: Inventory,
    waivers: Mapping[str, ScanWaiver],
    today: date,
    places: Places,
    *,
    chosen: bool = False,
) -> tuple[Result, ...]:
    """Return a result of each source, and of each package for which a fix is there.

    Packages that no source knows are undecided, unless somebody has `chosen` the sources.
    """
    live = {name.lower(): waiver for name, waiver in waivers.items() if today <= waiver.until}
    missing = [] if chosen else unknown(answers, inventory)
    return (
        *(_source(name, answer) for name, answer in answers.items()),
        *_ended(inventory, today),
        *(_undecided(f"scan-source/{kind.value}", f"The {HOLDS[kind]} are known", NOBODY[kind]) for kind in missing),
        *(
            result
            for (kind, name), told in sorted(_packages(answers, inventory).items())
            if (result := _package(kind, name, told, live, places)) is not None
        ),
    )


def unknown(answers: Mapping[str, Answer | Unavailable], inventory: Inventory) -> list[Kind]:
    """Return the kinds of packages that are in an image and that no source knows.

    A release without a list of packages has some that nothing here reads.
    """
    there = {
        Kind.SYSTEM: inventory.packages or inventory.manager or inventory.release,
        Kind.PYTHON: inventory.distributions,
    }
    return [kind for kind in there if there[kind] and not any(_knows(name, kind, answers[name]) for name in answers)]


def waiver_notes(
    answers: Mapping[str, Answer | Unavailable], inventory: Inventory, waivers: Mapping[str, ScanWaiver], today: date
) -> Iterator[str]:
    """Yield what waivers do not count any more, and those that nothing needs."""
    packages = _packages(answers, inventory).items()
    used = {name for (_, package), told in packages for what in told if what.fixed for name in _names(what, package)}
    decided = all(isinstance(answer, Answer) for answer in answers.values()) and not unknown(answers, inventory)
    for name, waiver in waivers.items():
        if waiver.until < today:
            yield f"the waiver of {name} ended on {waiver.until}: it does not count any more ({waiver.reason})"
        elif decided and name.lower() not in used:
            yield f"the waiver of {name} is not needed any more: remove it from the contract's `scan.waive`"


def _ended(inventory: Inventory, today: date) -> Iterator[Result]:
    """Yield that a release gets no security fixes any more: of what became known since, no list tells."""
    release = inventory.release
    end = None if release is None else releases().get(release.id, {}).get(release.version)
    if release is not None and end is not None and end < today:
        told = f"{release.title or release.id} has had no security fixes since {end}"
        yield _undecided("scan-source/end-of-life", "The release gets security fixes", f"{told}; take a later one")


def _knows(name: str, kind: Kind, answer: Answer | Unavailable) -> bool:
    """Tell whether a source knows a kind of packages; of one that gave no answer, whether it would."""
    return kind in (answer.covers if isinstance(answer, Answer) else ALONE.get(name, frozenset(Kind)))


def _packages(
    answers: Mapping[str, Answer | Unavailable], inventory: Inventory
) -> Mapping[tuple[Kind, str], list[Vulnerability]]:
    """Return what was told, by package: the system packages of one source package are raised together."""
    sources = {package.name: package.source or package.name for package in inventory.packages}
    packages: dict[tuple[Kind, str], list[Vulnerability]] = {}
    for source, answer in answers.items():
        for told in answer.found if isinstance(answer, Answer) else ():
            name = sources.get(told.package, told.package) if told.kind is Kind.SYSTEM else told.package
            name = canonicalize_name(name) if told.kind is Kind.PYTHON else name
            packages.setdefault((told.kind, name), []).append(replace(told, about=f"{told.about} ({source})".strip()))
    return packages


def _names(told: Vulnerability, package: str) -> set[str]:
    """Return what a waiver may call it: its advisory in any of its names, its package, its source package."""
    return {word.lower() for word in (*told.ids, told.package, package)}


def _package(
    kind: Kind, name: str, told: Sequence[Vulnerability], live: Mapping[str, ScanWaiver], places: Places
) -> Result | None:
    """Return the result of a package; None where nothing has a fix."""
    fixable = [what for what in told if what.fixed]
    if not fixable:
        return None
    counting = [what for what in fixable if not _names(what, name) & live.keys()]
    reasons = {live[key].reason: None for what in fixable for key in sorted(_names(what, name) & live.keys())}
    status = Status.FAIL if counting else Status.WAIVED
    waived = [f"waived: {what.line}" for what in fixable if counting and what not in counting]
    counting = counting or fixable
    fixed = sorted({what.fixed for what in counting})
    ids = list(dict.fromkeys(what.advisory for what in counting if what.ids))
    packages = sorted({what.package for what in counting})
    installed = sorted({f"{what.package} {what.version}" for what in counting})
    where, fix = places.of(kind, packages, fixed)
    return _result(
        f"scan-{kind.value}/{re.sub(r'[^A-Za-z0-9.+_-]', '_', name)[:200]}",
        title="No known vulnerability that has a fix",
        status=status,
        severity=min((what.severity for what in counting), key=list(Severity).index),
        expected=f"{name} in {latest(kind, fixed)}, or later",
        actual=f"{shorten(installed, MOST_NAMED)}: {shorten(ids, MOST_NAMED) or 'a security update'}",
        why="What has an advisory is tried by everybody; its fix is there.",
        fix=fix if status is Status.FAIL else f"Waived: {'; '.join(reasons)}",
        evidence=[*(what.line for what in counting), *waived, *(what.line for what in told if not what.fixed)],
        items=ids or installed,
        where=where,
    )


def _source(name: str, answer: Answer | Unavailable) -> Result:
    check, title = f"scan-source/{name}", f"{name} answered"
    if isinstance(answer, Unavailable):
        return _undecided(check, title, answer.reason, *answer.detail.splitlines())
    without = [what.line for what in answer.found if not what.fixed]
    seen = f"{answer.said}: {len(answer.found) - len(without)} with a fix, {len(without)} without one"
    return _result(check, title=title, status=Status.PASS, actual=seen, evidence=[*answer.evidence, *without])


def _undecided(check: str, title: str, reason: str, *evidence: str) -> Result:
    return _result(check, title=title, status=Status.ERROR, actual=f"could not be decided: {reason}", evidence=evidence)


def _result(
    check: str,
    *,
    title: str,
    status: Status,
    actual: str,
    severity: Severity = Severity.ERROR,
    expected: str = "",
    why: str = "",
    fix: str = "",
    evidence: Iterable[str] = (),
    items: Iterable[str] = (),
    where: str = "",
) -> Result:
    """Return a result; what came from outside becomes text of one line each, of a bounded length."""
    return Result(
        id=check,
        title=title,
        status=status,
        severity=severity,
        expected=truncate(plain_line(expected)),
        actual=truncate(plain_line(actual)),
        why=why,
        fix=truncate(plain_line(fix)),
        evidence=truncate_lines([plain_line(line) for line in evidence]),
        items=truncate_lines([plain_line(item) for item in items]),
        where=truncate(plain_line(where)),
        seconds=0.0,
    )
