"""The doctor: each problem is found, with its fix, and none ends the examination."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from seatrial import doctor
from seatrial.engine import programs
from seatrial.errors import EngineError
from seatrial.host import this_host
from seatrial.settings.read import read_project

if TYPE_CHECKING:
    from pathlib import Path

APPS = """
[tool.seatrial.apps.api]
compose = "compose.yaml"
"""


def examined(folder: Path) -> dict[str, list[doctor.Finding]]:
    found: dict[str, list[doctor.Finding]] = {}
    for finding in doctor.examine(this_host(), partial(read_project, folder)):
        found.setdefault(finding.topic, []).append(finding)
    return found


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_host: object) -> Any:
        raise EngineError("no engine answers.", fix="Start Docker.", detail="tried all")

    monkeypatch.setattr(doctor, "find_engine", gone)


def test_without_an_engine_and_a_project_the_rest_is_examined(tmp_path: Path) -> None:
    found = examined(tmp_path)
    assert set(found) == {"host", "disk", "engine", "network", "settings"}
    (engine,), (settings,) = found["engine"], found["settings"]
    assert (engine.ok, engine.seen, engine.fix) == (False, "no engine answers. tried all", "Start Docker.")
    assert not settings.ok
    assert "no pyproject.toml" in settings.seen
    assert settings.fix


def test_files_that_an_app_names_and_that_do_not_exist(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(APPS, encoding="utf-8")
    declared, dockerfile, compose = examined(tmp_path)["app api"]
    assert (declared.ok, declared.seen) == (True, "set: compose")
    assert (dockerfile.ok, dockerfile.fix) == (False, "Correct `dockerfile`.")
    assert (compose.ok, compose.seen) == (False, f"compose {tmp_path / 'compose.yaml'} does not exist")


def test_an_engine_that_is_too_old_and_a_program_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(what: str, *_: object) -> Any:
        raise EngineError(what, fix="Update it.")

    monkeypatch.setattr(doctor, "find_engine", lambda _host: "Docker 20.10")
    monkeypatch.setattr(programs, "require_named_contexts", partial(refused, "it is too old."))
    monkeypatch.setattr(programs, "find", lambda name, *_: refused(f"{name} is missing."))
    found = examined(tmp_path)
    assert [(found[topic][0].ok, found[topic][0].seen) for topic in ("engine", "buildx", "compose")] == [
        (False, "it is too old."),
        (False, "buildx is missing."),
        (False, "compose is missing."),
    ]


def test_little_room_on_the_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: type("Usage", (), {"free": 4_000_000_000}))
    (disk,) = examined(tmp_path)["disk"]
    assert not disk.ok
    assert disk.seen.startswith("4.0 GB free at /")
    assert "docker system prune" in disk.fix
