from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seatrial.dockerfile import parse
from seatrial.errors import BuildError, BuildFailedError, EngineError, ExitCode, SettingsError
from seatrial.images.build import BuildResult
from seatrial.images.failure import BuildEnvironment, explain
from seatrial.images.plan import BuildPlan, plan_build, plan_matrix
from seatrial.images.progress import Progress, Step, StepChanged, StepOutput, StepState
from seatrial.reports.build import BuildReport, plan_lines, show_seconds, step_line
from seatrial.settings.read import Project, read_project
from seatrial.text import plain

DOCKERFILE = "ARG PYTHON_VERSION=3.13\nFROM python:${PYTHON_VERSION}-slim\nCOPY a /a\nRUN true\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "fixed.Dockerfile").write_text("FROM python:3.13-slim\n")
    (tmp_path / "pyproject.toml").write_text("""
[tool.seatrial.apps.one]
context = "one"
pythons = ["3.13", "3.14"]
build-arguments = {EXTRA = "yes"}
[tool.seatrial.apps.fixed]
dockerfile = "fixed.Dockerfile"
image = "registry.example:5000/team/fixed"
pythons = ["3.13", "3.12"]
[tool.seatrial.apps.plain]
dockerfile = "fixed.Dockerfile"
[tool.seatrial.apps.nowhere]
context = "missing"
[tool.seatrial.apps.lost]
dockerfile = "lost.Dockerfile"
[tool.seatrial.apps.binary]
dockerfile = "binary"
[tool.seatrial.apps.Shouting]
dockerfile = "fixed.Dockerfile"
""")
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0")
    return read_project(tmp_path)


def test_the_default_python_is_also_latest(project: Project) -> None:
    plan = plan_build(project, "one")
    assert plan.tags == ("one:py3.13", "one:latest")
    assert plan.build_arguments == {"EXTRA": "yes", "PYTHON_VERSION": "3.13"}
    assert plan.labels == {"seatrial.app": "one", "seatrial.python": "3.13"}
    assert plan.dockerfile_shown == str(Path("one") / "Dockerfile")


def test_another_python_leaves_latest_alone(project: Project) -> None:
    plan = plan_build(project, "one", python="3.14")
    assert (plan.tags, plan.build_arguments["PYTHON_VERSION"]) == (("one:py3.14",), "3.14")


def test_an_app_without_pythons_is_latest_alone(project: Project) -> None:
    plan = plan_build(project, "plain", no_cache=True)
    assert (plan.tags, plan.build_arguments, plan.no_cache) == (("plain:latest",), {}, True)
    assert plan.labels == {"seatrial.app": "plain"}


def test_a_dockerfile_without_the_argument_builds_the_default_python_only(project: Project) -> None:
    assert plan_build(project, "fixed").build_arguments == {}
    assert plan_build(project, "fixed").image == "registry.example:5000/team/fixed"
    with pytest.raises(BuildError) as raised:
        plan_build(project, "fixed", python="3.12")
    assert raised.value.where == "fixed.Dockerfile"
    assert "ARG PYTHON_VERSION=3.13" in raised.value.fix


@pytest.mark.parametrize(
    ("app", "error", "where", "says"),
    [
        ("nowhere", BuildError, "missing", "build context does not exist"),
        ("lost", BuildError, "lost.Dockerfile", "no such Dockerfile"),
        ("binary", BuildError, "binary", "not a text file"),
        ("Shouting", SettingsError, "pyproject.toml [tool.seatrial.apps.Shouting]", "is not an image name"),
        ("on", SettingsError, "pyproject.toml [tool.seatrial.apps]", "no app is called 'on'"),
    ],
)
def test_what_cannot_be_planned_is_said(
    project: Project, app: str, error: type[BuildError | SettingsError], where: str, says: str
) -> None:
    with pytest.raises(error) as raised:
        plan_build(project, app)
    assert raised.value.where == where
    assert says in raised.value.what
    assert raised.value.fix
    assert raised.value.exit_code is ExitCode.UNDECIDED


def test_the_matrix_holds_every_python_or_the_default_ones(project: Project) -> None:
    names = ["one", "plain"]
    every = plan_matrix(project, names, every=True)
    assert [(plan.app, plan.python) for plan in every] == [("one", "3.13"), ("one", "3.14"), ("plain", None)]
    assert [plan.python for plan in plan_matrix(project, names)] == ["3.13", None]


