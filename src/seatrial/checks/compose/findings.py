"""What several compose/* checks share: findings on services, and the outcome for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from seatrial.checks.model import Expect, Outcome, Severity, skipped
from seatrial.facts import ComposeSource, Service, ServiceFiles, ServiceImage, Unavailable
from seatrial.yaml_tree import Line, at


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something wrong with a service."""

    service: str
    what: str
    """A clause that begins with what is wrong."""
    fix: str
    line: int
    severity: Severity = Severity.ERROR
    file: str = ""
    """The file that the line is of, where it is not the compose file."""


def outcome(
    compose: ComposeSource, expect: Expect, findings: Iterable[Finding], seen: str, unseen: Sequence[str] = ()
) -> Outcome:
    """Return a failure that names every finding, the worst first; or a pass that says what was `seen`.

    `unseen` says what could not be looked at; where nothing was seen, nothing is passed.
    """
    order = list(Severity)
    found = sorted(findings, key=lambda finding: order.index(finding.severity))
    if not found and not seen:
        return skipped("; ".join(unseen))
    if not found:
        return expect.passed(seen, evidence=tuple(unseen))
    first = found[0]
    places = {id(finding): place(compose, finding.line, finding.file) for finding in found}
    return expect.failed(
        [f"{finding.service}: {finding.what}" for finding in found],
        fix=first.fix,
        evidence=(*(_evidence(finding, places[id(finding)], first) for finding in found), *unseen),
        where=places[id(first)],
        severity=first.severity,
    )


def place(compose: ComposeSource, line: int, file: str = "") -> str:
    """Return a line as `FILE:LINE`, of the compose file where no other is named; 0 is a line of an included file."""
    return at(file or compose.path, line)


def on(line: int) -> str:
    """Return a line as the beginning of a text; nothing of 0."""
    return "" if not line else f"{at('', line)}: " if isinstance(line, Line) else f"line {line}: "


def _evidence(finding: Finding, place: str, first: Finding) -> str:
    more = "" if finding.fix == first.fix else f" {finding.fix}"
    return f"{place} {finding.service}: {finding.what}.{more}"


Seen = tuple[Service, ServiceFiles]


def with_files(compose: ComposeSource, services: Iterable[Service]) -> list[Seen]:
    """Return the services whose images' files were read."""
    found = [(service, compose.images.get(service.name)) for service in services]
    return [
        (service, image.files)
        for service, image in found
        if isinstance(image, ServiceImage) and isinstance(image.files, ServiceFiles)
    ]


def names_of(seen: Iterable[Seen]) -> str:
    """Return the names of services, for a person."""
    return ", ".join(service.name for service, _ in seen)


def not_seen(compose: ComposeSource, services: Iterable[Service]) -> tuple[str, ...]:
    """Return what could not be looked at of some services, a line each."""
    lines = []
    for service in services:
        image = compose.images.get(service.name)
        reason = image.files if isinstance(image, ServiceImage) else image
        if isinstance(reason, Unavailable):
            lines.append(f"{service.name} was not looked at: {reason.reason}")
    return tuple(lines)


def image_of(compose: ComposeSource, service: Service) -> ServiceImage | None:
    """Return what is known of a service's image; None where nothing is."""
    image = compose.images.get(service.name)
    return image if isinstance(image, ServiceImage) else None
