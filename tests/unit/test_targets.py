from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
