"""Findings where a CI system shows them: GitHub's annotations, GitLab's Code Quality report, JUnit below the bar."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from tests.unit.samples import HOSTILE, NASTY, judged, result, smoke

from seatrial.checks.model import Severity, Status
from seatrial.reports.ci import workflow_commands
from seatrial.reports.write import ENDINGS, planned, render

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.checks.verdict import Smoke

ACTIONS = {"GITHUB_ACTIONS": "true"}


def commands(*smokes: Smoke, folder: Path | None = None, **environment: str) -> list[str]:
    return list(workflow_commands(smokes, {**ACTIONS, **environment}, folder))


def failing(severity: Severity = Severity.ERROR, check: str = "app/imports", **more: Any) -> Smoke:
    return smoke(result(Status.PASS, "a/b"), result(Status.FAIL, check, severity=severity, **more))


# --- GitHub -------------------------------------------------------------------------------------------------


def test_nothing_is_annotated_outside_of_a_job_on_github() -> None:
    for environment in ({}, {"GITHUB_ACTIONS": ""}, {"GITHUB_ACTIONS": "false"}):
        assert list(workflow_commands([failing()], environment, None)) == []


@pytest.mark.parametrize(
    ("severity", "command"), [(Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.NOTE, "notice")]
)
def test_a_finding_is_a_command_of_its_severity_at_its_line(severity: Severity, command: str) -> None:
    (line,) = commands(failing(severity, where="docker/Dockerfile:7"))
    assert line == (
        f"::{command} file=docker/Dockerfile,line=7,title=app/imports (shop%3Alatest)::seen%0ATo do: fix seen"
    )


def test_a_finding_without_a_place_has_no_file() -> None:
    (line,) = commands(failing())
    assert line.startswith("::error title=app/imports")


def test_what_ends_a_command_or_a_property_is_escaped() -> None:
    said = failing(text="100% of\r\nit:, done", where="a,b:c%/Dockerfile:3", fix="")
    (line,) = commands(said)
    assert "file=a%2Cb%3Ac%25/Dockerfile,line=3," in line
    assert line.endswith(("::100%25 of%0D%0Ait:, done", "::100%25 of%0Ait:, done"))


@pytest.mark.parametrize("said", [*NASTY, HOSTILE, "::add-mask::x\n::stop-commands::y"], ids=range(len(NASTY) + 2))
def test_no_image_gives_a_command_of_its_own(said: str) -> None:
    for line in commands(judged(said)[0]):
        assert line.startswith(("::error ", "::warning ", "::notice "))
        assert len(line.splitlines()) == 1
        head = line[2:].partition("::")[0]
        assert {part.partition("=")[0] for part in head.partition(" ")[2].split(",")} <= {"file", "line", "title"}


def test_a_file_is_named_from_the_checkout(tmp_path: Path) -> None:
    project = tmp_path / "services" / "shop"
    project.mkdir(parents=True)
    (line,) = commands(failing(where="Dockerfile:7"), folder=project, GITHUB_WORKSPACE=str(tmp_path))
    assert " file=services/shop/Dockerfile,line=7," in line
    for folder in (tmp_path, None):
        (line,) = commands(failing(where="Dockerfile:7"), folder=folder, GITHUB_WORKSPACE=str(tmp_path))
        assert " file=Dockerfile,line=7," in line


def test_the_gravest_comes_first_and_what_is_no_finding_does_not_come() -> None:
    given = smoke(
        result(Status.FAIL, "a/note", severity=Severity.NOTE),
        result(Status.FAIL, "a/error"),
        result(Status.FAIL, "a/effect", follows_from="a/error"),
        result(Status.ERROR, "a/unknown"),
        result(Status.ERROR, "a/light", "b", severity=Severity.NOTE),
        result(Status.WAIVED, "a/waived"),
        result(Status.PASS, "a/good"),
    )
    lines = commands(given)
    assert [line.partition("title=")[2].partition(" ")[0] for line in lines] == ["a/error", "a/unknown", "a/note"]
    assert "%0Aa/effect: seen" in lines[0]


# --- GitLab -------------------------------------------------------------------------------------------------


def issues(*smokes: Smoke) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = json.loads(render(smokes, "codequality"))
    return made


def test_code_quality_has_gitlabs_keys_and_words() -> None:
    (issue,) = issues(failing(where="docker/Dockerfile:7"))
    assert issue == {
        "description": "The application imports: seen",
        "check_name": "app/imports",
        "fingerprint": issue["fingerprint"],
        "severity": "critical",
        "location": {"path": "docker/Dockerfile", "lines": {"begin": 7}},
    }
    assert [issues(failing(severity))[0]["severity"] for severity in Severity] == ["critical", "major", "info"]
    assert issues(failing())[0]["location"] == {"path": "shop:latest", "lines": {"begin": 1}}


def test_a_fingerprint_stays_while_the_finding_does() -> None:
    def print_of(made: Smoke) -> str:
        return str(issues(made)[0]["fingerprint"])

    assert print_of(failing(where="Dockerfile:7")) == print_of(failing(where="Dockerfile:9", text="else"))
    assert print_of(failing()) != print_of(failing(check="app/executables"))
    other = msgspec.structs.replace(failing(), app="bot")
    assert print_of(failing()) != print_of(other)


def test_the_name_that_gitlab_gives_the_report_stands_for_its_form(tmp_path: Path) -> None:
    for name, form in (
        ("gl-code-quality-report.json", "codequality"),
        ("smoke.codequality.json", "codequality"),
        ("smoke.json", "json"),
    ):
        assert [report.form for report in planned("text", None, [str(tmp_path / name)])] == ["text", form]
        assert planned(None, str(tmp_path / name))[0].form == form
    assert ENDINGS[".json"] == "json"


# --- JUnit --------------------------------------------------------------------------------------------------


def test_what_does_not_count_is_skipped_with_what_was_seen() -> None:
    given = smoke(
        result(Status.FAIL, "a/grave"),
        result(Status.FAIL, "a/light", severity=Severity.WARNING),
        result(Status.ERROR, "a/unknown", severity=Severity.NOTE),
        result(Status.FAIL, "a/effect", follows_from="a/grave"),
    )
    suite = ET.fromstring(render([given], "junit").partition("?>")[2]).find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["4", "1", "0", "3"]
    said = {case.get("name"): (case[0].tag, case[0].get("message")) for case in suite.iter("testcase")}
    assert said == {
        "grave": ("failure", "seen"),
        "light": ("skipped", "warning: seen"),
        "unknown": ("skipped", "undecided: seen"),
        "effect": ("skipped", "follows from a/grave: seen"),
    }
    strict = msgspec.structs.replace(given, fail_on=Severity.NOTE)
    suite = ET.fromstring(render([strict], "junit").partition("?>")[2]).find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    assert [suite.get(name) for name in ("failures", "errors", "skipped")] == ["2", "1", "1"]


def test_sarif_has_the_severities_and_no_effects() -> None:
    given = smoke(
        result(Status.FAIL, "app/imports"),
        result(Status.FAIL, "health/declared", severity=Severity.WARNING),
        result(Status.FAIL, "config/labels", severity=Severity.NOTE, severity_reason="nobody reads them"),
        result(Status.FAIL, "boot/healthy", follows_from="app/imports"),
    )
    (run,) = json.loads(render([given], "sarif"))["runs"]
    assert {entry["ruleId"]: entry["level"] for entry in run["results"]} == {
        "app/imports": "error",
        "health/declared": "warning",
        "config/labels": "note",
    }
    messages = {entry["ruleId"]: entry["message"]["text"] for entry in run["results"]}
    assert "also: boot/healthy: seen" in messages["app/imports"]
    assert "severity: note, by the contract: nobody reads them" in messages["config/labels"]
    levels = {rule["id"]: rule["defaultConfiguration"]["level"] for rule in run["tool"]["driver"]["rules"]}
    assert (levels["boot/healthy"], levels["identity/non-root"], levels["config/labels"]) == (
        "error",
        "warning",
        "note",
    )
    assert run["properties"]["failOn"] == "error"
