from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.compose.runner import Compose
from seatrial.compose.services import identify
from seatrial.errors import ExitCode, SettingsError, StackError
from seatrial.settings.read import Project, read_project
from seatrial.stack.demo_plan import LONGEST_QUESTION, asking, checked, choose, mentions, stack_of

ROOT = Path(__file__).parents[2]
FILE = Path("compose.yaml")
DEMO = "services: {sea: {image: x, profiles: [demo]}}\n"
NO_DEMO = "services: {sea: {image: demo, profiles: [other], command: [demo]}}\n"


def project(folder: Path, **files: str) -> Project:
    """Make a project with an app for each compose file."""
    lines = ["[tool.seatrial.apps.bare]"]
    for name, text in files.items():
        folder.joinpath(name).mkdir()
        folder.joinpath(name, "compose.yaml").write_text(text, encoding="utf-8")
        lines.append(f'[tool.seatrial.apps.{name}]\ncompose = "{name}/compose.yaml"')
    folder.joinpath("pyproject.toml").write_text("\n".join(lines), encoding="utf-8")
    return read_project(folder)


def model(**services: object) -> dict[str, object]:
    return {"services": services}


def test_the_only_app_with_a_demo_is_meant(tmp_path: Path) -> None:
    assert choose(project(tmp_path, ship=DEMO, crew=NO_DEMO), None) == "ship"


def test_a_named_app_is_meant_whether_or_not_it_has_a_demo(tmp_path: Path) -> None:
    made = project(tmp_path, ship=DEMO, crew=NO_DEMO)
    assert choose(made, "crew") == "crew"
    with pytest.raises(SettingsError, match="Did you mean 'ship'"):
        choose(made, "shp")


def test_several_apps_with_a_demo_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="which app") as caught:
        choose(project(tmp_path, ship=DEMO, crew=DEMO), None)
    assert caught.value.fix == "Say --app with one of: crew, ship."


def test_no_app_with_a_demo(tmp_path: Path) -> None:
    made = project(tmp_path, crew=NO_DEMO, gone="")
    made.folder.joinpath("gone/compose.yaml").unlink()
    with pytest.raises(SettingsError, match="no app has a demo") as caught:
        choose(made, None)
    assert "seatrial.demo.ask" in caught.value.fix
    assert caught.value.exit_code is ExitCode.UNDECIDED


def test_of_this_project_the_weather_agent_has_a_demo() -> None:
    assert choose(read_project(ROOT), None) == "weather-agent"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (DEMO, True),
        ("x-more: &more {profiles: [demo]}\nservices: {sea: {<<: *more, image: x}}", True),
        (NO_DEMO, False),
        ("services: {", True),  # What compose says of it is the message.
        ("", False),
    ],
)
def test_whether_a_file_speaks_of_the_profile(tmp_path: Path, *, text: str, found: bool) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(text, encoding="utf-8")
    assert mentions(file) is found


def test_the_label_tells_who_is_asked_and_how() -> None:
    sea = {"profiles": ["demo"], "labels": {"seatrial.demo.ask": "python -m 'my demo' ask"}}
    assert asking(model(bot={}, sea=sea), "ship", FILE) == ("sea", ("python", "-m", "my demo", "ask"))


@pytest.mark.parametrize(
    "service",
    [
        {},
        {"profiles": ["demo"]},
        {"profiles": ["demo"], "labels": {"other": "x"}},
        {"profiles": ["other"], "labels": {"seatrial.demo.ask": "x"}},
        {"profiles": None, "labels": None},
    ],
)
def test_an_app_without_a_demo_is_told_how_to_have_one(service: dict[str, object]) -> None:
    with pytest.raises(StackError) as caught:
        asking(model(sea=service), "ship", FILE)
    assert str(caught.value) == (
        "compose.yaml: ship has no demo. Give its compose file a service in the profile `demo`"
        " with the label `seatrial.demo.ask`."
    )
    assert caught.value.exit_code is ExitCode.UNDECIDED


@pytest.mark.parametrize(("label", "message"), [("", "is empty"), ("python 'ask", "is no command: No closing")])
def test_a_label_that_is_no_command(label: str, message: str) -> None:
    sea = {"profiles": ["demo"], "labels": {"seatrial.demo.ask": label}}
    with pytest.raises(StackError, match=f"the label seatrial.demo.ask of the service 'sea' {message}"):
        asking(model(sea=sea), "ship", FILE)


def test_a_question_is_text() -> None:
    assert checked("  Що одягнути в Києві?\n") == "Що одягнути в Києві?"
    assert len(checked("x" * LONGEST_QUESTION)) == LONGEST_QUESTION


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("", "the question is empty"),
        (" \t\n", "the question is empty"),
        ("x" * (LONGEST_QUESTION + 1), "the question has 4097 characters, more than 4096"),
        ("K\udcffyiv", "the question is no text in UTF-8"),
    ],
)
def test_what_cannot_be_asked(question: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        checked(question)
    assert caught.value.fix
    assert str(caught.value).encode()


def test_a_demo_has_a_name_of_its_own_and_its_own_env_file(tmp_path: Path) -> None:
    made = project(tmp_path, ship=DEMO)
    file = tmp_path / "ship/compose.yaml"
    stack = stack_of(made, "ship", file)
    assert stack.app == "ship"
    assert stack.compose_project.startswith("ship-demo-")
    assert stack.compose_project != identify(made, "ship").compose_project
    assert stack.options == ("--profile", "demo")
    env = tmp_path / "ship/demo.env"
    env.touch()
    assert stack_of(made, "ship", file).options == ("--profile", "demo", "--env-file", str(env))


def test_compose_is_told_the_profile_before_its_command(tmp_path: Path) -> None:
    # A program that says what it was given, in place of compose.
    program = tmp_path / "compose"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    stack = stack_of(project(tmp_path, ship=DEMO), "ship", tmp_path / "ship/compose.yaml")
    file = tmp_path / "ship/compose.yaml"
    found = Compose(program=str(program), environment={"PATH": "/usr/bin:/bin"}, stack=stack, file=file)
    done = found.inside("sea", ["ask", "--warm", "or not?"], timeout=10, tick=lambda: None)
    assert done.output.splitlines() == [
        *("--ansi", "never", "--project-name", stack.compose_project, "--profile", "demo"),
        *("--file", str(file), "exec", "-T", "sea", "ask", "--warm", "or not?"),
    ]
