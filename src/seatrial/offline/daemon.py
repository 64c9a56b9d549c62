"""The provided engine's daemon: its settings, its start, its end, and what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial import process
from seatrial.engine import find
from seatrial.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.host import Host
    from seatrial.offline.layout import Layout


HELPERS = re.compile(r"^(containerd|containerd-shim.*|docker-proxy)$")
"""The daemon's own programs; buildx, compose and the CLI are a person's, and left alone."""

KILLED_WITHIN = 10.0
"""Seconds until a killed process must be gone."""

ANSWERS_WITHIN = 90.0
"""Seconds; 3 to 4 are usual, more after a crash with many containers."""
CONTAINERS_STOP_WITHIN = 12
"""Seconds that the daemon gives its containers."""
SETTLES_WITHIN = 10.0
STOPS_WITHIN = 20.0
"""Seconds until the daemon is killed."""
LOG_LINES = 15
POLL_INTERVAL = 0.1
"""Seconds between two looks at a process."""
NETWORK_PREFIX = 24

PASSED_ON = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"})
"""What pulls need, where a host reaches registries through a proxy or with a CA of its own."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process as /proc shows it; a zombie has no arguments and no program."""

    pid: int
    parent: int
    program: str
    """The file that it runs; empty where it may not be read."""
    arguments: tuple[str, ...]


def processes(proc: Path = Path("/proc")) -> list[Process]:
    """Return the processes of this host that are no zombies."""
    return [found for folder in proc.glob("[0-9]*") if (found := _read(folder)) and found.arguments]


def daemon_of(layout: Layout, running: Iterable[Process]) -> int | None:
    """Return the process id of the engine's daemon.

    It is told by its program's name and its data root, never by a number in a file: after a crash or a
    reboot that number may be any other process.
    """
    for one in running:
        if Path(one.arguments[0]).name == "dockerd" and str(layout.data) in one.arguments:
            return one.pid
    return None


def orphans_of(layout: Layout, running: Iterable[Process]) -> list[int]:
    """Return the engine's helper processes and the containers under them, containers first."""
    everything = list(running)
    helpers = [
        one
        for one in everything
        if Path(one.program).is_relative_to(layout.programs) and HELPERS.match(Path(one.program).name)
    ]
    shims = {one.pid for one in helpers if "shim" in Path(one.program).name}
    inside = [one.pid for one in everything if one.parent in shims]
    return [*inside, *(one.pid for one in helpers)]


def mounts_under(folders: Iterable[Path], mountinfo: str) -> list[Path]:
    """Return the mount points in or at folders, the innermost first, by /proc/self/mountinfo's text."""
    roots = list(folders)
    points = [Path(_unescape(line.split()[4])) for line in mountinfo.splitlines() if line.strip()]
    ours = {point for point in points if any(point.is_relative_to(root) for root in roots)}
    return sorted(ours, key=lambda point: len(point.parts), reverse=True)


