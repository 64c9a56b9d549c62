"""Smokes as JUnit XML, as Jenkins and GitLab read it: a suite for each image, a case for each check."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from seatrial.checks.model import Result, Status
from seatrial.checks.verdict import Smoke
from seatrial.reports.groups import family_of, name_of
from seatrial.text import plain, plain_line

ELEMENTS = {Status.FAIL: "failure", Status.ERROR: "error", Status.SKIP: "skipped", Status.WAIVED: "skipped"}


def as_junit(smokes: Sequence[Smoke]) -> str:
    """Return the XML: what failed is a failure, what could not be decided an error, what was waived is skipped."""
    root = ET.Element("testsuites", name="seatrial")
    _count(root, [result for smoke in smokes for result in smoke.checks])
    root.set("time", f"{sum(smoke.seconds for smoke in smokes):.3f}")
    for smoke in smokes:
        suite = ET.SubElement(root, "testsuite", name=plain_line(smoke.image))
        _count(suite, smoke.checks)
        suite.set("skipped", str(sum(ELEMENTS.get(result.status) == "skipped" for result in smoke.checks)))
        suite.set("time", f"{smoke.seconds:.3f}")
        properties = ET.SubElement(suite, "properties")
        known = (("id", smoke.id), ("app", smoke.app), ("python", smoke.python), ("level", smoke.level))
        for name, value in known:
            if value:
                ET.SubElement(properties, "property", name=name, value=plain_line(value))
        for note in smoke.notes:
            ET.SubElement(properties, "property", name="note", value=plain_line(note))
        for result in smoke.checks:
            _case(suite, result)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _count(element: ET.Element, results: Sequence[Result]) -> None:
    found = [result.status for result in results]
    element.set("tests", str(len(found)))
    element.set("failures", str(found.count(Status.FAIL)))
    element.set("errors", str(found.count(Status.ERROR)))


def _case(suite: ET.Element, result: Result) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=family_of(result.id), name=name_of(result.id), time=f"{result.seconds:.6f}"
    )
    if result.status in ELEMENTS:
        # Of a waiver, its reason; of the others, what was seen.
        said = result.fix if result.status is Status.WAIVED else result.actual
        element = ET.SubElement(case, ELEMENTS[result.status], message=plain_line(said))
        if result.status in {Status.FAIL, Status.ERROR}:
            element.set("type", result.id)
        element.text = "\n".join(f"{name}: {plain(value)}" if name else plain(value) for name, value in _rows(result))
    else:
        ET.SubElement(case, "system-out").text = plain(result.actual)


def _rows(result: Result) -> list[tuple[str, str]]:
    rows = [("seen", result.actual), ("expected", result.expected), ("why", result.why), ("to do", result.fix)]
    rows += [("where", result.where), *(("", line) for line in result.evidence)]
    return [(name, value) for name, value in rows if value]
