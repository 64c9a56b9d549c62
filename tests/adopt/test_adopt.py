"""Projects as people have them are adopted without a hand edit: init, build, smoke, with the real engine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.adopt.projects import WITH, WITHOUT, Small

from seatrial.engine.find import find_engine
from seatrial.host import this_host

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

EXAMPLES = Path(__file__).parents[2] / "examples"
INDEX = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
"""Asks pip for the package index that it takes by itself."""


@pytest.fixture(scope="module")
def index() -> str:
    """Give the address of the package index, for installers that want it written down."""
    pip = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}"
    return subprocess.run([pip, "-c", INDEX], capture_output=True, text=True, check=True).stdout.strip()


def run(*words: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    # What runs the tests has an environment of its own, which no installer is to take for the project's.
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"} | more
    return subprocess.run(
        words,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def seatrial(*words: str, folder: Path) -> str:
    done = run(sys.executable, "-m", "seatrial", *words, folder=folder)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@contextmanager
def removed(app: str) -> Iterator[None]:
    """Remove an app's images at the end."""
    try:
        yield
    finally:
        engine = find_engine(this_host())
        names = [name for image in engine.client.api.images() for name in image["RepoTags"] or ()]
        for name in names:
            if name.startswith(f"{app}:"):
                engine.client.images.remove(name, force=True)
        # What a later build took the name from.
        titled = {"dangling": True, "label": f"org.opencontainers.image.title={app}"}
        for image in engine.client.api.images(filters=titled):
            engine.client.images.remove(image["Id"], force=True)
        engine.client.close()


@pytest.mark.parametrize("project", [*WITHOUT, *WITH], ids=lambda project: project.app)
def test_it_is_adopted_without_a_hand_edit(project: Small, tmp_path: Path, index: str) -> None:
    folder = tmp_path / project.app
    project.write(folder, index)
    if project.lock:
        # Pipenv leaves what it asked and got among the temporary files.
        own = tmp_path / "temporary"
        own.mkdir()
        locked = run("sh", "-c", project.lock, folder=folder, TMPDIR=str(own))
        assert locked.returncode == 0, locked.stdout + locked.stderr
    with removed(project.app):
        seatrial("init", folder=folder)
        seatrial("build", folder=folder)
        assert "PASS" in seatrial("smoke", folder=folder)


def test_of_the_course_supporter_its_sources_alone_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"adopt-course-{uuid.uuid4().hex[:8]}"
    folder = tmp_path / name
    ignored = shutil.ignore_patterns(".dockerignore", ".venv", "__pycache__", ".*_cache")
    shutil.copytree(EXAMPLES / "course-supporter", folder, ignore=ignored)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PORT", str(free.getsockname()[1]))
    with removed(name):
        seatrial("init", "--name", name, folder=folder)
        assert "alembic" in (folder / "compose.yaml").read_text(encoding="utf-8")
        seatrial("build", folder=folder)
        assert "PASS" in seatrial("smoke", folder=folder)
        try:
            assert f"{name}: http://127.0.0.1:{os.environ['PORT']}" in seatrial("up", "--create-env", folder=folder)
        finally:
            seatrial("down", "--volumes", "--yes", folder=folder)
