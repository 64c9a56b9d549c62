"""Reports for a person: the smoke on a screen and in a log, the classics, the doctor."""

from __future__ import annotations

import io
import re

import msgspec
import pytest
from rich.console import Console
from tests.unit.factories import distribution, facts, probe
from tests.unit.samples import HOSTILE, NASTY, SHOWN, every_status, judged, matrix, result, smoke

from seatrial.checks import registry
from seatrial.checks.model import Status
from seatrial.checks.verdict import Verdict, smoke_of
from seatrial.cli import output
from seatrial.doctor import Finding
from seatrial.facts import Unavailable
from seatrial.reports.console import pip_table, print_classic, print_failures, print_findings, print_smoke, print_smokes
from seatrial.reports.groups import findings, grouped, word_of
from seatrial.reports.write import render
from seatrial.settings.model import Contract


def console(width: int = 100, *, terminal: bool = False) -> Console:
    # As the commands make theirs: see tasks/surroundings.py.
    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=terminal,
        color_system="truecolor" if terminal else None,
        highlight=False,
        emoji=False,
        markup=False,
    )


def printed(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def bare(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


# --- one smoke --------------------------------------------------------------------------------------------


def test_one_line_a_family_and_failures_in_full() -> None:
    screen = console()
    print_smoke(
        smoke(
            result(Status.PASS, "size/unpacked", "494 MB"),
            result(Status.FAIL, where="docker/Dockerfile:7"),
            result(Status.SKIP, "app/executables"),
        ),
        screen,
    )
    assert printed(screen).splitlines() == [
        "Smoke of shop:latest  sha256:abababababab",
        "PASS      size         1 pass           unpacked",
        "ERROR     app          1 error, 1 skip  imports, executables",
        "",
        "ERROR app/imports: The application imports",
        "  seen: seen",
        "  expected: expected seen",
        "  why: Because.",
        "  to do: fix seen",
        "  where: docker/Dockerfile:7",
        "    evidence seen",
        "    second",
        "",
        "FAIL  shop:latest: 1 error (fail-on = error). 1 pass, 1 skip, in 2.5 s",
    ]


def test_what_failed_comes_first_then_what_is_undecided_then_what_is_waived() -> None:
    screen = console()
    print_failures(every_status(), screen)
    heads = [line for line in printed(screen).splitlines() if line and not line.startswith(" ")]
    assert heads == [
        "ERROR app/imports: The application imports",
        "UNDECIDED process/graceful-stop",
        "WAIVED health/declared: The application imports",
    ]
    assert "  waived: seen" in printed(screen)


def test_one_cause_is_told_once() -> None:
    undecided = [result(Status.ERROR, f"app/{name}", "no probe") for name in ("imports", "executables")]
    other = result(Status.ERROR, "boot/healthy", "no boot")
    assert [finding.names for finding in findings(smoke(*undecided, other))] == [
        "app/imports, app/executables",
        "boot/healthy",
    ]
    screen = console()
    print_failures(smoke(*undecided, other), screen)
    assert "UNDECIDED app/imports, app/executables\n  seen: no probe" in printed(screen)


def test_a_family_has_the_status_that_counts_most() -> None:
    family = [result(status, f"app/{status.value}") for status in Status]
    worst = [grouped(family[number:])[0].worst for number in range(len(family))]
    assert worst == ["error", "error", "undecided", "waived", "waived"]
    assert grouped([result(Status.SKIP)])[0].worst == "skip"
    assert grouped([*family, result(Status.PASS, "boot/x"), result(Status.PASS, "app/late")])[0].results[-1].id == (
        "app/late"
    )


def test_verbose_tells_every_check_below_its_family() -> None:
    screen = console()
    print_smoke(every_status(), screen, verbose=True)
    text = printed(screen)
    assert "PASS      identity     1 pass       non-root\n  PASS identity/non-root: The application imports\n" in text
    for check in every_status().checks:
        assert f"\n  {word_of(check).upper()} {check.id}: " in text
    assert text.count("  seen: ") == len(Status)
    assert text.count("  why: ") == 3, "a pass needs no reason"


def test_a_log_keeps_lines_whole_and_a_terminal_wraps_them() -> None:
    long = result(Status.FAIL, text="x" * 300)
    log, terminal = console(80), console(80, terminal=True)
    print_smoke(smoke(long), log)
    print_smoke(smoke(long), terminal)
    assert "x" * 300 in printed(log)
    assert "x" * 300 not in printed(terminal)
    assert bare(printed(terminal)).count("x") == printed(log).count("x"), "nothing is cut away"


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_is_wider_than_the_terminal(width: int, *, verbose: bool) -> None:
    screen = console(width, terminal=True)
    print_smokes([judged()[0], *matrix()], screen, verbose=verbose)
    lines = bare(printed(screen)).splitlines()
    assert max(map(len, lines)) <= width
    assert any("boot" in line for line in lines)


def test_a_narrow_screen_has_the_counts_and_a_wide_one_the_checks_too() -> None:
    narrow, wide = console(60, terminal=True), console(100, terminal=True)
    for screen in (narrow, wide):
        print_smoke(smoke(result(Status.PASS), verdict=Verdict.PASS), screen)
    assert "PASS      app          1 pass\n" in bare(printed(narrow))
    assert "PASS      app          1 pass  imports" in bare(printed(wide))


@pytest.mark.parametrize("status", list(Status))
def test_every_status_has_its_word_and_its_colour(status: Status) -> None:
    screen = console(terminal=True)
    print_smoke(smoke(result(status)), screen)
    assert word_of(result(status)).upper() in printed(screen)
    assert "\x1b[" in printed(screen)


def test_no_color_means_neither_colour_nor_bold(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm-256color"), ("COLORTERM", "truecolor")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = output.console()
    monkeypatch.setenv("NO_COLOR", "1")
    for screen, codes in ((coloured, True), (output.console(), False)):
        with screen.capture() as captured:
            print_smoke(every_status(), screen)
        assert screen.is_terminal
        assert ("\x1b[" in captured.get()) is codes


def test_what_an_image_says_is_text_on_every_screen() -> None:
    said, _ = judged()
    screen = console(400)
    print_smoke(said, screen)
    text = printed(screen)
    assert f"Smoke of shop:{SHOWN}" in text
    assert f"shop: {SHOWN}" in text
    assert not {"\x1b", "\x9b", "\u202e", "\x07"} & set(text)
    coloured = console(400, terminal=True)
    print_smoke(said, coloured)
    assert "\x1b[2J" not in printed(coloured)
    assert "\x1b]0;" not in printed(coloured)


@pytest.mark.parametrize("said", NASTY, ids=range(len(NASTY)))
def test_no_line_of_an_image_looks_like_one_of_ours(said: str) -> None:
    ours = re.compile(r"(PASS|FAIL|ERROR|UNDECIDED|WARNING|NOTE|FOLLOWS|WAIVED|SKIP) |Smoke of |[a-z]")
    for line in render([judged(said)[0]], "text").splitlines():
        assert not line.lstrip().startswith(("::", "##[")), line
        assert not line or line.startswith("  ") or ours.match(line), line
    forged = [line for line in render([judged(said)[0]], "text").splitlines() if line.startswith("PASS  shop")]
    assert forged == []


# --- several ----------------------------------------------------------------------------------------------


def test_several_images_end_in_a_table_of_apps_by_pythons() -> None:
    screen = console()
    print_smokes(matrix(), screen)
    assert printed(screen).splitlines()[-3:] == [
        "app   Python 3.9    Python 3.13",
        "shop  FAIL 1 error  PASS 1 passed",
        "bot   -             PASS 1 passed",
    ]


def test_a_table_that_is_too_wide_becomes_lines() -> None:
    screen = console(34, terminal=True)
    print_smokes(matrix(), screen)
    assert [line.rstrip() for line in bare(printed(screen)).splitlines()[-3:]] == [
        "shop, 3.13: PASS 1 passed",
        "shop, 3.9: FAIL 1 error",
        "bot, 3.13: PASS 1 passed",
    ]


# --- the classics -----------------------------------------------------------------------------------------


def test_pip_list_has_pips_own_form() -> None:
    rows = [distribution("b", "10.0"), distribution("A.longer-name", "1"), distribution("c", editable="file:///src")]
    assert pip_table(rows[:2]) == [
        "Package       Version",
        "------------- -------",
        "A.longer-name 1",
        "b             10.0",
    ]
    assert pip_table(rows)[0] == "Package       Version Editable project location"
    assert pip_table(rows)[-1] == "c             1.0     file:///src"


@pytest.mark.parametrize(
    ("which", "first"), [("whoami", "app"), ("size", f"shop:{SHOWN} 494 MB"), ("pip-list", "Package")]
)
def test_a_classic_shows_its_fact_first_and_then_what_its_checks_say(which: str, first: str) -> None:
    _, seen = judged()
    said = smoke_of(seen, Contract(), registry.CHECKS[:2], seconds=0.1)
    screen = console(200)
    print_classic(which, said, seen, screen)
    lines = printed(screen).splitlines()
    assert lines[0].startswith(first)
    assert any(line.startswith("PASS identity/non-root: ") for line in lines)
    assert not {"\x1b", "\x9b", "\u202e"} & set(printed(screen))


def test_a_classic_without_a_probe_shows_why() -> None:
    seen = facts(probe=Unavailable(reason=f"no interpreter {HOSTILE}"))
    said = smoke_of(seen, Contract(user="app"), registry.CHECKS, seconds=0.1)
    for which in ("whoami", "pip-list"):
        screen = console(200)
        print_classic(which, said, seen, screen)
        assert f"could not be decided: no interpreter {SHOWN}" in printed(screen)


def test_a_user_without_an_account_is_a_number() -> None:
    seen = facts(probe=probe(identity=msgspec.structs.replace(probe().identity, name="")))
    screen = console()
    print_classic("whoami", smoke(), seen, screen)
    assert printed(screen) == "10001\n"


def test_the_doctor_prints_a_problem_with_its_fix() -> None:
    screen = console()
    findings = [Finding(topic="host", ok=True, seen="fine"), Finding(topic="disk", ok=False, seen=HOSTILE, fix="Room.")]
    print_findings(findings, screen)
    assert printed(screen).splitlines() == [
        "ok      host: fine",
        f"problem disk: {SHOWN}",
        "        to do: Room.",
    ]
