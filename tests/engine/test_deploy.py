"""`deploy` with an engine that manages no swarm."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from seatrial.engine.find import find_engine
from seatrial.host import this_host

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--remove",), ("--remove", "--dry-run"), ("--format", "json")])
def test_an_engine_that_manages_no_swarm_is_told_of_in_one_line(tmp_path: Path, more: tuple[str, ...]) -> None:
    engine = find_engine(this_host())
    try:
        if (engine.client.api.info().get("Swarm") or {}).get("LocalNodeState") != "inactive":
            pytest.skip("NOT RUN: the engine in use is part of a swarm")
    finally:
        engine.client.close()
    (tmp_path / "pyproject.toml").write_text('[tool.seatrial.apps.api]\ncompose = "compose.yaml"\n', encoding="utf-8")
    (tmp_path / "compose.yaml").write_text("services: {api: {image: api}}\n", encoding="utf-8")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "seatrial", "deploy", *more],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    if "json" in more:
        assert "is not a swarm manager" in json.loads(done.stdout)["problem"]["what"]
    else:
        assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "is not a swarm manager" in line
    assert "`docker swarm init`" in line
