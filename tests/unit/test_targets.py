from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from seatrial import scaffold
from seatrial.errors import BuildError, SettingsError
from seatrial.settings.model import Contract
from seatrial.settings.read import read_project
from seatrial.smoke import app_target, image_target

if TYPE_CHECKING:
    from pathlib import Path

APP = """
[project]
name = "shop"
dependencies = ["fastapi"]
[tool.seatrial.apps.api]
pythons = ["3.13", "3.14"]
contract = { user = "app", waive = { "health/declared" = "a job" } }
[tool.seatrial.apps.old]
contract = { python = "3.12", waive = { "helth/declared" = "a job" } }
[tool.seatrial.apps.lost]
context = "nowhere"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(APP)
    (tmp_path / "Dockerfile").write_text("ARG PYTHON_VERSION=3.13\nFROM python:${PYTHON_VERSION}-slim\n")
    return tmp_path


# --- what is smoked ---------------------------------------------------------------------------------------


def test_an_apps_target_is_its_image_for_the_asked_python(folder: Path) -> None:
    first, second = (app_target(read_project(folder), "api", python) for python in (None, "3.14"))
    assert (first.reference, first.contract.python, first.app) == ("api:py3.13", "3.13", "api")
    assert (second.reference, second.contract.python) == ("api:py3.14", "3.14")
    assert first.project.dependencies == ("fastapi",)


def test_a_target_that_cannot_be(folder: Path) -> None:
    project = read_project(folder)
    with pytest.raises(SettingsError, match=r"apps\.old\.contract\.waive: .* Did you mean 'health/declared'"):
        app_target(project, "old")
    with pytest.raises(BuildError, match="nowhere"):
        app_target(project, "lost")
    with pytest.raises(SettingsError, match="Did you mean 'api'"):
        app_target(project, "apo")
    with pytest.raises(SettingsError, match=r"'3\.15'"):
        app_target(project, "api", "3.15")


def test_any_image_with_the_catalogues_defaults_or_a_contract_of_its_own(folder: Path) -> None:
    assert image_target("nginx", None).contract == Contract()
    (folder / "c.toml").write_text("user = 'x'\nwaive = { 'boot/healthy' = 'none' }\n")
    assert image_target("nginx", folder / "c.toml").contract.user == "x"
    (folder / "c.toml").write_text("waive = { 'boot/helthy' = 'none' }\n")
    with pytest.raises(SettingsError, match=r"c\.toml waive: .*'boot/healthy'"):
        image_target("nginx", folder / "c.toml")


# --- init -------------------------------------------------------------------------------------------------


def files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("FROM scratch\n" if name.endswith("Dockerfile") else "", encoding="utf-8")


def declared(folder: Path) -> dict[str, tuple[str, str | None, str | None]]:
    scaffold.write(scaffold.plan(folder))
    apps = read_project(folder).settings.apps
    return {name: (app.context, app.dockerfile, app.compose) for name, app in apps.items()}


def test_a_project_with_one_dockerfile(tmp_path: Path) -> None:
    files(tmp_path, "Dockerfile", "compose.yml")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'My_Shop'", encoding="utf-8")
    assert declared(tmp_path) == {"my-shop": (".", "Dockerfile", "compose.yml")}
    assert (tmp_path / "tasks.py").read_text() == scaffold.TASKS
    assert tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"] == {"name": "My_Shop"}
    assert scaffold.plan(tmp_path) == {}, "a second time there is nothing to do"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "Dockerfile",
        "compose.yml",
        "pyproject.toml",
        "tasks.py",
    ]


def test_init_writes_through_no_link_out_of_the_project(tmp_path: Path) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside.toml"
    project.mkdir()
    (project / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    outside.write_text("a = 1\n", encoding="utf-8")
    (project / "pyproject.toml").symlink_to(outside)
    with pytest.raises(SettingsError, match=r"outside\.toml, outside of the project"):
        scaffold.plan(project)


def test_a_project_with_many_dockerfiles(tmp_path: Path) -> None:
    files(
        tmp_path,
        "services/api/Dockerfile",
        "services/api/pyproject.toml",
        "docker/worker/Dockerfile",
        "legacy/api/Dockerfile",
        "node_modules/x/Dockerfile",
        ".venv/Dockerfile",
        "a/b/c/d/Dockerfile",
    )
    found = declared(tmp_path)
    assert sorted(place for _, place, _ in found.values() if place) == [
        "docker/worker/Dockerfile",
        "legacy/api/Dockerfile",
        "services/api/Dockerfile",
    ]
    assert ("services/api", "services/api/Dockerfile", None) in found.values()
    assert found["worker"][0] == "."


def test_folders_with_odd_names(tmp_path: Path) -> None:
    files(tmp_path, 'a"b\\c/Dockerfile', "\u00e9t\u00e9/Dockerfile", "!!/Dockerfile")
    assert {place for _, place, _ in declared(tmp_path).values()} == {
        'a"b\\c/Dockerfile',
        "\u00e9t\u00e9/Dockerfile",
        "!!/Dockerfile",
    }


@pytest.mark.parametrize("text", ["", "project = 3\n", "tool = 3\n", "[project]\nname = 3\n", "# no end of line"])
def test_whatever_pyproject_says_the_plan_holds(tmp_path: Path, text: str) -> None:
    files(tmp_path, "Dockerfile")
    (tmp_path / "pyproject.toml").write_text(text)
    if text.startswith("tool = 3"):
        with pytest.raises(SettingsError, match="no table can be appended"):
            scaffold.plan(tmp_path)
        return
    assert tmp_path / "tasks.py" in scaffold.plan(tmp_path)


def test_a_project_that_declares_its_apps_gets_a_tasks_file_only(folder: Path) -> None:
    assert scaffold.plan(folder) == {folder / "tasks.py": scaffold.TASKS}
    (folder / "tasks.py").write_text("mine\n")
    assert scaffold.plan(folder) == {}


def test_nothing_to_declare_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no Dockerfile"):
        scaffold.plan(tmp_path)
    files(tmp_path, "Dockerfile")
    (tmp_path / "pyproject.toml").write_text("x = [")
    with pytest.raises(SettingsError, match="is not TOML"):
        scaffold.plan(tmp_path)


def test_a_file_that_cannot_be_written_leaves_no_half(tmp_path: Path) -> None:
    target = tmp_path / "tasks.py"
    target.mkdir()
    with pytest.raises(OSError, match="tasks"):
        scaffold.write({target: "x"})
    assert list(tmp_path.iterdir()) == [target]
