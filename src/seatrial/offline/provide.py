"""The engine that seatrial provides: start, stop, status, remove."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.engine import provided
from seatrial.filesystem import locked, told
from seatrial.offline import daemon, install, network
from seatrial.offline import daemon as leftovers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seatrial.engine.find import Engine
    from seatrial.engine.provided import Layout
    from seatrial.host import Host
    from seatrial.settings.model import EngineSettings


REMOVED = "removed-engine-"


@dataclass(frozen=True, kw_only=True)
class Status:
    """The provided engine as it is."""

    unpacked: bool
    running: bool
    pid: int | None
    version: str | None
    """Debian's version of the engine's package."""
    suite: str | None
    folder: Path
    socket: str


def status(host: Host) -> Status:
    """Look at the provided engine; changes nothing, needs no root."""
    place = provided.of(host)
    found = install.unpacked(place)
    pid = daemon.running(place)
    return Status(
        unpacked=found is not None,
        running=pid is not None,
        pid=pid,
        version=found.version if found else None,
        suite=found.suite if found else None,
        folder=place.folder,
        socket=place.socket,
    )


def disk_bytes(host: Host) -> int:
    """Return the bytes that the provided engine takes on disk. Slow: it looks at every file."""
    folder = provided.of(host).folder
    total = 0
    seen: set[int] = set()
    for path, folders, files in os.walk(folder):
        here = Path(path)
        # What is mounted there (a running container's root) is made of files that are counted already.
        folders[:] = [name for name in folders if not (here / name).is_mount() or here / name == folder / "data"]
        for name in files:
            with suppress(FileNotFoundError):
                facts = (here / name).lstat()
                if facts.st_nlink == 1 or facts.st_ino not in seen:
                    total += facts.st_blocks * 512
                seen.add(facts.st_ino)
    return total


def start(host: Host, settings: EngineSettings, say: Callable[[str], None]) -> Engine:
    """Start the provided engine and wait until it answers; one that runs is only looked at.

    Raises:
        EngineError: this host cannot have one, its packages cannot be had, or it does not start.
        ProgramError: a program that is needed for it is missing or fails.

    """
    place = provided.of(host)
    seen = install.survey(place)
    install.require(seen, place, unpacked=install.unpacked(place) is not None)
    with _alone(host, say):
        if (pid := daemon.running(place)) is not None:
            return _look_after(place, host, pid)
        place.folder.mkdir(exist_ok=True)
        try:
            _clear(place)
            found = install.unpacked(place)
            if found is None or found.suite != settings.suite:
                found = install.install(place, host, suite=settings.suite, say=say)
            say(f"Starting Docker {found.version}.")
            return _launch(place, host, say)
        finally:
            # Only an empty folder goes: one in which the very first start got nowhere.
            with suppress(OSError):
                place.folder.rmdir()


def stop(host: Host, say: Callable[[str], None]) -> bool:
    """Stop the provided engine and its containers; tell whether it ran.

    Raises:
        EngineError: not root, or something of it cannot be ended.
        ProgramError: a program that is needed for it is missing or fails.

    """
    place = provided.of(host)
    install.require_root(install.survey(place))
    if not place.folder.exists():
        return False
    with _alone(host, say):
        return _stop(place, say)


def remove(host: Host, say: Callable[[str], None]) -> bool:
    """Stop the provided engine and delete it with all its images and volumes; tell whether it was there.

    Raises:
        EngineError: not root, or something of it cannot be ended, unmounted or deleted.
        ProgramError: a program that is needed for it is missing or fails.

    """
    place = provided.of(host)
    install.require_root(install.survey(place))
    if not host.data.exists():
        return False
    with _alone(host, say):
        if not place.folder.exists():
            return False
        _stop(place, say)
        say(f"Deleting {place.folder}.")
        # Renamed first: an interrupted deletion leaves no engine that is half there.
        grave = Path(tempfile.mkdtemp(dir=host.data, prefix=REMOVED))
        place.folder.rename(grave / "engine")
        shutil.rmtree(grave)
    return True


@contextmanager
def _alone(host: Host, say: Callable[[str], None]) -> Iterator[None]:
    with told(host.data):
        host.data.mkdir(parents=True, exist_ok=True)
    with told(host.data), locked(host.data, waiting=lambda: say("Waiting: another run works on the engine.")):
        for grave in host.data.glob(f"{REMOVED}*"):
            shutil.rmtree(grave, ignore_errors=True)
        yield


def _look_after(place: Layout, host: Host, pid: int) -> Engine:
    engine = daemon.wait(place, host, pid)
    if pool := daemon.pool_before(place):
        # Both may be undone or not yet done: a firewall was reloaded, a start was killed.
        network.open_firewall(pool, place.tag, place.environment())
        daemon.settle(place, pool, engine, pid)
    return engine


def _launch(place: Layout, host: Host, say: Callable[[str], None]) -> Engine:
    before = daemon.pool_before(place)
    pool = network.choose_pool(network.host_routes(), before=before)
    if before and before != pool:
        say(
            f"The host now uses addresses of {before}. Make networks of compose files anew: `invoke down`, `invoke up`."
        )
    pid: int | None = None
    try:
        network.add_bridge(place.tag)
        network.open_firewall(pool, place.tag, place.environment())
        pid = daemon.launch(place, host, pool)
        engine = daemon.wait(place, host, pid)
        daemon.settle(place, pool, engine, pid)
    except BaseException:
        # Also Ctrl-C: a start that does not succeed leaves no process, bridge or rule.
        if pid is not None:
            daemon.end(pid)
        _clear(place)
        raise
    say(f"It answers at {place.socket} (bridge {place.tag}, {pool}; log {place.log}).")
    return engine


def _stop(place: Layout, say: Callable[[str], None]) -> bool:
    pid = daemon.running(place)
    if pid is not None:
        say("Stopping the engine and its containers.")
        daemon.end(pid)
    _clear(place)
    return pid is not None


def _clear(place: Layout) -> None:
    """Clear away what a daemon leaves, however it ended; there is none when this is called."""
    leftovers.end_processes(place)
    leftovers.unmount(place)
    install.sweep(place)
    for file in (place.pid_file, place.socket_file):
        file.unlink(missing_ok=True)
    shutil.rmtree(place.runtime, ignore_errors=True)
    with suppress(OSError):
        place.runtime.parent.rmdir()
    network.remove_bridges(place.tag, daemon.pool_before(place))
    if install.unpacked(place) is not None:
        network.close_firewall(place.tag, place.environment())
