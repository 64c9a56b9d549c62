"""Structure test files, by seatrial and by container-structure-test itself: verdict for verdict the same."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import docker.errors
import pytest
from tests.peer import ANONYMOUS, leaving_nothing

from seatrial import owner, process
from seatrial.checks.model import Status
from seatrial.checks.verdict import Smoke, Verdict
from seatrial.engine import programs, sweep
from seatrial.engine.find import Engine, find_engine
from seatrial.engine.runs import COMMITTED
from seatrial.errors import EngineError
from seatrial.host import this_host
from seatrial.images.bases import Registries
from seatrial.offline import ensure_substitute, find_substitute, recipes
from seatrial.settings.model import Contract
from seatrial.structure.files import read_structure_file
from seatrial.structure.run import prove

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine

FILES = Path(__file__).parent / "structure"
TOOL = Path(sys.executable).parent / "container-structure-test"
BASE = "debian:bookworm-slim"
IMAGE = "seatrial-test/structure:latest"
MARK = "org.example.structure"
"""A label of that image: what is made from it has it too."""
HEAD = "schemaVersion: 2.0.0\n"

FAILING_METADATA = {
    "variable": "envVars: [{key: GREETING, value: hell}]",
    "variable that is not set": "envVars: [{key: NONE, value: ''}]",
    "expression of a variable": "envVars: [{key: GREETING, value: ^hell$, isRegex: true}]",
    "variable that is set": "unboundEnvVars: [{key: EMPTY}]",
    "label": "labels: [{key: org.example.version, value: 1.2}]",
    "label that is not set": "labels: [{key: org.example.none, value: ''}]",
    "entrypoint": "entrypoint: [/bin/echo]",
    "no entrypoint": "entrypoint: []",
    "cmd": "cmd: [cmd, from]",
    "exposed port": "exposedPorts: ['80']",
    "exposed port with its protocol": "exposedPorts: [8080/tcp]",
    "unexposed port": "unexposedPorts: ['53']",
    "volume": "volumes: [/data]",
    "unmounted volume": "unmountedVolumes: [/data/volume]",
    "workdir": "workdir: /",
    "user": "user: '1000'",
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    try:
        found = find_engine(this_host())
    except EngineError as error:
        pytest.skip(f"NO ENGINE, SO NO STRUCTURE WAS TESTED: {error} {error.detail}")
    if not TOOL.exists():
        pytest.skip("container-structure-test is not installed: its verdicts cannot be compared")
    yield found
    found.client.close()


@pytest.fixture(scope="module")
def image(engine: Engine) -> Iterator[str]:
    registries, base = Registries(engine=engine), BASE
    if not registries.has_locally(BASE) and registries.refusal(BASE) is not None:
        plan = find_substitute(BASE, recipes(None))
        assert plan is not None
        base = ensure_substitute(plan, engine=engine, host=this_host(), say=lambda _: None)
    buildx = programs.find("buildx", engine, this_host())
    process.run(
        [
            *(buildx.path, "build", "--quiet", "--load", "--provenance=false"),
            *("--builder", engine.candidate.context or "default"),
            *("--build-arg", f"BASE={base}", "--tag", IMAGE, FILES),
        ],
        timeout=300,
        environment=engine.programs_environment,
    )
    yield IMAGE
    with contextlib.suppress(docker.errors.ImageNotFound):
        engine.client.api.remove_image(IMAGE, force=True)


@pytest.fixture(autouse=True)
def nothing_left_behind(engine: Engine) -> Iterator[None]:
    client = engine.client.api

    def found() -> set[str]:
        """Return what these tests can leave; other runs may be at work on the same engine, under labels of theirs."""
        containers = client.containers(all=True, filters={"label": MARK})
        images = client.images(all=True, filters={"label": MARK, "dangling": True})
        volumes = client.volumes(filters={"dangling": True})["Volumes"] or ()
        mine = f":{os.getpid()}:"
        return {
            *(container["Id"] for container in containers),
            *(image["Id"] for image in images if mine in image["Labels"].get(COMMITTED, mine)),
            *(volume["Name"] for volume in volumes if ANONYMOUS in (volume["Labels"] or {})),
        }

    before = found()
    yield
    assert found() - before == set()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the files, in a folder of their own that one of them binds."""
    shutil.copytree(FILES, tmp_path / "files")
    for file in (tmp_path / "files").iterdir():
        file.write_text(file.read_text(encoding="utf-8").replace("{folder}", str(tmp_path)), encoding="utf-8")
    return tmp_path / "files"


