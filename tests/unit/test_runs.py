from __future__ import annotations

import os
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest
from tests.fakes.engine import MemoryEngine, refusal

from seatrial.engine import runs
from seatrial.engine.containers import container
from seatrial.engine.runs import Owner, is_dead, owner, process_fields

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc in which process 42 runs, under a name that is meant to confuse."""
    folder = tmp_path / "proc"
    (folder / "sys/kernel/random").mkdir(parents=True)
    (folder / "sys/kernel/random/boot_id").write_text("boot-1\n")
    process(folder, 42, "777")
    (tmp_path / "machine-id").write_text("machine-1\n")
    (tmp_path / "proc/self/ns").mkdir(parents=True)
    (tmp_path / "proc/self/ns/pid").symlink_to("pid:[7]")
    return folder


def process(proc: Path, pid: int, started: str) -> None:
    (proc / str(pid)).mkdir(exist_ok=True)
    fields = ["S", *(str(n) for n in range(4, 22)), started, "0"]
    (proc / str(pid) / "stat").write_text(f"{pid} (a) b (c)) {' '.join(fields)}\n")


def me(proc: Path) -> Owner:
    return owner(42, proc, proc.parent / "machine-id")


def test_an_owner_is_its_machine_boot_number_and_start(proc: Path) -> None:
    assert str(me(proc)) == "machine-1.7:boot-1:42:777"


def test_this_process_lives() -> None:
    this = owner(os.getpid())
    assert this.started.isdecimal()
    assert not is_dead(str(this), this)


def test_a_process_that_runs_is_not_dead(proc: Path) -> None:
    assert not is_dead("machine-1.7:boot-1:42:777", me(proc), proc)


@pytest.mark.parametrize(
    "label",
    [
        "machine-1.7:boot-1:43:777",  # gone
        "machine-1.7:boot-1:42:776",  # its number was given to another process
        "machine-1.7:boot-0:42:777",  # before the last restart
    ],
)
def test_a_process_that_is_gone_is_dead(proc: Path, label: str) -> None:
    assert is_dead(label, me(proc), proc)


@pytest.mark.parametrize(
    "label",
    [
        "machine-2:boot-0:43:1",
        "unknown:boot-0:43:1",
        "",
        "machine-1.7:boot-0",
        "machine-1.7:boot-0:x:1",
        "machine-1.7:boot-0:-1:1",
        "machine-1.7:boot-1:" + "9" * 5000 + ":1",
        "machine-1.7:boot-1:\u0664\u0663:1",
        "machine-1.7:boot-0:1:2:3",
    ],
)
def test_what_cannot_be_told_is_left_alone(proc: Path, label: str) -> None:
    assert not is_dead(label, me(proc), proc)


def test_without_a_machine_id_or_boot_id_nothing_is_dead(proc: Path, tmp_path: Path) -> None:
    nameless = owner(42, proc, tmp_path / "none")
    assert nameless.machine == "unknown"
    assert not is_dead(f"unknown:boot-0:{42}:777", nameless, proc)
    bootless = Owner(machine="machine-1.7", boot="", pid=42, started="777")
    assert not is_dead("machine-1.7:boot-0:42:777", bootless, proc)


def test_a_process_that_ended_meanwhile_has_no_start(proc: Path) -> None:
    (proc / "44").mkdir()
    (proc / "44" / "stat").write_text("")
    assert owner(44, proc).started == ""


def test_the_name_of_a_process_may_hold_anything(proc: Path) -> None:
    (proc / "45").mkdir()
    (proc / "45" / "stat").write_bytes(b"45 (a) \xff 9) S 7 1")
    assert process_fields(45, proc) == ["S", "7", "1"]
    assert process_fields(46, proc) == []


@pytest.mark.parametrize(("status", "raised"), [(404, False), (409, False), (500, True), (403, True)])
def test_what_is_gone_or_being_removed_is_no_error(status: int, raised: bool) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise refusal(status, "no")

    client: Any = SimpleNamespace(remove_container=refuse, remove_image=refuse)
    for removed in (runs.remove, runs.remove_image):
        with pytest.raises(docker.errors.APIError) if raised else nullcontext():
            removed(client, "x")


def test_a_run_that_ends_removes_its_containers_and_starts_no_more() -> None:
    memory = MemoryEngine()
    memory.add_image("app:1")
    with runs.running(memory.engine, pid=os.getpid()) as run:
        with container(run, {"Image": "app:1"}) as made:
            assert memory.containers[made.id].labels[runs.LABEL] == run.id
        assert memory.containers == {}
        memory.engine.connection().create_container_from_config({"Image": "app:1", "Labels": run.labels})
        other = memory.engine.connection().create_container_from_config({"Image": "app:1"})["Id"]
    assert list(memory.containers) == [other]
    assert run.ended.is_set()
    with pytest.raises(runs.RunEndedError), container(run, {"Image": "app:1"}):
        pass


def test_an_error_beside_other_threads_ends_the_run_at_once() -> None:
    memory = MemoryEngine()
    memory.add_image("app:1")
    with runs.running(memory.engine, pid=os.getpid()) as run:
        memory.engine.connection().create_container_from_config({"Image": "app:1", "Labels": run.labels})
        with pytest.raises(ValueError, match="boom"), runs.ending(run):
            raise ValueError("boom")
        assert memory.containers == {}
        with runs.ending(run):
            pass


class Left:
    """What runs left on an engine; this process is alive, every other one is dead."""

    def __init__(self, this: str, dead: str) -> None:
        run = {runs.LABEL: "0123456789abcdef"}
        self.labels = {
            "dead": {**run, runs.OWNER: dead},
            "alive": {**run, runs.OWNER: this},
            "of its image": {**run, runs.OWNER: dead},
            "no run's": {runs.LABEL: "mine", runs.OWNER: dead},
            "of an image that is gone": {**run, runs.OWNER: dead},
            "its image's run": {**run, runs.OWNER: dead},
        }
        committed = {
            "gone": (dead, None),
            "nameless": (dead, ["<none>:<none>"]),
            "named": (dead, ["a:1"]),
            "ours": (this, None),
        }
        self.committed = [
            {"Id": name, "Labels": {runs.COMMITTED: owner}, "RepoTags": tags}
            for name, (owner, tags) in committed.items()
        ]
        self.removed: list[str] = []

    def containers(self, **_: object) -> list[dict[str, Any]]:
        return [{"Id": name, "ImageID": name, "Labels": labels} for name, labels in self.labels.items()]

    def inspect_image(self, name: str) -> dict[str, Any]:
        if name == "of an image that is gone":
            raise docker.errors.NotFound("no such image")
        of_images = {"of its image": self.labels[name], "its image's run": {runs.LABEL: self.labels[name][runs.LABEL]}}
        return {"Config": {"Labels": of_images.get(name)}}

    def images(self, **_: object) -> list[dict[str, Any]]:
        return self.committed

    def remove_container(self, name: str, **_: object) -> None:
        self.removed.append(name)

    def remove_image(self, name: str, **_: object) -> None:
        self.removed.append(name)

    def close(self) -> None:
        self.removed.append("closed")


def test_the_sweep_removes_what_dead_runs_left_and_nothing_else() -> None:
    this = Owner(machine="machine-1.7", boot="boot-1", pid=os.getpid(), started=owner(os.getpid()).started)
    left = Left(str(this), "machine-1.7:boot-0:43:1")
    engine: Any = SimpleNamespace(connection=lambda **_: left)
    runs.start_sweep(engine, this).join(10)
    assert left.removed == ["dead", "gone", "nameless", "closed"]
