"""Findings beside the code in a CI system: annotations of a job on GitHub, and GitLab's Code Quality report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seatrial.checks.model import Severity, Status
from seatrial.checks.verdict import Smoke
from seatrial.reports.groups import EXCUSED, Finding, findings, fingerprint, known_of
from seatrial.reports.json import dumped
from seatrial.text import plain, plain_line

ACTIONS = "GITHUB_ACTIONS"
"""The variable that is `true` in a job on GitHub."""
WORKSPACE = "GITHUB_WORKSPACE"
"""The folder of the checkout there, which a file's path begins at."""
COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def workflow_commands(smokes: Sequence[Smoke], environment: Mapping[str, str], folder: Path | None) -> Iterator[str]:
    """Yield a workflow command for each finding, the gravest first; nothing outside of a job on GitHub.

    `folder` is that of the project, which a finding's file is in. Source: GitHub, Workflow commands.
    """
    if environment.get(ACTIONS) != "true":
        return
    prefix = _prefix(folder, environment.get(WORKSPACE, ""))
    shown = [(smoke, finding) for smoke in smokes for finding in findings(smoke)]
    for smoke, finding in sorted(shown, key=lambda pair: list(Severity).index(pair[1].first.severity)):
        # What could not be decided is told where it keeps the image from passing; what is known, in one line.
        if finding.word in EXCUSED:
            continue
        if _is_shown(finding):
            yield _command(smoke, finding, prefix)
    for smoke in smokes:
        if known := known_of(smoke):
            names = ", ".join(result.id for result in smoke.checks if result.baseline == "known")
            yield f"::notice title={_property(smoke.app or smoke.image)}::{_data(f'{known}: {names}')}"


def _is_shown(finding: Finding) -> bool:
    return finding.first.status is Status.FAIL or (finding.first.status is Status.ERROR and finding.counts)


def _prefix(folder: Path | None, workspace: str) -> str:
    try:
        inside = folder.resolve().relative_to(Path(workspace).resolve()) if folder and workspace else Path()
    except (OSError, ValueError):
        return ""
    return "" if inside == Path() else f"{inside.as_posix()}/"


def _command(smoke: Smoke, finding: Finding, prefix: str) -> str:
    result = finding.first
    place = re.fullmatch(r"(.+?)(?::(\d{1,9}))?", plain(result.where), re.DOTALL)
    known = {
        "file": f"{prefix}{place[1]}" if place else "",
        "line": (place[2] or "") if place else "",
        "title": f"{finding.names} ({smoke.app or smoke.image})",
    }
    properties = ",".join(f"{name}={_property(value)}" for name, value in known.items() if value)
    said = "\n".join(filter(None, (result.actual, f"To do: {result.fix}" if result.fix else "", *finding.effects)))
    return f"::{COMMANDS[result.severity]} {properties}::{_data(said)}"


def _data(text: str) -> str:
    return plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.NOTE: "info"}
"""GitLab's words: info, minor, major, critical and blocker."""
LONGEST = 1000
"""Characters of a description."""


def as_codequality(smokes: Sequence[Smoke]) -> str:
    """Return a list of what failed, and of what counts and could not be decided; each with the keys GitLab asks for.

    A finding whose line is not known is placed at the image's name, as GitLab shows none without a path.
    """
    return dumped([_issue(smoke, finding) for smoke in smokes for finding in findings(smoke) if _is_shown(finding)])


def _issue(smoke: Smoke, finding: Finding) -> dict[str, Any]:
    result = finding.first
    # Not left out: GitLab would tell it as resolved.
    known = finding.word == "known"
    image = plain_line(smoke.image)
    place = re.fullmatch(r"(.+?)(?::(\d{1,9}))?", plain_line(result.where))
    return {
        "description": f"{'known: ' if known else ''}{result.title}: {plain_line(result.actual)}"[:LONGEST],
        "check_name": result.id,
        "fingerprint": fingerprint(smoke, result),
        "severity": SEVERITIES[Severity.NOTE if known else result.severity],
        "location": {
            "path": place[1] if place else image,
            "lines": {"begin": max(1, int(place[2] or 1)) if place else 1},
        },
    }