def test_one_python_of_several_apps_is_built_where_it_is_declared(project: Project) -> None:
    assert [plan.app for plan in plan_matrix(project, ["one", "fixed"], python="3.14")] == ["one"]
    with pytest.raises(SettingsError, match=r"3\.15"):
        plan_matrix(project, ["one", "fixed"], python="3.15")


def test_a_dry_run_shows_the_plan(project: Project) -> None:
    lines = plan_lines([plan_build(project, "one", no_cache=True)], by="the engine's own builder")
    assert lines[0] == "Would build one for Python 3.13: one:py3.13, one:latest"
    assert lines[2] == "  with the engine's own builder"
    assert "  argument PYTHON_VERSION=3.13" in lines
    assert lines[-1] == "  without the cache"


# What went wrong, from what was said.

AROUND = BuildEnvironment(
    dockerfile="docker/Dockerfile",
    engine="Docker 1",
    data_folder=lambda: "/var/lib/docker",
    answers=lambda: True,
    syntax_left_out=None,
)


def progressed(*vertices: dict[str, Any], said: str = "") -> Progress:
    progress = Progress(parse(DOCKERFILE))
    lines = [
        json.dumps({"vertexes": [{"digest": vertice["name"], **vertice} for vertice in vertices]}),
        *said.splitlines(),
    ]
    for line in lines:
        progress.feed(f"{line}\n")
    return progress


def test_a_failed_run_names_its_code_and_line() -> None:
    error = explain(
        progressed(
            {
                "name": "[2/3] RUN true",
                "started": "2026-01-01T00:00:00Z",
                "error": 'process "/bin/sh -c true" did not complete successfully: exit code: 127',
            }
        ),
        AROUND,
    )
    assert isinstance(error, BuildFailedError)
    assert (error.exit_code, error.where) == (1, "docker/Dockerfile:4")
    assert error.what == "this step failed: RUN true (exit code 127)."


def test_a_malformed_dockerfile_is_no_failed_step() -> None:
    said = """\
two:3
--------------------
   2 |     FROM a
   3 | >>> RUNN x
   4 |
--------------------
ERROR: failed to solve: dockerfile parse error on line 3: unknown instruction: RUNN (did you mean RUN?)
"""
    error = explain(progressed(said=said), replace(AROUND, syntax_left_out="docker/dockerfile:1-labs"))
    assert isinstance(error, BuildError)
    assert error.where == "docker/Dockerfile:3"
    assert error.what == "the Dockerfile is malformed: unknown instruction: RUNN (did you mean RUN?)."
    assert "docker/dockerfile:1-labs could not be pulled" in error.fix
    assert ">>> RUNN x" in error.detail


def test_a_base_that_buildkit_could_not_get_is_named() -> None:
    failed = {
        "name": "[internal] load metadata for docker.io/a/b:1",
        "error": "failed to do request: dial tcp: lookup hub on 1.1.1.1:53: no such host",
    }
    error = explain(progressed(failed), AROUND)
    assert isinstance(error, BuildError)
    assert "docker.io/a/b:1 cannot be pulled: no registry in reach (no such host: hub)" in error.what


def test_a_full_disk_is_told_with_its_place() -> None:
    said = "ERROR: failed to solve: write /var/lib/docker/x: No space left on device"
    error = explain(progressed(said=said), AROUND)
    assert isinstance(error, BuildError)
    assert error.where == "/var/lib/docker"
    assert "docker builder prune" in error.fix


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        ("ERROR: failed to receive status: rpc error: code = Unavailable desc = error reading: EOF", True),
        ("ERROR: something else", False),
        ("", False),
    ],
)
def test_an_engine_that_went_away_is_told(said: str, answers: bool) -> None:
    error = explain(progressed(said=said), replace(AROUND, answers=lambda: answers))
    assert isinstance(error, EngineError)
    assert "stopped answering during the build" in error.what


def test_silence_is_explained_too() -> None:
    error = explain(progressed(), AROUND)
    assert (error.what, error.where) == ("buildx ended without saying why.", "docker/Dockerfile")


