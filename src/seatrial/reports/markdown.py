"""Smokes as Markdown, for the summary of a CI job: verdict, what to fix, and all checks folded away."""

from __future__ import annotations

import re
from collections.abc import Sequence

from seatrial.checks.model import Status
from seatrial.checks.verdict import Smoke
from seatrial.reports import groups
from seatrial.reports.groups import Finding, findings, grouped, made_of, rest_of, rows_of, short_rows_of, word_of
from seatrial.text import plain, plain_line

MOST = 900_000
"""Characters of a page: a job's summary holds 1 MiB and is refused whole where it is longer."""

SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&@$]|:(?=//|\w+:)|(?<=www)\.")
"""What starts markup, a link, a mention, an emoji or a formula in a line."""


def as_markdown(smokes: Sequence[Smoke]) -> str:
    """Return the page; where it would be too long, without the evidence, and then without the folded tables."""
    for evidence, every in ((True, True), (False, True), (False, False)):
        page = "\n".join(_page(smokes, evidence=evidence, every=every)) + "\n"
        if len(page.encode()) <= MOST:
            return page
    cut = "\n\nThe rest was too long.\n"
    return page.encode()[: MOST - len(cut)].decode(errors="ignore") + cut


def _page(smokes: Sequence[Smoke], *, evidence: bool, every: bool) -> list[str]:
    lines: list[str] = []
    if len(smokes) > 1:
        header, *rows = groups.rows(smokes)
        lines += ["## Images", "", _row(header), _row(["---"] * len(header), raw=True), *map(_row, rows), ""]
    for smoke in smokes:
        lines += [f"## {smoke.verdict.value.upper()}: {text(smoke.image)}", ""]
        lines += [f"**{text(made_of(smoke))}**", ""]
        lines += [f"{rest_of(smoke)} · `{plain_line(smoke.id)[:19]}`", ""]
        lines += [line for note in smoke.notes for line in (f"Note: {text(note)}", "")]
        found = findings(smoke)
        for finding in filter(_is_told_in_full, found):
            lines += _in_full(finding, evidence=evidence)
        if rest := [finding for finding in found if not _is_told_in_full(finding)]:
            lines += ["### What does not count", "", *(line for finding in rest for line in _in_short(finding)), ""]
        if every:
            lines += _every(smoke)
    return lines


def _is_told_in_full(finding: Finding) -> bool:
    return finding.counts or finding.first.status is Status.WAIVED


def _in_full(finding: Finding, *, evidence: bool) -> list[str]:
    title = f": {text(finding.title)}" if finding.title else ""
    lines = [f"### {finding.word.upper()} {text(finding.names)}{title}", ""]
    lines += [f"- **{name}**: {text(value)}" for name, value in rows_of(finding)]
    lines.append("")
    if finding.evidence and evidence:
        lines += [*fenced(plain("\n".join(finding.evidence))), ""]
    return lines


def _in_short(finding: Finding) -> list[str]:
    """Return a finding that does not count, as an item of a list."""
    lines = [f"- {finding.word.upper()} **{text(finding.names)}**: {text(finding.first.actual)}"]
    return [*lines, *(f"  - {name}: {text(value)}" for name, value in short_rows_of(finding))]


def _every(smoke: Smoke) -> list[str]:
    lines = [f"<details><summary>All {len(smoke.checks)} checks</summary>", ""]
    lines += ["| check | result | seen |", "| --- | --- | --- |"]
    for group in grouped(smoke.checks):
        lines += [_row([result.id, word_of(result), result.actual]) for result in group.results]
    return [*lines, "", "</details>", ""]


def _row(cells: Sequence[str], *, raw: bool = False) -> str:
    return f"| {' | '.join(cell if raw else text(cell) for cell in cells)} |"


def text(said: str) -> str:
    """Return text escaped, in one line: no markup, no link, no mention."""
    return SPECIAL.sub(lambda found: f"&#{ord(found.group())};", plain_line(said))


def fenced(block: str) -> list[str]:
    """Return a block in a fence that is longer than any fence in it."""
    longest = max((len(found) for found in re.findall(r"`+", block)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *block.splitlines(), fence]
