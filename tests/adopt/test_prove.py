"""`init --prove` changes what a smoke shows to be missing, with the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.adopt.projects import LOOP
from tests.adopt.test_adopt import removed, seatrial

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

NEEDS = (
    'import ctypes\nfrom pathlib import Path\n\nctypes.CDLL("libusb-1.0.so.0")\nPath("state").mkdir(exist_ok=True)\n'
)


@pytest.mark.parametrize(
    "commands", [[("init", "--prove")], [("init",), ("onboard", "--repair")]], ids=["init", "onboard"]
)
def test_what_a_smoke_shows_to_be_missing_is_added(tmp_path: Path, commands: list[tuple[str, ...]]) -> None:
    folder = tmp_path / f"adopt-by-{commands[-1][0]}"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(f'[project]\nname = "{folder.name}"\nversion = "1"\n', encoding="utf-8")
    (folder / "requirements.txt").write_text("six==1.17.0\n", encoding="utf-8")
    (folder / "main.py").write_text(NEEDS + LOOP, encoding="utf-8")
    with removed(folder.name):
        try:
            said = "".join(seatrial(*words, folder=folder) for words in commands)
        finally:
            seatrial("down", "--volumes", "--yes", folder=folder)
    assert "the Debian package libusb-1.0-0 is installed in the image, for libusb-1.0.so.0" in said
    assert "changed: Dockerfile" in said
    assert "/app/state is a folder in memory" in said
    assert "libusb-1.0-0" in (folder / "Dockerfile").read_text(encoding="utf-8")
    assert "    - /app/state\n" in (folder / "compose.yaml").read_text(encoding="utf-8")
    assert 'tmpfs = ["/tmp", "/app/state"]' in (folder / "seatrial.toml").read_text(encoding="utf-8")
