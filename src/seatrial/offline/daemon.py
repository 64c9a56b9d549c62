"""The provided engine's daemon: its settings, its start, its end, and what it leaves behind."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING

import docker.errors
import requests

from seatrial import process
from seatrial.engine import find
from seatrial.errors import EngineError
from seatrial.owner import process_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from seatrial.host import Host
    from seatrial.offline.install import Layout


HELPERS = re.compile(r"^(containerd|containerd-shim.*|docker-proxy)$")
"""The daemon's own programs; buildx, compose and the CLI are a user's, and left alone."""
PASSED_ON = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"})
"""What pulls need, where a host reaches registries through a proxy or with its own CA."""
NETWORK_PREFIX = 24
NETWORK_PREFIX_IPV6 = 80
"""Docker before 27 divides no range into networks of 2**64 addresses: all of them would be the first."""
LOG_LINES = 15

# Seconds.
ANSWERS_WITHIN = 90.0
"""3 to 4 are usual, more after a crash with many containers."""
CONTAINERS_STOP_WITHIN = 12
SETTLES_WITHIN = 10.0
STOPS_WITHIN = 20.0
"""Until the daemon is killed."""
KILLED_WITHIN = 10.0
POLL_INTERVAL = 0.1
LOG_WITHIN = 2.0
"""Until the last lines of a daemon that has ended are in its log."""

DELETED = " (deleted)"
STARTED = 19
"""The place of the start among `process_fields`."""


def settings(
    layout: Layout, pool: IPv4Network, *, starting: bool, ipv6: IPv6Network | None = None
) -> dict[str, object]:
    """Return the daemon's settings. They go into a separate file: the host's /etc/docker is not read.

    At its second start a daemon that has address pools and no live restore deletes the bridge docker0, also
    that of another engine (moby, daemon_unix.go, configureNetworking). So it starts with live restore, which is
    switched off once it answers: containers must end with their engine.
    """
    return {
        "hosts": [f"unix://{layout.socket_file}"],
        "group": "root",
        "pidfile": str(layout.pid_file),
        "exec-root": str(layout.runtime),
        "bridge": layout.tag,
        "default-address-pools": [
            {"base": str(pool), "size": max(NETWORK_PREFIX, pool.prefixlen)},
            *([{"base": str(ipv6), "size": NETWORK_PREFIX_IPV6}] if ipv6 else []),
        ],
        "iptables": False,  # see `rules` in provide.py
        "ip6tables": False,
        "ip-forward": False,  # see `switch_forwarding_on` there
        "live-restore": starting,
        "shutdown-timeout": CONTAINERS_STOP_WITHIN,
        "log-level": "warn",
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "3"},
    }


def pool_before(layout: Layout) -> IPv4Network | None:
    """Return the address range that the engine last had."""
    try:
        read = json.loads(layout.configuration.read_text(encoding="utf-8"))
        return IPv4Network(read["default-address-pools"][0]["base"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None


def launch(layout: Layout, host: Host, pool: IPv4Network, ipv6: IPv6Network | None) -> int:
    """Start the daemon; return its process id."""
    for file in (layout.pid_file, layout.socket_file, layout.log, layout.log.with_name(f"{layout.log.name}.1")):
        # A number in an old pid file may be another process by now, which the daemon would take for itself.
        file.unlink(missing_ok=True)
    _configure(layout, pool, ipv6, starting=True)
    passed_on = {key: value for key, value in host.environment.items() if key.upper() in PASSED_ON}
    return process.spawn(
        [layout.dockerd, "--config-file", layout.configuration, "--data-root", layout.data],
        log=layout.log,
        environment={**passed_on, **layout.environment()},
    )


def wait(layout: Layout, host: Host, pid: int) -> find.Engine:
    """Wait until the daemon answers; an EngineError with the end of its log where it dies, or takes too long."""
    candidate = find.Candidate(source=find.OWN, url=layout.socket)
    deadline = time.monotonic() + ANSWERS_WITHIN
    while True:
        try:
            return find.connect(candidate, host)
        except EngineError as error:
            problem = error.what
        if not is_alive(pid):
            reap(pid)
            _within(LOG_WITHIN, lambda: _log_is_whole(layout))
            raise _failed("the engine ended while it started.", layout)
        if time.monotonic() > deadline:
            raise _failed(f"the engine does not answer after {ANSWERS_WITHIN:g} s: {problem}", layout)
        time.sleep(POLL_INTERVAL)


def settle(layout: Layout, pool: IPv4Network, ipv6: IPv6Network | None, engine: find.Engine, pid: int) -> None:
    """Switch live restore off once the daemon answers; see `settings`."""
    if not _restores_live(engine, layout):
        return
    _configure(layout, pool, ipv6, starting=False)
    signal_process(pid, signal.SIGHUP, start_of(pid))
    if not _within(SETTLES_WITHIN, lambda: not _restores_live(engine, layout)):
        raise _failed("the engine does not read its settings again.", layout)


def end(pid: int) -> None:
    """End the daemon: it stops its containers first; after 20 s it is killed."""
    started = start_of(pid)
    for number, seconds in ((signal.SIGTERM, STOPS_WITHIN), (signal.SIGKILL, KILLED_WITHIN)):
        signal_process(pid, number, started)
        if _within(seconds, lambda: not is_alive(pid)):
            reap(pid)
            return


def end_helpers(layout: Layout) -> None:
    """Kill the engine's helper processes and containers that have no daemon any more."""

    def ended() -> bool:
        found = processes()
        orphans = orphans_of(layout, found)
        started = {process.pid: process.started for process in found}
        for pid in orphans:
            signal_process(pid, signal.SIGKILL, started[pid])
        return not orphans

    if not _within(KILLED_WITHIN, ended):
        raise EngineError(
            f"processes of the engine do not end: {', '.join(map(str, orphans_of(layout, processes())))}.",
            where=str(layout.folder),
            fix="They hang in the kernel: restart this machine.",
        )


