from __future__ import annotations

import os
import signal
import subprocess
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest
from tests.fakes.engine import MemoryEngine, refusal

from seatrial import owner
from seatrial import process as programs
from seatrial.engine import runs, sweep
from seatrial.engine.containers import container, kill
from seatrial.owner import Owner, is_dead, process_fields


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
    return owner.of(42, proc, proc.parent / "machine-id")


def test_an_owner_is_its_machine_boot_number_and_start(proc: Path) -> None:
    assert str(me(proc)) == "machine-1.7:boot-1:42:777"


def test_this_process_lives() -> None:
    this = owner.of(os.getpid())
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
    nameless = owner.of(42, proc, tmp_path / "none")
    assert nameless.machine == "unknown"
    assert not is_dead(f"unknown:boot-0:{42}:777", nameless, proc)
    bootless = Owner(machine="machine-1.7", boot="", pid=42, started="777")
    assert not is_dead("machine-1.7:boot-0:42:777", bootless, proc)


def test_a_process_that_ended_meanwhile_has_no_start(proc: Path) -> None:
    (proc / "44").mkdir()
    (proc / "44" / "stat").write_text("")
    assert owner.of(44, proc).started == ""


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

    def __init__(self, this: Owner, dead: Owner) -> None:
        run = {runs.LABEL: "0123456789abcdef"}
        self.labels = {
            "dead": {**run, runs.OWNER: str(dead)},
            "alive": {**run, runs.OWNER: str(this)},
            "of its image": {**run, runs.OWNER: str(dead)},
            "no run's": {runs.LABEL: "mine", runs.OWNER: str(dead)},
            "of an image that is gone": {**run, runs.OWNER: str(dead)},
            "its image's run": {**run, runs.OWNER: str(dead)},
        }
        committed = {
            "gone": (dead, None),
            "nameless": (dead, ["<none>:<none>"]),
            "named": (dead, ["a:1"]),
            "ours": (this, None),
        }
        self.committed = [
            {"Id": name, "Labels": {runs.COMMITTED: str(who)}, "RepoTags": tags}
            for name, (who, tags) in committed.items()
        ]
        tags = [f"shop:unsearched-{who.token}-0123456789ab" for who in (dead, this)]
        odd = ["shop:unsearched-0123456789ab", f"shop:unsearched-{dead.token}", "<none>:<none>"]
        self.tagged = [{"Id": "1", "RepoTags": [*tags, *odd, f"reg:5000/a/b:unsearched-{dead.token}-0123456789ab"]}]
        self.removed: list[str] = []

    def containers(self, **_: object) -> list[dict[str, Any]]:
        return [{"Id": name, "ImageID": name, "Labels": labels} for name, labels in self.labels.items()]

    def networks(self, **_: object) -> list[dict[str, Any]]:
        return [
            {"Id": f"net {name}", "Labels": self.labels.get(name)} for name in ("dead", "alive", "no run's", "none")
        ]

    def volumes(self, **_: object) -> dict[str, Any]:
        rows = [{"Name": f"vol {name}", "Labels": self.labels.get(name)} for name in ("alive", "none", "dead")]
        return {"Volumes": [*rows, {"Name": "vol in use", "Labels": self.labels["dead"]}]}

    def inspect_image(self, name: str) -> dict[str, Any]:
        if name == "of an image that is gone":
            raise docker.errors.NotFound("no such image")
        of_images = {"of its image": self.labels[name], "its image's run": {runs.LABEL: self.labels[name][runs.LABEL]}}
        return {"Config": {"Labels": of_images.get(name)}}

    def images(self, *, filters: dict[str, Any], **_: object) -> list[dict[str, Any]]:
        return self.committed if "label" in filters else self.tagged

    def remove_container(self, name: str, **_: object) -> None:
        self.removed.append(name)

    remove_network = remove_image = remove_container

    def remove_volume(self, name: str) -> None:
        if name == "vol in use":
            raise refusal(409, "volume is in use")
        self.removed.append(name)

    def close(self) -> None:
        self.removed.append("closed")


THIS = owner.this()
DEAD = replace(THIS, pid=THIS.pid, started="1")


def test_the_sweep_removes_what_dead_runs_left_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("end_programs", "owner.sweep_folders"):
        monkeypatch.setattr(f"seatrial.engine.sweep.{name}", lambda *_: None)
    left = Left(THIS, DEAD)
    engine: Any = SimpleNamespace(connection=lambda **_: left)
    sweep.start(engine, THIS).join(10)
    tags = [f"shop:unsearched-{DEAD.token}-0123456789ab", f"reg:5000/a/b:unsearched-{DEAD.token}-0123456789ab"]
    assert left.removed == ["dead", "net dead", "vol dead", "gone", "nameless", *tags, "closed"]


