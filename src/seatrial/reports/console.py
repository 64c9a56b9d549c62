"""Smokes on the console: one line a family, and in full what failed, was undecided or waived.

The classics, the doctor and the first day are printed here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from seatrial.checks.model import Check, Result, Status
from seatrial.checks.verdict import Smoke, Verdict
from seatrial.facts import Distribution, Facts, Unavailable
from seatrial.reports import groups as matrix
from seatrial.reports.groups import DETAILED, Group, counted, detailed, grouped, name_of, rows_of
from seatrial.text import plain, plain_line, show_size

if TYPE_CHECKING:
    from seatrial.doctor import Finding
    from seatrial.stack.state import StackState

STATUS_WIDTH = 6
FAMILY_WIDTH = 12
NAMES_FROM = 80
"""Columns from which on a family's line names its checks; a narrower screen has the counts alone."""
QUIET = "bright_black"
STYLES = {
    Status.PASS: "green",
    Status.FAIL: "bold red",
    Status.ERROR: "bold magenta",
    Status.WAIVED: "yellow",
    Status.SKIP: QUIET,
}
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
    _print(Text.assemble(("Smoke of ", "bold"), (plain_line(smoke.image), "bold cyan"), f"  {smoke.id[:19]}"), console)
    groups = grouped(smoke.checks)
    width = max((len(group.counts) for group in groups), default=0)
    for group in groups:
        _print_group(group, width, console)
        if verbose:
            for result in group.results:
                _print_in_full(result, console, indent=2)
    if not verbose:
        print_failures(smoke, console)
    console.print()
    for note in smoke.notes:
        _print(Text.assemble(("note: ", "bold"), plain_line(note)), console)
    _print(verdict_line(smoke), console)


def print_failures(smoke: Smoke, console: Console) -> None:
    """Print in full what failed, was undecided, or was waived."""
    for results in detailed(smoke.checks):
        console.print()
        if results[0].status is Status.ERROR:
            _print_undecided(results, console)
        else:
            _print_in_full(results[0], console)


def print_matrix(smokes: Sequence[Smoke], console: Console) -> None:
    """Print apps by Python versions; where the table is too wide for the screen, a line a smoke."""
    rows = matrix.rows(smokes)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if console.is_terminal and sum(widths) + 2 * len(widths) > console.width:
        for smoke in smokes:
            head = f"{matrix.app_of(smoke)}, {smoke.python or matrix.NO_PYTHON}: "
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
    """Return the verdict, the image and the counts."""
    return Text.assemble(
        (smoke.verdict.value.upper(), VERDICT_STYLES[smoke.verdict]),
        f"  {plain_line(smoke.image)}: {counted(smoke.counts)}, in {smoke.seconds:.1f} s",
    )


def _print_group(group: Group, width: int, console: Console) -> None:
    worst = (group.worst.value.upper().ljust(STATUS_WIDTH), STYLES[group.worst])
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


def _print_undecided(results: Sequence[Result], console: Console) -> None:
    names = ", ".join(result.id for result in results)
    _print(Text.assemble(("ERROR", STYLES[Status.ERROR]), f" {names}"), console)
    _print(Text(plain(results[0].actual)), console, indent=2)
    _print_evidence(results[0], console, indent=4)


def _print_in_full(result: Result, console: Console, *, indent: int = 0) -> None:
    head = Text.assemble((result.status.value.upper(), STYLES[result.status]), f" {result.id}: {result.title}")
    _print(head, console, indent=indent)
    for name, value in rows_of(result):
        if result.status in DETAILED or name in {"seen", "expected"}:
            _print(Text.assemble((f"{name}: ", "bold"), plain(value)), console, indent=indent + 2)
    _print_evidence(result, console, indent=indent + 4)


def _print_evidence(result: Result, console: Console, *, indent: int) -> None:
    for row in result.evidence:
        _print(Text(plain(row), style=QUIET), console, indent=indent)


def _print(text: Text, console: Console, *, indent: int = 0) -> None:
    """Print a paragraph: wrapped on a terminal, its lines whole in a log.

    Every line is indented, so that no line of an image looks like one of the report.
    """
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent), expand=False), overflow="fold")
        return
    for number, line in enumerate(text.split("\n", allow_blank=True)):
        console.print(Text(" " * (indent + 2 * bool(number))).append_text(line), soft_wrap=True)


def print_classic(which: str, smoke: Smoke, facts: Facts, console: Console) -> None:
    """Print one fact as the well-known command prints it, then the results of its checks."""
    for line in _classic(which, facts):
        console.print(Text(line), soft_wrap=True)
    for result in smoke.checks:
        head = Text.assemble((result.status.value.upper(), STYLES[result.status]), f" {result.id}: ")
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


def print_findings(findings: Iterable[Finding], console: Console) -> None:
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


def print_next_steps(console: Console, states: Sequence[StackState], not_up: Sequence[str]) -> None:
    """Print what to try next."""
    tasks = {"ps": "the state of its services", "logs": "what they log", "down": "take it down; its data stays"}
    rows = [(f"invoke {task} --app {state.stack.app}", what) for state in states for task, what in tasks.items()]
    rows += [(f"invoke up --app {name}", "not up yet: it needs your own values in its .env") for name in not_up]
    rows.append(("invoke --list", "everything else"))
    width = max(len(command) for command, _ in rows)
    console.print(Text("Try next", style="bold"))
    for command, meaning in rows:
        console.print(Text(f"    {command:{width}}  {meaning}"), soft_wrap=True)


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
    for name, value in (asked, ("why", check.why), ("source", check.source)):
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
