from __future__ import annotations

import shlex
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from seatrial.errors import EngineError, ProgramError
from seatrial.offline import network
from seatrial.offline.network import POOLS, _address, _remove_bridge, choose_pool, host_routes, parse_routes, rules
from seatrial.process import Completed

# As a little-endian machine prints it: default route, 10.213.5.0/24, 172.17.0.0/16.
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
tun0\t0005D50A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


@pytest.mark.skipif("sys.byteorder != 'little'", reason="the text is of a little-endian machine")
def test_routes_are_read_without_the_default_one() -> None:
    assert parse_routes(ROUTES) == [IPv4Network("10.213.5.0/24"), IPv4Network("172.17.0.0/16")]


def test_the_hosts_own_routes_can_be_read() -> None:
    assert all(provide.prefixlen for provide in host_routes())


def test_a_range_that_a_route_overlaps_is_passed_over() -> None:
    assert choose_pool([IPv4Network("10.213.5.0/24")]) == POOLS[1]
    assert choose_pool([IPv4Network("10.0.0.0/8")]) == IPv4Network("172.30.0.0/16")


def test_the_range_of_before_is_kept_while_it_is_free() -> None:
    before = IPv4Network("10.215.0.0/16")
    assert choose_pool([], before=before) == before
    assert choose_pool([IPv4Network("10.215.1.0/24")], before=before) == POOLS[0]


def test_no_free_range_is_an_error_with_the_routes() -> None:
    with pytest.raises(EngineError, match="no address range is free") as caught:
        choose_pool([IPv4Network("0.0.0.0/1"), IPv4Network("128.0.0.0/1")])
    assert "128.0.0.0/1" in caught.value.detail


def test_every_rule_carries_the_tag_and_stays_in_the_range() -> None:
    made = rules(IPv4Network("10.213.0.0/16"), "seatrial-0a1b2c")
    assert [(table, chain, rule[-1]) for table, chain, rule in made] == [
        ("filter", "FORWARD", "ACCEPT"),
        ("filter", "FORWARD", "DROP"),
        ("filter", "FORWARD", "DROP"),
        ("filter", "FORWARD", "DROP"),
        ("filter", "FORWARD", "ACCEPT"),
        ("filter", "FORWARD", "DROP"),
        ("nat", "POSTROUTING", "MASQUERADE"),
    ]
    for _, _, rule in made:
        assert "seatrial-0a1b2c" in rule
        assert "10.213.0.0/16" in rule


def test_what_stays_within_a_network_is_let_through_where_the_firewall_sees_it() -> None:
    made = [" ".join(rule) for _, _, rule in rules(POOLS[0], "tag", bridged=True)]
    within = next(index for index, rule in enumerate(made) if "--physdev-is-bridged" in rule)
    across = next(index for index, rule in enumerate(made) if rule.endswith("DROP"))
    assert within < across
    assert made[within].endswith("ACCEPT")


class Firewall:
    """iptables with its rules in memory, as `--list-rules` shows them."""

    def __init__(self, *others: str) -> None:
        self.policy = "ACCEPT"
        self.rules: dict[str, list[str]] = {"filter": list(others), "nat": []}
        self.rules6: dict[str, list[str]] = {"filter": [], "nat": []}
        self.actions: list[str] = []
        self.knows_bridges = True

    def __call__(self, argv: list[str], **_: object) -> Completed:
        table, action, *words = argv[4:]
        self.actions.append(action)
        rules = (self.rules6 if argv[0] == "ip6tables" else self.rules)[table]
        rule, code, output = shlex.join(("-A", *words)), 0, ""
        if "physdev" in words and not self.knows_bridges:
            return Completed(argv=tuple(argv), code=2, output="", errors="Extension physdev is not supported\n")
        match action:
            case "--check":
                code = int(rule not in rules)
            case "--insert":
                rules.insert(0, rule)
            case "--delete":
                rules.remove(rule)
            case "--list-rules":
                output = "\n".join([f"-P FORWARD {self.policy}", *rules])
            case "--policy":
                self.policy = words[1]
        return Completed(argv=tuple(argv), code=code, output=output, errors="")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Firewall:
    """A host that does not forward, and whose firewall lets all through; no engine runs on it."""
    firewall = Firewall()
    monkeypatch.setattr("seatrial.process.run", firewall)
    for name in ("FORWARDING", "BOOT", "BEFORE"):
        monkeypatch.setattr(network, name, tmp_path / name.lower())
    monkeypatch.setattr(network, "RUNTIME", tmp_path)
    (tmp_path / "forwarding").write_text("0\n")
    (tmp_path / "boot").write_text("boot-1\n")
    return firewall


def forwards() -> str:
    return network.FORWARDING.read_text().strip()


def test_forwarding_is_switched_on_for_the_containers_alone_and_restored(host: Firewall) -> None:
    for _ in range(2):
        network.switch_forwarding_on({})
        assert (forwards(), host.policy) == ("1", "DROP")
    assert network.restore_forwarding({}) == ""
    assert (forwards(), host.policy) == ("0", "ACCEPT")
    assert not network.BEFORE.exists()
    assert network.restore_forwarding({}) == ""


