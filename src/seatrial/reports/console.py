"""Smokes on the console: one line a family, then the findings, the gravest first; in short those that do not count.

The classics, the doctor and the first day are printed here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from seatrial.checks.model import Check, Result, Status
from seatrial.checks.verdict import SOURCES, Smoke, Verdict
from seatrial.facts import Distribution, Facts, Unavailable
from seatrial.reports import groups as matrix
from seatrial.reports.groups import (
    Finding,
    Group,
    findings,
    grouped,
    made_of,
    name_of,
    rest_of,
    rows_of,
    severity_of,
    short_rows_of,
    word_of,
)
from seatrial.text import plain, plain_line, show_size

if TYPE_CHECKING:
    from seatrial.doctor import Finding as HostFinding
    from seatrial.stack.state import StackState

WORD_WIDTH = 9
FAMILY_WIDTH = 12
NAMES_FROM = 80
"""Columns from which on a family's line names its checks; a narrower screen has the counts alone."""
QUIET = "bright_black"
STYLES = {
    "error": "bold red",
    "undecided": "bold magenta",
    "warning": "yellow",
    "note": "cyan",
    "follows": QUIET,
    "known": "blue",
    "waived": "blue",
    "pass": "green",
    "skip": QUIET,
}
"""By the word for a result."""
BRIEF = 240
"""Characters of each line of a finding that does not count."""
COMMAND = re.compile(r"\s*(::|##\[)")
"""How a line begins that GitHub Actions or Azure Pipelines takes for a command of the job, indented or not."""
VERDICT_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.ERROR: "bold magenta"}
STEPS = 4
"""Steps of the first day."""


def print_smokes(smokes: Sequence[Smoke], console: Console, *, verbose: bool = False) -> None:
    """Print smokes one after the other, and of several the matrix at the end."""
    for number, smoke in enumerate(smokes):
        if number:
            console.print()
        print_smoke(smoke, console, verbose=verbose)
    if len(smokes) > 1:
        console.print()
        print_matrix(smokes, console)


def print_smoke(smoke: Smoke, console: Console, *, verbose: bool = False) -> None:
    """Print a smoke; whatever came from the image is text, never markup or terminal codes."""
    what = {SOURCES: "Check", "scan": "Scan"}.get(smoke.level, "Smoke")
    _print(
        Text.assemble((f"{what} of ", "bold"), (plain_line(smoke.image), "bold cyan"), f"  {smoke.id[:19]}"), console
    )
    groups = grouped(smoke.checks)
    width = max((len(group.counts) for group in groups), default=0)
    for group in groups:
        _print_group(group, width, console)
        if verbose:
            for result in group.results:
                _print_result(result, console)
    if not verbose:
        print_failures(smoke, console)
    console.print()
    for note in smoke.notes:
        _print(Text.assemble(("note: ", "bold"), plain_line(note)), console)
    _print(verdict_line(smoke), console)


def print_failures(smoke: Smoke, console: Console) -> None:
    """Print what failed, was undecided, or was waived: in full what counts in the verdict, in short the rest."""
    shown = findings(smoke)
    for number, finding in enumerate(shown):
        full = finding.counts or finding.first.status is Status.WAIVED
        if full or number == 0 or shown[number - 1].counts:
            console.print()
        if full:
            _print_in_full(finding, console)
        else:
            _print_in_short(finding, console)


def print_matrix(smokes: Sequence[Smoke], console: Console) -> None:
    """Print apps by Python versions; where the table is too wide for the screen, a line a smoke."""
    rows = matrix.rows(smokes)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if console.is_terminal and sum(widths) + 2 * len(widths) > console.width:
        for smoke in smokes:
            head = f"{matrix.app_of(smoke)}, {matrix.column_of(smoke)}: "
            _print(Text(head).append(matrix.brief(smoke), VERDICT_STYLES[smoke.verdict]), console)
        return
    styles = {verdict.value.upper(): style for verdict, style in VERDICT_STYLES.items()}
    for number, row in enumerate(rows):
        line = Text()
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            style = "bold" if not (number and column) else styles.get(cell.partition(" ")[0], QUIET)
            line.append(cell.ljust(width), style=style).append("  ")
        line.rstrip()
        console.print(line, soft_wrap=True)


def verdict_line(smoke: Smoke) -> Text:
    """Return the verdict, the image, what the verdict is made of, and how many checks did not ask for anything."""
    return Text.assemble(
        (smoke.verdict.value.upper(), VERDICT_STYLES[smoke.verdict]),
        f"  {plain_line(smoke.image)}: {made_of(smoke)}. {rest_of(smoke)}",
    )


