"""The engine that seatrial provides: start, stop, status, remove."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial import process
from seatrial.errors import ProgramError
from seatrial.filesystem import locked, os_errors
from seatrial.offline import daemon, install, network
from seatrial.offline.install import RUNTIME, SYSTEM_PATH, layout_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from ipaddress import IPv4Network, IPv6Network

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.offline.install import Layout
    from seatrial.settings.model import EngineSettings


REMOVED = "removed-engine-"
TREE_TIMEOUT = 3600.0
"""Seconds for all files of an engine; some hundred thousand take minutes."""
BRIDGED_RULES = "bridged"
"""The file that tells that the firewall's rules know of what stays within a bridge."""


@dataclass(frozen=True, kw_only=True)
class EngineStatus:
    """The provided engine as it is."""

    unpacked: bool
    running: bool
    pid: int | None
    version: str | None
    """Debian's version of the engine's package."""
    suite: str | None
    folder: Path
    socket: str

    @property
    def origin(self) -> str:
        """Where its programs come from."""
        return f"Debian {self.suite}"


def engine_origin(settings: EngineSettings) -> str:
    """Return where the programs of an engine come from that is provided by these settings."""
    return f"Debian {settings.suite}"


def engine_status(host: Host) -> EngineStatus:
    """Return the state of the provided engine; needs no root."""
    layout = layout_of(host)
    found = install.unpacked(layout)
    pid = daemon.running(layout)
    return EngineStatus(
        unpacked=found is not None,
        running=pid is not None,
        pid=pid,
        version=found.version if found else None,
        suite=found.suite if found else None,
        folder=layout.folder,
        socket=layout.socket,
    )


def engine_disk_bytes(host: Host) -> int:
    """Return the bytes that the provided engine takes on disk. Slow: it looks at every file."""
    layout = layout_of(host)
    if not layout.folder.exists():
        return 0
    # du, as the tree of an image may be deeper than Python recurses. What is mounted there, such as a running
    # container's root, is made of files that are counted already; but the data may be a mount of their own.
    argv: list[str | Path] = ["du", "--summarize", "--one-file-system", "--block-size=1", layout.folder]
    if layout.data.is_dir():
        argv.append(layout.data)
    done = process.run(argv, timeout=TREE_TIMEOUT, environment=layout.environment(), check=False)
    return sum(int(line.split()[0]) for line in done.output.splitlines())


def start_engine(host: Host, settings: EngineSettings, say: Callable[[str], None]) -> Engine:
    """Start the provided engine and wait until it answers; where it runs already, check that it does.

    Raises:
        EngineError: this host is not suitable, packages cannot be downloaded, or the engine does not start.
        ProgramError: a program that this needs is missing or fails.

    """
    layout = layout_of(host)
    install.require_suitable(install.inspect_host(layout), layout, unpacked=install.unpacked(layout) is not None)
    with _locked(host, say):
        if (pid := daemon.running(layout)) is not None:
            return _check_running(layout, host, pid, say)
        layout.folder.mkdir(exist_ok=True)
        try:
            _clean_up(layout, say)
            found = install.unpacked(layout)
            if found is None or found.suite != settings.suite:
                found = install.install(layout, host, suite=settings.suite, say=say)
            say(f"Starting Docker {found.version}.")
            return _launch(layout, host, say)
        finally:
            # Only an empty folder is removed: that of a very first start that failed early.
            with suppress(OSError):
                layout.folder.rmdir()


def stop_engine(host: Host, say: Callable[[str], None]) -> bool:
    """Stop the provided engine and its containers; tell whether it ran.

    Raises an EngineError where this account is not root, or something of it cannot be ended.
    """
    layout = layout_of(host)
    install.require_root(install.inspect_host(layout))
    if not layout.folder.exists():
        return False
    with _locked(host, say):
        return _stop(layout, say)


def remove_engine(host: Host, say: Callable[[str], None]) -> bool:
    """Stop the provided engine and delete it with all its images and volumes; tell whether it was there.

    Raises an EngineError where this account is not root, or something of it cannot be ended, unmounted or deleted.
    """
    layout = layout_of(host)
    install.require_root(install.inspect_host(layout))
    if not host.data.exists():
        return False
    with _locked(host, say):
        if not layout.folder.exists():
            return False
        _stop(layout, say)
        say(f"Deleting {layout.folder}.")
        # Renamed first: an interrupted deletion leaves no half of an engine.
        trash = Path(tempfile.mkdtemp(dir=host.data, prefix=REMOVED))
        layout.folder.rename(trash / "engine")
        _delete(trash)
    return True


