"""Gathering the facts of an image: what is asked and what is not; the engine is in memory, the probe is made up."""

from __future__ import annotations

import io
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import docker.errors
import msgspec
import pytest
from tests.fakes.engine import MemoryEngine
from tests.unit.boot_engine import api_error
from tests.unit.factories import boot, facts, host
from tests.unit.source_factories import sources

from seatrial.facts import (
    NO_SOURCES,
    NOT_DEEP,
    Accounts,
    Boot,
    CommandOverride,
    ContentKind,
    FoundPath,
    PathRule,
    Probe,
    ProjectFacts,
    ResolvedPath,
    Unavailable,
    Walk,
)
from seatrial.observe import gather as module
from seatrial.observe.contents import (
    MOST_AFTER,
    MOST_UNREAD,
    EngineView,
    WalkRequest,
    read_during_probe,
    whole_contents,
)
from seatrial.observe.gather import NOT_ASKED, Wanted, gather
from seatrial.observe.sources import SourceFiles
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.facts import Facts
    from seatrial.observe.boot import BootSetup
    from seatrial.observe.files import EngineFiles

OVERRIDE = CommandOverride(ran=True, happened="it ended with exit code 0")
SOUND = cast("Probe", facts().probe)
WALKED = msgspec.structs.replace(SOUND, walk=Walk(paths=9))


@dataclass
class World:
    """An engine with the image `shop:1`, and what the probe and the starts say of it."""

    memory: MemoryEngine = field(default_factory=MemoryEngine)
    probe: Probe | Unavailable = WALKED
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
        made.asked["boots"] = (starter.python.result(5), deep)
        return made.first, (), NOT_DEEP

    def reading(*words: Any, whole: bool) -> EngineView:
        made.asked["whole"] = whole
        return read_during_probe(*words, whole=whole)

    def run_override(*_: object) -> CommandOverride:
        made.asked["override"] = True
        return OVERRIDE

    monkeypatch.setattr(module, "run_probe", run_probe)
    monkeypatch.setattr(module, "boots", boots)
    monkeypatch.setattr(module, "read_during_probe", reading)
    monkeypatch.setattr(module, "run_override", run_override)
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
    assert (world.asked["boots"], world.asked["whole"]) == (("/usr/bin/python3", False), False)
    assert isinstance(found.contents, Walk)
    assert (found.contents.by, found.contents.paths, found.accounts) == ("probe", 9, Accounts())
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


def test_an_image_without_python_is_walked_by_the_engine(world: World) -> None:
    del world.memory.files["/usr/bin/python3"]
    world.probe = Unavailable(reason="the image holds no Python interpreter")
    found = world.gather()
    assert (world.asked["probe"][0], world.asked["boots"][0], world.asked["whole"]) == (None, "", True)
    assert isinstance(found.contents, Walk)
    assert found.contents.by == "engine"


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
    contract = Contract(
        modules=("other",), executables=("git", "pip"), writable_paths=("/data",), files={"/app/": ("a",)}
    )
    world.gather(contract)
    request = world.asked["probe"][1]
    assert (request.modules, request.import_root) == (("other",), "/app")
    assert request.executables == ("git", "pip", "setuptools", "wheel", "uv")
    assert request.places == ("/home/app/.cache", "/data")
    assert request.walk.folders == ("/app",)
    world.gather(Contract(environment={"HOME": "/srv/"}), Wanted(imports=False))
    request = world.asked["probe"][1]
    assert (request.modules, request.places) == ((), ("/srv/.cache",))
    world.gather(Contract(environment={"XDG_CACHE_HOME": "/cache"}))
    assert world.asked["probe"][1].places == ("/cache",)
    world.image("python3", User="99")
    world.gather()
    assert world.asked["probe"][1].places == ("/.cache",)


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


# --- what the probe and the engine saw, put together --------------------------------------------------------------


