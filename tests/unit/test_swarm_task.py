"""What a person sees of `deploy` before an engine is asked anything."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "jsno"), "error: --format 'jsno' is not known. Did you mean 'json'?"),
        (("--remove", "--format", "jsno"), "Did you mean 'json'?"),
        (("--timeout", "0"), "error: --timeout 0 leaves no time."),
        (("--app", "ap"), "Did you mean 'api'?"),
        (("--app", "api", "--stack", "Ä!"), "is not a valid stack name. Use --stack with lower-case letters"),
        (("--app", "api", "--stack", "Ä!", "--remove"), "is not a valid stack name."),
        (("--app", "api"), "the engine that DOCKER_HOST names does not answer"),
        (("--app", "api", "--remove"), "the engine that DOCKER_HOST names does not answer"),
        (("--app", "api", "--remove", "--dry-run"), "the engine that DOCKER_HOST names does not answer"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = deploy(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "stack", "state"),
    [
        ((), "api", "deployed"),
        (("--dry-run",), "api", "deployable"),
        (("--remove", "--stack", "x"), "x", "gone"),
        (("--stack", "Ä!"), None, "deployed"),
        (("--app", "ap"), None, "deployed"),
    ],
)
def test_a_program_gets_one_document_when_it_cannot_be_tried(
    tmp_path: Path, arguments: tuple[str, ...], stack: str | None, state: str
) -> None:
    done = deploy(tmp_path, "--format", "json", *arguments)
    document = json.loads(done.stdout)
    assert done.returncode == 2
    assert (document["schema"], document["stack"], document[state]) == (1, stack, False)
    assert document["problem"]["what"] in done.stderr
    assert document["problem"]["fix"]


def deploy(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a project that has one app."""
    (folder / "pyproject.toml").write_text('[tool.seatrial.apps.api]\ncompose = "compose.yaml"\n', encoding="utf-8")
    (folder / "compose.yaml").write_text("services: {api: {image: api}}\n", encoding="utf-8")
    (folder / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "seatrial", "deploy", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