def _delete(folder: Path) -> None:
    """Delete a tree, which may be deeper than Python recurses: an image may hold anything."""
    argv: list[str | Path] = ["rm", "--recursive", "--force", "--", folder]
    process.run(argv, timeout=TREE_TIMEOUT, environment={"PATH": SYSTEM_PATH})


@contextmanager
def _locked(host: Host, say: Callable[[str], None]) -> Iterator[None]:
    with os_errors(host.data):
        host.data.mkdir(parents=True, exist_ok=True)
        with locked(host.data, waiting=lambda: say("Waiting: another run changes the engine.")):
            for trash in host.data.glob(f"{REMOVED}*"):
                _delete(trash)
            yield


def _check_running(layout: Layout, host: Host, pid: int, say: Callable[[str], None]) -> Engine:
    engine = daemon.wait(layout, host, pid)
    if pool := daemon.pool_before(layout):
        # A firewall that was reloaded has lost the rules; a start that was killed has not finished.
        ipv6 = _open_firewall(layout, pool, say)
        network.switch_forwarding_on(layout.environment())
        daemon.settle(layout, pool, ipv6, engine, pid)
    return engine


def _open_firewall(layout: Layout, pool: IPv4Network, say: Callable[[str], None]) -> IPv6Network | None:
    """Add the firewall's rules; return the IPv6 addresses for networks, None where they cannot be kept apart."""
    network.open_firewall(pool, layout.tag, layout.environment())
    ipv6 = network.own_range(layout.tag) if network.IPV6.exists() else None
    if ipv6 is not None:
        try:
            network.open_firewall(ipv6, layout.tag, layout.environment())
        except ProgramError as error:
            say(f"Networks get no IPv6 addresses by themselves: {error.what} {error.detail}".rstrip())
            ipv6 = None
    # What stays within a network may be shown to the firewall later, too: see `keep_networks_open`.
    if network.shows_bridged():
        (layout.runtime / BRIDGED_RULES).touch()
    return ipv6


def keep_networks_open(host: Host, say: Callable[[str], None]) -> None:
    """Add the rules again where the kernel began only after the start to show the firewall what stays within a bridge.

    Without them, containers of one network do not reach each other.
    """
    layout = layout_of(host)
    pool = daemon.pool_before(layout)
    if pool is None or os.geteuid() != 0 or not network.shows_bridged():
        return
    with _locked(host, say):
        if layout.runtime.exists() and not (layout.runtime / BRIDGED_RULES).exists():
            say("br_netfilter was loaded after the engine's start: its firewall rules are added again.")
            _open_firewall(layout, pool, say)


def _launch(layout: Layout, host: Host, say: Callable[[str], None]) -> Engine:
    before = daemon.pool_before(layout)
    pool = network.choose_pool(network.host_routes(), before=before)
    if before and before != pool:
        say(
            f"The host now uses addresses of {before}: the engine's networks are removed. "
            "Recreate those of compose files: `invoke down`, `invoke up`."
        )
        # A network, the engine's own bridge too, would keep its addresses, which the firewall's rules do not name.
        shutil.rmtree(layout.data / "network", ignore_errors=True)
    pid: int | None = None
    try:
        network.add_bridge(layout.tag)
        layout.runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
        ipv6 = _open_firewall(layout, pool, say)
        network.switch_forwarding_on(layout.environment())
        pid = daemon.launch(layout, host, pool, ipv6)
        engine = daemon.wait(layout, host, pid)
        daemon.settle(layout, pool, ipv6, engine, pid)
    except BaseException:
        # Also Ctrl-C: a start that does not succeed leaves no process, bridge or rule.
        if pid is not None:
            daemon.end(pid)
        _clean_up(layout, say)
        raise
    say(f"It answers at {layout.socket} (bridge {layout.tag}, {pool}; log {layout.log}).")
    return engine


def _stop(layout: Layout, say: Callable[[str], None]) -> bool:
    pid = daemon.running(layout)
    if pid is not None:
        say("Stopping the engine and its containers.")
        daemon.end(pid)
    _clean_up(layout, say)
    return pid is not None


def _clean_up(layout: Layout, say: Callable[[str], None]) -> None:
    """Remove what a daemon that has ended leaves behind."""
    daemon.end_helpers(layout)
    daemon.unmount(layout)
    install.sweep(layout)
    for file in (layout.pid_file, layout.socket_file):
        file.unlink(missing_ok=True)
    shutil.rmtree(layout.runtime, ignore_errors=True)
    network.remove_bridges(layout.tag, daemon.pool_before(layout))
    if install.unpacked(layout) is not None:
        network.close_firewall(layout.tag, layout.environment())
        if problem := network.restore_forwarding(layout.environment()):
            say(problem)
    with suppress(OSError):
        RUNTIME.rmdir()
