"""The provided engine's daemon: its settings, its start, its end."""

from __future__ import annotations

import json
import signal
import time
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from seatrial import process
from seatrial.engine import find
from seatrial.engine.provided import leftovers
from seatrial.errors import EngineError

if TYPE_CHECKING:
    from seatrial.engine.provided.layout import Layout
    from seatrial.host import Host

ANSWERS_WITHIN = 90.0
"""Seconds; 3 to 4 are usual, more after a crash with many containers."""
CONTAINERS_STOP_WITHIN = 12
"""Seconds that the daemon gives its containers."""
SETTLES_WITHIN = 10.0
STOPS_WITHIN = 20.0
"""Seconds until the daemon is killed."""
LAST_LINES = 15
PAUSE = 0.1
NETWORK_PREFIX = 24

HANDED_ON = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"})
"""What pulls need, where a host reaches registries through a proxy or with a CA of its own."""


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
    return leftovers.daemon_of(layout, leftovers.processes())


def launch(layout: Layout, host: Host, pool: IPv4Network) -> int:
    """Start the daemon; return its process id.

    Raises:
        ProgramError: its program is missing.

    """
    for file in (layout.pid_file, layout.socket_file, layout.log):
        # A number in an old file may be another process by now, which the daemon would take for itself.
        file.unlink(missing_ok=True)
    _configure(layout, pool, starting=True)
    kept = {key: value for key, value in host.environment.items() if key.upper() in HANDED_ON}
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
        if not leftovers.is_alive(pid):
            leftovers.reap(pid)
            raise _failed("the engine ended while it started.", layout)
        if time.monotonic() > deadline:
            raise _failed(f"the engine does not answer after {ANSWERS_WITHIN:g} s: {trouble}", layout)
        time.sleep(PAUSE)


def settle(layout: Layout, pool: IPv4Network, engine: find.Engine, pid: int) -> None:
    """Give a daemon that answers its lasting settings.

    Raises:
        EngineError: it does not take them.

    """
    if not _restores_live(engine, layout):
        return
    _configure(layout, pool, starting=False)
    leftovers.signal_process(pid, signal.SIGHUP)
    deadline = time.monotonic() + SETTLES_WITHIN
    while _restores_live(engine, layout):
        if time.monotonic() > deadline:
            raise _failed("the engine does not read its settings again.", layout)
        time.sleep(PAUSE)


def end(pid: int) -> None:
    """End the daemon: it stops its containers first; after 20 s it is killed."""
    leftovers.signal_process(pid, signal.SIGTERM)
    if not _gone(pid, STOPS_WITHIN):
        leftovers.signal_process(pid, signal.SIGKILL)
        _gone(pid, leftovers.PATIENCE)


def _restores_live(engine: find.Engine, layout: Layout) -> bool:
    import docker.errors
    import requests

    try:
        return bool(engine.client.info()["LiveRestoreEnabled"])
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise _failed(f"the engine stopped answering: {error}.", layout) from error


def _gone(pid: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while leftovers.is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    leftovers.reap(pid)
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
        detail="\n".join(lines[-LAST_LINES:]),
    )


def _configure(layout: Layout, pool: IPv4Network, *, starting: bool) -> None:
    fresh = layout.configuration.with_name(f"{layout.configuration.name}.new")
    fresh.write_text(json.dumps(settings(layout, pool, starting=starting), indent=2) + "\n", encoding="utf-8")
    fresh.replace(layout.configuration)
