"""A smoke as SARIF 2.1.0 (OASIS): what code-scanning pages and editors read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from seatrial import __version__
from seatrial.checks.model import Check, Result, Status
from seatrial.checks.registry import CATALOGUE
from seatrial.checks.verdict import Smoke
from seatrial.reports.groups import EXCUSED, Finding, family_of, findings, fingerprint, known_of, name_of, severity_of
from seatrial.reports.json import dumped
from seatrial.reports.markdown import fenced
from seatrial.text import plain, plain_line

Json = dict[str, Any]

BASELINE_STATES = {"known": "unchanged", "grown": "updated"}
"""The standard's words for what a baseline says; else it is new."""
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_sarif(smokes: Sequence[Smoke]) -> str:
    """Return a log with a run an image; what passed, was skipped or follows from another finding is left out."""
    return dumped({"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(smoke) for smoke in smokes]})


def _run(smoke: Smoke) -> Json:
    known = {check.id for check in CATALOGUE}
    own = {result.id: result for result in smoke.checks if result.id not in known}
    places = {identity: number for number, identity in enumerate((*(check.id for check in CATALOGUE), *own))}
    return {
        "tool": {
            "driver": {
                "name": "seatrial",
                "semanticVersion": __version__,
                "rules": [*map(_rule, CATALOGUE), *map(_own_rule, own.values())],
            }
        },
        # A run for each image, so that a code-scanning page compares runs of the same image.
        "automationDetails": {"id": f"seatrial/{plain_line(smoke.image)}/"},
        "invocations": [_invocation(smoke)],
        "results": [
            _result(result, finding, smoke, places.get(result.id))
            for finding in findings(smoke)
            for result in finding.results
        ],
        "columnKind": "unicodeCodePoints",
        "properties": {
            "image": plain_line(smoke.image),
            "id": smoke.id,
            "verdict": smoke.verdict.value,
            "failOn": smoke.fail_on.value,
            **({"excused": excused} if (excused := known_of(smoke)) else {}),
        },
    }


def _invocation(smoke: Smoke) -> Json:
    # What of the project's own say held, or did not count.
    said = [{"level": "note", "message": {"text": plain_line(note)}} for note in smoke.notes]
    made: Json = {"executionSuccessful": True, "exitCode": int(smoke.verdict.exit_code)}
    return {**made, "toolExecutionNotifications": said} if said else made


def _rule(check: Check) -> Json:
    return {
        **_own_rule(check),
        "help": {"text": text_help(check), "markdown": markdown_help(check)},
        "defaultConfiguration": {"level": check.severity.value},
        "properties": {"tags": [family_of(check.id), check.level.value]},
    }


def text_help(check: Check) -> str:
    """Return a check's explanation as plain text."""
    parts = [check.title + ".", check.why, f"Source: {check.source}"]
    parts += [f"{name}:\n{block}" for name, block in (("Fails", check.example), ("Fixed", check.fixed)) if block]
    return "\n\n".join(parts)


def markdown_help(check: Check) -> str:
    """Return a check's explanation as Markdown."""
    lines = [check.why, "", f"Source: {check.source}"]
    for name, block in (("Fails:", check.example), ("Fixed:", check.fixed)):
        if block:
            lines += ["", name, "", *fenced(block.strip("\n"))]
    return "\n".join(lines)


def _own_rule(check: Check | Result) -> Json:
    """Return the rule of a check of the project's own, as far as its result tells it."""
    return {
        "id": check.id,
        "name": re.sub(r"\W", "", f"{family_of(check.id)}-{name_of(check.id)}".title()),
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.why},
    }


def _result(result: Result, finding: Finding, smoke: Smoke, place: int | None) -> Json:
    # The standard calls an undecided result "open"; its level is "none".
    decided = result.status is not Status.ERROR
    made: Json = {
        "ruleId": result.id,
        "kind": "fail" if decided else "open",
        "level": result.severity.value if decided else "none",
        "message": {"text": _message(result, finding)},
        "locations": [_location(result, smoke)],
        "partialFingerprints": {"check/v1": fingerprint(smoke, result)},
    }
    if place is not None:
        made["ruleIndex"] = place
    if smoke.baseline:
        made["baselineState"] = BASELINE_STATES.get(result.baseline, "new")
    if finding.word in EXCUSED:
        waived = result.status is Status.WAIVED
        reason = plain(result.fix.removeprefix("Waived: ")) if waived else f"known in {plain_line(smoke.baseline)}"
        made["suppressions"] = [{"kind": "external", "status": "accepted", "justification": reason}]
    return made


def _message(result: Result, finding: Finding) -> str:
    rows = [
        f"{result.title}: {plain_line(result.actual)}",
        *(f"{name}: {plain(value)}" for name, value in (("expected", result.expected), ("to do", result.fix)) if value),
        *(f"also: {plain_line(line)}" for line in finding.effects),
        *([f"severity: {plain_line(severity_of(result))}"] if result.severity_reason else []),
        *map(plain, result.evidence),
    ]
    return "\n".join(rows)


def _location(result: Result, smoke: Smoke) -> Json:
    image = plain_line(smoke.image)
    found = re.fullmatch(r"(.+?)(?::(\d{1,9}))?", plain_line(result.where))
    logical = {"logicalLocations": [{"fullyQualifiedName": image, "kind": "resource"}]}
    if found is None:
        return logical
    physical: Json = {"artifactLocation": {"uri": quote(found.group(1))}}
    line = int(found.group(2) or 0)
    if line:
        physical["region"] = {"startLine": line}
    return {"physicalLocation": physical, **logical}