def ours(engine: Engine, image: str, file: Path) -> Smoke:
    environment = {"PASSED_ON": "yes"}
    return prove(
        {file: read_structure_file(file)}, image, Contract(), engine, environment=environment, folder=file.parent
    )


def theirs(engine: Engine, image: str, file: Path) -> list[tuple[str, bool]]:
    report = file.with_suffix(".report")
    environment = {**engine.programs_environment, "PASSED_ON": "yes"}
    argv = [str(TOOL), "test", "--image", image, "--config", str(file), "--test-report", str(report)]
    with leaving_nothing(engine, image):
        subprocess.run(argv, cwd=file.parent, env=environment, capture_output=True, check=False, timeout=300)
    results = json.loads(report.read_text(encoding="utf-8")).get("Results", [])
    return [(result["Name"], bool(result["Pass"])) for result in results]


def verdicts(smoke: Smoke) -> list[bool]:
    assert {check.status for check in smoke.checks} <= {Status.PASS, Status.FAIL}
    return [check.status is Status.PASS for check in smoke.checks]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("commands.yaml", 32),
        ("files.yaml", 54),
        ("options.yaml", 8),
        ("other.json", 10),
        ("passed_on.yaml", 2),
        ("privileged.yaml", 2),
    ],
)
def test_every_test_of_a_file_has_the_tools_verdict(
    engine: Engine, image: str, folder: Path, name: str, number: int
) -> None:
    smoke = ours(engine, image, folder / name)
    tool = theirs(engine, image, folder / name)
    assert len(tool) == number
    assert [passed for _, passed in tool] == verdicts(smoke)
    # And both are what the name of the test says.
    assert [check.id for check in smoke.checks if (check.status is Status.FAIL) != check.id.endswith(" fails")] == []
    assert smoke.verdict is Verdict.FAIL
    assert all(check.actual and check.expected and check.where for check in smoke.checks)


def test_several_tests_of_one_name_are_told_apart(engine: Engine, image: str, folder: Path) -> None:
    smoke = ours(engine, image, folder / "commands.yaml")
    assert [check.id for check in smoke.checks][-2:] == [
        "structure/commandTests/several at one name",
        "structure/commandTests/several at one name#2",
    ]


def test_licences_have_the_tools_verdicts(engine: Engine, image: str, folder: Path) -> None:
    smoke = ours(engine, image, folder / "licences.yaml")
    # What a base image's own packages say of theirs is its own affair; this image's make the list fail.
    assert verdicts(smoke) == [True, False, False, False, True]
    assert "/usr/share/doc/refused/copyright names AGPL" in smoke.checks[2].evidence
    assert [passed for _, passed in theirs(engine, image, folder / "licences.yaml")] == verdicts(smoke)


def test_a_sound_configuration_passes_both(engine: Engine, image: str, folder: Path) -> None:
    assert theirs(engine, image, folder / "metadata.yaml") == [("Metadata Test", True)]
    assert ours(engine, image, folder / "metadata.yaml").verdict is Verdict.PASS


@pytest.mark.parametrize("name", FAILING_METADATA)
def test_another_configuration_fails_both(engine: Engine, image: str, tmp_path: Path, name: str) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(f"{HEAD}metadataTest:\n  {FAILING_METADATA[name]}\n", encoding="utf-8")
    assert theirs(engine, image, file) == [("Metadata Test", False)]
    assert ours(engine, image, file).verdict is Verdict.FAIL


def test_a_file_that_asks_nothing_passes_neither(engine: Engine, image: str, folder: Path) -> None:
    assert theirs(engine, image, folder / "empty.yaml") == []
    assert ours(engine, image, folder / "empty.yaml").verdict is Verdict.ERROR


