"""The network of the provided engine: its own bridge, address range and firewall rules.

Docker keeps its rules in chains of fixed names, and a second daemon on a host empties those of the first at its start.
So the provided one manages no rules (`"iptables": false`): the four here do what containers need.
"""

from __future__ import annotations

import fcntl
import ipaddress
import shlex
import socket
import struct
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial import process
from seatrial.errors import EngineError, ProgramError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


RANGES = "10.213.0.0/16 10.214.0.0/16 10.215.0.0/16 172.30.0.0/16 172.29.0.0/16 192.168.192.0/20"
POOLS = tuple(map(IPv4Network, RANGES.split()))
"""Address ranges to choose from, Docker's own default ranges last: another engine may use those."""

TIMEOUT = 30.0

# From linux/sockios.h: these calls need no program that a small host may lack.
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCGIFADDR = 0x8913, 0x8914, 0x8915
SIOCBRADDBR, SIOCBRDELBR = 0x89A0, 0x89A1
IFF_UP = 0x1


def parse_routes(text: str) -> list[IPv4Network]:
    """Read /proc/net/route: the networks that the host reaches, without the default route."""
    found: list[IPv4Network] = []
    for line in text.splitlines()[1:]:
        words = line.split()
        # Numbers are hexadecimal, in the byte order of the machine.
        address, mask = (struct.pack("=I", int(words[index], 16)) for index in (1, 7))
        network = IPv4Network((IPv4Address(address), str(IPv4Address(mask))))
        if network.prefixlen:
            found.append(network)
    return found


def host_routes() -> list[IPv4Network]:
    """Return the networks that this host reaches."""
    return parse_routes(Path("/proc/net/route").read_text(encoding="ascii"))


def choose_pool(routes: Iterable[IPv4Network], *, before: IPv4Network | None = None) -> IPv4Network:
    """Choose an address range that the host does not use; the one used before where it is still free."""
    taken = list(routes)
    for pool in [*([before] if before else []), *POOLS]:
        if not any(pool.overlaps(network) for network in taken):
            return pool
    raise EngineError(
        "no address range is free for the containers of an engine: the host's routes use them all.",
        fix="Use another engine: set DOCKER_HOST.",
        detail="\n".join(map(str, taken)),
    )


def rules(pool: IPv4Network, tag: str) -> list[tuple[str, str, list[str]]]:
    """Return the firewall rules for the containers, in their order: table, chain, rule.

    Containers reach everything and get answers; nothing else reaches them. Published ports are served by a process
    on the host.
    """
    mine = ["-m", "comment", "--comment", tag, "-j"]
    inside, outside = str(pool), ["!", "-d", str(pool)]
    answers = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]
    return [
        ("filter", "FORWARD", ["-d", inside, *answers, *mine, "ACCEPT"]),
        ("filter", "FORWARD", ["-s", inside, *mine, "ACCEPT"]),
        ("filter", "FORWARD", ["-d", inside, *mine, "DROP"]),
        ("nat", "POSTROUTING", ["-s", inside, *outside, *mine, "MASQUERADE"]),
    ]


def open_firewall(pool: IPv4Network, tag: str, environment: Mapping[str, str]) -> None:
    """Add the rules before all others, where one is missing: a firewall's reload drops them."""
    wanted = rules(pool, tag)
    checks = (_iptables(environment, table, "--check", chain, *rule, check=False).code for table, chain, rule in wanted)
    if not any(checks):
        return
    close_firewall(tag, environment)
    for table, chain, rule in reversed(wanted):
        _iptables(environment, table, "--insert", chain, *rule)


def close_firewall(tag: str, environment: Mapping[str, str]) -> None:
    """Remove the rules that carry a tag."""
    for table, chain in (("filter", "FORWARD"), ("nat", "POSTROUTING")):
        for line in _iptables(environment, table, "--list-rules", chain).output.splitlines():
            words = shlex.split(line)
            if tag in words and words[0] == "-A":
                _iptables(environment, table, "--delete", *words[1:])


def add_bridge(name: str) -> None:
    """Make a network bridge; the daemon gives it its address."""
    try:
        _call(SIOCBRADDBR, name.encode() + b"\0")
    except FileExistsError:
        return
    except OSError as error:
        raise EngineError(
            f"the network bridge {name} cannot be made: {error.strerror}.",
            fix="In a container, a provided engine needs a privileged container; otherwise set DOCKER_HOST.",
        ) from error


def remove_bridges(name: str, pool: IPv4Network | None) -> None:
    """Remove the engine's own bridge, and those of its networks: all that have an address of its range."""
    for folder in Path("/sys/class/net").glob("*/bridge"):
        bridge = folder.parent.name
        if bridge == name or (pool and (address := _address(bridge)) and address in pool):
            _remove_bridge(bridge)


def _remove_bridge(name: str) -> None:
    try:
        flags = struct.unpack_from("16sh", _call(SIOCGIFFLAGS, struct.pack("16s24x", name.encode())))[1]
        _call(SIOCSIFFLAGS, struct.pack("16sh22x", name.encode(), flags & ~IFF_UP))
        _call(SIOCBRDELBR, name.encode() + b"\0")
    except OSError as error:
        if Path("/sys/class/net", name).exists():
            raise EngineError(f"the network bridge {name} cannot be removed: {error.strerror}.") from error


def _address(interface: str) -> IPv4Address | None:
    try:
        answer = _call(SIOCGIFADDR, struct.pack("16s24x", interface.encode()))
    except OSError:
        # It has none, or has gone.
        return None
    return ipaddress.IPv4Address(answer[20:24])


def _call(number: int, argument: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        return fcntl.ioctl(handle, number, argument)


def _iptables(environment: Mapping[str, str], table: str, *arguments: str, check: bool = True) -> process.Completed:
    argv = ["iptables", "--wait", "10", "--table", table, *arguments]
    done = process.run(argv, timeout=TIMEOUT, environment=environment, check=False)
    if check and done.code != 0:
        raise ProgramError(
            "the firewall's rules cannot be read or changed.",
            where=shlex.join(done.argv),
            fix="The kernel needs nftables or iptables, and this account the right to change them.",
            detail=(done.errors or done.output).strip(),
        )
    return done
