"""The provided engine's daemon: its settings, its start, its end, and what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

import docker.errors
import requests

from seatrial import process
from seatrial.engine import find
from seatrial.engine.runs import process_fields
from seatrial.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from seatrial.host import Host
    from seatrial.offline.install import Layout


HELPERS = re.compile(r"^(containerd|containerd-shim.*|docker-proxy)$")
"""The daemon's own programs; buildx, compose and the CLI are a user's, and left alone."""
PASSED_ON = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"})
"""What pulls need, where a host reaches registries through a proxy or with its own CA."""
NETWORK_PREFIX = 24
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


def settings(layout: Layout, pool: IPv4Network, *, starting: bool) -> dict[str, object]:
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
        "default-address-pools": [{"base": str(pool), "size": max(NETWORK_PREFIX, pool.prefixlen)}],
        "iptables": False,  # see `rules` in provide.py
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


def launch(layout: Layout, host: Host, pool: IPv4Network) -> int:
    """Start the daemon; return its process id."""
    for file in (layout.pid_file, layout.socket_file, layout.log):
        # A number in an old pid file may be another process by now, which the daemon would take for itself.
        file.unlink(missing_ok=True)
    _configure(layout, pool, starting=True)
    dockerd = layout.programs / "usr/sbin/dockerd"
    passed_on = {key: value for key, value in host.environment.items() if key.upper() in PASSED_ON}
    return process.spawn(
        [dockerd, "--config-file", layout.configuration, "--data-root", layout.data],
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
            raise _failed("the engine ended while it started.", layout)
        if time.monotonic() > deadline:
            raise _failed(f"the engine does not answer after {ANSWERS_WITHIN:g} s: {problem}", layout)
        time.sleep(POLL_INTERVAL)


def settle(layout: Layout, pool: IPv4Network, engine: find.Engine, pid: int) -> None:
    """Switch live restore off once the daemon answers; see `settings`."""
    if not _restores_live(engine, layout):
        return
    _configure(layout, pool, starting=False)
    signal_process(pid, signal.SIGHUP)
    if not _within(SETTLES_WITHIN, lambda: not _restores_live(engine, layout)):
        raise _failed("the engine does not read its settings again.", layout)


def end(pid: int) -> None:
    """End the daemon: it stops its containers first; after 20 s it is killed."""
    for number, seconds in ((signal.SIGTERM, STOPS_WITHIN), (signal.SIGKILL, KILLED_WITHIN)):
        signal_process(pid, number)
        if _within(seconds, lambda: not is_alive(pid)):
            reap(pid)
            return


def end_helpers(layout: Layout) -> None:
    """Kill the engine's helper processes and containers that have no daemon any more."""

    def ended() -> bool:
        orphans = orphans_of(layout, processes())
        for pid in orphans:
            signal_process(pid, signal.SIGKILL)
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


def _configure(layout: Layout, pool: IPv4Network, *, starting: bool) -> None:
    fresh = layout.configuration.with_name(f"{layout.configuration.name}.new")
    fresh.write_text(json.dumps(settings(layout, pool, starting=starting), indent=2) + "\n", encoding="utf-8")
    fresh.replace(layout.configuration)


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process; a zombie has no arguments and no program."""

    pid: int
    parent: int
    program: str
    """The file that it runs; empty where it cannot be read."""
    arguments: tuple[str, ...]


def running(layout: Layout) -> int | None:
    """Return the daemon's process id, or None where it does not run."""
    return daemon_of(layout, processes())


def processes(proc: Path = Path("/proc")) -> list[Process]:
    """Return the processes of this host that are not zombies."""
    return [found for folder in proc.glob("[0-9]*") if (found := _process(folder)) and found.arguments]


def daemon_of(layout: Layout, running: Iterable[Process]) -> int | None:
    """Return the process id of the engine's daemon.

    It is found by its program's name and its data root, never by a pid file: after a crash or a reboot that number
    may be any other process.
    """
    for found in running:
        if Path(found.arguments[0]).name == "dockerd" and str(layout.data) in found.arguments:
            return found.pid
    return None


def orphans_of(layout: Layout, running: Iterable[Process]) -> list[int]:
    """Return the engine's helper processes and the containers under them, containers first."""
    everything = list(running)
    programs = {found.pid: Path(found.program) for found in everything}
    helpers = [
        pid for pid, file in programs.items() if file.is_relative_to(layout.programs) and HELPERS.match(file.name)
    ]
    shims = {pid for pid in helpers if "shim" in programs[pid].name}
    return [*(found.pid for found in everything if found.parent in shims), *helpers]


def signal_process(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def is_alive(pid: int, proc: Path = Path("/proc")) -> bool:
    """Tell whether a process exists and is not a zombie.

    Its arguments would not tell: they are empty for a moment while it starts.
    """
    fields = process_fields(pid, proc)
    return bool(fields) and fields[0] not in {"Z", "X"}


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
    try:
        program = str((folder / "exe").readlink()).removesuffix(" (deleted)")
    except OSError:
        # A kernel thread, another user's process, or one that has just ended.
        program = ""
    return Process(
        pid=int(folder.name),
        parent=int(fields[1]),
        program=program,
        arguments=tuple(arguments.rstrip("\0").split("\0")) if arguments else (),
    )
