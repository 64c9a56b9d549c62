"""The ports that a stack publishes: free before its start, and listened on after it.

What asks the engine raises EngineError when it does not answer.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.compose.readiness import Finding, blocked, note, ready
from seatrial.engine.containers import engine_errors
from seatrial.engine.find import Engine
from seatrial.engine.startup import sockets
from seatrial.facts import Port, PublishedPorts, Service
from seatrial.stack.plan import StackPlan
from seatrial.stack.state import ContainerState, ContainerStatus

if TYPE_CHECKING:
    from seatrial.stack.wait import Clock

LISTENING = {"tcp": "0A", "udp": "07"}
"""The kernel's number for a socket that waits for others, in /proc/net."""


def check_ports(plan: StackPlan, running: Sequence[ContainerState], engine: Engine) -> Iterator[Finding]:
    """Yield a finding for each published port: it is free, or who holds it."""
    here = engine.candidate.url.startswith("unix://")
    own = {
        (port.published, port.protocol)
        for container in running
        if container.status is ContainerStatus.RUNNING
        for port in container.ports
    }
    users: dict[tuple[str, int, str], str] = {}
    for service in plan.services:
        for port in service.ports:
            if port.published is None:
                continue
            user = users.setdefault((port.host_ip, port.published, port.protocol), service.name)
            name = f"{port.host_ip or '*'}:{port.published}/{port.protocol}"
            if user != service.name:
                yield _taken(plan, service, port, f"the service {user!r} of the same file")
            elif (port.published, port.protocol) in own:
                yield ready("port", f"{name} of {service.name} is this stack's own already")
            elif not here:
                there = "is on the engine's machine: it cannot be checked from this host"
                yield note("port", f"{name} of {service.name} {there}")
            elif busy(port):
                yield _taken(plan, service, port, _container(port, engine) or process_on(port))
            else:
                yield ready("port", f"{name} of {service.name} is free")


def _taken(plan: StackPlan, service: Service, port: Port, holder: str | None) -> Finding:
    return blocked(
        "port",
        f"the service {service.name!r} publishes port {port.published}, which is taken"
        + (f" by {holder}." if holder else "."),
        where=str(plan.file),
        fix="Stop what holds it, or publish another port.",
    )


def busy(port: Port) -> bool:
    """Tell whether a process listens on a port of this machine."""
    family = socket.AF_INET6 if ":" in port.host_ip else socket.AF_INET
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    try:
        with socket.socket(family, kind) as probe:
            if kind is socket.SOCK_STREAM:
                # A connection that has just ended does not hold the port.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((port.host_ip, port.published))
    except OSError as error:
        # Anything else (no right to low ports, an address of another machine) the engine may do better.
        return error.errno == errno.EADDRINUSE
    return False


def process_on(port: Port) -> str | None:
    """Return the process that listens on a port, or None where that cannot be read."""
    wanted = {f"socket:[{inode}]" for inode in _inodes(port)}
    for folder in Path("/proc").glob("[0-9]*") if wanted else ():
        # A process may end, or belong to somebody else, while we look.
        with suppress(OSError):
            if any(str(link.readlink()) in wanted for link in (folder / "fd").iterdir()):
                name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return f"{name} (process {folder.name})"
    return None


def _inodes(port: Port) -> Iterator[str]:
    for table in (port.protocol, f"{port.protocol}6"):
        with suppress(OSError):
            for line in Path("/proc/net", table).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                listens = words[3] == LISTENING.get(port.protocol)
                if listens and int(words[1].rpartition(":")[2], 16) == port.published:
                    yield words[9]


def _container(port: Port, engine: Engine) -> str | None:
    with engine_errors("inspecting the published ports"):
        for container in engine.client.api.containers():
            held = {(bound.get("PublicPort"), bound.get("Type")) for bound in container.get("Ports") or ()}
            if (port.published, port.protocol) in held:
                return f"the container {container['Names'][0].removeprefix('/')}"
    return None


SILENT_FOR = 5.0
"""Seconds after its start within which a service may begin to listen on another port."""
AGAIN_AFTER = 0.5
"""Seconds between two looks meanwhile."""


def where_they_listen(
    containers: Iterable[ContainerState], published: Mapping[str, Iterable[int]], engine: Engine, clock: Clock
) -> tuple[PublishedPorts, ...]:
    """Return where running services listen, of those that publish TCP ports; `published` are these, by service."""
    chosen = [
        container
        for container in containers
        if container.status is ContainerStatus.RUNNING and published.get(container.service)
    ]
    until = clock.monotonic() + SILENT_FOR
    while True:
        seen = tuple(_listens(container, published[container.service], engine) for container in chosen)
        if clock.monotonic() >= until or not any(found.silent for found in seen):
            return seen
        clock.sleep(AGAIN_AFTER)


def _listens(container: ContainerState, ports: Iterable[int], engine: Engine) -> PublishedPorts:
    with engine_errors("looking where the services listen"):
        found = sockets(engine.client.api, container.id)
    return PublishedPorts(
        service=container.service,
        ports=tuple(sorted(ports)),
        listening=None if found is None else tuple(sorted(port for port, reached in found.items() if reached)),
        own=tuple(sorted(port for port, reached in (found or {}).items() if not reached)),
    )
