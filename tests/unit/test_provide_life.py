"""The provided engine starts, stops and goes, on a machine of which only the folders are real."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest

from seatrial import offline, process
from seatrial.engine import find
from seatrial.errors import EngineError, ProgramError
from seatrial.host import Host
from seatrial.offline import daemon, install, network, provide
from seatrial.offline.daemon import Process
from seatrial.offline.install import NEEDED, HostState, Layout, Unpacked
from seatrial.settings.model import EngineSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ipaddress import IPv4Network
    from pathlib import Path

PID = 4242
GOOD = HostState(system="linux", root=True, missing_tools=(), free=NEEDED)


class Machine:
    """A daemon, a clock, bridges and firewall rules in memory."""

    def __init__(self, folder: Path) -> None:
        self.host = Host(
            environment={"https_proxy": "http://proxy", "SECRET": "s"}, home=folder, data=folder, cache=folder
        )
        self.layout = install.layout_of(self.host)
        self.layout.runtime = folder / "run" / self.layout.tag
        self.state = GOOD
        self.now = 0.0
        self.alive = False
        self.orphans: list[Process] = []
        self.answers_after: float | None = 0.0
        """Seconds; None: it ends at once."""
        self.deaf_to: set[signal.Signals] = set()
        self.live_restore = True
        self.lost = False
        self.bridges: set[str] = set()
        self.firewall: set[str] = set()
        self.forwarding: set[str] = set()
        self.signals: list[signal.Signals] = []
        self.environments: list[Mapping[str, str]] = []
        self.installed: list[str] = []
        self.said: list[str] = []
        self.network_busy: list[IPv4Network] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def spawn(self, _argv: list[object], *, log: Path, environment: Mapping[str, str]) -> int:
        log.write_text("".join(f"line {number}\n" for number in range(20)))
        self.environments.append(environment)
        self.started, self.alive, self.live_restore = self.now, self.answers_after is not None, True
        return PID

    def connect(self, *_: object) -> Any:
        if not self.alive or self.answers_after is None or self.now - self.started < self.answers_after:
            raise EngineError("no such socket.")
        return SimpleNamespace(client=SimpleNamespace(info=self.info))

    def info(self) -> dict[str, bool]:
        if self.lost:
            raise docker.errors.DockerException("broken pipe")
        return {"LiveRestoreEnabled": self.live_restore}

    def processes(self) -> list[Process]:
        arguments = ("dockerd", "--data-root", str(self.layout.data))
        running = (
            [Process(pid=PID, parent=1, program=str(self.layout.dockerd), arguments=arguments)] if self.alive else []
        )
        return [*running, *self.orphans]

    def signal(self, pid: int, number: signal.Signals, _started: str) -> None:
        if pid != PID:
            self.orphans = [found for found in self.orphans if found.pid != pid or number in self.deaf_to]
            return
        self.signals.append(number)
        if number in self.deaf_to:
            return
        if number == signal.SIGHUP:
            self.live_restore = json.loads(self.layout.configuration.read_text())["live-restore"]
        else:
            self.alive = False

    def restore_forwarding(self, _: object) -> str:
        self.forwarding.clear()
        return ""

    def install(self, layout: Layout, _host: Host, *, suite: str, say: Callable[[str], None]) -> Unpacked:
        self.installed.append(suite)
        say(f"Unpacking Docker of {suite}.")
        layout.programs.mkdir(exist_ok=True)
        (layout.programs / install.MARKER).write_text(json.dumps({"suite": suite, "version": "26.1"}))
        return Unpacked(suite=suite, version="26.1")

    def start(self, suite: str = "trixie") -> Any:
        return offline.start_engine(self.host, EngineSettings(suite=suite), self.said.append)

    def stop(self) -> bool:
        return offline.stop_engine(self.host, self.said.append)

    def remove(self) -> bool:
        return offline.remove_engine(self.host, self.said.append)

    @property
    def clean(self) -> bool:
        return not self.alive and not self.bridges and not self.firewall and not self.forwarding


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    for place, name, instead in (
        (provide, "layout_of", lambda _: machine.layout),
        (network, "host_routes", lambda: machine.network_busy),
        (network, "add_bridge", machine.bridges.add),
        (network, "remove_bridges", lambda name, _: machine.bridges.discard(name)),
        (network, "open_firewall", lambda _, tag, __: machine.firewall.add(tag)),
        (network, "close_firewall", lambda tag, _: machine.firewall.discard(tag)),
        (network, "switch_forwarding_on", lambda _: machine.forwarding.add(machine.layout.tag)),
        (network, "restore_forwarding", machine.restore_forwarding),
        (install, "inspect_host", lambda _: machine.state),
        (install, "install", machine.install),
        (daemon, "processes", machine.processes),
        (daemon, "signal_process", machine.signal),
        (daemon, "is_alive", lambda _: machine.alive),
        (daemon, "reap", lambda _: None),
        (daemon, "time", SimpleNamespace(monotonic=lambda: machine.now, sleep=machine.sleep)),
        (find, "connect", machine.connect),
        (process, "spawn", machine.spawn),
    ):
        monkeypatch.setattr(place, name, instead)
    return machine


def test_it_is_fetched_once_and_started_once(machine: Machine) -> None:
    machine.answers_after = 3
    machine.start()
    assert machine.installed == ["trixie"]
    assert machine.said[:2] == ["Unpacking Docker of trixie.", "Starting Docker 26.1."]
    # Containers end with their engine: live restore is for the start alone.
    assert (machine.live_restore, machine.signals) == (False, [signal.SIGHUP])
    status = offline.engine_status(machine.host)
    assert (status.running, status.unpacked, status.pid, status.origin) == (True, True, PID, "Debian trixie")
    assert machine.bridges == machine.firewall == {machine.layout.tag}
    # A reloaded firewall lost the rules: they are there again, and nothing else happens.
    machine.firewall.clear()
    machine.start()
    assert machine.firewall == machine.forwarding == {machine.layout.tag}
    assert (len(machine.environments), machine.signals) == (1, [signal.SIGHUP])
    assert machine.stop()
    machine.start()
    assert machine.installed == ["trixie"]
    machine.stop()
    machine.start("forky")
    assert machine.installed == ["trixie", "forky"]


def test_what_is_there_already_needs_neither_tools_nor_space(machine: Machine) -> None:
    poor = replace(GOOD, missing_tools=("dpkg",), free=0)
    machine.state = poor
    with pytest.raises(EngineError, match="on Debian only; dpkg not found"):
        machine.start()
    machine.state = GOOD
    machine.start()
    machine.stop()
    machine.state = poor
    machine.start()


def test_a_start_that_was_killed_before_it_settled_is_finished(machine: Machine) -> None:
    machine.start()
    machine.live_restore = True
    machine.start()
    assert not machine.live_restore


def test_of_the_users_environment_only_proxies_reach_it(machine: Machine) -> None:
    machine.start()
    [environment] = machine.environments
    assert environment["https_proxy"] == "http://proxy"
    assert "SECRET" not in environment


def test_an_engine_that_ends_at_once_shows_its_log_and_leaves_nothing(machine: Machine) -> None:
    machine.answers_after = None
    with pytest.raises(EngineError, match="the engine ended while it started") as caught:
        machine.start()
    assert caught.value.detail.splitlines() == [f"line {number}" for number in range(5, 20)]
    assert machine.now == 0
    assert machine.clean


def test_an_engine_that_never_answers_is_ended(machine: Machine) -> None:
    machine.answers_after = 1000
    with pytest.raises(EngineError, match="does not answer after 90 s: no such socket"):
        machine.start()
    assert 90 <= machine.now < 91
    assert machine.signals == [signal.SIGTERM]
    assert machine.clean
    machine.answers_after = 89
    machine.start()


def test_an_engine_that_does_not_settle_is_ended(machine: Machine) -> None:
    machine.deaf_to = {signal.SIGHUP}
    with pytest.raises(EngineError, match="does not read its settings again"):
        machine.start()
    assert machine.clean
    machine.lost = True
    with pytest.raises(EngineError, match="stopped answering: broken pipe"):
        machine.start()
    assert machine.clean


def test_a_first_start_that_fails_early_leaves_no_folder(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Unpacked:
        raise EngineError("the mirror is away.")

    monkeypatch.setattr(install, "install", fail)
    with pytest.raises(EngineError, match="the mirror is away"):
        machine.start()
    assert not machine.layout.folder.exists()


def test_a_range_that_the_host_took_meanwhile_is_left_to_it(machine: Machine) -> None:
    machine.start()
    before = daemon.pool_before(machine.layout)
    machine.stop()
    machine.start()
    assert daemon.pool_before(machine.layout) == before
    machine.stop()
    assert before is not None
    machine.network_busy = [before]
    machine.start()
    assert daemon.pool_before(machine.layout) != before
    told = [line for line in machine.said if line.startswith("The host now uses addresses of")]
    assert len(told) == 1


def test_it_is_stopped_and_removed_once(machine: Machine) -> None:
    assert not machine.stop()
    assert not machine.remove()
    machine.start()
    assert machine.stop()
    assert machine.clean
    assert not machine.stop()
    assert offline.engine_status(machine.host).unpacked
    machine.start()
    assert machine.remove()
    assert machine.clean
    assert not machine.layout.folder.exists()
    assert not machine.remove()
    # What an interrupted removal left goes with the next one.
    trash = machine.host.data / f"{provide.REMOVED}abc"
    trash.mkdir()
    machine.start()
    assert not trash.exists()


def test_an_engine_that_ignores_the_end_is_killed(machine: Machine) -> None:
    machine.start()
    machine.deaf_to = {signal.SIGTERM}
    begun = machine.now
    assert machine.stop()
    assert machine.signals[-2:] == [signal.SIGTERM, signal.SIGKILL]
    assert 20 <= machine.now - begun < 21


def test_containers_without_a_daemon_are_killed(machine: Machine) -> None:
    shim = f"{machine.layout.programs}/usr/bin/containerd-shim-runc-v2"
    machine.start()
    machine.alive = False
    machine.orphans = [
        Process(pid=7, parent=1, program=shim, arguments=("shim",)),
        Process(pid=8, parent=7, program="/bin/sleep", arguments=("sleep",)),
    ]
    assert not machine.stop()
    assert not machine.orphans
    machine.orphans = [Process(pid=7, parent=1, program=shim, arguments=("shim",))]
    machine.deaf_to = {signal.SIGKILL}
    with pytest.raises(EngineError, match="processes of the engine do not end: 7"):
        machine.stop()


def test_rules_are_added_again_where_bridges_are_shown_later(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = False
    monkeypatch.setattr(network, "shows_bridged", lambda: shown)
    machine.start()
    machine.firewall.clear()
    machine.said.clear()
    offline.keep_networks_open(machine.host, machine.said.append)
    assert (machine.firewall, machine.said) == (set(), [])
    shown = True
    offline.keep_networks_open(machine.host, machine.said.append)
    assert machine.firewall == {machine.layout.tag}
    assert machine.said == ["br_netfilter was loaded after the engine's start: its firewall rules are added again."]
    machine.firewall.clear()
    offline.keep_networks_open(machine.host, machine.said.append)
    assert machine.firewall == set()


def test_an_engine_starts_without_ipv6_where_its_networks_cannot_be_kept_apart(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(pool: object, tag: str, _: object) -> None:
        if "fd" in str(pool):
            raise ProgramError("the firewall's rules cannot be read or changed.", detail="no table")
        machine.firewall.add(tag)

    monkeypatch.setattr(network, "IPV6", tmp_path)
    monkeypatch.setattr(network, "open_firewall", refuse)
    machine.start()
    assert any("get no IPv6 addresses by themselves" in line and "no table" in line for line in machine.said)
    pools = json.loads(machine.layout.configuration.read_text())["default-address-pools"]
    assert len(pools) == 1
