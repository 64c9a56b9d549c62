"""Each broken project is found by its check, at its file and line, and nothing else of its sources is."""

from __future__ import annotations

import types
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.defects.compose_projects import COMPOSE_PROJECTS
from tests.defects.defect import each
from tests.defects.projects import PROJECTS, SETTINGS, SOUND, Broken

from seatrial import smoke as smoking
from seatrial.checks import registry
from seatrial.checks.model import Level, Severity, Status
from seatrial.checks.verdict import Verdict, smoke_of, verdict_of
from seatrial.observe.image_files import image_index
from seatrial.observe.project.sources import read_sources
from seatrial.settings.read import read_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.defects.yard import Yard

    from seatrial.checks.model import Result
    from seatrial.checks.verdict import Smoke
    from seatrial.facts import Facts

pytestmark = pytest.mark.engine

IMAGE = "seatrial-test/projects"
ALL = (*PROJECTS, *COMPOSE_PROJECTS)
BAD = {Status.FAIL, Status.ERROR}


@pytest.fixture(scope="module", autouse=True)
def image(yard: Yard) -> Iterator[None]:
    yard.engine.client.images.get(yard.bases["clean"]).tag(IMAGE, "latest")
    yield
    yard.engine.client.images.remove(f"{IMAGE}:latest")


def target(
    yard: Yard,
    folder: Path,
    files: Mapping[str, str | None],
    contract: str = "",
    modes: Mapping[str, int] = types.MappingProxyType({}),
) -> smoking.Target:
    for name, text in {**SOUND, "pyproject.toml": SETTINGS.format(image=IMAGE) + contract, **files}.items():
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(modes.get(name, 0o644))
    return smoking.app_target(read_project(folder), "ship", host=yard.host)


@pytest.fixture(scope="module")
def observed(yard: Yard, image: None, tmp_path_factory: pytest.TempPathFactory) -> Facts:  # noqa: ARG001 - it comes first
    """Look at the image once: the projects below differ in their sources alone."""
    return smoking.observe(target(yard, tmp_path_factory.mktemp("sound"), {}), yard.engine, Level.QUICK, lambda _: None)


def judged(yard: Yard, observed: Facts, one: smoking.Target) -> Smoke:
    assert one.sources is not None
    facts = msgspec.structs.replace(
        observed, sources=read_sources(one.sources, yard.engine, partial(image_index, yard.engine))
    )
    return smoke_of(facts, one.contract, registry.up_to(Level.QUICK), seconds=0)


def bad(smoke: Smoke) -> dict[str, Result]:
    families = ("dockerfile/", "context/", "compose/", "app/package-data")
    return {check.id: check for check in smoke.checks if check.status in BAD and check.id.startswith(families)}


def test_a_whole_smoke_of_a_sound_project_passes(yard: Yard, tmp_path: Path) -> None:
    smoke = smoking.smoke(target(yard, tmp_path, {}), yard.engine, level=Level.QUICK)[0]
    assert bad(smoke) == {}
    told = {check.id: check for check in smoke.checks}
    assert told["compose/environment"].evidence == (".env is not there; .env.example explains it",)
    assert all(told[project.finds].status in {Status.PASS, Status.SKIP} for project in ALL)


def test_a_whole_smoke_of_a_broken_one_fails(yard: Yard, tmp_path: Path) -> None:
    broken = {"requirements.txt": "shipapp\n", ".dockerignore": None}
    asked = target(yard, tmp_path, broken)
    smoke = smoking.smoke(asked.failing_on(Severity.WARNING), yard.engine, level=Level.QUICK)[0]
    assert smoke.verdict is Verdict.FAIL
    assert verdict_of(smoke.checks, Severity.ERROR) is Verdict.PASS, "an unlocked install alone is a warning"
    assert {name: one.where for name, one in bad(smoke).items()} == {
        "dockerfile/locked-install": "requirements.txt:1",
        "context/ignored": ".dockerignore:1",
    }


@each("broken", ALL)
def test_it_is_found_with_its_line(yard: Yard, observed: Facts, tmp_path: Path, broken: Broken) -> None:
    found = bad(judged(yard, observed, target(yard, tmp_path, broken.files, broken.contract, broken.modes)))
    assert set(found) == {broken.finds, *broken.also}, found
    result = found[broken.finds]
    told = "\n".join((result.actual, result.fix, *result.evidence))
    assert (result.status, result.where) == (Status.FAIL, broken.where), told
    assert all(words in told for words in broken.says), told


@pytest.mark.parametrize(
    "broken",
    [project for project in ALL if project.twin or project.twin_contract],
    ids=lambda entry: entry.name.replace(" ", "-"),
)
def test_its_twin_passes(yard: Yard, observed: Facts, tmp_path: Path, broken: Broken) -> None:
    twin = target(yard, tmp_path, broken.twin, broken.twin_contract)
    assert bad(judged(yard, observed, twin)) == {}


def test_an_image_by_itself_has_no_sources(yard: Yard) -> None:
    smoke = smoking.smoke(smoking.image_target(f"{IMAGE}:latest", None), yard.engine, level=Level.QUICK)[0]
    of_sources = [check for check in smoke.checks if check.id.startswith(("dockerfile/", "context/", "compose/"))]
    assert len(of_sources) == 24
    assert {source.status for source in of_sources} == {Status.SKIP}
    assert all("named by itself" in source.actual for source in of_sources)
