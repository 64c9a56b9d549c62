"""Projects that mean harm: nothing of the host runs, is read or is kept because they say so, and it takes no long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.defects.commands import run
from tests.defects.hostile_projects import BUILD, DOCKERFILE, IMAGE, PROJECTS, SETTINGS, Host, Project, attempt, written

from seatrial import process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.defects.yard import Yard

pytestmark = pytest.mark.engine

MOST_MEMORY = 300_000_000
"""Bytes that a command may hold, whatever the project says."""


@pytest.fixture(scope="module", autouse=True)
def image(yard: Yard) -> Iterator[None]:
    yard.engine.client.images.get(yard.bases["clean"]).tag(IMAGE, "latest")
    yield
    yard.engine.client.images.remove(f"{IMAGE}:latest")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "outside")


@pytest.mark.parametrize("project", PROJECTS, ids=[entry.name.replace(" ", "-") for entry in PROJECTS])
def test_nothing_of_the_host_is_touched(yard: Yard, tmp_path: Path, host: Host, project: Project) -> None:
    ended, wrong = attempt(project, tmp_path / "project", host, yard.engine)
    assert wrong == []
    assert ended.memory < MOST_MEMORY
    assert yard.left_behind() == []


def test_a_context_that_looks_like_a_repository_is_not_run(yard: Yard, tmp_path: Path, host: Host) -> None:
    host.prepare()
    folder = tmp_path / "project"
    process.run(["git", "init", "--quiet", "--bare", folder], timeout=20)
    script = host.folder / "bin" / "harm"
    with (folder / "config").open("a", encoding="utf-8") as config:
        config.write(f'[core]\n\tfsmonitor = "{script}"\n\tworktree = "."\n')
    labels = "ARG REVISION\nLABEL org.opencontainers.image.revision=$REVISION\n"
    written(folder, {"Dockerfile": DOCKERFILE.replace("COPY", f"{labels}COPY")}, host.folder)
    name = "seatrial-test/like-a-repository"
    (folder / "pyproject.toml").write_text(SETTINGS.replace(IMAGE, name), encoding="utf-8")
    ended = run(*BUILD, folder=folder)
    yard.engine.client.images.remove(f"{name}:latest")
    assert ended.code == 0, ended.errors
    assert list(host.touched()) == []
