"""`target`: the stage of a Dockerfile that is built, and everything that reads "the last stage"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.unit.factories import facts, host
from tests.unit.source_factories import sources

from seatrial.checks import registry
from seatrial.checks.model import Status
from seatrial.checks.places import place
from seatrial.checks.verdict import judge
from seatrial.dockerfile import DockerfileError, bases, for_target, parse, secret_mounts
from seatrial.errors import BuildError, SettingsError
from seatrial.facts import DockerfileSource, Lint, LintFinding, Sources
from seatrial.images.plan import plan_build, plan_matrix
from seatrial.images.provenance import wanted_arguments
from seatrial.observe.project.declared import read_project_facts
from seatrial.reports.build import plan_lines
from seatrial.settings.model import Contract
from seatrial.settings.read import Project, read_project
from seatrial.smoke import app_target

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.checks.model import Result

TEXT = """\
FROM python:3.13-slim AS base
RUN pip install -r requirements.txt
FROM base AS Production
ARG REVISION
LABEL org.opencontainers.image.revision=$REVISION
USER app
CMD ["shop"]
FROM base AS dev
RUN --mount=type=secret,id=netrc,target=/root/.netrc pip install -r dev.txt
COPY --from=tools:1 /x /x
FROM python:latest AS docs
ARG OTHER
LABEL org.opencontainers.image.revision=$OTHER
ENV API_TOKEN=abc
RUN pip install sphinx
CMD ["docs"]
"""
CHECKS = {check.id: check for check in registry.CHECKS}


def of(target: str | None, text: str = TEXT) -> DockerfileSource:
    parsed = for_target(parse(text), target, {})
    return DockerfileSource(path="Dockerfile", parsed=parsed, bases=bases(parsed, {}, {}))


def seen(target: str | None) -> Sources:
    return sources(dockerfile=of(target))


def judged(check: str, target: str | None) -> Result:
    return judge(CHECKS[check], facts(sources=seen(target)), Contract())


def test_a_build_needs_the_stages_of_its_target_alone() -> None:
    assert [base.reference for base in of("production").bases] == ["python:3.13-slim"]
    assert [base.reference for base in of("DEV").bases] == ["python:3.13-slim", "tools:1"]
    assert [base.reference for base in of(None).bases] == ["python:latest"]
    assert secret_mounts(of("production").parsed, {}) == ()
    assert [mount.id for mount in secret_mounts(of("dev").parsed, {})] == ["netrc"]


def test_a_target_may_take_from_a_stage_that_is_written_later() -> None:
    text = "FROM a:1 AS app\nCOPY --from=assets /x /x\nFROM b:1 AS unused\nFROM c:1 AS assets\n"
    found = of("app", text)
    assert [base.reference for base in found.bases] == ["a:1", "c:1"]
    assert [stage.name for stage in found.parsed.built] == ["app", "assets"]


def test_a_stage_that_the_platform_chooses_is_not_left_out() -> None:
    text = "FROM a:1 AS base-amd64\nFROM b:1 AS base-arm64\nFROM base-${TARGETARCH} AS app\nFROM c:1 AS dev\n"
    parsed = of("app", text).parsed
    assert (parsed.left_out, parsed.final) == ((), parsed.stages[2])


def test_without_a_target_the_last_stage_is_built_and_all_are_looked_at() -> None:
    parsed = of(None).parsed
    assert (parsed.final, parsed.built) == (parsed.stages[-1], parsed.stages)
    assert parse("# nothing\n").final is None


@pytest.mark.parametrize(
    ("target", "text", "says", "fix"),
    [
        (
            "prodution",
            TEXT,
            "'prodution'; its stages: base (line 1), production (line 3), dev (line 8), docs (line 11)",
            "Did you mean 'production'?",
        ),
        (
            "prod",
            "FROM a\nFROM b\n",
            "its stages: one without a name (line 1), one without a name (line 2)",
            "AS prod`",
        ),
        ("0", "FROM a AS x\n", "no stage is called '0'; its stages: x (line 1)", "Known: x."),
        ("prod", "# nothing\n", "no stage is called 'prod'; its stages: none", "Name one"),
        (
            "prod",
            "FROM a AS prod\nRUN x\nFROM b AS PROD\n",
            "'prod' is there 2 times (lines 1, 3)",
            "a name of its own",
        ),
        ("prod", "FROM a AS\n", "no stage is called 'prod'; its stages: one without a name (line 1)", "Name one"),
    ],
)
def test_a_stage_that_is_not_there_or_not_the_only_one(target: str, text: str, says: str, fix: str) -> None:
    with pytest.raises(DockerfileError) as raised:
        for_target(parse(text), target, {})
    assert says in str(raised.value)
    assert fix in raised.value.fix


def test_two_stages_of_one_name_are_no_error_where_another_is_built() -> None:
    assert of("app", "FROM a AS x\nFROM b AS x\nFROM c AS app\n").parsed.target == 2


def project(folder: Path, target: str, text: str = TEXT) -> Project:
    (folder / "Dockerfile").write_text(text)
    (folder / "pyproject.toml").write_text(f"[tool.seatrial.apps.shop]\ntarget = {target}\n")
    return read_project(folder)


def test_a_plan_names_the_stage(tmp_path: Path) -> None:
    plan = plan_build(project(tmp_path, '"Production"'), "shop")
    assert plan.target == "Production"
    assert "  stage Production" in plan_lines([plan], by="x")


def test_a_target_that_is_not_there_is_one_error_before_the_build(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as raised:
        plan_build(project(tmp_path, '"prodution"'), "shop")
    assert raised.value.where == "Dockerfile"
    assert "production (line 3)" in raised.value.what
    assert (
        raised.value.fix
        == "Did you mean 'production'? `target` in [tool.seatrial.apps.shop] of pyproject.toml names it."
    )


@pytest.mark.parametrize("target", ['""', '"two words"', '"-x"', "1", '"a\\n"'])
def test_what_is_no_name_of_a_stage_is_refused_with_its_line(tmp_path: Path, target: str) -> None:
    with pytest.raises(SettingsError) as raised:
        project(tmp_path, target)
    assert f"{tmp_path / 'pyproject.toml'}:2: tool.seatrial.apps.shop.target" in raised.value.where


def test_labels_are_those_of_the_target() -> None:
    assert wanted_arguments(of("production").parsed) == {"REVISION": "revision"}
    assert wanted_arguments(of("docs").parsed) == wanted_arguments(of(None).parsed) == {"OTHER": "revision"}


def test_a_finding_names_a_line_of_the_targets_stages() -> None:
    production = facts(sources=seen("production"))
    assert place("process/command-resolves", "no program 'shop'", production) == "Dockerfile:7"
    assert place("packages/forbidden", "requirements", production) == "Dockerfile:2"
    assert place("health/declared", "no HEALTHCHECK", production) == "Dockerfile:3"
    assert place("process/command-resolves", "no program 'docs'", facts(sources=seen(None))) == "Dockerfile:16"


@pytest.mark.parametrize(
    ("check", "docs"),
    [
        ("dockerfile/secret-mounts", "line 14"),
        ("dockerfile/locked-install", "sphinx"),
        ("dockerfile/base-pinned", "line 11"),
    ],
)
def test_what_another_stage_does_is_no_finding_of_the_target(check: str, docs: str) -> None:
    assert docs in judged(check, None).actual
    assert docs not in judged(check, "production").actual
    assert docs in judged(check, "docs").actual
    assert judged("dockerfile/base-pinned", "production").status is Status.PASS


def test_a_finding_of_hadolint_in_a_stage_that_is_not_built_is_set_aside() -> None:
    rows = [LintFinding(rule="DL3059", level="warning", line=line, message="x") for line in (2, 9, 15)]
    found = msgspec.structs.replace(seen("production"), lint=Lint(findings=tuple(rows)))
    result = judge(CHECKS["dockerfile/lint"], facts(sources=found), Contract())
    assert result.actual == "line 2: DL3059 x"
    assert "Dockerfile:15 DL3059 set aside: its stage is not needed for the target" in result.evidence


def test_requirement_files_are_those_of_the_targets_commands(tmp_path: Path) -> None:
    project(
        tmp_path, '"production"', TEXT.replace("RUN pip install -r requirements.txt", "RUN pip install -r prod.txt")
    )
    for name in ("prod", "dev"):
        (tmp_path / f"{name}.txt").write_text(f"{name}-package==1\n")
    text = "FROM a AS production\nRUN pip install -r prod.txt\nFROM a AS dev\nRUN pip install -r dev.txt\n"
    (tmp_path / "Dockerfile").write_text(text)
    assert read_project_facts(tmp_path, tmp_path / "Dockerfile", {}).dependencies == ("dev-package==1",)
    assert read_project_facts(tmp_path, tmp_path / "Dockerfile", {}, "production").dependencies == ("prod-package==1",)
    target = app_target(read_project(tmp_path), "shop", host=host(tmp_path))
    assert target.project.dependencies == ("prod-package==1",)
    assert target.sources is not None
    assert target.sources.target == "production"


def test_apps_that_differ_in_their_command_are_one_build(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(TEXT)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.seatrial.apps.api]\nimage = "shop"\ntarget = "production"\n'
        '[tool.seatrial.apps.worker]\nimage = "shop"\ntarget = "production"\ncommand = ["celery"]\n'
        '[tool.seatrial.apps.tools]\nimage = "shop"\ntarget = "dev"\n'
    )
    found = read_project(tmp_path)
    assert [plan.app for plan in plan_matrix(found, ["api", "worker", "tools"])] == ["api", "tools"]
    (worker,) = plan_matrix(found, ["worker"])
    # The same image, whichever of them it is built for.
    assert worker.labels == plan_build(found, "api").labels == {"seatrial.app": "api"}
    assert plan_build(found, "tools").labels == {"seatrial.app": "tools"}
