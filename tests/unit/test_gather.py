"""Gathering the facts of an image: what is asked and what is not; the engine is in memory, the probe is made up."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from tests.fakes.engine import MemoryEngine
from tests.unit.factories import boot, facts, host, layers
from tests.unit.source_factories import sources

from seatrial.facts import (
    NO_SOURCES,
    NOT_DEEP,
    Accounts,
    Agreement,
    Boot,
    CommandOverride,
    Contents,
    Probe,
    ProcessList,
    ProjectFacts,
    Unavailable,
)
from seatrial.observe import gather as module
from seatrial.observe.configuration import OtherCommand
from seatrial.observe.gather import NOT_ASKED, Wanted, gather
from seatrial.observe.image_files import read_limits
from seatrial.observe.kept import LEAST_EXPORTED
from seatrial.observe.project.sources import SourceFiles
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from seatrial.facts import Facts
    from seatrial.observe.running.sandbox import BootSetup

OVERRIDE = CommandOverride(ran=True, happened="it ended with exit code 0")
SOUND = cast("Probe", facts().probe)


@dataclass
class World:
    """An engine with the image `shop:1`, and what the probe and the starts say of it."""

    memory: MemoryEngine = field(default_factory=MemoryEngine)
    probe: Probe | Unavailable = SOUND
    first: Boot | Unavailable = field(default_factory=boot)
    asked: dict[str, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def image(self, *command: str, **config: Any) -> None:
        plain = {"Cmd": list(command), "Env": ["PATH=/usr/bin"], "WorkingDir": "/app"}
        self.memory.add_image("shop:1", **{**plain, **config})

    def gather(self, contract: Contract | None = None, wanted: Wanted | None = None, **more: Any) -> Facts:
        return gather(
            self.memory.engine,
            "shop:1",
            contract or Contract(),
            wanted=wanted or Wanted(),
            say=self.said.append,
            **more,
        )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    made.image("python3", "-m", "shop")

    def run_probe(*words: Any, beside: bool) -> Probe | Unavailable:
        made.asked["probe"] = (words[2], words[3], beside)
        return made.probe

    def boots(starter: BootSetup, _: object, *, deep: bool) -> Any:
        made.asked["boot image"] = starter.configuration
        made.asked["boots"] = (starter.python.result(5), deep)
        return made.first, (), NOT_DEEP

    def run_override(*_: object) -> CommandOverride:
        made.asked["override"] = True
        return OVERRIDE

    monkeypatch.setattr(module, "run_probe", run_probe)
    monkeypatch.setattr(module, "boots", boots)
    monkeypatch.setattr(module, "run_override", run_override)
    monkeypatch.setattr(module, "read_layers", lambda *_: layers())
    return made


def test_the_standard_level_probes_and_starts_once(world: World) -> None:
    project = ProjectFacts(name="shop")
    found = world.gather(project=project)
    assert (found.probe, found.boot, found.project) == (world.probe, world.first, project)
    assert (found.override, found.sources, found.relaxed, found.deep) == (None, NO_SOURCES, (), NOT_DEEP)
    assert not isinstance(found.command, Unavailable)
    assert (found.command.word, found.command.python, found.health_command) == ("python3", "/usr/bin/python3", None)
    python, request, beside = world.asked["probe"]
    assert (python.path, request.modules, beside) == ("/usr/bin/python3", ("shop",), True)
    assert world.asked["boots"] == ("/usr/bin/python3", False)
    assert isinstance(found.contents, Contents)
    # /, /usr, /usr/bin and its file.
    assert (found.contents.paths, found.accounts) == (4, Accounts())
    # The image holds an interpreter without a library: its word cannot be compared, and stays.
    assert isinstance(found.agreement, Unavailable)
    assert "no library of Python's lies beside /usr/bin/python3" in found.agreement.reason
    assert sorted(found.seconds) == ["configuration", "probe"]
    assert world.said == ["probing and starting", "waiting for the application"]
    # The container whose files were read is removed.
    assert world.memory.containers == {}


def test_the_quick_level_starts_nothing(world: World) -> None:
    world.image("python3", Entrypoint=["/entry"])
    found = world.gather(wanted=Wanted(boot=False, deep=True))
    assert found.boot == NOT_ASKED
    assert "boots" not in world.asked
    assert "override" not in world.asked
    assert world.asked["probe"][2] is False
    assert world.said[0] == "probing"


@pytest.mark.parametrize(
    ("deep", "command", "entrypoint", "asked"),
    [
        (True, ["python3", "main.py"], ["/entry"], True),
        (False, ["python3", "main.py"], ["/entry"], False),
        (True, ["--port", "80"], ["/entry"], False),
        (True, ["nothing"], ["/entry"], False),
        (True, ["python3", "main.py"], [], False),
        (True, [], ["/entry"], False),
    ],
)
def test_another_command_is_tried_where_the_entrypoint_takes_one(
    world: World, command: list[str], entrypoint: list[str], *, deep: bool, asked: bool
) -> None:
    world.image(*command, Entrypoint=entrypoint)
    found = world.gather(wanted=Wanted(deep=deep))
    assert found.override == (OVERRIDE if asked else None)
    assert world.asked["boots"][1] is deep


def test_an_image_is_observed_with_the_command_of_the_settings(world: World) -> None:
    world.image("uvicorn", "shop.api:app", Entrypoint=["tini", "--"])
    found = world.gather(other_command=OtherCommand(command=("celery", "worker"), where="pyproject.toml:3"))
    assert found.configuration.words == ("tini", "--", "celery", "worker")
    assert not isinstance(found.command, Unavailable)
    assert found.command.word == "celery"
    assert world.asked["boot image"].command_from == "pyproject.toml:3"


def test_an_image_without_python_is_read_all_the_same(world: World) -> None:
    del world.memory.files["/usr/bin/python3"]
    world.probe = Unavailable(reason="the image holds no Python interpreter")
    found = world.gather()
    assert (world.asked["probe"][0], world.asked["boots"][0]) == (None, "")
    assert isinstance(found.contents, Contents)
    assert found.agreement == world.probe


def test_the_sources_are_read_where_they_are_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    read = sources()
    monkeypatch.setattr(module, "read_sources", lambda *_: read)
    files = SourceFiles(
        project=Path("/p"),
        dockerfile=Path("/p/Dockerfile"),
        context=Path("/p"),
        compose=None,
        build_arguments={},
        host=host(Path("/p")),
    )
    found = world.gather(sources=files)
    assert found.sources is read
    assert "sources" in found.seconds


def test_what_the_probe_is_asked_follows_the_image_and_the_contract(world: World) -> None:
    world.memory.files["/etc/passwd"] = b"app:x:7:7::/home/app:\n"
    world.image("python3", "-m", "shop", User="app")
    contract = Contract(modules=("other",), executables=("git", "pip"), writable_paths=("/data",))
    world.gather(contract)
    request = world.asked["probe"][1]
    assert (request.modules, request.import_root) == (("other",), "/app")
    assert request.executables == ("git", "pip", "setuptools", "wheel", "uv")
    assert request.places == ("/home/app/.cache", "/data")
    world.gather(Contract(environment={"HOME": "/srv/"}), Wanted(imports=False))
    request = world.asked["probe"][1]
    assert (request.modules, request.places) == ((), ("/srv/.cache",))
    world.gather(Contract(environment={"XDG_CACHE_HOME": "/cache"}))
    assert world.asked["probe"][1].places == ("/cache",)
    world.image("python3", User="99")
    world.gather()
    assert world.asked["probe"][1].places == ("/.cache",)


def test_what_the_command_leaves_open_is_seen_in_the_processes_of_the_start(world: World) -> None:
    world.memory.files |= {"/srv/venv/bin/python3": b"", "/opaque": b"#!/bin/nothing\n"}
    world.image("/opaque")
    line = "/srv/venv/bin/python3 /srv/venv/bin/gunicorn --bind :80 shop.wsgi:app"
    world.first = boot(process_list=ProcessList(first="/opaque", commands=("/opaque", line, "sleep 1")))
    found = world.gather()
    python, request, beside = world.asked["probe"]
    assert (python.path, python.why) == ("/srv/venv/bin/python3", "a process of its start runs on it")
    assert (request.modules, request.import_root, beside) == (("shop.wsgi:app",), "/app", False)
    assert not isinstance(found.command, Unavailable)
    assert (found.command.modules, found.command.python) == (("shop.wsgi:app",), "/srv/venv/bin/python3")
    assert "probe again" in found.seconds


def test_what_the_contract_names_is_not_asked_of_the_processes(world: World) -> None:
    world.image("/opaque")
    world.first = boot(process_list=ProcessList(first="x", commands=("uvicorn other:app",)))
    found = world.gather(Contract(modules=("shop",), interpreter="/usr/bin/python3"))
    assert world.asked["probe"][1].modules == ("shop",)
    assert "probe again" not in found.seconds


def test_an_image_for_another_platform_was_not_started(world: World) -> None:
    world.memory.images["shop:1"]["Architecture"] = "arm64"
    for failed in (Boot(start_error="exec format error"), Boot(log=("exec /x: exec format error",))):
        world.first = failed
        found = world.gather().boot
        assert isinstance(found, Unavailable)
        assert "linux/arm64" in found.reason
    world.first = Boot(start_error="no such file")
    assert world.gather().boot is world.first
    world.first = Unavailable(reason="exec format error")
    assert world.gather().boot is world.first


# --- what the engine packs -----------------------------------------------------------------------------------------


def test_the_files_word_takes_the_place_of_the_probes(world: World) -> None:
    site = "/usr/lib/python3.13/site-packages"
    world.memory.files |= {
        "/usr/lib/python3.13/os.py": b"",
        "/usr/bin/python3": b"\x7fELF\0" + b"".join(b"PyThing_%d\0" % number for number in range(LEAST_EXPORTED)),
        f"{site}/hidden-1.0.dist-info/METADATA": b"Name: hidden\nVersion: 1.0\n",
        "/app/.env": b"TOKEN=1",
    }
    found = world.gather(Contract(files={"/app/": ()}))
    assert isinstance(found.probe, Probe)
    assert [(package.name, package.location) for package in found.probe.distributions] == [("hidden", site)]
    assert found.probe.interpreter.path == ("/usr/lib/python3.13", site)
    assert isinstance(found.agreement, Agreement)
    told = {difference.what: (difference.files, difference.said) for difference in found.agreement.differences}
    assert told["hidden"] == (f"1.0 in {site}", "not installed")
    assert told["fastapi"] == ("not installed", "1.0 in /app/.venv/lib/python3.13/site-packages")
    assert told["sys.prefix"] == ("/usr", "/app/.venv")
    assert told["the uid of USER"] == ("0", "10001")
    assert isinstance(found.contents, Contents)
    assert [match.path for match in found.contents.found] == ["/app/.env"]


def test_an_image_is_read_once(world: World, tmp_path: Path) -> None:
    world.image("python3", "-m", "shop", id="sha256:" + "a" * 64)
    world.memory.images["shop:1"]["Id"] = "sha256:" + "a" * 64
    object.__setattr__(world.memory.engine, "cache", tmp_path)
    first = world.gather()
    world.memory.files["/app/.env"] = b"what is read again would be seen"
    assert world.gather().contents == first.contents
    next((tmp_path / "images").iterdir()).unlink()
    assert world.gather().contents != first.contents


def test_what_is_read_is_bounded_by_what_the_layers_hold() -> None:
    limits = read_limits(msgspec.structs.replace(facts().configuration, unpacked=0))
    assert (limits.seconds, limits.most) == (60.0, 500_000_000)
    limits = read_limits(msgspec.structs.replace(facts().configuration, unpacked=10**12))
    assert limits.seconds == 600.0


@pytest.mark.parametrize("folders", [18_000, 300_000])
def test_a_path_of_many_folders_is_not_asked_for_one_by_one(world: World, folders: int) -> None:
    path = ":".join(f"/nothing/{number}" for number in range(folders))
    world.image("python3", "-m", "shop", Env=[f"PATH={path}:/usr/bin:/usr/bin"])
    begun = time.perf_counter()
    found = world.gather()
    assert time.perf_counter() - begun < 15
    assert not isinstance(found.command, Unavailable)
    assert (found.command.python, found.command.searched) == ("/usr/bin/python3", ("/usr/bin",))
    # What the image says of itself stays what it is.
    assert found.configuration.environment["PATH"].count(":") == folders + 1
