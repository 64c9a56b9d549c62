"""The provided engine's network: its address range, its bridge, its firewall rules, and the host's forwarding."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shlex
import socket
import struct
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial import process
from seatrial.errors import EngineError, ProgramError
from seatrial.filesystem import locked, os_errors
from seatrial.offline.install import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


RANGES = "10.213.0.0/16 10.214.0.0/16 10.215.0.0/16 172.30.0.0/16 172.29.0.0/16 192.168.192.0/20"
POOLS = tuple(map(IPv4Network, RANGES.split()))
"""Address ranges to choose from, Docker's own default ranges last: another engine may use those."""

OWN_BRIDGES = "seatrial-"
"""What the bridges of provided engines begin with."""
TIMEOUT = 30.0
CHAINS = (("filter", "FORWARD"), ("nat", "POSTROUTING"))

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


IPV6 = Path("/proc/net/if_inet6")
"""There where the kernel speaks IPv6."""
BRIDGED = {4: Path("/proc/sys/net/bridge/bridge-nf-call-iptables")}
BRIDGED[6] = BRIDGED[4].with_name("bridge-nf-call-ip6tables")
"""There where the kernel shows the firewall what stays within a bridge, or can be told to: br_netfilter is loaded."""
IPV4 = 4
PROGRAMS = {4: "iptables", 6: "ip6tables"}
WITHIN = "--physdev-is-bridged"


def own_range(tag: str) -> IPv6Network:
    """Return the IPv6 addresses of an engine's networks that ask for some: unique local ones (RFC 4193)."""
    digits = hashlib.sha256(tag.encode()).hexdigest()
    return IPv6Network(f"fd{digits[:2]}:{digits[2:6]}:{digits[6:10]}::/64")


def rules(pool: IPv4Network | IPv6Network, tag: str, *, bridged: bool = False) -> list[tuple[str, str, list[str]]]:
    """Return the firewall rules for the containers, in their order: table, chain, rule.

    Containers reach their own network and what is outside, and get answers. Nothing else reaches them, and they reach
    no other network of an engine: its bridge is `br-…` or an engine's own. Published ports are served by a process on
    the host. What is `bridged` stays within one network. IPv6 addresses are local: nothing is translated, and whether
    the host forwards them is its own affair.
    """
    mine = ["-m", "comment", "--comment", tag, "-j"]
    inside, outside = str(pool), ["!", "-d", str(pool)]
    answers = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]
    many = "224.0.0.0/4" if pool.version == IPV4 else "ff00::/8"
    within = [["-s", inside, "-d", inside], ["-s", inside, "-d", many]]
    if pool.version == 6:  # noqa: PLR2004
        # How neighbours find each other (RFC 4861), which begins with addresses that are no network's.
        within += [["-p", "icmpv6", "--icmpv6-type", kind] for kind in ("135", "136")]
    leaving = [
        ("filter", "FORWARD", ["-s", inside, *mine, "ACCEPT"]),
        ("nat", "POSTROUTING", ["-s", inside, *outside, *mine, "MASQUERADE"]),
    ]
    accepted, translated = (leaving[:1], leaving[1:]) if pool.version == IPV4 else ([], [])
    return [
        ("filter", "FORWARD", ["-d", inside, *answers, *mine, "ACCEPT"]),
        *(("filter", "FORWARD", [*what, "-m", "physdev", WITHIN, *mine, "ACCEPT"]) for what in within if bridged),
        ("filter", "FORWARD", ["-s", inside, "-d", inside, *mine, "DROP"]),
        ("filter", "FORWARD", ["-s", inside, "-o", "br-+", *mine, "DROP"]),
        ("filter", "FORWARD", ["-s", inside, "-o", "seatrial-+", *mine, "DROP"]),
        *accepted,
        ("filter", "FORWARD", ["-d", inside, *mine, "DROP"]),
        *translated,
    ]


def open_firewall(pool: IPv4Network | IPv6Network, tag: str, environment: Mapping[str, str]) -> None:
    """Add the rules before all others, where one is missing: a firewall's reload drops them.

    Raises:
        ProgramError: that is not possible; or the kernel shows the firewall what stays within a bridge, and cannot
            tell it from the rest.
    """
    run = partial(_iptables, environment, pool.version)
    seen = BRIDGED[pool.version]
    wanted = rules(pool, tag, bridged=seen.exists())
    if not any(run(table, "--check", chain, *rule, check=False).code for table, chain, rule in wanted):
        return
    _close(pool.version, tag, environment)
    for table, chain, rule in reversed(wanted):
        if WITHIN not in rule:
            run(table, "--insert", chain, *rule)
        elif (done := run(table, "--insert", chain, *rule, check=False)).code and _is_on(seen):
            raise ProgramError(
                "the kernel shows the firewall what stays within a network, and lacks xt_physdev, which tells that.",
                where=shlex.join(done.argv),
                fix=f"Load it (`modprobe xt_physdev`), or run `sysctl net.bridge.{seen.name}=0`.",
                detail=(done.errors or done.output).strip(),
            )


def shows_bridged() -> bool:
    """Tell whether the kernel shows the firewall what stays within a bridge."""
    return any(map(_is_on, BRIDGED.values()))