def _head(word: str) -> tuple[str, str]:
    return word.upper(), STYLES[word]


def _print_group(group: Group, width: int, console: Console) -> None:
    worst = (group.worst.upper().ljust(WORD_WIDTH), STYLES[group.worst])
    line = Text.assemble(worst, " ", (group.family.ljust(FAMILY_WIDTH), "bold"), " ", group.counts.ljust(width))
    if not console.is_terminal or console.width >= NAMES_FROM:
        names = ", ".join(name_of(result.id) for result in group.results)
        line.append("  ").append(names, style=QUIET)
    line.rstrip()
    if console.is_terminal:
        console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
    else:
        # A log keeps lines whole.
        console.print(line, soft_wrap=True)


def _print_in_full(finding: Finding, console: Console) -> None:
    title = f": {finding.title}" if finding.title else ""
    _print(Text.assemble(_head(finding.word), f" {finding.names}{title}"), console)
    _print_rows(rows_of(finding), console, indent=2)
    _print_evidence(finding.evidence, console, indent=4)


def _print_in_short(finding: Finding, console: Console) -> None:
    head = Text.assemble(_head(finding.word), f" {finding.names}: ")
    _print(head.append(_brief(finding.first.actual)), console)
    _print_rows([(name, _brief(value)) for name, value in short_rows_of(finding)], console, indent=2)


def _brief(text: str) -> str:
    """Return text in one line that is not long: `--verbose` shows all of it."""
    line = plain_line(text)
    return line if len(line) <= BRIEF else f"{line[:BRIEF].rpartition(' ')[0] or line[:BRIEF]} …"


def _print_result(result: Result, console: Console) -> None:
    """Print a check below its family, whatever came of it."""
    _print(Text.assemble(_head(word_of(result)), f" {result.id}: {result.title}"), console, indent=2)
    rows = [("seen", result.actual), ("expected", result.expected)]
    if result.status not in {Status.PASS, Status.SKIP}:
        rows += [("why", result.why), ("to do", result.fix), ("where", result.where)]
        rows += [("severity", severity_of(result)), ("follows from", result.follows_from)]
    _print_rows([(name, value) for name, value in rows if value], console, indent=4)
    _print_evidence(result.evidence, console, indent=6)


def _print_rows(rows: Sequence[tuple[str, str]], console: Console, *, indent: int) -> None:
    for name, value in rows:
        _print(Text.assemble((f"{name}: ", "bold"), plain(value)), console, indent=indent)


def _print_evidence(lines: Sequence[str], console: Console, *, indent: int) -> None:
    for row in lines:
        _print(Text(plain(row), style=QUIET), console, indent=indent)


def _print(text: Text, console: Console, *, indent: int = 0) -> None:
    """Print a paragraph: wrapped on a terminal, its lines whole in a log.

    Every line is indented, so that no line of an image looks like one of the report.
    """
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent), expand=False), overflow="fold")
        return
    for number, line in enumerate(text.split("\n", allow_blank=True)):
        space = " " * (indent + 2 * bool(number)) + ("| " if COMMAND.match(line.plain) else "")
        console.print(Text(space).append_text(line), soft_wrap=True)


def print_classic(which: str, smoke: Smoke, facts: Facts, console: Console) -> None:
    """Print one fact as the well-known command prints it, then the results of its checks."""
    for line in _classic(which, facts):
        console.print(Text(line), soft_wrap=True)
    for result in smoke.checks:
        head = Text.assemble(_head(word_of(result)), f" {result.id}: ")
        console.print(head.append(plain_line(result.actual)), soft_wrap=True)
        if result.status in {Status.FAIL, Status.ERROR} and result.fix:
            console.print(Text(f"  to do: {plain_line(result.fix)}"), soft_wrap=True)


def _classic(which: str, facts: Facts) -> list[str]:
    if which == "size":
        return [plain_line(f"{facts.configuration.reference}  {show_size(facts.configuration.unpacked)}")]
    if isinstance(facts.probe, Unavailable):
        return []
    if which == "whoami":
        return [plain_line(facts.probe.identity.name or str(facts.probe.identity.uid))]
    return pip_table(package for package in facts.probe.distributions if not package.base)


