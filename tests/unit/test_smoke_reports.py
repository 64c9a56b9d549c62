from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import msgspec
import pytest
from rich.console import Console
from tests.unit.factories import configuration, distribution, facts, probe

from seatrial.checks import registry
from seatrial.checks.model import Result, Status
from seatrial.checks.verdict import Smoke, Verdict, smoke_of
from seatrial.doctor import Finding
from seatrial.facts.data import Import, Missing
from seatrial.reports import classics, data
from seatrial.reports.doctor import print_findings
from seatrial.reports.smoke import print_smoke
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from seatrial.facts.data import Facts

HOSTILE = "\x1b[2Jgone \x1b]0;title\x07[bold red]markup[/] :smile: \u202eright\x9b1m ]]> & <b> \uffff\ud800"
SHOWN = "gone [bold red]markup[/] :smile: right ]]> & <b>"


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


def result(status: Status, check: str = "app/imports", text: str = "seen") -> Result:
    return Result(
        id=check,
        title="The application imports",
        status=status,
        expected=f"expected {text}",
        actual=text,
        why="Because.",
        fix=f"fix {text}",
        evidence=(f"evidence {text}", "second"),
        seconds=0.001,
    )


def smoke(*results: Result, verdict: Verdict = Verdict.FAIL, image: str = "shop:latest") -> Smoke:
    counts = {status: sum(one.status is status for one in results) for status in Status}
    return Smoke(image=image, id="sha256:" + "ab" * 32, verdict=verdict, seconds=2.5, counts=counts, checks=results)


def real() -> tuple[Smoke, Facts]:
    """Judge an image whose import failed with a hostile message."""
    broken = Import(name="shop", ok=False, seconds=0.1, error=HOSTILE, traceback=HOSTILE)
    seen = facts(
        configuration=configuration(reference=f"shop:{HOSTILE}"),
        probe=probe(imports=(broken,), distributions=(distribution(HOSTILE, HOSTILE), distribution("b", "1.0.0"))),
    )
    return smoke_of(seen, Contract(dependencies=()), registry.CHECKS, seconds=2.5), seen


# --- for a person -----------------------------------------------------------------------------------------


def test_one_line_a_check_and_failures_in_full() -> None:
    screen = console()
    print_smoke(smoke(result(Status.PASS, "size/unpacked", "494 MB"), result(Status.FAIL)), screen)
    lines = printed(screen).splitlines()
    assert lines[0] == "Smoke of shop:latest  sha256:abababababab"
    assert lines[1] == "PASS   size/unpacked               494 MB"
    assert lines[2] == "FAIL   app/imports                 seen"
    assert lines[4:10] == [
        "FAIL app/imports: The application imports",
        "  seen: seen",
        "  expected: expected seen",
        "  why: Because.",
        "  to do: fix seen",
        "    evidence seen",
    ]
    assert lines[-1] == "FAIL  shop:latest: 1 pass, 1 fail, in 2.5 s"


def test_a_log_keeps_lines_whole_and_a_terminal_does_not() -> None:
    long = result(Status.PASS, text="x" * 300)
    log, terminal = console(80), console(80, terminal=True)
    print_smoke(smoke(long, verdict=Verdict.PASS), log)
    print_smoke(smoke(long, verdict=Verdict.PASS), terminal)
    assert "x" * 300 in printed(log)
    assert "x" * 300 not in printed(terminal)
    narrow = console(40, terminal=True)
    print_smoke(smoke(long, verdict=Verdict.PASS), narrow)
    assert "xxx" not in printed(narrow)


@pytest.mark.parametrize("status", list(Status))
def test_every_status_has_its_word_and_its_colour(status: Status) -> None:
    screen = console(terminal=True)
    print_smoke(smoke(result(status)), screen)
    assert status.value.upper() in printed(screen)
    assert "\x1b[" in printed(screen)


def test_what_an_image_says_is_text_on_every_screen() -> None:
    judged, _ = real()
    screen = console(400)
    print_smoke(judged, screen)
    text = printed(screen)
    assert f"Smoke of shop:{SHOWN}" in text
    assert f"shop: {SHOWN}" in text
    assert not {"\x1b", "\x9b", "\u202e", "\x07", "\ud800"} & set(text)
    coloured = console(400, terminal=True)
    print_smoke(judged, coloured)
    assert "\x1b[2J" not in printed(coloured)
    assert "\x1b]0;" not in printed(coloured)


# --- for programs -----------------------------------------------------------------------------------------


