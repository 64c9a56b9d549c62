"""What structure tests of a project reach beyond it: refused, or announced."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.compose.reach import Surroundings
from seatrial.errors import SettingsError
from seatrial.structure.files import RunOptions, StructureFile
from seatrial.structure.plan import announced
from seatrial.trust import Trust

PROJECT = Path("/code/shop")
AROUND = Surroundings(project=PROJECT, home=Path("/home/me"), resolve=Path)
FILE = Path("structure.yaml")


def said(options: RunOptions, trust: Trust) -> tuple[str, ...]:
    file = StructureFile(schema_version="2.0.0", container_run_options=options)
    return announced({FILE: file}, PROJECT, AROUND, trust)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (RunOptions(line=3, privileged=True), "its commands are privileged"),
        (RunOptions(line=3, bind_mounts=("/etc:/x:ro",)), "its commands get /etc of the host"),
        (RunOptions(line=3, bind_mounts=("/srv/data:/x",)), "/srv/data, outside of the project, writable"),
        (RunOptions(line=3, bind_mounts=("shop_data:/x",)), "the volume shop_data of the engine"),
        (RunOptions(line=3, env_file="/home/me/.env"), "the env file /home/me/.env"),
    ],
)
def test_what_reaches_the_host_is_refused_or_announced(options: RunOptions, what: str) -> None:
    with pytest.raises(SettingsError) as caught:
        said(options, Trust.NONE)
    assert what in caught.value.what
    assert "refused, as the project is not trusted" in caught.value.what
    assert caught.value.where == "structure.yaml:3"
    (line,) = said(options, Trust.PROJECT)
    assert line.startswith("structure.yaml:3: ")
    assert what in line


def test_all_of_it_is_named_at_once() -> None:
    options = RunOptions(line=3, privileged=True, bind_mounts=("/etc:/x",), env_file="/root/.env")
    with pytest.raises(SettingsError) as caught:
        said(options, Trust.NONE)
    assert len(caught.value.detail.splitlines()) == 3


@pytest.mark.parametrize(
    "options", [RunOptions(), RunOptions(env_file="tests/.env"), RunOptions(bind_mounts=("/code/shop/data:/x",))]
)
def test_what_belongs_to_the_project_is_its_own(options: RunOptions) -> None:
    assert said(options, Trust.NONE) == said(options, Trust.PROJECT) == ()
