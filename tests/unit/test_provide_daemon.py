from __future__ import annotations

import json
import os
import signal
import subprocess
from ipaddress import IPv4Network
from pathlib import Path

from seatrial.host import Host
from seatrial.offline import daemon, install
from seatrial.offline.daemon import Process
from seatrial.offline.install import Layout, layout_of

POOL = IPv4Network("10.214.0.0/16")


def place(data: Path) -> Layout:
    return layout_of(Host(environment={}, home=data, data=data, cache=data))


def test_two_folders_are_two_engines_with_names_that_fit_an_interface(tmp_path: Path) -> None:
    first, second = place(tmp_path / "one"), place(tmp_path / "two")
    assert first.tag != second.tag
    assert first.runtime != second.runtime
    assert len(first.tag) == 15
    assert vars(first) == vars(place(tmp_path / "one"))


def test_settings_are_the_engines_own(tmp_path: Path) -> None:
    made = daemon.settings(place(tmp_path), POOL, starting=False)
    assert made["hosts"] == [f"unix://{tmp_path}/engine/docker.sock"]
    assert made["iptables"] is False
    assert made["live-restore"] is False
    assert made["default-address-pools"] == [{"base": "10.214.0.0/16", "size": 24}]
    # Without it, a second start deletes another engine's docker0.
    assert daemon.settings(place(tmp_path), POOL, starting=True)["live-restore"] is True


def test_the_range_of_before_is_read_back(tmp_path: Path) -> None:
    here = place(tmp_path)
    assert daemon.pool_before(here) is None
    here.folder.mkdir()
    here.configuration.write_text(json.dumps(daemon.settings(here, POOL, starting=False)))
    assert daemon.pool_before(here) == POOL
    for broken in ("", "{", "[]", '{"default-address-pools": []}', '{"default-address-pools": [{"base": "x"}]}'):
        here.configuration.write_text(broken)
        assert daemon.pool_before(here) is None


def test_only_the_process_with_our_data_root_is_our_daemon(tmp_path: Path) -> None:
    here = place(tmp_path)
    data = str(here.data)
    running = [
        Process(pid=10, parent=1, program="/usr/sbin/dockerd", arguments=("dockerd", "--data-root", "/other")),
        Process(pid=11, parent=1, program="/usr/bin/vim", arguments=("vim", data)),
        Process(pid=12, parent=1, program="", arguments=("/x/dockerd", "--data-root", f"{data}2")),
    ]
    assert daemon.daemon_of(here, running) is None
    ours = Process(pid=13, parent=1, program="", arguments=("/x/usr/sbin/dockerd", "--data-root", data))
    assert daemon.daemon_of(here, [*running, ours]) == 13


def test_orphans_are_helpers_from_our_folder_and_the_containers_under_them(tmp_path: Path) -> None:
    here = place(tmp_path)
    shim = f"{here.programs}/usr/bin/containerd-shim-runc-v2"
    running = [
        Process(pid=20, parent=1, program=shim, arguments=("shim",)),
        Process(pid=21, parent=20, program="/usr/bin/sleep", arguments=("sleep", "9")),
        Process(pid=22, parent=1, program="/usr/bin/containerd-shim-runc-v2", arguments=("shim",)),
        Process(pid=23, parent=22, program="/usr/bin/sleep", arguments=("sleep", "9")),
        Process(
            pid=24,
            parent=1,
            program=f"{here.programs}/usr/libexec/docker/cli-plugins/docker-buildx",
            arguments=("x",),
        ),
        Process(pid=25, parent=1, program=f"{here.programs}/usr/bin/containerd", arguments=("containerd",)),
    ]
    assert daemon.orphans_of(here, running) == [21, 20, 25]


def test_mounts_are_found_innermost_first_and_unescaped() -> None:
    text = (
        "25 1 0:22 / / rw - ext4 /dev/a rw\n"
        "30 25 0:30 / /srv/my\\040engine rw - ext4 /dev/a rw\n"
        "31 30 0:31 / /srv/my\\040engine/data/merged rw - overlay overlay rw\n"
        "32 25 0:32 / /srv/my\\040engine2 rw - ext4 /dev/a rw\n"
        "33 25 0:33 / /run/s/netns/a rw shared:1 - nsfs nsfs rw\n"
    )
    folders = [Path("/srv/my engine"), Path("/run/s")]
    assert daemon.mounts_under(folders, text)[0] in {
        Path("/srv/my engine/data/merged"),
        Path("/run/s/netns/a"),
    }
    assert set(daemon.mounts_under(folders, text)) == {
        Path("/srv/my engine"),
        Path("/srv/my engine/data/merged"),
        Path("/run/s/netns/a"),
    }


def test_a_real_process_is_seen_and_a_zombie_is_not() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        seen = {process.pid: process for process in daemon.processes()}
        assert seen[child.pid].arguments == ("/bin/sleep", "60")
        assert seen[child.pid].parent == os.getpid()
        assert daemon.is_alive(child.pid)
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert child.pid not in {process.pid for process in daemon.processes()}
        assert not daemon.is_alive(child.pid)


def test_a_signal_to_a_process_that_has_gone_is_no_error() -> None:
    with subprocess.Popen(["/bin/true"]) as child:
        child.wait()
        daemon.signal_process(child.pid, signal.SIGTERM)
        daemon.reap(child.pid)
    assert not daemon.is_alive(child.pid)


def test_half_unpacked_is_not_unpacked(tmp_path: Path) -> None:
    here = place(tmp_path)
    scratch = here.folder / f"{install.SCRATCH}abc" / "programs"
    scratch.mkdir(parents=True)
    here.programs.mkdir()
    assert install.unpacked(here) is None
    (here.programs / install.MARKER).write_text('{"suite": "trixie", "version": "26"}')
    assert install.unpacked(here) == install.Unpacked(suite="trixie", version="26")
    install.sweep(here)
    assert not scratch.parent.exists()


def test_libraries_that_came_with_the_programs_are_named_in_their_environment(tmp_path: Path) -> None:
    here = place(tmp_path)
    assert "LD_LIBRARY_PATH" not in here.environment()
    folder = here.programs / "usr/lib/x86_64-linux-gnu"
    (folder / "xtables").mkdir(parents=True)
    (folder / "libxtables.so.12").touch()
    made = here.environment()
    assert made["LD_LIBRARY_PATH"] == str(folder)
    assert made["XTABLES_LIBDIR"] == str(folder / "xtables")
    assert made["HOME"] == str(here.folder)
