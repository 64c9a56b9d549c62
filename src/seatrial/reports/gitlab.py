"""Findings as GitLab's Code Quality report: what a merge request shows beside the lines that it changes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from seatrial.checks.model import Severity, Status
from seatrial.checks.verdict import Smoke
from seatrial.reports.groups import Finding, findings
from seatrial.reports.json import dumped
from seatrial.text import plain_line

SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.NOTE: "info"}
"""GitLab's words: info, minor, major, critical and blocker."""
LONGEST = 1000
"""Characters of a description."""


def as_codequality(smokes: Sequence[Smoke]) -> str:
    """Return a list of what failed, and of what counts and could not be decided; each with the keys GitLab asks for.

    A finding whose line is not known is placed at the image's name, as GitLab shows none without a path.
    """
    return dumped([_issue(smoke, finding) for smoke in smokes for finding in findings(smoke) if _is_shown(finding)])


def _is_shown(finding: Finding) -> bool:
    return finding.first.status is Status.FAIL or (finding.first.status is Status.ERROR and finding.counts)


def _issue(smoke: Smoke, finding: Finding) -> dict[str, Any]:
    result = finding.first
    # Not left out: GitLab would tell it as resolved.
    known = finding.word == "known"
    image = plain_line(smoke.image)
    place = re.fullmatch(r"(.+?)(?::(\d{1,9}))?", plain_line(result.where))
    app = smoke.app or re.sub(r"(@.*|:[^/:]*)$", "", smoke.image)
    return {
        "description": f"{'known: ' if known else ''}{result.title}: {plain_line(result.actual)}"[:LONGEST],
        "check_name": result.id,
        # The same as long as the finding is, whatever line it moves to.
        "fingerprint": hashlib.sha256(f"{app} {smoke.python} {result.id}".encode()).hexdigest(),
        "severity": SEVERITIES[Severity.NOTE if known else result.severity],
        "location": {
            "path": place[1] if place else image,
            "lines": {"begin": max(1, int(place[2] or 1)) if place else 1},
        },
    }