def test_a_host_that_forwards_already_is_left_as_it_is(host: Firewall) -> None:
    network.FORWARDING.write_text("1\n")
    network.switch_forwarding_on({})
    network.restore_forwarding({})
    assert (forwards(), host.policy, host.actions.count("--policy")) == ("1", "ACCEPT", 0)


def test_the_last_engine_restores_what_was_before_the_first(host: Firewall, tmp_path: Path) -> None:
    for tag in ("seatrial-1", "seatrial-2"):
        (tmp_path / tag).mkdir()
        network.switch_forwarding_on({})
    (tmp_path / "seatrial-1").rmdir()
    network.restore_forwarding({})
    assert forwards() == "1"
    (tmp_path / "seatrial-2").rmdir()
    network.restore_forwarding({})
    assert (forwards(), host.policy) == ("0", "ACCEPT")


def test_what_something_else_needs_meanwhile_is_never_switched_off(host: Firewall) -> None:
    network.switch_forwarding_on({})
    host.rules["filter"].append("-A FORWARD -j DOCKER-USER")
    assert "the host goes on forwarding" in network.restore_forwarding({})
    assert (forwards(), host.policy) == ("1", "DROP")


def test_a_policy_that_somebody_else_set_meanwhile_stays(host: Firewall) -> None:
    host.policy = "DROP"
    network.switch_forwarding_on({})
    network.restore_forwarding({})
    assert (forwards(), host.policy) == ("0", "DROP")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot": "boot-1"}', '{"boot": "boot-0", "on": false}'])
def test_notes_of_another_start_of_the_machine_or_broken_ones_count_for_nothing(host: Firewall, text: str) -> None:
    network.BEFORE.write_text(text)
    network.FORWARDING.write_text("1\n")
    network.restore_forwarding({})
    assert (forwards(), host.policy) == ("1", "ACCEPT")