def test_json_has_the_agreed_shape() -> None:
    judged, _ = real()
    text = data.as_json([judged])
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    read = json.loads(text)
    assert list(read) == ["schema", "image", "id", "verdict", "seconds", "counts", "checks"]
    assert (read["schema"], read["verdict"], read["seconds"]) == (1, "fail", 2.5)
    assert set(read["counts"]) == {status.value for status in Status}
    keys = ["id", "title", "status", "expected", "actual", "why", "fix", "evidence", "seconds"]
    assert all(list(one) == keys for one in read["checks"])
    assert sum(read["counts"].values()) == len(read["checks"]) == len(registry.CHECKS)


def test_several_smokes_are_one_object_with_the_worst_verdict() -> None:
    passing, failing = smoke(result(Status.PASS), verdict=Verdict.PASS), smoke(result(Status.FAIL))
    read = json.loads(data.as_json([passing, failing]))
    assert (read["schema"], read["verdict"], len(read["smokes"])) == (1, "fail", 2)
    assert json.loads(data.as_json([]))["verdict"] == "error"


def test_a_failure_counts_most_then_what_is_undecided() -> None:
    verdicts = {one: smoke(verdict=one) for one in Verdict}
    assert data.worst(list(verdicts.values())) is Verdict.FAIL
    assert data.worst([verdicts[Verdict.PASS], verdicts[Verdict.ERROR]]) is Verdict.ERROR
    assert data.worst([verdicts[Verdict.PASS]]) is Verdict.PASS
    assert data.worst([]) is Verdict.ERROR


def test_junit_parses_whatever_the_image_says_and_counts_right() -> None:
    judged, _ = real()
    every = smoke(*(result(status) for status in Status), image=HOSTILE)
    text = data.as_junit([judged, every])
    text.encode("utf-8")
    root = ET.fromstring(text.partition("?>")[2])  # noqa: S314 - our own
    first, second = root.iter("testsuite")
    assert int(first.get("tests", "0")) == len(list(first.iter("testcase"))) == len(registry.CHECKS)
    assert second.attrib | {"time": ""} == {
        "name": SHOWN + " ",
        "tests": "5",
        "failures": "1",
        "errors": "1",
        "skipped": "2",
        "time": "",
    }
    assert [[child.tag for child in case] for case in second] == [[], ["failure"], ["error"], ["skipped"], ["skipped"]]
    case = next(one for one in first.iter("testcase") if one.get("name") == "imports")
    assert case.get("classname") == "app"
    failure = case.find("failure")
    assert failure is not None
    assert SHOWN in failure.get("message", "")
    assert SHOWN in (failure.text or "")


def test_markdown_keeps_outside_text_in_its_cell() -> None:
    text = data.as_markdown([smoke(result(Status.FAIL, text="a | b\n<script>`x` **y** [z](u)"))])
    row = next(line for line in text.splitlines() if line.startswith("| app/imports"))
    assert row == "| app/imports | fail | a \\| b \\<script\\>\\`x\\` \\*\\*y\\*\\* \\[z\\](u) |"
    assert text.startswith("## FAIL: shop:latest\n")
    assert "- to do: fix a \\| b" in text


# --- the classics -----------------------------------------------------------------------------------------


def test_pip_list_has_pips_own_form() -> None:
    rows = [distribution("b", "10.0"), distribution("A.longer-name", "1"), distribution("c", editable="file:///src")]
    assert classics.pip_table(rows[:2]) == [
        "Package       Version",
        "------------- -------",
        "A.longer-name 1",
        "b             10.0",
    ]
    assert classics.pip_table(rows)[0] == "Package       Version Editable project location"
    assert classics.pip_table(rows)[-1] == "c             1.0     file:///src"


@pytest.mark.parametrize(
    ("which", "first"), [("whoami", "app"), ("size", f"shop:{SHOWN} 494 MB"), ("pip-list", "Package")]
)
def test_a_classic_shows_its_fact_first_and_then_what_its_checks_say(which: str, first: str) -> None:
    _, seen = real()
    judged = smoke_of(seen, Contract(), registry.CHECKS[:2], seconds=0.1)
    screen = console(200)
    classics.show(which, judged, seen, screen)
    lines = printed(screen).splitlines()
    assert lines[0].startswith(first)
    assert any(line.startswith("PASS identity/non-root: ") for line in lines)
    assert not {"\x1b", "\x9b", "\u202e"} & set(printed(screen))


def test_a_classic_without_a_probe_shows_why() -> None:
    seen = facts(probe=Missing(reason=f"no interpreter {HOSTILE}"))
    judged = smoke_of(seen, Contract(user="app"), registry.CHECKS, seconds=0.1)
    for which in ("whoami", "pip-list"):
        screen = console(200)
        classics.show(which, judged, seen, screen)
        assert f"could not be decided: no interpreter {SHOWN}" in printed(screen)


def test_a_user_without_an_account_is_a_number() -> None:
    seen = facts(probe=probe(identity=msgspec.structs.replace(probe().identity, name="")))
    screen = console()
    classics.show("whoami", smoke(), seen, screen)
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
