"""Smokes as JUnit XML, as Jenkins and GitLab read it: a suite for each image, a case for each check."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from seatrial.checks.model import Result, Status
from seatrial.checks.verdict import UNMET, Smoke, decisive
from seatrial.reports.groups import family_of, known_of, name_of, severity_of, word_of
from seatrial.text import plain, plain_line


def as_junit(smokes: Sequence[Smoke]) -> str:
    """Return the XML: what fails the image is a failure, what counts and could not be decided an error.

    What does not count in the verdict is skipped, with what was seen: CI takes each failure for a failed job, and shows
    nothing of a test that passes. So is what was waived, what does not apply, and what follows from another check.
    """
    root = ET.Element("testsuites", name="seatrial")
    _count(root, smokes)
    root.set("time", f"{sum(smoke.seconds for smoke in smokes):.3f}")
    for smoke in smokes:
        counts = {result.id for result in decisive(smoke.checks, smoke.fail_on)}
        suite = ET.SubElement(root, "testsuite", name=plain_line(smoke.image))
        _count(suite, [smoke])
        elements = [_element(result, counts) for result in smoke.checks]
        suite.set("skipped", str(elements.count("skipped")))
        suite.set("time", f"{smoke.seconds:.3f}")
        properties = ET.SubElement(suite, "properties")
        about = {"id": smoke.id, "app": smoke.app, "python": smoke.python, "level": smoke.level}
        for name, value in (*about.items(), ("fail-on", smoke.fail_on.value), ("known", known_of(smoke))):
            if value:
                ET.SubElement(properties, "property", name=name, value=plain_line(value))
        for note in smoke.notes:
            ET.SubElement(properties, "property", name="note", value=plain_line(note))
        for result, element in zip(smoke.checks, elements, strict=True):
            _case(suite, result, element)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _count(element: ET.Element, smokes: Sequence[Smoke]) -> None:
    found = [result.status for smoke in smokes for result in decisive(smoke.checks, smoke.fail_on)]
    element.set("tests", str(sum(len(smoke.checks) for smoke in smokes)))
    element.set("failures", str(found.count(Status.FAIL)))
    element.set("errors", str(found.count(Status.ERROR)))


def _element(result: Result, counts: set[str]) -> str:
    if result.id in counts:
        return "failure" if result.status is Status.FAIL else "error"
    return "" if result.status is Status.PASS else "skipped"


def _case(suite: ET.Element, result: Result, kind: str) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=family_of(result.id), name=name_of(result.id), time=f"{result.seconds:.6f}"
    )
    if not kind:
        ET.SubElement(case, "system-out").text = plain(result.actual)
        return
    element = ET.SubElement(case, kind, message=plain_line(_said(result, kind)))
    if kind != "skipped":
        element.set("type", result.id)
    element.text = "\n".join(f"{name}: {plain(value)}" if name else plain(value) for name, value in _rows(result))


def _said(result: Result, kind: str) -> str:
    """Return the line that CI shows: of a waiver its reason, of what does not count why, else what was seen."""
    if result.status is Status.WAIVED:
        return result.fix
    if result.follows_from:
        return f"follows from {result.follows_from}: {result.actual}"
    word = f"known {result.severity.value}" if result.baseline == "known" else word_of(result)
    return f"{word}: {result.actual}" if kind == "skipped" and result.status is not Status.SKIP else result.actual


def _rows(result: Result) -> list[tuple[str, str]]:
    rows = [("seen", result.actual), ("expected", result.expected), ("why", result.why), ("to do", result.fix)]
    if result.status in UNMET:
        rows += [("where", result.where), ("severity", severity_of(result) or result.severity.value)]
    rows += [("", line) for line in result.evidence]
    return [(name, value) for name, value in rows if value]
