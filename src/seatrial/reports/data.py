"""A smoke for programs: JSON, JUnit XML, Markdown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import msgspec

from seatrial.checks.model import Status
from seatrial.checks.verdict import Verdict
from seatrial.text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.checks.model import Result
    from seatrial.checks.verdict import Smoke


def worst(smokes: Sequence[Smoke]) -> Verdict:
    """Return the verdict of several smokes together: a failure counts most, then what could not be decided."""
    verdicts = {one.verdict for one in smokes}
    for verdict in (Verdict.FAIL, Verdict.ERROR):
        if verdict in verdicts:
            return verdict
    return Verdict.PASS if verdicts else Verdict.ERROR


def as_json(smokes: Sequence[Smoke]) -> str:
    """Return one smoke as an object; several as an object with a list of them."""
    data: object = smokes[0] if len(smokes) == 1 else {"schema": 1, "verdict": worst(smokes), "smokes": smokes}
    # ASCII alone: what came from the image is escaped, and no terminal that it is printed on takes it for a code.
    return json.dumps(msgspec.to_builtins(data), indent=2) + "\n"


def as_junit(smokes: Sequence[Smoke]) -> str:
    """Return JUnit XML: a suite an image, a case a check."""
    root = ET.Element("testsuites")
    for smoke in smokes:
        suite = ET.SubElement(root, "testsuite", name=plain(smoke.image), tests=str(len(smoke.checks)))
        suite.set("failures", str(smoke.counts[Status.FAIL]))
        suite.set("errors", str(smoke.counts[Status.ERROR]))
        suite.set("skipped", str(smoke.counts[Status.SKIP] + smoke.counts[Status.WAIVED]))
        suite.set("time", f"{smoke.seconds:.3f}")
        for result in smoke.checks:
            _case(suite, result)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, result: Result) -> None:
    family, _, name = result.id.partition("/")
    case = ET.SubElement(suite, "testcase", classname=family, name=name, time=f"{result.seconds:.6f}")
    elements = {
        Status.FAIL: "failure",
        Status.ERROR: "error",
        Status.SKIP: "skipped",
        Status.WAIVED: "skipped",
    }
    if result.status in elements:
        element = ET.SubElement(case, elements[result.status], message=plain(result.actual))
        element.text = "\n".join(plain(line) for line in (result.expected, result.why, result.fix, *result.evidence))


def as_markdown(smokes: Sequence[Smoke]) -> str:
    """Return Markdown: a table an image, and what failed below it."""
    lines: list[str] = []
    for smoke in smokes:
        lines += [
            f"## {smoke.verdict.value.upper()}: {_cell(smoke.image)}",
            "",
            "| check | status | seen |",
            "| --- | --- | --- |",
        ]
        lines += [f"| {one.id} | {one.status.value} | {_cell(one.actual)} |" for one in smoke.checks]
        for one in smoke.checks:
            if one.status in {Status.FAIL, Status.ERROR}:
                lines += ["", f"**{one.id}**: {one.title}", ""]
                rows = (("expected", one.expected), ("why", one.why), ("to do", one.fix))
                lines += [f"- {name}: {_cell(value)}" for name, value in rows if value]
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Return text that stays inside a table's cell, and is shown as it is."""
    one_line = " ".join(plain(text).split())
    for special in "\\`*_[]<>|":
        one_line = one_line.replace(special, f"\\{special}")
    return one_line
