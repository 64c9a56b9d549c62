"""A baseline on a real engine: a broken image is adopted, gets a second defect, and loses the first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.defects.commands import run
from tests.defects.defect import python_command

if TYPE_CHECKING:
    from pathlib import Path

    from tests.defects.commands import Ended
    from tests.defects.yard import Yard

pytestmark = pytest.mark.engine

SETUID = "RUN install -m 4755 /bin/true /usr/local/bin/{name}\n"
ROOT = "FROM {clean}\nUSER 0\n"
AGAIN = "USER 10001:10001\n"


def smoked(image: str, folder: Path, *options: str) -> Ended:
    words = ("--image", image, "--level", "quick", "--fail-on", "warning", "--baseline", "known.json", *options)
    return run("seatrial", "smoke", *words, folder=folder, within=60)


def setuid(yard: Yard, *names: str) -> str:
    return yard.image(ROOT + "".join(SETUID.replace("{name}", name) for name in names) + AGAIN)


@pytest.mark.core
def test_known_findings_are_excused_new_ones_named_and_paid_ones_told(yard: Yard, tmp_path: Path) -> None:
    first, both, second = setuid(yard, "odd"), setuid(yard, "odd", "odder"), setuid(yard, "odder")
    assert smoked(first, tmp_path).code == 2, "there is no such baseline"
    adopted = smoked(first, tmp_path, "--update-baseline")
    assert (adopted.code, "1 known: 1 added or changed, 0 taken out." in adopted.errors) == (0, True)
    again = smoked(first, tmp_path)
    assert again.code == 0
    assert "no error or warning (fail-on = warning); 1 known warning in known.json" in again.out
    assert smoked(first, tmp_path, "--no-baseline").code == 2, "it goes with no other option of a baseline"

    new = smoked(both, tmp_path)
    assert new.code == 1
    assert "seen: /usr/local/bin/odder has mode 4755 and owner 0:0 (beside 1 known)" in new.out
    paid = smoked(second, tmp_path)
    assert paid.code == 1
    assert "note: paid: files/setuid: /usr/local/bin/odd has mode 4755 and owner 0:<n>" in paid.out
    assert smoked(second, tmp_path, "--update-baseline").code == 0
    (record,) = json.loads((tmp_path / "known.json").read_text(encoding="ascii"))["images"]
    assert [entry["cause"] for entry in record["findings"]] == ["/usr/local/bin/odder has mode 4755 and owner 0:<n>"]
    assert smoked(second, tmp_path).code == 0


def test_an_image_that_does_not_run_is_not_adopted(yard: Yard, tmp_path: Path) -> None:
    image = yard.image("FROM {clean}\n" + python_command("raise SystemExit(3)"))
    words = ("--image", image, "--baseline", "known.json", "--update-baseline")
    ended = run("seatrial", "smoke", *words, folder=tmp_path, within=60)
    assert ended.code == 1
    assert "not recorded: boot/healthy: the image does not run" in ended.errors
    assert "could not be decided" in ended.errors
    (record,) = json.loads((tmp_path / "known.json").read_text(encoding="ascii"))["images"]
    assert record.get("findings", []) == []
