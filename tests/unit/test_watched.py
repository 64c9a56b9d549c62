"""What a container writes to the engine's disk is watched, and ended where it is too much."""

from __future__ import annotations

import itertools
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.boot_engine import Script, api_error, installed

from seatrial.engine import containers
from seatrial.engine.containers import Container, container, disk_bytes
from seatrial.facts import Restriction, VolumeFolder
from seatrial.observe.running import boot
from seatrial.observe.running.boot import run_boot

if TYPE_CHECKING:
    from collections.abc import Iterable

GIB = 1024**3


class Disk:
    """An engine that tells how much a container has written; sizes are asked for one after the other."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self.sizes = itertools.chain(sizes)
        self.killed = threading.Event()
        self.asked = threading.Event()

    def create_container_from_config(self, *_: object, **__: object) -> dict[str, str]:
        return {"Id": "c"}

    def inspect_container(self, _: str) -> dict[str, Any]:
        return {"Mounts": [{"Type": "volume", "Name": "v"}, {"Type": "bind"}]}

    def containers(self, **_: object) -> list[dict[str, Any]]:
        size = next(self.sizes, None)
        if size is None:
            self.asked.set()
            raise api_error(404, "gone")
        return [{"SizeRw": size}]

    def _url(self, path: str) -> str:
        return path

    def _get(self, path: str, params: dict[str, str]) -> tuple[str, dict[str, str]]:
        return path, params

    def _result(self, asked: tuple[str, dict[str, str]], *, json: bool) -> dict[str, Any]:
        assert (asked, json) == (("/system/df", {"type": "volume"}), True)
        return {"Volumes": [{"Name": "v", "UsageData": {"Size": 5}}, {"Name": "other", "UsageData": {"Size": 99}}]}

    def kill(self, _: str) -> None:
        self.killed.set()

    def remove_container(self, *_: object, **__: object) -> None:
        pass

    def close(self) -> None:
        pass


def watch(disk: Disk, monkeypatch: pytest.MonkeyPatch, *, watched: bool = True) -> Container:
    monkeypatch.setattr(containers, "WATCH_EVERY", 0.001)
    run: Any = SimpleNamespace(ended=threading.Event(), labels={}, engine=SimpleNamespace(connection=lambda **_: disk))
    with container(run, {}, watched=watched) as made:
        if watched:
            while not (disk.killed.wait(0.01) or disk.asked.is_set()):
                pass
    return made


def test_what_writes_on_and_on_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk([0, GIB // 2, 2 * GIB])
    assert watch(disk, monkeypatch).written == [2 * GIB]
    assert disk.killed.is_set()


@pytest.mark.parametrize(
    "sizes",
    [
        [0, GIB // 2, GIB],
        [9 * GIB, 9 * GIB + 1, 9 * GIB + 2],  # What a service stored before this start.
        [0],
    ],
)
def test_what_writes_little_is_left_alone(monkeypatch: pytest.MonkeyPatch, sizes: list[int]) -> None:
    disk = Disk(sizes)
    assert watch(disk, monkeypatch).written == []
    assert not disk.killed.is_set()


def test_one_that_is_not_watched_costs_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk([])
    watch(disk, monkeypatch, watched=False)
    assert not disk.asked.is_set()


def test_a_containers_own_volumes_count_and_no_others() -> None:
    assert disk_bytes(Disk([7]), "c", ["v"]) == 12
    assert disk_bytes(Disk([7]), "c", []) == 7


@pytest.mark.parametrize(
    ("image", "lifted", "watched"),
    [
        ({}, (), False),
        ({}, (Restriction.READ_ONLY,), True),
        ({"volumes": ("/data",)}, (), True),
        ({"volumes": ("/data",), "empty_volumes": {"/data": VolumeFolder()}}, (), False),
        ({"volumes": ("/tmp",)}, (), False),
    ],
)
def test_a_start_that_can_write_to_the_disk_is_watched(
    monkeypatch: pytest.MonkeyPatch, image: dict[str, Any], lifted: tuple[Restriction, ...], watched: bool
) -> None:
    engine = installed(monkeypatch, Script())
    run_boot(engine.starter(**image), lifted=lifted)
    assert engine.watched == [watched]


@pytest.mark.parametrize(
    ("held", "refused", "told"),
    [(300, "no space left on device", True), (300, "", False), (300, "busy", False), (1, "no space left", False)],
)
def test_a_full_volume_is_told(monkeypatch: pytest.MonkeyPatch, held: int, refused: str, told: bool) -> None:
    engine = installed(monkeypatch, Script())
    monkeypatch.setattr(boot, "shared_memory", lambda *_: held * 1024**2)

    def put(*_: object) -> None:
        if refused:
            raise api_error(500, refused)

    monkeypatch.setattr(engine, "put_archive", put, raising=False)
    seen = run_boot(engine.starter(volumes=("/data",), empty_volumes={"/data": VolumeFolder()}))
    assert seen.came_up
    assert seen.filled == ("it filled its volume /data: a start has 268 MB there" if told else "")
