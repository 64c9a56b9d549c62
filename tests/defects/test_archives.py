"""A smoke of a saved image, without an engine: it says what level quick says, of all that needs no process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.defects.contents_defects import FILES, PERMISSIONS, SECRETS, TOOLS
from tests.defects.layer_defects import HIDDEN_SECRETS
from tests.defects.yard import NO_PROJECT

from seatrial import smoke as smoking
from seatrial.checks.model import Level, Status
from seatrial.engine import find
from seatrial.observe.archived import NOT_RUN
from seatrial.observe.configuration import read_configuration
from seatrial.observe.image_files import image_index
from seatrial.observe.index import Index
from seatrial.observe.layers.files import ArchiveFiles
from seatrial.settings.model import Contract
from seatrial.smoke.archives import smoke_archive

if TYPE_CHECKING:
    from pathlib import Path

    from tests.defects.defect import Defect
    from tests.defects.yard import Yard

    from seatrial.checks.verdict import Smoke

pytestmark = pytest.mark.engine

CHOSEN = (FILES[0], PERMISSIONS[0], TOOLS[0], *SECRETS[:2], HIDDEN_SECRETS[0])


def saved(yard: Yard, reference: str, folder: Path) -> Path:
    file = folder / "image.tar"
    with file.open("wb") as opened:
        for chunk in yard.engine.client.images.get(reference).save():
            opened.write(chunk)
    return file


def without_engine(file: Path, contract: Contract, monkeypatch: pytest.MonkeyPatch) -> Smoke:
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", "tcp://engine.invalid:1")
        patch.setattr(find, "_client", lambda *_, **__: pytest.fail("an engine was asked"))
        target = smoking.Target(reference=str(file), contract=contract, project=NO_PROJECT)
        return smoke_archive(target, file)[0]


def test_a_container_sees_what_the_layers_leave(yard: Yard, tmp_path: Path) -> None:
    reference = yard.bases["clean"]
    whole = image_index(yard.engine, read_configuration(yard.engine, reference))
    assert isinstance(whole, Index)
    index = ArchiveFiles(saved(yard, reference, tmp_path)).index.index
    # What the engine makes for a container that is created.
    made = {"/.dockerenv", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/dev", "/proc", "/sys", "/", "/etc/mtab"}
    made |= {"/dev/console", "/dev/pts", "/dev/shm"}
    there = {path for path in whole.paths if path not in made}
    assert {path for path in index.paths if path not in made} == there
    assert all(index.paths[path] == whole.paths[path] for path in there if index.paths[path].letter != "d")
    assert (index.texts, index.holding, index.capabilities) == (whole.texts, whole.holding, whole.capabilities)


@pytest.mark.parametrize("defect", CHOSEN, ids=[defect.name.replace(" ", "-") for defect in CHOSEN])
def test_it_says_what_level_quick_says(
    yard: Yard, defect: Defect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = Contract(modules=("shipapp.web:app",), **defect.contract)
    reference = yard.image(
        defect.dockerfile, {name: defect.files[name] for name in defect.files if name in defect.dockerfile}
    )
    quick = {result.id: result for result in yard.smoke(reference, contract, Level.QUICK).checks}
    archive = {
        result.id: result for result in without_engine(saved(yard, reference, tmp_path), contract, monkeypatch).checks
    }
    assert archive[defect.finds].status is Status.FAIL
    assert all(words in str(archive[defect.finds]) for words in defect.says)
    compared = [name for name, result in archive.items() if name in quick and result.actual != NOT_RUN.reason]
    assert len(compared) > 30
    assert {name: archive[name].status for name in compared} == {name: quick[name].status for name in compared}
