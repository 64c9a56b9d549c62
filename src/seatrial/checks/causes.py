"""One cause, one finding: which results follow from the failure of another check in the same run."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

import msgspec

from seatrial.checks.model import Cause, Check, Result, Severity, Status


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
            severities[root] = graver(severities[root], result.severity)
    return tuple(_linked(result, roots.get(result.id, ""), severities) for result in results)


def _linked(result: Result, root: str, severities: dict[str, Severity]) -> Result:
    if result.id in severities:
        return msgspec.structs.replace(result, severity=severities[result.id])
    if root and result.severity.counts(severities[root]) and result.severity is not severities[root]:
        return result
    return msgspec.structs.replace(result, follows_from=root) if root else result


def graver(first: Severity, second: Severity) -> Severity:
    """Return the graver of two severities."""
    return first if first.counts(second) else second


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