def unmount(layout: Layout) -> None:
    """Unmount what is mounted in the engine's folders."""

    def mounts() -> list[Path]:
        text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        return mounts_under([layout.folder, layout.runtime], text)

    # Mounts can lie over each other at one point, so one pass may not be enough.
    for _ in range(3):
        for point in mounts():
            process.run(["umount", "--lazy", point], timeout=30, environment=layout.environment(), check=False)
    if left := mounts():
        raise EngineError(
            f"cannot be unmounted: {', '.join(map(str, left))}.",
            where=str(layout.folder),
            fix="See what uses it: `fuser -vm` with that path.",
        )


def mounts_under(folders: Iterable[Path], mountinfo: str) -> list[Path]:
    """Return the mount points in or at folders, the innermost first, by /proc/self/mountinfo's text."""
    roots = list(folders)
    points = {Path(_unescape(line.split()[4])) for line in mountinfo.splitlines() if line.strip()}
    ours = [point for point in points if any(point.is_relative_to(root) for root in roots)]
    return sorted(ours, key=lambda point: len(point.parts), reverse=True)


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _restores_live(engine: find.Engine, layout: Layout) -> bool:
    try:
        return bool(engine.client.info()["LiveRestoreEnabled"])
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise _failed(f"the engine stopped answering: {error}.", layout) from error


def _within(seconds: float, reached: Callable[[], bool]) -> bool:
    """Wait until something is reached; tell whether it was in time."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL)
    return True


def _log_is_whole(layout: Layout) -> bool:
    try:
        with layout.log.open("rb") as log:
            # What writes it holds the lock until it has written all.
            fcntl.flock(log, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _failed(what: str, layout: Layout) -> EngineError:
    try:
        lines = layout.log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    return EngineError(
        what,
        where=str(layout.log),
        fix="The last lines of its log say why. `invoke engine.remove` and `engine.start` begin again.",
        detail="\n".join(lines[-LOG_LINES:]),
    )


def _configure(layout: Layout, pool: IPv4Network, ipv6: IPv6Network | None, *, starting: bool) -> None:
    fresh = layout.configuration.with_name(f"{layout.configuration.name}.new")
    text = json.dumps(settings(layout, pool, starting=starting, ipv6=ipv6), indent=2)
    fresh.write_text(f"{text}\n", encoding="utf-8")
    fresh.replace(layout.configuration)


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process; a zombie has no arguments and no program."""

    pid: int
    parent: int
    program: str
    """The file of this host that it runs; empty where it cannot be read, or is another container's."""
    arguments: tuple[str, ...]
    of_host: bool = True
    """It is root's, and in the same namespace of processes as this one: it is in no container."""
    started: str = ""
    """When it started, in ticks since the machine's start."""