class Packed:
    """The files of an image as the engine packs them: small ones by their path, and folders."""

    def __init__(self, texts: dict[str, str], folders: dict[str, tuple[str, ...] | Exception]) -> None:
        self.texts, self.folders = texts, folders
        self.walked: list[str] = []
        self.read: list[str] = []

    def text(self, path: str) -> str:
        self.read.append(path)
        return self.texts.get(path, "")

    @contextmanager
    def tree(self, path: str) -> Iterator[io.BytesIO]:
        self.walked.append(path)
        held = self.folders.get(path, docker.errors.NotFound("nothing"))
        if isinstance(held, Exception):
            raise held
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            top = tarfile.TarInfo(path.rpartition("/")[2] or "/")
            top.type = tarfile.DIRTYPE
            archive.addfile(top)
            for name in held:
                archive.addfile(tarfile.TarInfo(f"{top.name.rstrip('/')}/{name}"))
        packed.seek(0)
        yield packed


KEY = PathRule(kind=ContentKind.SECRET, about="a key", name=r".+\.key", content="PRIVATE")
OTHER = PathRule(kind=ContentKind.SECRET, about="a login", name=r"login", content="auth")
REQUEST = WalkRequest(rules=(KEY, OTHER))


def view(**walks: Walk) -> EngineView:
    return EngineView(
        accounts=Accounts(),
        working_directory=ResolvedPath(steps=("/app",), entry=None),
        walks={f"/{name}": walk for name, walk in walks.items()},
    )


def whole(packed: Packed, engine_view: EngineView, walk: Walk | None) -> Any:
    probe = msgspec.structs.replace(SOUND, walk=walk)
    return whole_contents(cast("EngineFiles", packed), REQUEST, engine_view, probe)


def test_the_engine_fills_in_what_the_probe_could_not_list() -> None:
    packed = Packed({}, {"/late": ("a", "b")})
    seen = whole(packed, view(root=Walk(paths=3), seen=Walk(paths=50)), Walk(paths=100, unreadable=("/root", "/late")))
    assert packed.walked == ["/late"]
    # What the probe listed itself is not counted twice.
    assert (seen.by, seen.paths, seen.unreadable) == ("probe", 100 + 3 + 3, ())


def test_only_so_many_folders_are_read_afterwards() -> None:
    closed = tuple(f"/closed/{number}" for number in range(MOST_AFTER + 2))
    packed = Packed({}, {})
    seen = whole(packed, view(), Walk(paths=1, unreadable=closed))
    assert packed.walked == list(closed[:MOST_AFTER])
    assert seen.unreadable == closed[MOST_AFTER:]


def test_a_folder_that_the_engine_cannot_pack_is_told() -> None:
    packed = Packed({}, {"/closed": api_error(500, "input/output error")})
    seen = whole(packed, view(), Walk(paths=1, unreadable=("/closed",)))
    assert seen.cut == ("/closed: the engine could not read it (input/output error)",)


def test_without_a_walk_of_the_probes_the_engine_packs_everything() -> None:
    packed = Packed({}, {"/": ("x.key",)})
    seen = whole(packed, view(), None)
    assert (seen.by, packed.walked) == ("engine", ["/"])
    read = EngineView(accounts=Accounts(), working_directory=view().working_directory, walks={"/": Walk(paths=7)})
    assert whole(Packed({}, {}), read, None).paths == 7


def unread(path: str, about: str = "a key") -> FoundPath:
    return FoundPath(kind=ContentKind.SECRET, about=about, path=path, unread=True)


def test_the_engine_reads_the_files_whose_content_decides() -> None:
    packed = Packed({"/a.key": "PRIVATE", "/b.key": "public", "/login": "PRIVATE", "/c.key": "auth"}, {})
    known = FoundPath(kind=ContentKind.SECRET, about="a key", path="/known.key")
    odd = (unread("/o\\x80.key"), unread("/" + "x" * 5000 + ".key"))
    rows = (known, unread("/a.key"), unread("/b.key"), unread("/login", "a login"), unread("/c.key"), *odd)
    seen = whole(packed, view(), Walk(paths=1, found=rows))
    assert seen.found == (known, msgspec.structs.replace(rows[1], unread=False), *odd)
    assert packed.read == ["/a.key", "/b.key", "/login", "/c.key"]


def test_only_so_many_files_are_read_for_their_content() -> None:
    rows = tuple(unread(f"/{number}.key") for number in range(MOST_UNREAD + 1))
    packed = Packed({}, {})
    assert whole(packed, view(), Walk(paths=1, found=rows)).found == rows[MOST_UNREAD:]
    assert len(packed.read) == MOST_UNREAD
