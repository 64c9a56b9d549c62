"""The check at the end of each run of tests, on runs that leave something behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.leftovers import Before, holdings, left_since

ROOT = Path(__file__).parents[2]


def run(body: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "test_it.py"
    file.write_text(f"import tempfile\n\n\ndef test_it():\n    {body}\n", encoding="utf-8")
    # With a configuration of its own; of this project's, the module alone.
    options = ("-c", "/dev/null", "--rootdir", folder, "-p", "no:cacheprovider", "-p", "tests.leftovers")
    argv = [sys.executable, "-m", "pytest", *map(str, options), str(file)]
    environment = {**os.environ, "PYTEST_DEBUG_TEMPROOT": str(folder)}
    return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_run_that_leaves_a_temporary_file_fails_and_names_it(tmp_path: Path) -> None:
    done = run("tempfile.mkstemp(prefix='forgotten-')", tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("temporary file ")]
    assert Path(line.split()[-1]).name.startswith("forgotten-")
    assert "1 passed" in done.stdout
    # It was in the run's own folder, which is gone.
    assert not Path(line.split()[-1]).parent.exists()


def test_a_run_that_clears_up_passes(tmp_path: Path) -> None:
    done = run("tempfile.NamedTemporaryFile().close()", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


class Api:
    """An engine's answers."""

    def __init__(self, **more: list[dict[str, Any]]) -> None:
        self.more = more

    def containers(self, *, all: bool) -> list[dict[str, Any]]:  # noqa: A002
        assert all
        return [{"Id": "c1", "Names": ["/db"], "Image": "postgres"}, *self.more.get("containers", [])]

    def networks(self) -> list[dict[str, Any]]:
        return [{"Id": "n1", "Name": "bridge"}, *self.more.get("networks", [])]

    def volumes(self) -> dict[str, Any]:
        return {"Volumes": self.more.get("volumes")}

    def images(self) -> list[dict[str, Any]]:
        return [{"Id": "i1", "RepoTags": ["postgres:17"]}, *self.more.get("images", [])]


def engine(**more: list[dict[str, Any]]) -> Any:
    return SimpleNamespace(client=SimpleNamespace(api=Api(**more)))


def test_what_the_engine_held_before_is_nobodys_fault(tmp_path: Path) -> None:
    before = Before(temporary=tmp_path, former="/tmp", engine=engine(), held=holdings(engine()))
    assert left_since(before) == []


def test_all_that_is_new_on_the_engine_is_named(tmp_path: Path) -> None:
    now = engine(
        containers=[{"Id": "c2", "Names": ["/brave_otter"], "Image": "seatrial-test/x:1"}],
        networks=[{"Id": "n2", "Name": "shop_default"}],
        volumes=[{"Name": "0f9ae21"}],
        images=[
            {"Id": "i2", "RepoTags": ["<none>:<none>"]},
            {"Id": "i3", "RepoTags": None},
            {"Id": "i4", "RepoTags": ["seatrial-test/x:1", "shop:1"]},
        ],
    )
    (tmp_path / "uv-06a2.lock").touch()
    before = Before(temporary=tmp_path, former="/tmp", engine=now, held=holdings(engine()))
    assert left_since(before) == [
        "container brave_otter of image seatrial-test/x:1",
        "image seatrial-test/x:1, i4",
        "image without a name, i2",
        "image without a name, i3",
        "network shop_default",
        "volume 0f9ae21",
    ]