def running(layout: Layout) -> int | None:
    """Return the daemon's process id, or None where it does not run."""
    return daemon_of(layout, processes())


def processes(proc: Path = Path("/proc")) -> list[Process]:
    """Return the processes of this host that are not zombies."""
    return [found for folder in proc.glob("[0-9]*") if (found := _process(folder)) and found.arguments]


def daemon_of(layout: Layout, running: Iterable[Process]) -> int | None:
    """Return the process id of the engine's daemon.

    It is found by the file that it runs and by its data root; never by a pid file, which after a crash or a reboot may
    hold the number of any other process, nor by its words alone, which any process may choose.
    """
    for found in running:
        if found.of_host and Path(found.program) == layout.dockerd and str(layout.data) in found.arguments:
            return found.pid
    return None


def orphans_of(layout: Layout, running: Iterable[Process]) -> list[int]:
    """Return the engine's helper processes and the containers under them, containers first."""
    everything = list(running)
    programs = {found.pid: Path(found.program) for found in everything if found.of_host}
    helpers = [
        pid for pid, file in programs.items() if file.is_relative_to(layout.programs) and HELPERS.match(file.name)
    ]
    shims = {pid for pid in helpers if "shim" in programs[pid].name}
    return [*(found.pid for found in everything if found.parent in shims), *helpers]


def signal_process(pid: int, number: signal.Signals, started: str) -> None:
    """Send a signal to a process that may have ended; never to a later one that has its number."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            # The handle is that of one process: its number cannot be given to another any more.
            if start_of(pid) == started:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def start_of(pid: int, proc: Path = Path("/proc")) -> str:
    """Return when a process started, in ticks since the machine's start; empty where it has gone."""
    fields = process_fields(pid, proc)
    return fields[STARTED] if len(fields) > STARTED else ""


def is_alive(pid: int, proc: Path = Path("/proc")) -> bool:
    """Tell whether a process exists and is not a zombie.

    Its arguments would not tell: they are empty for a moment while it starts.
    """
    fields = process_fields(pid, proc)
    return bool(fields) and fields[0] not in {"Z", "X"}


def _program(folder: Path) -> str:
    """Return the file that a process runs, by its folder in /proc; empty where that is no file of this host.

    The kernel tells its path as the process sees it: in a container, any file may have any path.
    """
    try:
        text = str((folder / "exe").readlink())
        if text.endswith(DELETED):
            return text.removesuffix(DELETED) if _same(folder, "mnt") else ""
        return text if Path(text).samefile(folder / "exe") else ""
    except OSError:
        # A kernel thread, another user's process, or one that has just ended.
        return ""


def _of_host(folder: Path) -> bool:
    try:
        return folder.stat().st_uid == os.geteuid() and _same(folder, "pid")
    except OSError:
        return False


def _same(folder: Path, namespace: str) -> bool:
    """Tell whether a process shares a namespace with this one."""
    return (folder / "ns" / namespace).readlink() == (folder.parent / "self" / "ns" / namespace).readlink()


def reap(pid: int) -> None:
    """Reap a dead child of this very process; any other process is its parent's to reap."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _process(folder: Path) -> Process | None:
    fields = process_fields(int(folder.name), folder.parent)
    try:
        arguments = (folder / "cmdline").read_bytes().decode(errors="surrogateescape")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    if not fields:
        return None
    return Process(
        pid=int(folder.name),
        parent=int(fields[1]),
        program=_program(folder),
        of_host=_of_host(folder),
        started=fields[STARTED] if len(fields) > STARTED else "",
        arguments=tuple(arguments.rstrip("\0").split("\0")) if arguments else (),
    )