def _is_on(switch: Path) -> bool:
    try:
        return switch.read_text(encoding="ascii").strip() != "0"
    except OSError:
        return False


def close_firewall(tag: str, environment: Mapping[str, str]) -> None:
    """Remove the rules that carry a tag."""
    _close(4, tag, environment)
    if IPV6.exists():
        _close(6, tag, environment, check=False)


def _close(version: int, tag: str, environment: Mapping[str, str], *, check: bool = True) -> None:
    for table, chain in CHAINS:
        for line in _iptables(environment, version, table, "--list-rules", chain, check=check).output.splitlines():
            words = shlex.split(line)
            if tag in words and words[0] == "-A":
                _iptables(environment, version, table, "--delete", *words[1:])


FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
BOOT = Path("/proc/sys/kernel/random/boot_id")
BEFORE = RUNTIME / "forwarding.json"
"""What the host's forwarding was before the first of the engines that run now."""


@dataclass(frozen=True, kw_only=True)
class Forwarding:
    """Whether this host passes on packets of others, and its rules for that."""

    boot: str
    """The start of the machine that this is about."""
    on: bool
    policy: str
    """What becomes of a packet that no rule is about: ACCEPT or DROP."""
    others: tuple[str, ...]
    """The rules that are not of a provided engine."""


def read_forwarding(environment: Mapping[str, str]) -> Forwarding:
    """Return how this host forwards now."""
    lines = [
        line
        for table, chain in CHAINS
        for line in _iptables(environment, 4, table, "--list-rules", chain).output.splitlines()
    ]
    policy = next((line.split()[2] for line in lines if line.startswith("-P FORWARD ")), "ACCEPT")
    return Forwarding(
        boot=BOOT.read_text(encoding="ascii").strip(),
        on=FORWARDING.read_text(encoding="ascii").strip() != "0",
        policy=policy,
        others=tuple(line for line in lines if line.startswith("-A ") and "--comment seatrial-" not in line),
    )


def remembered() -> Forwarding | None:
    """Return what was written down before an engine changed it; None where nothing was since its start."""
    try:
        before = json.loads(BEFORE.read_text(encoding="utf-8"))
        found = Forwarding(**{**before, "others": tuple(before["others"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.boot == BOOT.read_text(encoding="ascii").strip() else None


def switch_forwarding_on(environment: Mapping[str, str]) -> None:
    """Let this host forward, for the containers only; what was before is written down first.

    Where it did not forward, it shall not begin to do so for its neighbours: what no rule is about is dropped, as
    Docker does it.
    """
    with os_errors(BEFORE), locked(RUNTIME, waiting=lambda: None):
        now = read_forwarding(environment)
        if remembered() is None:
            fresh = BEFORE.with_suffix(".new")
            fresh.write_text(json.dumps(asdict(now)), encoding="utf-8")
            fresh.replace(BEFORE)
        if not now.on:
            _iptables(environment, 4, "filter", "--policy", "FORWARD", "DROP")
            FORWARDING.write_text("1", encoding="ascii")


def restore_forwarding(environment: Mapping[str, str]) -> str:
    """Restore what was before the first engine, once none is left; return a message where it was not restored."""
    if not RUNTIME.exists():
        return ""
    with os_errors(BEFORE), locked(RUNTIME, waiting=lambda: None):
        before = remembered()
        if any(RUNTIME.glob("seatrial-*")):
            return ""
        BEFORE.unlink(missing_ok=True)
        if before is None or before.on:
            return ""
        now = read_forwarding(environment)
        if now.others != before.others:
            return "Something else has changed the firewall since the engine's start: the host goes on forwarding."
        if now.on:
            FORWARDING.write_text("0", encoding="ascii")
        if now.policy == "DROP":
            _iptables(environment, 4, "filter", "--policy", "FORWARD", before.policy)
        return ""


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


def remove_bridges(name: str, pool: IPv4Network | None, interfaces: Path = Path("/sys/class/net")) -> None:
    """Remove the engine's own bridge, and those of its networks: all that have an address of its range.

    Where another engine of seatrial has taken that range meanwhile, those are its own.
    """
    bridges = [folder.parent.name for folder in interfaces.glob("*/bridge")]
    within = {bridge for bridge in bridges if pool and (address := _address(bridge)) and address in pool}
    others = {bridge for bridge in within if bridge.startswith(OWN_BRIDGES) and bridge != name}
    for bridge in bridges:
        if bridge == name or (bridge in within and not others):
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
    # OSError: it has none, or has gone.
    with suppress(OSError):
        return IPv4Address(_call(SIOCGIFADDR, struct.pack("16s24x", interface.encode()))[20:24])
    return None


def _call(number: int, argument: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        return fcntl.ioctl(handle, number, argument)


def _iptables(
    environment: Mapping[str, str], version: int, table: str, *arguments: str, check: bool = True
) -> process.Completed:
    argv = [PROGRAMS[version], "--wait", "10", "--table", table, *arguments]
    done = process.run(argv, timeout=TIMEOUT, environment=environment, check=False)
    if check and done.code != 0:
        raise ProgramError(
            "the firewall's rules cannot be read or changed.",
            where=shlex.join(done.argv),
            fix="The kernel needs nftables or iptables, and this account the right to change them.",
            detail=(done.errors or done.output).strip(),
        )
    return done