# What is shown.


def made_plan() -> BuildPlan:
    return BuildPlan(
        app="one", python="3.13", image="one", tags=("one:py3.13", "one:latest"), context=Path("/c"),
        dockerfile=Path("/c/Dockerfile"), dockerfile_shown="Dockerfile", build_arguments={}, labels={},
    )  # fmt: skip


def made_step(name: str, state: StepState, seconds: float = 0.0) -> Step:
    return Step(key=name, name=name, state=state, seconds=seconds)


STEPS = (
    made_step("[internal] load build definition", StepState.DONE),
    made_step("[b 1/4] FROM a:1", StepState.CACHED),
    made_step("[b 2/4] RUN pip install x", StepState.CACHED),
    made_step("[b 3/4] COPY . /src", StepState.DONE, 0.34),
    made_step("[b 4/4] RUN never needed", StepState.WAITING),
)


def shown(console: Console) -> str:
    clock = iter(range(1000))
    with BuildReport(console, clock=lambda: float(next(clock))) as report:
        report.began(made_plan())
        report.say("a: no registry \x1b[31min reach")
        running = made_step("[b 2/4] RUN pip install x", StepState.RUNNING)
        report.event(StepChanged(step=running))
        report.event(StepOutput(step=running, lines=("[bold]Collecting[/bold] x", "")))
        for step in STEPS:
            report.event(StepChanged(step=step))
            report.event(StepChanged(step=step))
        report.ended(
            BuildResult(
                plan=made_plan(), image_id="sha256:0123456789abcdef", size_bytes=123_400_000, seconds=65.2,
                steps=STEPS, substitutes={"python:3.13-slim": "seatrial-standin/python:3.13-slim"},
            )
        )  # fmt: skip
    sink = console.file
    assert isinstance(sink, io.StringIO)
    return sink.getvalue()


def test_off_a_terminal_each_step_that_ended_is_one_plain_line() -> None:
    assert (
        shown(Console(file=io.StringIO(), width=30))
        == """\
Building one for Python 3.13: one:py3.13, one:latest
a: no registry in reach
   CACHED  [b 2/4] RUN pip install x
    0.3 s  [b 3/4] COPY . /src
Built one:py3.13, one:latest (0123456789ab)
  123 MB unpacked, in 1 min 05 s, 2 of 3 steps from the cache
  on local substitutes for python:3.13-slim
"""
    )


@pytest.mark.parametrize("width", [20, 100])
def test_on_a_terminal_no_line_is_wider_than_it_and_markup_stays_text(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, height=10, force_terminal=True, no_color=True, _environ={})
    text = shown(console)
    assert "\x1b[31m" not in text
    lines = plain(text).splitlines()
    assert max(len(line) for line in lines) <= width
    assert any(line.startswith("   CACHED  [b 2/4]") for line in lines)
    assert ("…" in text) is (width == 20)


def test_a_running_step_shows_its_last_lines_as_text() -> None:
    console = Console(file=io.StringIO(), width=60, force_terminal=True, no_color=True, _environ={})
    with BuildReport(console, clock=lambda: 5.0) as report:
        report.began(made_plan())
        running = made_step("[b 2/4] RUN pip install x", StepState.RUNNING)
        report.event(StepChanged(step=running))
        report.event(StepOutput(step=running, lines=tuple(f"[b]line {n}[/b]" for n in range(9))))
        frame = report._frame()  # noqa: SLF001 - what Live would draw now
    other = Console(file=io.StringIO(), width=60)
    other.print(frame)
    lines = other.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0].endswith("0.0 s  [b 2/4] RUN pip install x")
    assert [line.strip() for line in lines[1:6]] == [f"[b]line {n}[/b]" for n in range(4, 9)]
    assert lines[6].strip() == "one for Python 3.13: 0.0 s"


def test_a_failed_step_is_marked() -> None:
    assert step_line(made_step("[2/2] RUN x", StepState.FAILED)) == "   FAILED  [2/2] RUN x"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.6, "13 s"), (59.7, "1 min 00 s"), (125, "2 min 05 s")]
)
def test_show_seconds(seconds: float, text: str) -> None:
    assert show_seconds(seconds) == text