@pytest.fixture
def bridges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where the kernel tells whether it shows the firewall what stays within a bridge."""
    folder = tmp_path / "bridge"
    monkeypatch.setattr(network, "BRIDGED", {4: folder / "v4", 6: folder / "v6"})
    monkeypatch.setattr(network, "IPV6", tmp_path)
    return folder


@pytest.mark.usefixtures("bridges")
def test_the_rules_come_before_all_others_in_order_and_go_by_their_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    other = "-A FORWARD -m comment --comment seatrial-other -j DROP"
    firewall = Firewall(other)
    monkeypatch.setattr("seatrial.process.run", firewall)
    wanted = [shlex.join(("-A", chain, *rule)) for table, chain, rule in rules(POOLS[0], "tag") if table == "filter"]
    network.open_firewall(POOLS[0], "tag", {})
    assert firewall.rules["filter"] == [*wanted, other]
    assert len(firewall.rules["nat"]) == 1
    # A firewall's reload dropped one: all are added again, none twice.
    firewall.rules["filter"].remove(wanted[1])
    network.open_firewall(POOLS[0], "tag", {})
    assert firewall.rules["filter"] == [*wanted, other]
    network.close_firewall("tag", {})
    assert firewall.rules == {"filter": [other], "nat": []}


@pytest.mark.usefixtures("bridges")
def test_rules_that_are_all_there_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    firewall = Firewall()
    monkeypatch.setattr("seatrial.process.run", firewall)
    network.open_firewall(POOLS[0], "tag", {})
    firewall.actions.clear()
    network.open_firewall(POOLS[0], "tag", {})
    assert firewall.actions == ["--check"] * len(rules(POOLS[0], "tag"))


def test_networks_of_ipv6_are_kept_apart_too(monkeypatch: pytest.MonkeyPatch, bridges: Path) -> None:
    assert not bridges.exists()
    own, other = network.own_range("seatrial-1"), network.own_range("seatrial-2")
    assert own.is_private
    assert (own.prefixlen, own.overlaps(other)) == (64, False)
    firewall = Firewall()
    monkeypatch.setattr("seatrial.process.run", firewall)
    network.open_firewall(own, "seatrial-1", {})
    ends = [(rule.split()[-1], " -o " in rule) for rule in firewall.rules6["filter"]]
    assert ends == [("ACCEPT", False), ("DROP", False), ("DROP", True), ("DROP", True), ("DROP", False)]
    assert all(str(own) in rule for rule in firewall.rules6["filter"])
    # Nothing is translated, and nothing more is forwarded than the host does by itself.
    assert (firewall.rules6["nat"], firewall.rules) == ([], {"filter": [], "nat": []})
    network.close_firewall("seatrial-1", {})
    assert firewall.rules6 == {"filter": [], "nat": []}


def test_a_module_that_is_loaded_later_is_seen_by_the_next_command(
    monkeypatch: pytest.MonkeyPatch, bridges: Path
) -> None:
    firewall = Firewall()
    monkeypatch.setattr("seatrial.process.run", firewall)
    network.open_firewall(POOLS[0], "tag", {})
    assert not network.shows_bridged()
    bridges.mkdir()
    for name in ("v4", "v6"):
        (bridges / name).write_text("1\n")
    assert network.shows_bridged()
    network.open_firewall(POOLS[0], "tag", {})
    assert sum("physdev-is-bridged" in rule for rule in firewall.rules["filter"]) == 2
    assert len(firewall.rules["filter"]) == 8
    # Neighbours find each other by ICMP, from addresses that are no network's.
    network.open_firewall(network.own_range("tag"), "tag", {})
    accepted = [rule for rule in firewall.rules6["filter"] if "physdev-is-bridged" in rule]
    assert [" -p icmpv6 " in rule for rule in accepted] == [False, False, True, True]


@pytest.mark.parametrize(("switch", "told"), [("1", True), ("0", False)])
def test_a_kernel_that_cannot_tell_what_stays_within_a_network_is_told(
    monkeypatch: pytest.MonkeyPatch, bridges: Path, switch: str, told: bool
) -> None:
    firewall = Firewall()
    firewall.knows_bridges = False
    monkeypatch.setattr("seatrial.process.run", firewall)
    bridges.mkdir()
    (bridges / "v4").write_text(f"{switch}\n")
    if told:
        with pytest.raises(ProgramError, match="lacks xt_physdev") as caught:
            network.open_firewall(POOLS[0], "tag", {})
        assert "modprobe xt_physdev" in caught.value.fix
        assert "sysctl net.bridge.v4=0" in caught.value.fix
    else:
        network.open_firewall(POOLS[0], "tag", {})
        assert len(firewall.rules["filter"]) == 6


def test_a_firewall_that_cannot_be_changed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    done = Completed(argv=("iptables",), code=3, output="", errors="no rights\n")
    monkeypatch.setattr("seatrial.process.run", lambda *_, **__: done)
    with pytest.raises(ProgramError, match="firewall's rules") as caught:
        network.close_firewall("tag", {})
    assert caught.value.detail == "no rights"


@pytest.mark.parametrize(
    ("pool", "removed"),
    [
        (POOLS[0], {"br-0", "br-ours"}),
        (POOLS[1], {"br-0", "br-other"}),
        (None, {"br-0"}),
    ],
)
def test_only_bridges_of_the_engines_own_range_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: IPv4Network | None, removed: set[str]
) -> None:
    for name in ("br-0", "br-ours", "br-other", "br-down", "docker0"):
        (tmp_path / name / "bridge").mkdir(parents=True)
    (tmp_path / "eth0").mkdir()
    addresses = {"br-ours": "10.213.9.1", "br-other": "10.214.9.1", "docker0": "172.17.0.1", "eth0": "10.213.9.2"}
    found: set[str] = set()
    monkeypatch.setattr(network, "_remove_bridge", found.add)
    monkeypatch.setattr(network, "_address", lambda name: IPv4Address(addresses[name]) if name in addresses else None)
    network.remove_bridges("br-0", pool, tmp_path)
    assert found == removed


def test_the_bridges_of_an_engine_that_took_the_range_meanwhile_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("seatrial-aaaaaa", "seatrial-bbbbbb", "br-theirs"):
        (tmp_path / name / "bridge").mkdir(parents=True)
    found: set[str] = set()
    monkeypatch.setattr(network, "_remove_bridge", found.add)
    monkeypatch.setattr(network, "_address", lambda _: IPv4Address("10.213.0.1"))
    network.remove_bridges("seatrial-aaaaaa", POOLS[0], tmp_path)
    assert found == {"seatrial-aaaaaa"}


@pytest.mark.parametrize(("present", "told"), [(True, True), (False, False)])
def test_a_bridge_that_cannot_be_removed_is_told_while_it_is_there(
    monkeypatch: pytest.MonkeyPatch, present: bool, told: bool
) -> None:
    def refuse(*_: object) -> bytes:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(network, "_call", refuse)
    monkeypatch.setattr("pathlib.Path.exists", lambda _: present)
    if told:
        with pytest.raises(EngineError, match="bridge br9 cannot be removed: Device or resource busy"):
            _remove_bridge("br9")
    else:
        _remove_bridge("br9")
    assert _address("br9") is None


def test_a_bridge_is_set_down_before_it_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, bytes]] = []

    def call(number: int, argument: bytes) -> bytes:
        calls.append((number, argument))
        return argument[:16] + (0x1003).to_bytes(2, "little") + bytes(22) if number == network.SIOCGIFFLAGS else b""

    monkeypatch.setattr(network, "_call", call)
    _remove_bridge("br9")
    assert [number for number, _ in calls] == [network.SIOCGIFFLAGS, network.SIOCSIFFLAGS, network.SIOCBRDELBR]
    assert calls[1][1][16:18] == (0x1002).to_bytes(2, "little")
