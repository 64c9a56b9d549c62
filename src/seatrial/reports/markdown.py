"""Smokes as Markdown, for the summary of a CI job: verdict, what to fix, and all checks folded away."""

from __future__ import annotations

import re
from collections.abc import Sequence

from seatrial.checks.model import Result
from seatrial.checks.verdict import Smoke
from seatrial.reports import groups
from seatrial.reports.groups import counted, detailed, grouped, rows_of
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
        lines += [f"{counted(smoke.counts)}, in {smoke.seconds:.1f} s · `{plain_line(smoke.id)[:19]}`", ""]
        lines += [line for note in smoke.notes for line in (f"Note: {text(note)}", "")]
        for same in detailed(smoke.checks):
            lines += _in_full(same, evidence=evidence)
        if every:
            lines += _every(smoke)
    return lines


def _in_full(same: Sequence[Result], *, evidence: bool) -> list[str]:
    result = same[0]
    title = f": {text(result.title)}" if len(same) == 1 else ""
    lines = [f"### {result.status.value.upper()} {', '.join(text(other.id) for other in same)}{title}", ""]
    lines += [f"- **{name}**: {text(value)}" for name, value in rows_of(result, whole=len(same) == 1)]
    lines.append("")
    if result.evidence and evidence:
        lines += [*fenced(plain("\n".join(result.evidence))), ""]
    return lines


def _every(smoke: Smoke) -> list[str]:
    lines = [f"<details><summary>All {len(smoke.checks)} checks</summary>", ""]
    lines += ["| check | status | seen |", "| --- | --- | --- |"]
    for group in grouped(smoke.checks):
        lines += [_row([result.id, result.status.value, result.actual]) for result in group.results]
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
