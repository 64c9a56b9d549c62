"""Several smokes in one go: what finished is reported, whatever happens to the others."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.factories import host
from tests.unit.samples import result, smoke

from seatrial.checks.model import Level, Status
from seatrial.checks.verdict import Verdict
from seatrial.cli import smoke as command
from seatrial.errors import EngineError, ExitCode, ImageError, SeatrialError, StackError, StackLeftError
from seatrial.facts import ProjectFacts
from seatrial.reports.write import planned
from seatrial.settings.model import Contract
from seatrial.settings.read import read_project
from seatrial.smoke import Smoked, StructureTests, Target, images, smoke_images, stacks
from seatrial.smoke.images import each

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.checks.verdict import Smoke

GONE: Any = None
"""An engine that nothing asks."""


def passing(name: str) -> Smoke:
    return smoke(result(Status.PASS), verdict=Verdict.PASS, image=name)


def failing(name: str) -> Smoke:
    return smoke(result(Status.FAIL), image=name)


def run(outcome: Smoke | Exception) -> Smoke:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def ran(*outcomes: Smoke | Exception) -> Smoked:
    return each([(f"image-{number}", partial(run, outcome)) for number, outcome in enumerate(outcomes)])


def target(name: str, **more: Any) -> Target:
    known: dict[str, Any] = {"contract": Contract(), "project": ProjectFacts()}
    return Target(reference=name, **(known | more))


def test_an_image_that_is_missing_does_not_lose_the_others() -> None:
    smoked = ran(ImageError("one is missing."), passing("a"), StackError("no."), passing("b"))
    assert [made.image for made in smoked.smokes] == ["a", "b"]
    assert [problem.what for problem in smoked.problems] == ["one is missing.", "no."]


def test_an_engine_that_went_away_ends_it_and_names_what_was_not_smoked() -> None:
    smoked = ran(passing("a"), EngineError("it went away."), passing("b"), passing("c"))
    assert [made.image for made in smoked.smokes] == ["a"]
    assert [problem.what for problem in smoked.problems] == [
        "it went away.",
        "not smoked after that: image-2, image-3.",
    ]
    assert [problem.what for problem in ran(passing("a"), EngineError("late.")).problems] == ["late."]


def test_an_interrupt_ends_it_and_is_the_exit_code() -> None:
    smoked = ran(failing("a"), StackLeftError("interrupted again."), passing("b"))
    assert [made.image for made in smoked.smokes] == ["a"]
    assert [problem.what for problem in smoked.problems] == ["interrupted again.", "not smoked after that: image-2."]
    assert smoked.exit_code is ExitCode.INTERRUPTED


def test_a_bug_is_not_taken_for_a_problem() -> None:
    with pytest.raises(KeyError):
        ran(passing("a"), KeyError("x"))


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ((passing("a"),), ExitCode.OK),
        ((passing("a"), failing("b")), ExitCode.FAILED),
        ((passing("a"), EngineError("gone.")), ExitCode.UNDECIDED),
        ((failing("a"), EngineError("gone.")), ExitCode.FAILED),
        ((ImageError("missing."),), ExitCode.UNDECIDED),
        ((), ExitCode.UNDECIDED),
    ],
)
def test_a_failure_counts_most_and_what_did_not_finish_is_no_pass(
    outcomes: tuple[Smoke | Exception, ...], code: ExitCode
) -> None:
    assert ran(*outcomes).exit_code is code


# --- images -------------------------------------------------------------------------------------------------


def observing(outcomes: dict[str, Smoke | SeatrialError], seen: list[str]) -> Callable[..., Any]:
    def one(target: Target, _engine: object, *, level: Level, say: Callable[[str], None]) -> tuple[Smoke, None]:
        say(f"probing at {level}")
        seen.append(target.reference)
        return run(outcomes[target.reference]), None

    return one


def test_each_image_is_smoked_and_says_what_it_is_at(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    said: list[str] = []
    monkeypatch.setattr(images, "smoke", observing({"a": passing("a"), "b": failing("b")}, seen))
    smoked = smoke_images([target("a"), target("b"), target("a")], GONE, level=Level.QUICK, say=said.append)
    assert seen == ["a", "b", "a"], "the same image by another contract is another smoke"
    assert [made.verdict for made in smoked.smokes] == [Verdict.PASS, Verdict.FAIL, Verdict.PASS]
    assert said == ["a: probing at quick", "b: probing at quick", "a: probing at quick"]


@pytest.mark.parametrize(
    ("more", "fix"),
    [
        ({"app": "api"}, "Build it: `invoke build --app api`."),
        ({"app": "api", "contract": Contract(python="3.13")}, "Build it: `invoke build --app api --python 3.13`."),
        ({}, "Pull it."),
    ],
)
def test_an_apps_image_that_is_missing_names_the_command_that_builds_it(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], fix: str
) -> None:
    monkeypatch.setattr(images, "smoke", observing({"a": ImageError("is missing.", fix="Pull it.")}, []))
    (problem,) = smoke_images([target("a", **more)], GONE, level=Level.QUICK).problems
    assert problem.fix == fix


def test_structure_tests_alone_or_beside_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def prove(files: object, reference: str, *_: object, environment: object, folder: Path, **__: object) -> Smoke:
        assert (files, environment, folder) == ({}, {"A": "1"}, Path("/x"))
        return smoke(result(Status.FAIL, "structure/command"), image=reference)

    monkeypatch.setattr("seatrial.structure.run.prove", prove)
    monkeypatch.setattr(images, "smoke", observing({"a": passing("a")}, seen))
    tests = StructureTests(files={}, environment={"A": "1"}, folder=Path("/x"))
    (alone,) = smoke_images([target("a")], GONE, level=None, tests=tests).smokes
    assert (seen, [check.id for check in alone.checks]) == ([], ["structure/command"])
    (both,) = smoke_images([target("a")], GONE, level=Level.QUICK, tests=tests).smokes
    assert [check.id for check in both.checks] == ["app/imports", "structure/command"]
    assert both.verdict is Verdict.FAIL


def test_the_reports_of_what_finished_are_written_and_the_error_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    smoked = ran(passing("a"), EngineError("it went away.", detail="its last words"))
    file = tmp_path / "r.json"
    code = command.finish(smoked, planned("json", None, [str(file)]), verbose=False)
    out, said = capsys.readouterr()
    assert code is ExitCode.UNDECIDED
    assert json.loads(out)["image"] == "a"
    assert file.read_text(encoding="utf-8") == out
    assert said == "error: it went away.\n  its last words\n"


# --- apps with their services -------------------------------------------------------------------------------

APPS = """
[tool.seatrial.apps.api]
compose = "compose.yaml"
contract = { stack = { ready = "/ready" } }
[tool.seatrial.apps.shop]
compose = "compose.yaml"
[tool.seatrial.apps.job]
contract = { stack = { ready = "/ready" } }
"""


def test_the_apps_that_a_stack_smoke_is_about(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(APPS, encoding="utf-8")
    assert stacks.apps_with_stack_contract(read_project(tmp_path)) == ["api"]


def test_a_stack_that_cannot_be_tried_does_not_lose_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text(APPS, encoding="utf-8")
    said: list[str] = []

    def planned_stack(_project: object, name: str, **_: object) -> Any:
        if name == "shop":
            raise EngineError("it went away.")
        return SimpleNamespace(image="api:other", compose=SimpleNamespace(document={}))

    monkeypatch.setattr(stacks, "app_target", lambda _project, name, _python, **_: target(f"{name}:latest", app=name))
    monkeypatch.setattr(stacks, "plan_isolated", planned_stack)
    monkeypatch.setattr(stacks, "try_stack", lambda trial: trial.observer.show((), 2.0))
    monkeypatch.setattr(stacks, "judge_stack", lambda target, *_, **__: passing(target.reference))
    smoked = stacks.smoke_stacks(
        read_project(tmp_path),
        ["api", "shop", "job"],
        GONE,
        host(tmp_path),
        level=Level.STANDARD,
        say=said.append,
        status=said.append,
    )
    assert [made.image for made in smoked.smokes] == ["api:other"]
    assert [problem.what for problem in smoked.problems] == ["it went away.", "not smoked after that: job."]
    assert said == ["api: 2 s: all is up"]
    assert smoked.exit_code is ExitCode.UNDECIDED
