"""What commands share: which app is meant, questions, the JSON document, an observer that remembers."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from seatrial.cli import output
from seatrial.errors import SettingsError, StackFailedError
from seatrial.settings.read import read_project

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.errors import SeatrialError
    from seatrial.settings.read import Project


def project(folder: Path, **compose: bool) -> Project:
    lines = ["[tool.seatrial.apps.bare]"]
    lines += [f'[tool.seatrial.apps.{name}]\ncompose = "compose.yaml"' for name, has in compose.items() if has]
    (folder / "pyproject.toml").write_text("\n".join(lines), encoding="utf-8")
    return read_project(folder)


def test_the_only_app_with_a_compose_file_need_not_be_named(tmp_path: Path) -> None:
    made = project(tmp_path, ship=True)
    assert output.app_with_stack(made, None) == "ship"
    assert output.app_with_stack(made, "bare") == "bare", "a named one is meant, whether or not it has one"
    with pytest.raises(SettingsError, match="Did you mean 'ship'"):
        output.app_with_stack(made, "shp")


def test_of_several_apps_one_has_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="which app") as several:
        output.app_with_stack(project(tmp_path, ship=True, crew=True), None)
    assert several.value.fix == "Name one with --app: crew, ship."
    with pytest.raises(SettingsError, match="no app has a compose file"):
        output.app_with_stack(project(tmp_path), None)


def test_a_project_without_apps_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match="no app is declared"):
        output.app_with_stack(read_project(tmp_path), None)


class Screen:
    def __init__(self) -> None:
        self.seen: list[object] = []

    def say(self, text: str) -> None:
        self.seen.append(text)

    def show(self, states: tuple[str, ...], seconds: float) -> None:
        self.seen.append((states, seconds))


def test_a_recorder_hands_on_and_keeps_the_last_states() -> None:
    recorder: output.Recorder[str] = output.Recorder()
    recorder.say("nobody listens yet")
    screen = Screen()
    observer = recorder.wrapping(screen)
    observer.say("pulling")
    observer.show(("api: starting",), 1.0)
    observer.show(("api: up",), 2.0)
    assert screen.seen == ["pulling", (("api: starting",), 1.0), (("api: up",), 2.0)]
    assert recorder.states == ("api: up",)


def document(problem: SeatrialError | None) -> str:
    return f"problem: {problem and problem.what}\n"


def test_the_document_is_printed_however_the_command_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with output.json_at_the_end(document, wanted=True):
        pass
    assert capsys.readouterr().out == "problem: None\n"
    with pytest.raises(StackFailedError), output.json_at_the_end(document, wanted=True):
        raise StackFailedError("it did not come up.")
    assert capsys.readouterr().out == "problem: it did not come up.\n"
    with pytest.raises(StackFailedError), output.json_at_the_end(document, wanted=False):
        raise StackFailedError("it did not come up.")
    with output.json_at_the_end(document, wanted=False):
        pass
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("answer", "yes"), [("y\n", True), (" YES \n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_only_yes_is_yes_and_the_question_is_not_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, *, yes: bool
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert output.confirmed("Remove it?") is yes
    assert capsys.readouterr() == ("", "Remove it? [y/N] ")


def test_nobody_is_asked_where_standard_input_is_not_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert output.terminal_prompt() is None