def end_processes(layout: Layout) -> None:
    """Kill the engine's helper processes and containers that have no daemon any more.

    Raises:
        EngineError: one of them cannot be ended.

    """
    deadline = time.monotonic() + KILLED_WITHIN
    while pids := orphans_of(layout, processes()):
        for pid in pids:
            signal_process(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise EngineError(
                f"processes of the engine do not end: {', '.join(map(str, pids))}.",
                where=str(layout.folder),
                fix="They hang in the kernel: restart this machine.",
            )
        time.sleep(POLL_INTERVAL)


def unmount(layout: Layout) -> None:
    """Unmount what is mounted in the engine's folders.

    Raises:
        EngineError: a mount stays.
        ProgramError: there is no umount here.

    """
    # Mounts can lie over each other at one point, so one pass may not be enough.
    for _ in range(3):
        for point in _mounts(layout):
            process.run(["umount", "--lazy", point], timeout=30, environment=layout.environment(), check=False)
    if left := _mounts(layout):
        raise EngineError(
            f"cannot be unmounted: {', '.join(map(str, left))}.",
            where=str(layout.folder),
            fix="See what uses it: `fuser -vm` with that path.",
        )


def signal_process(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def is_alive(pid: int, proc: Path = Path("/proc")) -> bool:
    """Tell whether a process exists and is no zombie.

    Unlike its arguments, which are empty for a moment while it starts, this is never wrong about a new one.
    """
    fields = _stat(proc / str(pid))
    return fields is not None and fields[0] not in {"Z", "X"}


def reap(pid: int) -> None:
    """Let a dead child of this very process go; any other process is its parent's to reap."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _mounts(layout: Layout) -> list[Path]:
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    return mounts_under([layout.folder, layout.runtime], text)


def _read(folder: Path) -> Process | None:
    fields = _stat(folder)
    try:
        arguments = (folder / "cmdline").read_bytes().decode(errors="surrogateescape")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    if fields is None:
        return None
    return Process(
        pid=int(folder.name),
        parent=int(fields[1]),
        program=_program(folder),
        arguments=tuple(arguments.rstrip("\0").split("\0")) if arguments else (),
    )


def _stat(folder: Path) -> list[str] | None:
    """Return what /proc tells of a process, from its state and its parent on; None where it has gone."""
    try:
        text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The second field is the program's name in brackets, which may hold anything.
    return text.rpartition(")")[2].split()


def _program(folder: Path) -> str:
    try:
        return str((folder / "exe").readlink()).removesuffix(" (deleted)")
    except OSError:
        # A kernel thread, another user's process, or one that has just ended.
        return ""


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def settings(layout: Layout, pool: IPv4Network, *, starting: bool) -> dict[str, object]:
    """Return the daemon's settings. They go into a file of ours: the host's /etc/docker is not read.

    At its second start a daemon that has address pools and no live restore deletes the bridge docker0, also
    that of another engine (moby, daemon_unix.go, configureNetworking). So it starts with live restore, and
    once it answers that is taken back: containers shall end with their engine.
    """
    return {
        "hosts": [f"unix://{layout.socket_file}"],
        "group": "root",
        "pidfile": str(layout.pid_file),
        "exec-root": str(layout.runtime),
        "bridge": layout.tag,
        "default-address-pools": [{"base": str(pool), "size": max(NETWORK_PREFIX, pool.prefixlen)}],
        "iptables": False,  # see network.py
        "ip6tables": False,
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


def running(layout: Layout) -> int | None:
    """Return the daemon's process id, or None where it does not run."""
    return daemon_of(layout, processes())


def launch(layout: Layout, host: Host, pool: IPv4Network) -> int:
    """Start the daemon; return its process id.

    Raises:
        ProgramError: its program is missing.

    """
    for file in (layout.pid_file, layout.socket_file, layout.log):
        # A number in an old file may be another process by now, which the daemon would take for itself.
        file.unlink(missing_ok=True)
    _configure(layout, pool, starting=True)
    kept = {key: value for key, value in host.environment.items() if key.upper() in PASSED_ON}
    return process.spawn(
        [
            layout.programs / "usr/sbin/dockerd",
            "--config-file",
            layout.configuration,
            "--data-root",
            layout.data,
        ],
        log=layout.log,
        environment={**kept, **layout.environment()},
    )


def wait(layout: Layout, host: Host, pid: int) -> find.Engine:
    """Wait until the daemon answers.

    Raises:
        EngineError: it died, or does not answer in time; the last lines of its log are in the detail.

    """
    candidate = find.Candidate(source=find.OWN, url=layout.socket)
    deadline = time.monotonic() + ANSWERS_WITHIN
    while True:
        try:
            return find.connect(candidate, host)
        except EngineError as error:
            trouble = error.what
        if not is_alive(pid):
            reap(pid)
            raise _failed("the engine ended while it started.", layout)
        if time.monotonic() > deadline:
            raise _failed(f"the engine does not answer after {ANSWERS_WITHIN:g} s: {trouble}", layout)
        time.sleep(POLL_INTERVAL)


def settle(layout: Layout, pool: IPv4Network, engine: find.Engine, pid: int) -> None:
    """Give a daemon that answers its lasting settings.

    Raises:
        EngineError: it does not take them.

    """
    if not _restores_live(engine, layout):
        return
    _configure(layout, pool, starting=False)
    signal_process(pid, signal.SIGHUP)
    deadline = time.monotonic() + SETTLES_WITHIN
    while _restores_live(engine, layout):
        if time.monotonic() > deadline:
            raise _failed("the engine does not read its settings again.", layout)
        time.sleep(POLL_INTERVAL)


def end(pid: int) -> None:
    """End the daemon: it stops its containers first; after 20 s it is killed."""
    signal_process(pid, signal.SIGTERM)
    if not _gone(pid, STOPS_WITHIN):
        signal_process(pid, signal.SIGKILL)
        _gone(pid, KILLED_WITHIN)


def _restores_live(engine: find.Engine, layout: Layout) -> bool:
    import docker.errors
    import requests

    try:
        return bool(engine.client.info()["LiveRestoreEnabled"])
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise _failed(f"the engine stopped answering: {error}.", layout) from error


def _gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL)
    reap(pid)
    return True


def _failed(what: str, layout: Layout) -> EngineError:
    try:
        lines = layout.log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    return EngineError(
        what,
        where=str(layout.log),
        fix="The last lines of its log tell why. `invoke engine.remove` and `engine.start` begin afresh.",
        detail="\n".join(lines[-LOG_LINES:]),
    )


def _configure(layout: Layout, pool: IPv4Network, *, starting: bool) -> None:
    fresh = layout.configuration.with_name(f"{layout.configuration.name}.new")
    fresh.write_text(json.dumps(settings(layout, pool, starting=starting), indent=2) + "\n", encoding="utf-8")
    fresh.replace(layout.configuration)
