"""What is released, as a user has it: the session `wheel` runs this beside the built files, outside of the checkout."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import pytest

import seatrial

HERE = Path(__file__).parent


def run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "seatrial", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_the_wheel_that_is_tested() -> None:
    assert "site-packages" in Path(seatrial.__file__).parts


def test_the_commands_are_there() -> None:
    assert run("--version").strip()
    assert "smoke" in run("--list")
    assert "boot/healthy" in run("explain", "boot/healthy")


def test_the_wheel_holds_every_file_of_the_package() -> None:
    package = Path(seatrial.__file__).parent
    source = {name.removeprefix("src/seatrial/") for name in source_names() if name.startswith("src/seatrial/")}
    files = {name for name in source if "." in name}
    assert {".py", ".json", ".css", ".typed", ".Dockerfile"} <= {Path(name).suffix for name in files}
    assert sorted(name for name in files if not (package / name).is_file()) == []


def source_names() -> list[str]:
    """Return the files of the source distribution."""
    (file,) = HERE.glob("seatrial-*.tar.gz")
    with tarfile.open(file) as packed:
        return [member.name.partition("/")[2] for member in packed if member.isfile()]


def test_the_metadata_is_complete() -> None:
    told = metadata.metadata("seatrial")
    for field in ("Summary", "License-Expression", "Requires-Python", "Keywords", "Author", "Description"):
        assert told[field], field
    assert told["Description-Content-Type"] == "text/markdown"
    assert "Typing :: Typed" in (told.get_all("Classifier") or [])
    assert {"hadolint", "lint", "nox", "structure"} <= set(told.get_all("Provides-Extra") or [])


@pytest.mark.parametrize(
    "name",
    [
        *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "pyproject.toml", "uv.lock"),
        *("tasks.py", "noxfile.py", "mkdocs.yml", ".ci/run", ".github/workflows/ci.yml", "docs/reference.py"),
        *("tests/conftest.py", "tests/unit/test_docs.py", "src/seatrial/py.typed", "benchmarks/quick.py"),
        *("docker/course-supporter/.env.example", "examples/weather-agent/requirements.txt"),
    ],
)
def test_the_source_distribution_holds_what_its_own_tests_need(name: str) -> None:
    names = source_names()
    assert name in names
    assert not [member for member in names if member.endswith(("/.env", ".pyc"))]
