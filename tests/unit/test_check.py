"""Checks of sources alone: what is judged for which files, what is left for a smoke, and what it costs."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.unit.factories import host
from tests.unit.test_source_facts import VERSION, fake_compose, write

from seatrial import process
from seatrial.adopt.dockerfiles import is_dockerfile
from seatrial.adopt.stacks import NAMED
from seatrial.checks.model import Severity, Status
from seatrial.checks.registry import CHECKS
from seatrial.checks.verdict import Verdict
from seatrial.cli.check import words_of
from seatrial.engine import programs
from seatrial.errors import SettingsError
from seatrial.facts import Lint
from seatrial.reports.write import ENDINGS
from seatrial.settings.read import read_project
from seatrial.smoke import sources
from seatrial.smoke.baseline import NAME, BaselineFile, open_baseline
from seatrial.smoke.sources import check_sources
from seatrial.trust import Trust

if TYPE_CHECKING:
    from seatrial.checks.verdict import Smoke

ROOT = Path(__file__).parents[2]
CLEAN = "FROM python:3.13-slim\nWORKDIR /app\nCOPY src src\nUSER 10001\n"
LEAKS = "FROM python:3.13-slim\nENV API_TOKEN=ghp_0123456789abcdefghijABCDEFGHIJ456789\n"
COMPOSE = "services:\n  api:\n    image: shop\n    environment:\n      A: ${A}\n"
SETTINGS = """
[tool.seatrial.apps.api]
dockerfile = "docker/api/Dockerfile"
compose = "deploy/stack.yaml"
[tool.seatrial.apps.worker]
context = "worker"
[tool.seatrial.apps.worker.contract]
waive = { "dockerfile/base-pinned" = "a test" }
"""
PROJECT = {
    "pyproject.toml": SETTINGS,
    "docker/api/Dockerfile": CLEAN,
    "docker/Dockerfile.tools": CLEAN,
    "deploy/stack.yaml": COMPOSE,
    "compose.yaml": COMPOSE,
    "worker/Dockerfile": "FROM python\n",
    "worker/requirements.txt": "flask==3\n",
    "worker/notes.txt": "",
}


@pytest.fixture(autouse=True)
def no_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PLUGIN_FOLDERS", ())


def checked(folder: Path, *files: str, trust: Trust = Trust.PROJECT, **options: object) -> dict[str, Smoke]:
    there = (folder / "pyproject.toml").exists()
    smoked = check_sources(
        read_project(folder) if there else None,
        folder,
        replace(host(folder, PATH="/nowhere"), trust=trust),
        files=[folder / file for file in files],
        **options,  # type: ignore[arg-type]
    )
    assert not smoked.problems
    return {smoke.image: smoke for smoke in smoked.smokes}


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ([], "api worker"),
        (["docker/api/Dockerfile"], "api"),
        (["deploy/stack.yaml", "deploy/.env.example"], "api"),
        (["pyproject.toml"], "api worker"),
        (["worker/requirements.txt"], "api worker"),
        (["docker/Dockerfile.tools", "compose.yaml"], "compose.yaml docker/Dockerfile.tools"),
        (["docker", "worker/Dockerfile"], "api docker/Dockerfile.tools worker"),
        (["worker/notes.txt", "docker/api/Dockerfile"], "api"),
    ],
)
def test_files_restrict_a_check_to_what_they_concern(tmp_path: Path, files: list[str], names: str) -> None:
    write(tmp_path, {**PROJECT, "deploy/.env.example": "A=\n"})
    assert sorted(checked(tmp_path, *files)) == names.split()


def test_without_settings_all_that_is_found_is_judged_by_itself(tmp_path: Path) -> None:
    ours = ["Dockerfile", "api.Dockerfile", "b/Containerfile", ".docker/Dockerfile.prod", "b/docker-compose.prod.yml"]
    others = ["Dockerfile.md", "a/Dockerfile.j2", "node_modules/x/Dockerfile", ".git/Dockerfile", "composer.json"]
    write(tmp_path, {name: COMPOSE if name.endswith(("yml", "yaml")) else CLEAN for name in (*ours, *others)})
    (tmp_path / "leads").mkdir()
    (tmp_path / "leads" / "Dockerfile").symlink_to(ROOT / "docker" / "weather-agent" / "Dockerfile")
    assert sorted(checked(tmp_path)) == sorted(ours)


def test_a_compose_file_is_judged_with_what_it_is_the_main_file_of(tmp_path: Path) -> None:
    services = "services:\n  api:\n    build: {context: svc, dockerfile: ../d/api.Dockerfile, target: run}\n"
    write(tmp_path, {"compose.yaml": services, "compose.override.yaml": "services:\n  api:\n    ports: [80:80]\n"})
    write(tmp_path, {"ci/compose-notes.yaml": "a: 1\n", "ci/compose-broken.yaml": "services: [\n", "svc/a.py": ""})
    write(tmp_path, {"d/api.Dockerfile": "FROM python:3.13 AS run\nCOPY . .\nFROM run\nCOPY .netrc /\n"})
    assert list(checked(tmp_path, "compose.override.yaml")) == ["compose.yaml"]
    found = checked(tmp_path)
    assert sorted(found) == ["ci/compose-broken.yaml", "compose.yaml", "d/api.Dockerfile"]
    assert found["ci/compose-broken.yaml"].verdict is Verdict.ERROR
    of_dockerfile = {result.id: result for result in found["d/api.Dockerfile"].checks}
    assert "in 1 file" in of_dockerfile["context/size"].actual, "the context is that of the service"
    assert of_dockerfile["dockerfile/secret-mounts"].status is Status.PASS, "so is the stage"


@pytest.mark.parametrize(("name", "verdict"), [("compose.tls.yaml", Verdict.PASS), ("compose.yaml", Verdict.ERROR)])
def test_a_part_of_a_compose_file_is_judged_by_its_text(tmp_path: Path, name: str, verdict: Verdict) -> None:
    fake_compose(tmp_path, f"{VERSION}sys.exit('service \"api\" has neither an image nor a build context specified')")
    write(tmp_path, {f"p/{name}": COMPOSE})
    assert checked(tmp_path, f"p/{name}")[f"p/{name}"].verdict is verdict


@pytest.mark.parametrize(("file", "said"), [("nope", "does not exist"), ("README.md", "nothing to check")])
def test_a_name_that_checks_nothing_is_told(tmp_path: Path, file: str, said: str) -> None:
    write(tmp_path, {"README.md": "", "Dockerfile": CLEAN})
    with pytest.raises(SettingsError, match=said):
        checked(tmp_path, file)


def test_an_empty_folder_is_told_and_an_ignore_file_leads_to_its_dockerfile(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no Dockerfile and no compose file"):
        checked(tmp_path)
    write(tmp_path, {".dockerignore": "x\n"})
    assert checked(tmp_path, ".dockerignore") == {}, "the Dockerfile that it is for lies in another folder"
    write(tmp_path, {"Dockerfile": CLEAN, "b/x.Dockerfile": CLEAN, "b/x.Dockerfile.dockerignore": ""})
    assert list(checked(tmp_path, ".dockerignore", "b/x.Dockerfile.dockerignore")) == ["Dockerfile", "b/x.Dockerfile"]


def test_a_contract_holds_and_each_check_is_made_or_counted(tmp_path: Path) -> None:
    write(tmp_path, PROJECT)
    worker = checked(tmp_path, app="worker")["worker"]
    assert {result.id: result.status for result in worker.checks}["dockerfile/base-pinned"] is Status.WAIVED
    left = next(int(note.split()[0]) for note in worker.notes if "need an image" in note)
    compose = [check for check in CHECKS if check.family == "compose"]
    assert left + len(worker.checks) == len(CHECKS)
    assert {check.id for check in compose} <= {result.id for result in worker.checks if result.status is Status.SKIP}
    alone = checked(tmp_path, "docker/Dockerfile.tools")["docker/Dockerfile.tools"]
    assert left + len(alone.checks) + len(compose) == len(CHECKS)


def test_the_verdict_is_a_smokes(tmp_path: Path) -> None:
    write(tmp_path, {"Dockerfile": CLEAN, "leaks.Dockerfile": LEAKS, "new.Dockerfile": "FROM python\n"})
    found = checked(tmp_path)
    verdicts = {name: smoke.verdict for name, smoke in found.items()}
    assert verdicts == {"Dockerfile": Verdict.PASS, "leaks.Dockerfile": Verdict.FAIL, "new.Dockerfile": Verdict.PASS}
    assert checked(tmp_path, "new.Dockerfile", fail_on=Severity.WARNING)["new.Dockerfile"].verdict is Verdict.FAIL
    assert "ghp_" not in str(found["leaks.Dockerfile"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Dockerfile has no FROM"),
        ("FROM a:1\nRUN \\\n  x\nCOPPY a b\n", "Dockerfile:4: unknown instruction COPPY"),
        ("FROM a:1\nRUN <<EOF\nx\n", "Dockerfile:2: the heredoc EOF has no end"),
        ("FROM a:1\nRUN <<X\nCOPPY\nX\n", ""),
        ("# syntax=example/other\nFROM a:1\nINCLUDE b\n", ""),
    ],
)
def test_what_no_build_takes_is_undecided(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, {"Dockerfile": text})
    smoke = checked(tmp_path)["Dockerfile"]
    undecided = {result.actual for result in smoke.checks if result.status is Status.ERROR}
    assert undecided == ({f"could not be decided: {said}"} if said else set())
    assert smoke.verdict is (Verdict.ERROR if said else Verdict.PASS)


@pytest.mark.parametrize(
    "text",
    ["RUN x\nFROM a:1\n", "FROM a:1 AS b\nCOPY --from=b x y\n", "FROM a:1\nONBUILD FROM b\n"],
)
def test_what_hadolint_knows_that_no_build_takes_is_an_error(tmp_path: Path, text: str) -> None:
    write(tmp_path, {"Dockerfile": text})
    assert checked(tmp_path)["Dockerfile"].verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("dockerfile", "copies", "context"),
    [
        ("docker/a/Dockerfile", "src/app.py", "."),
        ("svc/Dockerfile", "main.py", "svc"),
        ("svc/Dockerfile", ".", "svc"),
        ("docker/a/Dockerfile", ".", "."),
        ("svc/Dockerfile", "svc/main.py src", "."),
        ("svc/docker/Dockerfile", "main.py", "svc"),
    ],
)
def test_the_context_is_the_folder_that_holds_what_is_copied(
    tmp_path: Path, dockerfile: str, copies: str, context: str
) -> None:
    top = {"pyproject.toml": "", "src/app.py": "", "svc/main.py": "", "svc/requirements.txt": ""}
    write(tmp_path, {**top, dockerfile: f"FROM python:3.13-slim\nCOPY {copies} /app/\n"})
    (size,) = [result for result in checked(tmp_path)[dockerfile].checks if result.id == "context/size"]
    inside = tmp_path / context
    assert f"in {sum(file.is_file() for file in inside.rglob('*'))} file" in size.actual


def test_without_compose_the_text_is_judged_and_the_rest_is_counted(tmp_path: Path) -> None:
    write(tmp_path, {"compose.yaml": COMPOSE})
    smoke = checked(tmp_path)["compose.yaml"]
    statuses = {result.id: result.status for result in smoke.checks}
    assert (statuses["compose/environment"], statuses["compose/secrets"]) == (Status.FAIL, Status.PASS)
    assert (statuses["compose/ports"], smoke.verdict) == (Status.SKIP, Verdict.PASS)
    skipped = sum(status is Status.SKIP for status in statuses.values())
    assert smoke.notes == (f"{skipped} checks of the compose file need docker compose, which is not installed",)


def test_with_compose_what_needs_an_image_is_counted_and_no_pass(tmp_path: Path) -> None:
    model = {"api": {"image": "shop", "command": ["x"], "volumes": [{"type": "volume", "source": "a", "target": "/a"}]}}
    fake_compose(tmp_path, f"{VERSION}print(json.dumps({{'services': {model}}}))")
    write(tmp_path, {"p/compose.yaml": COMPOSE})
    smoke = checked(tmp_path, "p/compose.yaml")["p/compose.yaml"]
    statuses = {result.id: result.status for result in smoke.checks}
    assert statuses["compose/hardening"] is not Status.SKIP
    assert [statuses[f"compose/{name}"] for name in ("command", "mounts", "volumes")] == [Status.SKIP] * 3
    assert smoke.notes == ("3 checks more need an image: `seatrial smoke` makes them",)


def test_a_project_that_is_not_trusted_gets_nothing_of_the_host(tmp_path: Path) -> None:
    fake_compose(tmp_path / "p", f"{VERSION}open('{tmp_path}/asked', 'w')")
    (tmp_path / "key").write_text(LEAKS)
    reaches = "services:\n  api:\n    image: a\n    env_file: ../../key\n"
    write(tmp_path, {"p/compose.yaml": reaches, "p/.hadolint.yaml": "ignored: [DL3064]\n", "p/Dockerfile": LEAKS})
    (tmp_path / "p" / "a.Dockerfile").symlink_to(tmp_path / "key")
    found = checked(tmp_path / "p", trust=Trust.NONE)
    assert sorted(found) == ["Dockerfile", "compose.yaml"]
    assert "DL3064" in str(found["Dockerfile"])
    assert found["compose.yaml"].verdict is Verdict.ERROR
    assert not (tmp_path / "asked").exists()


def test_what_compose_refuses_is_undecided(tmp_path: Path) -> None:
    fake_compose(tmp_path, f"{VERSION}sys.exit('services.api Additional property imagee is not allowed')")
    write(tmp_path, {"p/compose.yaml": COMPOSE})
    smoke = checked(tmp_path, "p/compose.yaml")["p/compose.yaml"]
    assert smoke.verdict is Verdict.ERROR
    assert any("imagee is not allowed" in result.actual for result in smoke.checks)


# --- the command ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("seatrial check", []),
        ("seatrial check a b/c", ["a", "b/c"]),
        ("invoke check --app x a --fail-on=note b -v c", ["a", "b", "c"]),
        ("seatrial check a -- b", ["a"]),
        ("seatrial --list", []),
    ],
)
def test_all_words_but_options_are_files(line: str, words: list[str]) -> None:
    assert words_of("check", line.split(), ["--app", "--fail-on"]) == words


def run(folder: Path, *words: str) -> process.Completed:
    program = [sys.executable, "-m", "seatrial", "check", *words]
    return process.run(program, timeout=60, folder=folder, environment=os.environ, check=False)


def test_the_command_takes_files_and_says_how_it_ended(tmp_path: Path) -> None:
    write(tmp_path, {"Dockerfile": CLEAN, "leaks.Dockerfile": LEAKS, "build": "FROM a:1\n", "x.md": ""})
    done = run(tmp_path, "Dockerfile", "--fail-on", "error", "leaks.Dockerfile", "x.md")
    assert done.code == 1
    assert "Check of Dockerfile" in done.output
    assert "FAIL  leaks.Dockerfile: 1 error" in done.output
    assert "x.md is not checked" in done.errors
    assert run(tmp_path, "Dockerfile").code == 0
    assert run(tmp_path, "build").code == 2, "a file by the name of a command"


def test_each_format_of_a_smoke_is_written(tmp_path: Path) -> None:
    write(tmp_path, {"Dockerfile": LEAKS})
    files = [f"r{ending}" for ending in ENDINGS if ending.startswith(".")]
    assert run(tmp_path, *(f"--also={file}" for file in files), "--format=json").code == 1
    assert all((tmp_path / file).stat().st_size for file in files)
    (ran,) = json.loads((tmp_path / "r.sarif").read_text())["runs"]
    places = {
        place["physicalLocation"]["artifactLocation"]["uri"] for row in ran["results"] for place in row["locations"]
    }
    assert "Dockerfile" in places


def test_a_check_of_an_app_takes_a_second_at_most() -> None:
    # Of processor time, hadolint's and compose's included: the machine may be busy.
    took = []
    for _ in range(3):
        before = sum(os.times()[:4])
        assert run(ROOT, "docker/course-supporter/Dockerfile").code == 0
        took.append(sum(os.times()[:4]) - before)
    assert min(took) <= 1.0, took


def test_files_are_judged_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {f"{number}.Dockerfile": CLEAN for number in range(4)})

    def slow(*_: object) -> Lint:
        time.sleep(0.5)
        return Lint()

    monkeypatch.setattr(sources, "run_lint", slow)
    started = time.monotonic()
    assert len(checked(tmp_path)) == 4
    assert time.monotonic() - started < 1.5


# --- the pre-commit hook ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "taken"),
    [
        *((name, True) for name in ("Dockerfile", "a/b.Dockerfile", "Dockerfile.prod", "docker/Containerfile")),
        *((name, True) for name in ("compose.yaml", "a/docker-compose.prod.yml", "b.Dockerfile.dockerignore")),
        *((name, True) for name in ("x-dockerfile", ".dockerignore")),
        *((name, False) for name in ("Dockerfile.md", "Dockerfile.j2", "composer.yaml", "a.yaml", "Dockerfiles/a.py")),
    ],
)
def test_the_hook_is_handed_the_files_that_a_check_looks_for(file: str, *, taken: bool) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    # As pre-commit does.
    chosen = bool(re.search(hook["files"], file)) and not re.search(hook["exclude"], file)
    assert chosen is taken
    name = file.removesuffix(".dockerignore")
    assert chosen is (is_dockerfile(name) or NAMED.fullmatch(Path(name).name) is not None or not name)


def test_what_a_baseline_knows_of_an_app_is_excused_without_an_image_too(tmp_path: Path) -> None:
    write(tmp_path, {**PROJECT, "docker/api/Dockerfile": LEAKS})
    known = BaselineFile(file=tmp_path / NAME, update=True)
    failing = checked(tmp_path)["api"]
    assert failing.verdict is Verdict.FAIL
    assert checked(tmp_path, baseline=known)["api"].verdict is Verdict.PASS
    known.write(lambda _: None)
    write(tmp_path, {"docker/api/Dockerfile": LEAKS.replace("ENV", "\nENV OTHER_TOKEN=ghp_012\nENV")})
    read = open_baseline(tmp_path / NAME, trust=Trust.PROJECT, folder=tmp_path)
    (told,) = [made for made in checked(tmp_path, baseline=read)["api"].checks if made.baseline == "new"]
    assert told.id == "dockerfile/secret-mounts"
    assert "OTHER_TOKEN" in told.actual
    assert "API_TOKEN" not in told.actual