@pytest.mark.parametrize(
    ("change", "dead"),
    [
        ({}, False),
        ({"started": "1"}, True),
        ({"boot": "another"}, True),
        ({"machine": "another"}, False),
        ({"machine": "another", "started": "1"}, False),
    ],
)
def test_a_token_tells_what_a_label_tells(change: dict[str, Any], dead: bool) -> None:
    other = replace(THIS, **change)
    assert is_dead(str(other), THIS) is dead
    assert owner.is_dead_by_token(other.token, THIS) is dead
    assert not owner.is_dead_by_token(other.token, replace(THIS, boot=""))


@pytest.mark.parametrize("token", ["", "x", "0123456789abcdef", "0123456789abcdef-1", "0123456789abcdef-1-2-3"])
def test_what_is_no_token_is_nobodys(token: str) -> None:
    assert not owner.is_dead_by_token(token, THIS)


def test_temporary_folders_of_dead_commands_go_and_no_others(tmp_path: Path) -> None:
    stay = [f"seatrial-build-{THIS.token}-abc", "seatrial-build-abc", f"other-build-{DEAD.token}-abc"]
    gone = [f"seatrial-build-{DEAD.token}-abc_1", f"seatrial-compose-{DEAD.token}-x"]
    for name in (*stay, *gone):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / f"seatrial-build-{DEAD.token}-link").symlink_to(tmp_path / stay[0])
    (tmp_path / f"seatrial-build-{DEAD.token}-file").touch()
    with owner.temporary_folder("build", tmp_path) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.name for path in tmp_path.iterdir()} == {
            *stay, folder.name, f"seatrial-build-{DEAD.token}-link", f"seatrial-build-{DEAD.token}-file",
        }  # fmt: skip
    assert (tmp_path / stay[0] / "file").exists()
    assert not folder.exists()
    owner.sweep_folders(tmp_path / "nonexistent")


@pytest.mark.parametrize(
    ("program", "who", "ends"),
    [("docker-compose", DEAD, True), ("docker-compose", THIS, False), ("gpg-agent", DEAD, False)],
)
def test_programs_of_dead_commands_end_and_no_others(tmp_path: Path, program: str, who: Owner, ends: bool) -> None:
    file = tmp_path / program
    file.write_bytes(Path("/usr/bin/sleep").read_bytes())
    file.chmod(0o755)
    running = subprocess.Popen([file, "60"], env={"A": "b", owner.VARIABLE: str(who)}, start_new_session=True)
    try:
        sweep.end_programs(THIS)
        if ends:
            assert running.wait(5) == -signal.SIGKILL
        else:
            assert running.poll() is None
    finally:
        running.kill()
        running.wait()


def test_a_program_that_goes_on_by_itself_tells_whose_it_is(tmp_path: Path) -> None:
    file = tmp_path / "docker-buildx"
    file.symlink_to("/usr/bin/env")
    done = programs.run([file], timeout=10, environment={"A": "b"})
    assert sorted(done.output.splitlines()) == ["A=b", f"{owner.VARIABLE}={THIS}"]


SLOW = "cannot kill container: 5f: tried to kill container, but did not receive an exit event"


@pytest.mark.parametrize(
    ("refused", "raises"), [([SLOW], False), ([SLOW, SLOW], False), ([SLOW] * 3, True), (["disk on fire"], True)]
)
def test_what_a_busy_engine_has_not_ended_in_time_is_removed_again(refused: list[str], raises: bool) -> None:
    left, asked = list(refused), []

    def remove_container(name: str, **_: object) -> None:
        asked.append(name)
        if left:
            raise refusal(500, left.pop(0))

    client: Any = SimpleNamespace(remove_container=remove_container)
    with pytest.raises(docker.errors.APIError) if raises else nullcontext():
        runs.remove(client, "5f")
    assert len(asked) == (len(refused) if raises else len(refused) + 1)


@pytest.mark.parametrize(("text", "raises"), [(SLOW, False), ("disk on fire", True)])
def test_what_is_still_ending_was_killed(text: str, raises: bool) -> None:
    def kill_container(_: str) -> None:
        raise refusal(500, text)

    dying: Any = SimpleNamespace(client=SimpleNamespace(kill=kill_container), id="5f")
    with pytest.raises(docker.errors.APIError) if raises else nullcontext():
        kill(dying)