def pip_table(distributions: Iterable[Distribution]) -> list[str]:
    """Return a list of packages in `pip list`'s own form: two columns, and a third with editable installs."""
    rows = sorted(
        (tuple(map(plain_line, (package.name, package.version, package.editable))) for package in distributions),
        key=lambda row: row[0].lower(),
    )
    columns = 3 if any(row[2] for row in rows) else 2
    header = ("Package", "Version", "Editable project location")[:columns]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(columns)]
    lines = [header, tuple("-" * width for width in widths), *(row[:columns] for row in rows)]
    return [" ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def print_findings(findings: Iterable[HostFinding], console: Console) -> None:
    """Print each finding of the doctor on a line, and below a problem its fix."""
    for finding in findings:
        mark = ("ok      ", "green") if finding.ok else ("problem ", "bold red")
        console.print(Text.assemble(mark, f"{finding.topic}: {plain_line(finding.seen)}"), soft_wrap=True)
        if finding.fix:
            console.print(Text(f"        to do: {plain_line(finding.fix)}"), soft_wrap=True)


def print_step(console: Console, number: int, title: str) -> None:
    """Print a step's heading."""
    console.print(Text(f"{number}/{STEPS} {title}", style="bold"))


def print_line(console: Console, text: str) -> None:
    """Print a line below a heading."""
    console.print(Text(f"    {plain_line(text)}"), soft_wrap=True)


def print_smoke_line(console: Console, smoke: Smoke) -> None:
    """Print a smoke's verdict, and in full what failed."""
    console.print(Text("    ").append_text(verdict_line(smoke)), soft_wrap=True)
    print_failures(smoke, console)


def print_up_line(console: Console, state: StackState) -> None:
    """Print that a stack is up, and where it answers."""
    how = f"up after {state.seconds:.1f} s" if state.changed else "up already"
    print_line(console, f"{state.stack.app}: {how}")
    for address in state.addresses:
        print_line(console, f"  {address.service} answers at {address.text}")
    for clause in state.unanswered:
        print_line(console, f"  nothing answers: {clause}")


def print_next_steps(console: Console, states: Sequence[StackState], not_up: Sequence[str]) -> None:
    """Print what to try next."""
    tasks = {"ps": "the state of its services", "logs": "what they log", "down": "take it down; its named volumes stay"}
    rows = [(f"invoke {task} --app {state.stack.app}", what) for state in states for task, what in tasks.items()]
    rows += [(f"invoke up --app {name}", "not up yet: it needs your own values in its .env") for name in not_up]
    rows.append(("invoke --list", "everything else"))
    width = max(len(command) for command, _ in rows)
    console.print(Text("Try next", style="bold"))
    for command, meaning in rows:
        console.print(Text(f"    {command:{width}}  {meaning}"), soft_wrap=True)


def print_left(console: Console, reasons: Mapping[str, str]) -> None:
    """Print the apps that did not come through, each with why."""
    if reasons:
        console.print(Text("Not done", style="bold red"))
    for name, reason in reasons.items():
        print_line(console, f"{name}: {reason}")


LEVELS = {
    "quick": "quick: without a start of the application",
    "standard": "standard: with one real start",
    "deep": "deep: with more starts or builds",
}
STACK = "smoke --stack: with the app's services up"


def print_check(check: Check, console: Console) -> None:
    """Print everything about a check."""
    console.print(Text.assemble((check.id, "bold cyan"), "  ", (check.title, "bold")))
    asked = ("asked by", STACK) if check.stack else ("level", LEVELS[check.level.value])
    for name, value in (asked, ("severity", check.severity.value), ("why", check.why), ("source", check.source)):
        console.print(Text.assemble((f"{name}: ", "bold"), value), soft_wrap=not console.is_terminal)
    for name, block in (("fails", check.example), ("fixed", check.fixed)):
        if block:
            console.print()
            console.print(Text(f"{name}:", style="bold red" if name == "fails" else "bold green"))
            for line in block.strip("\n").splitlines():
                console.print(Padding(Text(line), (0, 0, 0, 4), expand=False), soft_wrap=not console.is_terminal)
    console.print()
    waiver = f'waive = {{ "{check.id}" = "your reason" }}'
    console.print(Text.assemble(("to waive it: ", "bold"), f"in the contract, {waiver}"), soft_wrap=True)


def print_catalogue(checks: Sequence[Check], console: Console) -> None:
    """Print every check's id and title, by family."""
    families: dict[str, list[Check]] = {}
    for check in checks:
        families.setdefault(check.family, []).append(check)
    width = max(len(check.id) for check in checks)
    for number, (family, found) in enumerate(families.items()):
        if number:
            console.print()
        console.print(Text(family, style="bold"))
        for check in found:
            line = Text.assemble("  ", (check.id.ljust(width), "cyan"), f"  {check.title}")
            console.print(line, soft_wrap=not console.is_terminal)
    console.print()
    console.print(Text(f"{len(checks)} checks. `seatrial explain CHECK` explains one."))