def test_limits_make_a_command_undecided(engine: Engine, image: str, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(
        f"{HEAD}commandTests:\n- {{name: loud, command: 'yes'}}\n"
        "- {name: large, command: sh, args: [-c, 'exec sort -S 1G /dev/zero']}\n"
        "- {name: setup, setup: [['yes']], command: 'true'}\n",
        encoding="utf-8",
    )
    contract = Contract(memory="32 MiB")
    smoke = prove({file: read_structure_file(file)}, image, contract, engine, environment={}, folder=tmp_path)
    assert [check.status for check in smoke.checks] == [Status.ERROR] * 3, [check.actual for check in smoke.checks]
    loud, large, setup = (check.actual for check in smoke.checks)
    assert "it had written 16777216 bytes" in loud
    assert "as at the memory limit" in large
    assert "in its setup, the command was stopped" in setup


def seatrial(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "seatrial", *words]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_several_files_are_one_report(engine: Engine, image: str, folder: Path) -> None:
    assert engine.version
    words = ("smoke", "--image", image, "--structure-test", "metadata.yaml", "--structure-test", "other.json")
    told = seatrial(*words, "--format", "json", folder=folder)
    report = json.loads(told.stdout)
    assert told.returncode == 1
    assert (report["verdict"], report["counts"]["pass"], report["counts"]["fail"]) == ("fail", 8, 3)
    assert report["checks"][0]["id"] == "structure/metadataTest"
    assert seatrial(*words[:5], folder=folder).returncode == 0


def test_a_level_adds_the_contracts_checks(engine: Engine, image: str, folder: Path) -> None:
    assert engine.version
    words = ("smoke", "--image", image, "--structure-test", "metadata.yaml", "--level", "quick", "--format", "json")
    checks = [load["id"] for load in json.loads(seatrial(*words, folder=folder).stdout)["checks"]]
    assert checks[-1] == "structure/metadataTest"
    assert "identity/non-root" in checks


def test_an_image_that_is_not_there_is_one_line(folder: Path) -> None:
    told = seatrial("smoke", "--image", "no/such:image", "--structure-test", "metadata.yaml", folder=folder)
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1
    assert "no/such:image: the engine has no such image" in told.stderr


def test_an_interrupted_run_leaves_nothing(engine: Engine, image: str, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(
        f"{HEAD}commandTests:\n- {{name: a, setup: [['true'], [sleep, '60']], command: 'true'}}\n", encoding="utf-8"
    )
    argv = [sys.executable, "-m", "seatrial", "smoke", "--image", image, "--structure-test", str(file)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as running:
        mine = f":{running.pid}:"

        def committed() -> list[object]:
            images = engine.client.api.images(all=True, filters={"label": COMMITTED})
            return [entry for entry in images if mine in entry["Labels"][COMMITTED]]

        deadline = time.monotonic() + 60
        while not committed() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert committed()
        running.terminate()
        assert running.wait(timeout=120) == 143
        assert committed() == []


def test_the_sweep_removes_what_a_dead_run_committed_and_nothing_else(engine: Engine, image: str) -> None:
    this = owner.this()
    dead = owner.Owner(machine=this.machine, boot=this.boot, pid=this.pid, started="1")
    client = engine.client.api
    made = client.create_container_from_config({"Image": image, "Cmd": ["true"]})["Id"]  # type: ignore[no-untyped-call]
    try:
        left = client.commit(made, conf={"Labels": {COMMITTED: str(dead)}})["Id"]
        living = client.commit(made, conf={"Labels": {COMMITTED: str(this)}})["Id"]
        named = client.commit(made, repository="seatrial-test/named", conf={"Labels": {COMMITTED: str(dead)}})["Id"]
        try:
            sweep.start(engine, this).join(60)
            there = {entry["Id"] for entry in client.images(all=True, filters={"label": COMMITTED})}
            assert left not in there
            assert {living, named} <= there
        finally:
            for entry in (living, "seatrial-test/named"):
                client.remove_image(entry, force=True)
    finally:
        client.remove_container(made, force=True, v=True)
