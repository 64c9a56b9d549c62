"""How far a project's files are trusted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from seatrial.cli import output
from seatrial.errors import SettingsError
from seatrial.trust import Trust, chosen, foreign_change

if TYPE_CHECKING:
    from pathlib import Path


def event(folder: Path, head: str | None, base: str = "team/shop") -> dict[str, str]:
    """Return the environment of a pull request on GitHub."""
    repo = None if head is None else {"full_name": head}
    file = folder / "event.json"
    file.write_text(
        json.dumps({"pull_request": {"head": {"repo": repo}, "base": {"repo": {"full_name": base}}}}), encoding="utf-8"
    )
    return {"CI": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(file)}


def test_a_project_is_trusted_where_nothing_says_otherwise() -> None:
    assert chosen({}) is Trust.PROJECT
    assert chosen({"CI": "true", "GITHUB_EVENT_NAME": "push"}) is Trust.PROJECT


@pytest.mark.parametrize(
    ("head", "level"), [("team/shop", Trust.PROJECT), ("mallory/shop", Trust.NONE), (None, Trust.NONE)]
)
def test_a_pull_request_from_elsewhere_is_not_trusted(tmp_path: Path, head: str | None, level: Trust) -> None:
    assert chosen(event(tmp_path, head)) is level


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", '{"pull_request": null}', "[" * 100_000])
def test_a_pull_request_whose_event_does_not_tell_is_not_trusted(tmp_path: Path, text: str) -> None:
    (tmp_path / "event.json").write_text(text, encoding="utf-8")
    environment = {"GITHUB_EVENT_NAME": "pull_request_target", "GITHUB_EVENT_PATH": str(tmp_path / "event.json")}
    assert chosen(environment) is Trust.NONE


@pytest.mark.parametrize(
    ("environment", "foreign"),
    [
        ({"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "7", "CI_MERGE_REQUEST_PROJECT_ID": "7"}, False),
        ({"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "8", "CI_MERGE_REQUEST_PROJECT_ID": "7"}, True),
        ({"CI_MERGE_REQUEST_PROJECT_ID": "7"}, True),
        ({"SYSTEM_PULLREQUEST_ISFORK": "True"}, True),
        ({"SYSTEM_PULLREQUEST_ISFORK": "False"}, False),
        ({"CHANGE_FORK": "mallory"}, True),
        ({"CHANGE_ID": "12"}, False),
    ],
)
def test_other_systems_tell_of_forks_by_their_variables(environment: dict[str, str], foreign: bool) -> None:
    assert bool(foreign_change(environment)) is foreign


def test_the_option_comes_before_the_variable_and_the_variable_before_ci(tmp_path: Path) -> None:
    foreign = event(tmp_path, "mallory/shop")
    assert chosen({**foreign, "SEATRIAL_TRUST": "project"}) is Trust.PROJECT
    assert chosen({"SEATRIAL_TRUST": "host"}, "none") is Trust.NONE
    assert [level.rank for level in (Trust.NONE, Trust.PROJECT, Trust.HOST)] == [0, 1, 2]


@pytest.mark.parametrize(("variable", "option"), [("", "hots"), ("hots", None)])
def test_an_unknown_level_is_refused(variable: str, option: str | None) -> None:
    with pytest.raises(SettingsError, match=r"'hots' is not known.*host"):
        chosen({"SEATRIAL_TRUST": variable}, option)


def test_two_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SettingsError, match="contradict"):
        output.trust("host", untrusted=True)
    output.trust(None, untrusted=True)
    assert output.host().trust is Trust.NONE
    output.trust(None, untrusted=False)
