from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from ipaddress import IPv4Network, IPv6Network
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
    both = daemon.settings(place(tmp_path), POOL, starting=False, ipv6=IPv6Network("fd01:2:3::/64"))
    assert both["default-address-pools"] == [
        {"base": "10.214.0.0/16", "size": 24},
        {"base": "fd01:2:3::/64", "size": 80},
    ]
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
        Process(pid=12, parent=1, program=str(here.dockerd), arguments=("dockerd", "--data-root", f"{data}2")),
        # Its words are the daemon's, or its file has the daemon's path in a container.
        Process(pid=14, parent=1, program="", arguments=("dockerd", "--data-root", data)),
        Process(pid=15, parent=1, program="/usr/bin/sleep", arguments=(str(here.dockerd), "--data-root", data)),
        Process(pid=16, parent=1, program=str(here.dockerd), arguments=("dockerd", data), of_host=False),
    ]
    assert daemon.daemon_of(here, running) is None
    ours = Process(pid=13, parent=1, program=str(here.dockerd), arguments=("dockerd", "--data-root", data))
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


def test_what_a_container_calls_a_helper_is_no_orphan(tmp_path: Path) -> None:
    here = place(tmp_path)
    shim = f"{here.programs}/usr/bin/containerd-shim-runc-v2"
    inside = Process(pid=20, parent=1, program=shim, arguments=("shim",), of_host=False)
    assert daemon.orphans_of(here, [inside, Process(pid=21, parent=20, program="/x", arguments=("x",))]) == []


def test_the_file_of_a_process_counts_and_not_what_it_calls_itself(tmp_path: Path) -> None:
    forged = ["dockerd", "--data-root", str(tmp_path)]
    with (
        subprocess.Popen(["/bin/sleep", "60"]) as child,
        subprocess.Popen(["/bin/bash", "-c", 'exec -a "$0" /bin/sleep 60', forged[0]]) as other,
    ):
        seen = {found.pid: found for found in daemon.processes()}
        assert Path(seen[child.pid].program).samefile("/bin/sleep")
        assert seen[child.pid].of_host
        assert seen[child.pid].started == daemon.start_of(child.pid) != ""
        # A signal for an earlier process of that number reaches nobody.
        daemon.signal_process(child.pid, signal.SIGKILL, "1")
        assert daemon.is_alive(child.pid)
        assert child.poll() is None
        daemon.signal_process(child.pid, signal.SIGKILL, seen[child.pid].started)
        assert child.wait(10) == -signal.SIGKILL
        assert Path(seen[other.pid].program).name in {"sleep", "bash", "coreutils"}
        other.kill()


def test_a_process_with_the_daemons_words_is_not_the_daemon(tmp_path: Path) -> None:
    here = place(tmp_path)
    words = ["dockerd", "-c", "import time; time.sleep(60)", "--data-root", str(here.data)]
    with subprocess.Popen(words, executable=sys.executable) as stranger:
        try:
            assert daemon.running(here) is None
            here.folder.mkdir()
            here.pid_file.write_text(str(stranger.pid))
            assert daemon.running(here) is None
        finally:
            stranger.kill()


def proc_entry(proc: Path, pid: int, *, exe: Path | str, namespace: str) -> None:
    folder = proc / str(pid)
    (folder / "ns").mkdir(parents=True)
    (folder / "ns/pid").symlink_to(namespace)
    (folder / "ns/mnt").symlink_to("mnt:[1]")
    (folder / "exe").symlink_to(exe)
    (folder / "cmdline").write_bytes(b"dockerd\0--data-root\0/d")
    (folder / "stat").write_text(f"{pid} (dockerd) S 1 {' '.join(map(str, range(5, 30)))}")


def test_a_process_of_another_namespace_is_not_of_this_host(tmp_path: Path) -> None:
    program = tmp_path / "dockerd"
    program.touch()
    proc_entry(tmp_path / "proc", 7, exe=program, namespace="pid:[1]")
    proc_entry(tmp_path / "proc", 8, exe=program, namespace="pid:[2]")
    proc_entry(tmp_path / "proc", 9, exe=f"{tmp_path}/gone (deleted)", namespace="pid:[1]")
    (tmp_path / "proc/self").symlink_to("7")
    seen = {found.pid: found for found in daemon.processes(tmp_path / "proc")}
    assert [seen[pid].of_host for pid in (7, 8, 9)] == [True, False, True]
    assert [seen[pid].program for pid in (7, 9)] == [str(program), f"{tmp_path}/gone"]


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
        daemon.signal_process(child.pid, signal.SIGTERM, "")
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
