"""What a person sees of `deploy` before an engine is asked anything."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--timeout", "0"), "error: --timeout 0 leaves no time."),
        (("--app", "ap"), "Did you mean 'api'?"),
        (("--app", "api", "--stack", "Ä!"), "is no name for a stack. Say --stack with lower-case letters"),
        (("--app", "api", "--stack", "Ä!", "--remove"), "is no name for a stack."),
        (("--app", "api"), "the engine that DOCKER_HOST names does not answer"),
        (("--app", "api", "--remove"), "the engine that DOCKER_HOST names does not answer"),
        (("--app", "api", "--remove", "--dry-run"), "the engine that DOCKER_HOST names does not answer"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.seatrial.apps.api]\ncompose = "compose.yaml"\n', encoding="utf-8")
    (tmp_path / "compose.yaml").write_text("services: {api: {image: api}}\n", encoding="utf-8")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "seatrial", "deploy", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
