"""The demo: a task of this project's own beside seatrial's."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from demo_task import LONGEST_QUESTION, checked, demo, demo_stack

from seatrial.cli.collection import collection
from seatrial.compose.runner import Compose, identify
from seatrial.errors import SettingsError
from seatrial.settings.read import read_project

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker/weather-agent/compose.yaml"


def test_the_task_stands_beside_seatrials_own(monkeypatch: pytest.MonkeyPatch) -> None:
    # tasks.py adds to the one collection of this process, which other tests look at.
    monkeypatch.setattr("seatrial.tasks.ns", collection())
    spec = importlib.util.spec_from_file_location("tasks", ROOT / "tasks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.ns.task_names) == {*collection().task_names, "demo"}
    assert "demo" not in collection().task_names, "it is no command of seatrial"
    assert all(argument.help for argument in demo.get_arguments())


def test_a_question_is_text() -> None:
    assert checked("  Що одягнути в Києві?\n") == "Що одягнути в Києві?"
    assert len(checked("x" * LONGEST_QUESTION)) == LONGEST_QUESTION


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("", "the question is empty"),
        (" \t\n", "the question is empty"),
        ("x" * (LONGEST_QUESTION + 1), "the question has 4097 characters, more than 4096"),
        ("K\udcffyiv", "the question is not valid UTF-8"),
    ],
)
def test_what_cannot_be_asked(question: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        checked(question)
    assert caught.value.fix
    assert str(caught.value).encode()


def test_a_demo_has_a_name_of_its_own_and_its_own_env_file() -> None:
    project = read_project(ROOT)
    stack = demo_stack(project)
    assert stack.app == "weather-agent"
    assert stack.compose_project.startswith("weather-agent-demo-")
    assert stack.compose_project != identify(project, "weather-agent").compose_project
    assert stack.options == ("--profile", "demo")
    assert stack.beside.env_files == (FILE.parent / "demo.env",)


def test_compose_is_told_the_profile_before_its_command(tmp_path: Path) -> None:
    # A program that says what it was given, in place of compose.
    program = tmp_path / "compose"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    stack = demo_stack(read_project(ROOT))
    found = Compose(program=str(program), environment={"PATH": "/usr/bin:/bin"}, stack=stack, file=FILE)
    done = found.inside("sea", ["ask", "--warm", "or not?"], timeout=10, tick=lambda: None)
    assert done.output.splitlines() == [
        *("--ansi", "never", "--project-name", stack.compose_project, *stack.options),
        *(
            "--env-file",
            str(FILE.parent / "demo.env"),
            "--file",
            str(FILE),
            "exec",
            "-T",
            "sea",
            "ask",
            "--warm",
            "or not?",
        ),
    ]
