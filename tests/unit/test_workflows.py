"""The workflows that `init --ci` writes: held against what checks workflows, and their commands against our own."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml
from invoke.parser import Parser
from tests.unit.test_source_facts import write

from seatrial.errors import SettingsError
from seatrial.settings.read import read_project
from seatrial.tasks import ns
from seatrial.workflows import FILES, workflow

SETTINGS = '[apps.api]\npythons = ["3.13", "3.14"]\n[apps.worker]\ncontext = "w"\n'
PROJECT = {"seatrial.toml": SETTINGS, "Dockerfile": "FROM python:3.13-slim\n", "tasks.py": "import seatrial\n"}
PAIRS = [("api", "3.13"), ("api", "3.14"), ("worker", "")]
SCHEMA = "check-jsonschema --builtin-schema=vendor"
CHECKED_BY = [
    ("github", "zizmor --offline --no-progress --persona=pedantic", "persist-credentials: false"),
    ("github", "actionlint -no-color", "runs-on: ubuntu-latest"),
    ("github", f"{SCHEMA}.github-workflows", "runs-on: ubuntu-latest"),
    ("gitlab", f"{SCHEMA}.gitlab-ci --data-transform=gitlab-ci", "when: always"),
]
"""By system: what checks its workflows, and a text without which each finds something."""


class Loader(yaml.SafeLoader):
    """Reads GitLab's own tag, too."""


Loader.add_constructor("!reference", lambda *_: "")


def text(folder: Path, system: str) -> str:
    write(folder, PROJECT)
    return workflow(system, read_project(folder))


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "seatrial", "init", *words]
    return subprocess.run(
        program, cwd=folder, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize(("system", "line", "needed"), CHECKED_BY)
def test_who_checks_workflows_finds_nothing(system: str, line: str, needed: str, tmp_path: Path) -> None:
    name, *words = line.split()
    program = Path(sysconfig.get_path("scripts"), name)
    if not program.exists():
        pytest.skip(f"NOT CHECKED: {name} is not installed; its wheel is for Linux on x86-64")
    whole = text(tmp_path, system)
    for written in (whole, whole.replace(needed, "when: never-ever")):
        write(tmp_path, {FILES[system]: written})
        argv = [str(program), *words, str(tmp_path / FILES[system])]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode == 0) is (written == whole), done.stdout + done.stderr


def test_actions_are_pinned_and_jobs_may_do_the_least(tmp_path: Path) -> None:
    written = text(tmp_path, "github")
    used = re.findall(r"uses: (.+)", written)
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in used), used
    document = yaml.safe_load(written)
    assert document["permissions"] == {}
    assert document["concurrency"]
    more = {name: sorted(set(job["permissions"]) - {"contents"}) for name, job in document["jobs"].items()}
    assert more == {"sources": [], "image_smoke": [], "code_scanning": ["actions", "security-events"]}
    assert "run" not in {key for step in document["jobs"]["code_scanning"]["steps"] for key in step}
    steps = [step for job in document["jobs"].values() for step in job["steps"]]
    checkouts = [step["with"] for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts == [{"persist-credentials": False}] * 2


def lines_of(system: str, document: dict[str, Any]) -> list[str]:
    if system == "github":
        return [step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step]
    return [line for key in ("sources", "image_smoke") for line in document[key]["script"]]


@pytest.mark.parametrize("system", FILES)
def test_each_app_is_built_and_smoked_on_each_python_by_commands_that_exist(system: str, tmp_path: Path) -> None:
    document = yaml.load(text(tmp_path, system), Loader)  # noqa: S506 - a SafeLoader
    if system == "github":
        rows = [(row["app"], row["python"]) for row in document["jobs"]["image_smoke"]["strategy"]["matrix"]["include"]]
    else:
        rows = [(row["APP"], row["PYTHON"]) for row in document["image_smoke"]["parallel"]["matrix"]]
    assert rows == PAIRS
    # Invoke takes the help texts away from tasks that it was asked about once.
    contexts = copy.deepcopy(ns).to_contexts()
    ours = [line for line in lines_of(system, document) if line.startswith("seatrial")]
    assert [line.split()[1] for line in ours] == ["check", "build", "smoke"]
    for line in ours:
        for app, python in PAIRS:
            words = subprocess.run(
                ["/bin/sh", "-c", f'seatrial() {{ printf "%s\\n" "$@"; }}; {line}'],
                env={"APP": app, "PYTHON": python, "RUNNER_TEMP": "/t"},
                capture_output=True, text=True, check=True, timeout=60,
            ).stdout.splitlines()  # fmt: skip
            (parsed,) = Parser(contexts=contexts).parse_argv(words)
            given = {name: argument.value for name, argument in parsed.args.items()}
            assert words[0] == "check" or (given["app"], given["python"]) == (app, python or None)


def test_a_file_that_exists_is_left_unless_force_says_otherwise(tmp_path: Path) -> None:
    write(tmp_path, PROJECT)
    assert run(tmp_path, "--ci", "github", "--dry-run").returncode == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(PROJECT)
    assert run(tmp_path, "--ci", "github").returncode == 0
    file = tmp_path / FILES["github"]
    whole = file.read_text()
    assert whole == text(tmp_path, "github")
    assert "nothing to do" in run(tmp_path, "--ci", "github").stdout
    file.write_text("mine\n")
    left = run(tmp_path, "--ci", "github")
    assert (left.returncode, file.read_text()) == (2, "mine\n")
    assert "-mine" in left.stdout
    assert "--force" in left.stderr
    assert run(tmp_path, "--ci", "github", "--force").returncode == 0
    assert file.read_text() == whole
    assert (tmp_path / "seatrial.toml").read_text() == SETTINGS, "settings are left, --force or not"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ci", "gitlub"), "--ci 'gitlub' is not known. Did you mean 'gitlab'?"),
        (("--ci", "github"), "outside of the project"),
        (("--ci", "gitlab"), "is a folder"),
    ],
)
def test_what_cannot_be_written_is_one_line(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    project, other = tmp_path / "p", tmp_path / "other"
    write(project, PROJECT)
    other.mkdir()
    (project / ".github").symlink_to(other)
    (project / ".gitlab-ci.yml").mkdir()
    done = run(project, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(other.iterdir()) == []


def test_a_name_that_is_more_than_a_name_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"seatrial.toml": '[apps."${{ secrets.A }}"]\n'})
    with pytest.raises(SettingsError, match="a workflow cannot hold"):
        workflow("github", read_project(tmp_path))
