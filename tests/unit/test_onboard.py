"""The first day: an app that does not come through does not stop the others, and is told at the end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.samples import result, smoke

from seatrial.checks.model import Status
from seatrial.checks.verdict import Verdict
from seatrial.cli import onboard, prove
from seatrial.errors import BuildFailedError, EngineError, SeatrialError, SettingsError, StackFailedError
from seatrial.smoke import Smoked

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.smoke import Target

SETTINGS = "".join(f'[tool.seatrial.apps.{name}]\ncompose = "compose.yaml"\n' for name in ("api", "bot", "web"))
NOT_BUILT = BuildFailedError("a step failed.", detail="its last lines")
DOES_NOT_PASS = f"its image does not pass; in full: `invoke smoke --app {'bot'}`"


def day(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    build: Any = None,
    smoked: Any = None,
    up: Any = None,
    repair: bool = False,
) -> tuple[int, list[str]]:
    """Run the command; each app has what a step comes to, where it is not well. Return the exit code, what is tried."""
    tried: list[str] = []

    def step(name: str, outcomes: dict[str, Any] | None, of: str) -> None:
        tried.append(f"{of} {name}")
        if isinstance(outcome := (outcomes or {}).get(name), SeatrialError):
            raise outcome

    def built(_: object, names: list[str], _engine: object, _host: object, failed: Any) -> None:
        for name in names:
            try:
                step(name, build, "build")
            except SeatrialError as error:
                failed(SimpleNamespace(app=name), error)

    def smokes(targets: list[Target], *_: object, **__: object) -> Smoked:
        verdicts = {target.app or "": (smoked or {}).get(target.app, Verdict.PASS) for target in targets}
        tried.extend(f"smoke {name}" for name in verdicts)
        found = {Verdict.PASS: Status.PASS, Verdict.FAIL: Status.FAIL, Verdict.ERROR: Status.ERROR}
        made = [smoke(result(found[seen]), verdict=seen, app=name) for name, seen in verdicts.items() if seen]
        lost = tuple(SettingsError(f"{name} was lost.") for name, seen in verdicts.items() if not seen)
        return Smoked(smokes=tuple(made), problems=lost)

    def brought_up(_: object, name: str, *__: object) -> object:
        step(name, up, "up")
        return SimpleNamespace(stack=SimpleNamespace(app=name), changed=True, seconds=1.0, addresses=(), unanswered=())

    (folder / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    (folder / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    (folder / "compose.yaml").write_text("services: {}\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(onboard, "_engine", lambda *_, **__: "an engine")
    monkeypatch.setattr(prove, "build_apps", built)
    monkeypatch.setattr("seatrial.smoke.smoke_images", smokes)
    monkeypatch.setattr(onboard, "_bring_up", brought_up)
    return int(onboard.onboard.body.__wrapped__(None, repair=repair)), tried  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("outcomes", "code", "reason", "steps"),
    [
        ({}, 0, "", 9),
        ({"build": {"bot": NOT_BUILT}}, 1, "it was not built", 7),
        ({"smoked": {"bot": Verdict.FAIL}}, 1, DOES_NOT_PASS, 8),
        ({"smoked": {"bot": Verdict.ERROR}}, 2, DOES_NOT_PASS, 8),
        ({"smoked": {"bot": None}}, 2, DOES_NOT_PASS, 8),
        ({"up": {"bot": StackFailedError("it ended.")}}, 1, "it did not come up", 9),
        ({"up": {"bot": SettingsError("no .env.")}}, 2, "it did not come up", 9),
        ({"smoked": {"bot": Verdict.FAIL}, "up": {"web": SettingsError("no .env.")}}, 1, DOES_NOT_PASS, 8),
    ],
)
def test_an_app_that_does_not_come_through_does_not_stop_the_others(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcomes: dict[str, Any],
    code: int,
    reason: str,
    steps: int,
) -> None:
    ended, tried = day(tmp_path, monkeypatch, **outcomes)
    assert (ended, len(tried)) == (code, steps)
    assert {"build web", "smoke web", "up web", "up api"} <= set(tried)
    said = capsys.readouterr().out
    assert said.count("Not done") == bool(reason)
    if reason:
        assert f"    bot: {reason}" in said[said.index("Not done") :]
        assert "invoke ps --app api" in said


@pytest.mark.parametrize(
    ("repair", "trust", "smoked", "said"),
    [
        (True, "project", {"bot": Verdict.FAIL}, "The settings are not as init would write them: nothing is changed."),
        (True, "none", {"bot": Verdict.FAIL}, "The project is not trusted: nothing is changed."),
        (True, "project", {}, ""),
        (False, "project", {"bot": Verdict.FAIL}, ""),
    ],
)
def test_a_repair_that_is_asked_for_and_not_made_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    repair: bool,
    trust: str,
    smoked: dict[str, Verdict],
    said: str,
) -> None:
    monkeypatch.setenv("SEATRIAL_TRUST", trust)
    day(tmp_path, monkeypatch, smoked=smoked, repair=repair)
    written = capsys.readouterr()
    told = written.out + written.err
    assert told.count(said or "nothing is changed") == bool(said)


def test_nothing_goes_on_without_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError):
        day(tmp_path, monkeypatch, build={"api": EngineError("it went away.")})
