"""The engine that seatrial provides, for real: on a Debian host, as root, beside any engine that runs there."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from ipaddress import IPv4Network, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from seatrial import offline, process
from seatrial.errors import EngineError
from seatrial.host import Host, this_host
from seatrial.offline import daemon, debian, network
from seatrial.offline.debian import KEYRING, Archive, host_archive
from seatrial.offline.install import Layout, layout_of
from seatrial.settings.model import EngineSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from seatrial.engine.find import Engine

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("dpkg-deb") is None,
        reason="an engine can be provided by root on Debian only",
    ),
]

IMAGE = "seatrial-test-busybox:1"
ROUTES = Path("/proc/net/route")


@pytest.fixture
def host() -> Iterator[Host]:
    """Give a host whose engine is apart from the user's; downloads come from the user's cache."""
    with tempfile.TemporaryDirectory(prefix="st-") as folder:
        base = Path(folder)
        made = dataclasses.replace(this_host(), data=base / "data", home=base)
        try:
            yield made
        finally:
            offline.remove_engine(made, print)
            assert_nothing_left(made)


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the smallest root filesystem that can run something: one static busybox."""
    folder = tmp_path_factory.mktemp("busybox")
    debs = debian.fetch(["busybox-static"], suite=host_archive().codename, host=this_host(), say=print)
    debian.unpack(debs, folder / "tree", host=this_host())
    program = next(path for path in (folder / "tree").rglob("busybox") if path.is_file() and os.access(path, os.X_OK))
    archive = folder / "rootfs.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(program, "bin/busybox")
        for name in ("sh", "sleep", "nslookup"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return archive


@contextmanager
def started(host: Host) -> Iterator[Engine]:
    engine = offline.start_engine(host, EngineSettings(), print)
    try:
        yield engine
    finally:
        engine.client.close()


def load(engine: Engine, rootfs: Path) -> None:
    engine.client.api.import_image_from_data(rootfs.read_bytes(), repository="seatrial-test-busybox", tag="1")


def run(engine: Engine, *command: str) -> str:
    return str(engine.client.containers.run(IMAGE, list(command), remove=True).decode())


def reaches_outside(engine: Engine) -> bool:
    name = urlsplit(host_archive().uri).hostname or ""
    return "Address" in run(engine, "nslookup", name).partition(name)[2]


def assert_nothing_left(host: Host) -> None:
    place = layout_of(host)
    assert not place.folder.exists()
    assert not place.runtime.exists()
    assert_quiet(place)
    assert list(host.home.glob(".docker")) == []
    assert not host.data.exists() or list(host.data.iterdir()) == []


def assert_quiet(place: Layout) -> None:
    """Assert that no process, mount, bridge or firewall rule of an engine is left."""
    assert daemon.running(place) is None
    assert daemon.orphans_of(place, daemon.processes()) == []
    mounts = Path("/proc/self/mountinfo").read_text()
    assert daemon.mounts_under([place.folder, place.runtime], mounts) == []
    assert not Path("/sys/class/net", place.tag).exists()
    if save := shutil.which("iptables-save"):
        assert place.tag not in process.run([save], timeout=30).output


@pytest.fixture
def foreign_bridge() -> Iterator[Path]:
    """Give the file that tells another engine's bridge: the same number afterwards means the same bridge."""
    file = Path("/sys/class/net/docker0/ifindex")
    made = not file.exists()
    if made:
        network.add_bridge("docker0")
    yield file
    if made:
        network.remove_bridges("docker0", None)


def test_start_run_stop_start_remove(host: Host, rootfs: Path, foreign_bridge: Path) -> None:
    said: list[str] = []
    place, before = layout_of(host), foreign_bridge.read_text()
    engine = offline.start_engine(host, EngineSettings(), said.append)
    assert engine.own
    assert any("Unpacking Docker" in line for line in said)
    load(engine, rootfs)
    assert run(engine, "sh", "-c", "echo hello") == "hello\n"
    assert reaches_outside(engine)
    bridge = f"br-{str(engine.client.networks.create('other').id)[:12]}"
    before_it = offline.engine_disk_bytes(host)
    engine.client.containers.run(IMAGE, ["sleep", "600"], detach=True, name="long", network="other", init=True)
    # The mounted root of a container is made of files that are counted already: busybox has 2 MB.
    assert offline.engine_disk_bytes(host) < before_it + 1_500_000
    assert offline.engine_status(host).running
    assert offline.start_engine(host, EngineSettings(), said.append).version == engine.version
    engine.client.close()

    assert offline.stop_engine(host, said.append) is True
    assert_quiet(place)
    assert not Path("/sys/class/net", bridge).exists()
    assert offline.stop_engine(host, said.append) is False
    assert offline.engine_status(host).unpacked

    said.clear()
    with started(host) as engine:
        assert run(engine, "sh", "-c", "echo again") == "again\n"
        assert engine.client.containers.get("long").status == "exited"
        assert offline.engine_disk_bytes(host) > 300_000_000
    assert offline.remove_engine(host, said.append) is True
    assert offline.remove_engine(host, said.append) is False
    assert foreign_bridge.read_text() == before


def test_its_containers_reach_outside_where_the_host_took_its_addresses(
    host: Host, rootfs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(host) as engine:
        load(engine, rootfs)
        engine.client.networks.create("before")
    offline.stop_engine(host, print)
    taken = daemon.pool_before(layout_of(host))
    assert taken is not None
    monkeypatch.setattr(network, "host_routes", lambda: [*network.parse_routes(ROUTES.read_text()), taken])
    with started(host) as engine:
        assert reaches_outside(engine)
        assert engine.client.networks.list(names=["before"]) == []
        engine.client.networks.create("after")
        for name in ("bridge", "after"):
            (given,) = engine.client.networks.list(names=[f"^{name}$"])
            assert not IPv4Network(given.attrs["IPAM"]["Config"][0]["Subnet"]).overlaps(taken)


SERVES = ["sh", "-c", "while true; do echo hello | busybox nc -l -p 80; done"]
ASKS = "for n in 1 2 3; do busybox nc -w 2 {} 80 </dev/null && exit; sleep 1; done; echo refused"


def ask_all(engine: Engine, networks: Iterable[str], served: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """Ask each server from each network, at once; return what came, by the two."""
    pairs = [(of, to) for of in networks for to in served]

    def ask(pair: tuple[str, str]) -> str:
        command = ["sh", "-c", ASKS.format(served[pair[1]])]
        with closing(engine.connection()) as client:
            made = client.create_container(IMAGE, command, host_config=client.create_host_config(network_mode=pair[0]))
            try:
                client.start(made["Id"])
                client.wait(made["Id"])
                return str(client.logs(made["Id"], stderr=False).decode()).strip()
            finally:
                client.remove_container(made["Id"], force=True)

    with ThreadPoolExecutor(len(pairs)) as pool:
        return dict(zip(pairs, pool.map(ask, pairs), strict=True))


def answers(address: str, port: int) -> bool:
    """Tell whether a server can be reached; it takes one connection at a time, and begins again after each."""
    for _ in range(20):
        with suppress(OSError), socket.create_connection((address, port), timeout=5) as answer:
            if answer.recv(10) == b"hello\n":
                return True
        time.sleep(0.1)
    return False


def test_no_container_reaches_one_of_another_network(host: Host, rootfs: Path) -> None:
    forwarding, place = network.FORWARDING.read_text(), layout_of(host)
    with started(host) as engine:
        load(engine, rootfs)
        containers = engine.client.containers
        served: dict[str, tuple[str, int]] = {}
        for name in ("one", "two", "mine"):
            # What a compose file says of its network's name is no way around.
            own = {"com.docker.network.bridge.name": "stmine0"} if name == "mine" else None
            engine.client.networks.create(name, options=own)
            made = containers.run(IMAGE, SERVES, detach=True, network=name, init=True, ports={"80/tcp": None})
            made.reload()
            settings = made.attrs["NetworkSettings"]
            port = int(settings["Ports"]["80/tcp"][0]["HostPort"])
            served[name] = (settings["Networks"][name]["IPAddress"], port)

        asked = ask_all(engine, (*served, "bridge"), {name: address for name, (address, _) in served.items()})
        assert asked == {(of, to): "hello" if of == to else "refused" for of, to in asked}
        for address, port in served.values():
            for where in ((address, 80), ("127.0.0.1", port)):
                assert answers(*where)
        assert reaches_outside(engine)
        # A firewall that was reloaded has lost the rules: the next start adds them.
        network.close_firewall(place.tag, place.environment())
        with started(host):
            assert ask_all(engine, ["one"], {"two": served["two"][0]}) == {("one", "two"): "refused"}
    offline.stop_engine(host, print)
    assert network.FORWARDING.read_text() == forwarding
    assert not Path("/sys/class/net/stmine0").exists()


@pytest.mark.skipif(not network.IPV6.exists(), reason="the kernel has no IPv6")
def test_networks_of_ipv6_are_kept_apart_and_the_hosts_forwarding_stays(host: Host, rootfs: Path) -> None:
    switch = Path("/proc/sys/net/ipv6/conf/all/forwarding")
    before, place = switch.read_text(), layout_of(host)
    with started(host) as engine:
        load(engine, rootfs)
        containers = engine.client.containers
        served: dict[str, str] = {}
        for name in ("six", "seven"):
            engine.client.networks.create(name, enable_ipv6=True)
            made = containers.run(IMAGE, SERVES, detach=True, network=name, init=True)
            made.reload()
            served[name] = made.attrs["NetworkSettings"]["Networks"][name]["GlobalIPv6Address"]
            assert IPv6Address(served[name]) in network.own_range(place.tag)
        assert switch.read_text() == before
        # A host that forwards by itself, for a VPN of its own.
        switch.write_text("1")
        try:
            asked = ask_all(engine, served, served)
        finally:
            switch.write_text(before)
        assert asked == {(of, to): "hello" if of == to else "refused" for of, to in asked}
    offline.stop_engine(host, print)
    assert switch.read_text() == before


def test_an_archive_that_is_not_signed_is_refused_whatever_the_host_allows(tmp_path: Path) -> None:
    lax = tmp_path / "lax"
    lax.mkdir()
    (lax / "lax.conf").write_text(
        'APT::Get::AllowUnauthenticated "true";\nAcquire::AllowInsecureRepositories "true";\n'
        'Acquire::AllowWeakRepositories "true";\nAcquire::AllowDowngradeToInsecureRepositories "true";\n'
    )
    folder = tmp_path / "archive/dists/trixie/main/binary-amd64"
    folder.mkdir(parents=True)
    (folder / "Packages").write_text(
        "Package: tini\nVersion: 9\nArchitecture: amd64\nFilename: tini.deb\nSize: 4\n"
        f"SHA256: {hashlib.sha256(b'evil').hexdigest()}\n"
    )
    (tmp_path / "archive/tini.deb").write_bytes(b"evil")
    packages = (folder / "Packages").read_bytes()
    (tmp_path / "archive/dists/trixie/Release").write_text(
        "Suite: trixie\nCodename: trixie\nArchitectures: amd64\nComponents: main\nDate: Mon, 01 Jan 2024 00:00:00 UTC\n"
        f"SHA256:\n {hashlib.sha256(packages).hexdigest()} {len(packages)} main/binary-amd64/Packages\n"
    )
    program = (
        "import dataclasses, pathlib\n"
        "from seatrial.errors import EngineError\n"
        "from seatrial.host import this_host\n"
        "from seatrial.offline.debian import KEYRING, Archive, fetch\n"
        f"host = dataclasses.replace(this_host(), cache=pathlib.Path({str(tmp_path / 'cache')!r}))\n"
        f"archive = Archive(uri='file:{tmp_path}/archive', signed_by=KEYRING, security_uri=None, codename='trixie')\n"
        "try:\n"
        "    fetch(['tini'], suite='trixie', host=host, say=print, archive=archive, architecture='amd64')\n"
        "except EngineError as error:\n"
        "    print(error.detail)\n"
    )
    # The host's own configuration, seen by this child alone.
    here = 'mount --bind "$1" /etc/apt/apt.conf.d && exec "$2" -c "$3"'
    argv = ["unshare", "--mount", "sh", "-c", here, "sh", str(lax), sys.executable, program]
    done = process.run(argv, timeout=120, check=False)
    assert "is not signed" in done.output, done.errors
    assert list((tmp_path / "cache").rglob("*.deb")) == []


def test_a_killed_daemon_is_recovered_and_no_stranger_is_killed(host: Host, rootfs: Path, foreign_bridge: Path) -> None:
    place, before = layout_of(host), foreign_bridge.read_text()
    with started(host) as engine:
        load(engine, rootfs)
        engine.client.containers.run(IMAGE, ["sleep", "600"], detach=True, name="long", init=True)
    pid = offline.engine_status(host).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while offline.engine_status(host).running:
        time.sleep(0.05)
    assert daemon.orphans_of(place, daemon.processes())
    # After a reboot the number in the file may be any process: here, this very one.
    place.pid_file.write_text(str(os.getpid()))

    with started(host) as engine:
        assert offline.engine_status(host).pid not in {None, pid, os.getpid()}
        long = engine.client.containers.get("long")
        assert long.status == "exited"
        long.start()
        assert reaches_outside(engine)
    assert foreign_bridge.read_text() == before
    assert offline.stop_engine(host, print)
    assert_quiet(place)


def test_orphans_of_a_killed_daemon_are_removed_too(host: Host, rootfs: Path) -> None:
    with started(host) as engine:
        load(engine, rootfs)
        engine.client.containers.run(IMAGE, ["sleep", "600"], detach=True)
    pid = offline.engine_status(host).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert offline.remove_engine(host, print)
    assert_nothing_left(host)


def test_two_starts_at_once_make_one_engine(host: Host) -> None:
    versions: list[str] = []
    said: list[str] = []

    def start() -> None:
        versions.append(offline.start_engine(host, EngineSettings(), said.append).version)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(versions) == 2
    assert sum("Unpacking" in line for line in said) == 1
    assert any("Waiting" in line for line in said)


@pytest.mark.parametrize("moment", ["unpack-*/programs/usr/bin", "data/containerd"])
def test_interrupted_nothing_is_left_running_or_half_unpacked(host: Host, moment: str) -> None:
    program = (
        "import dataclasses, pathlib, sys\n"
        "from seatrial import offline\n"
        "from seatrial.host import this_host\n"
        "from seatrial.settings.model import EngineSettings\n"
        "host = dataclasses.replace(this_host(), data=pathlib.Path(sys.argv[1]))\n"
        "offline.start_engine(host, EngineSettings(), print)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, host.data],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        deadline = time.monotonic() + 300
        while not list(host.engine_folder.glob(moment)):
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert_quiet(layout_of(host))
    assert list(host.engine_folder.glob("unpack-*")) == []
    whole = moment.startswith("data")
    assert offline.engine_status(host).unpacked is whole
    assert host.engine_folder.exists() is whole


def test_a_daemon_that_dies_at_its_start_tells_its_last_lines(host: Host) -> None:
    place = layout_of(host)
    place.folder.mkdir(parents=True)
    place.data.write_text("a file where a folder must be")
    with pytest.raises(EngineError, match="ended while it started") as caught:
        offline.start_engine(host, EngineSettings(), print)
    assert str(place.data) in caught.value.detail
    assert caught.value.where == str(place.log)
    assert_quiet(place)


def test_a_suite_that_does_not_exist(host: Host) -> None:
    with pytest.raises(EngineError, match="has no suite 'nosuch'") as caught:
        offline.start_engine(host, EngineSettings(suite="nosuch"), print)
    assert "Release file" in caught.value.detail
    assert_nothing_left(host)


def test_a_mirror_out_of_reach(host: Host, tmp_path: Path) -> None:
    cached = dataclasses.replace(host, cache=tmp_path)
    nowhere = Archive(uri="http://127.0.0.1:9/debian", signed_by=KEYRING, security_uri=None, codename="bookworm")
    with pytest.raises(EngineError, match="cannot be downloaded") as caught:
        debian.fetch(["runc"], suite="trixie", host=cached, say=print, archive=nowhere)
    assert "127.0.0.1" in caught.value.detail


def test_a_package_or_architecture_that_debian_lacks(host: Host, tmp_path: Path) -> None:
    cached = dataclasses.replace(host, cache=tmp_path)
    with pytest.raises(EngineError, match="has no no-such-package for"):
        debian.fetch(["no-such-package", "tini"], suite="trixie", host=cached, say=print)
    with pytest.raises(EngineError, match="has no tini for loong64"):
        debian.fetch(["tini"], suite="trixie", host=cached, say=print, architecture="loong64")


def test_a_fetched_package_is_taken_from_the_cache_and_a_damaged_one_is_not(host: Host, tmp_path: Path) -> None:
    cached = dataclasses.replace(host, cache=tmp_path)
    said: list[str] = []

    def fetch() -> Path:
        said.clear()
        return debian.fetch(["tini"], suite="trixie", host=cached, say=said.append)[0]

    deb = fetch()
    whole = deb.read_bytes()
    assert "Downloading tini" in said[0]
    assert fetch() == deb
    assert said == []
    deb.write_bytes(whole[:-1] + b"?")
    assert fetch().read_bytes() == whole
    assert "Downloading tini" in said[0]
