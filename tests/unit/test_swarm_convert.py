"""A compose model becomes a stack file for swarm, and nothing of it goes unsaid."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import docker.errors
import pytest
import requests

from seatrial.compose.text import ComposeText, read_text, text_of
from seatrial.errors import StackError
from seatrial.swarm.convert import CONVERTED, LOST, NO_LOSS, REFUSED, SAME, convert
from seatrial.swarm.deployment import size_of
from seatrial.swarm.materials import LONGEST_NAME, choose, named, prune, read
from seatrial.swarm.state import Conversion, Image, Material, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.engine.find import Engine

ID = "sha256:" + "a" * 64
NODE = "node1id"
PAGE = Path(__file__).parents[2] / "docs" / "swarm.md"


def conversion(
    service: dict[str, Any] | None = None,
    *,
    others: dict[str, Any] | None = None,
    checked: bool = True,
    reference: str = ID,
    pins: dict[str, str] | None = None,
    text: ComposeText | None = None,
    open_ports: bool = False,
    **top: Any,
) -> Conversion:
    services = {"api": {"image": "api:latest", **(service or {})}, **(others or {})}
    return convert(
        {"name": "proj", "services": services, **top},
        stack="ship",
        project="proj",
        images={
            name: Image(name=service["image"], reference=reference, checked=checked)
            for name, service in services.items()
        },
        contents={},
        node=NODE,
        node_name="alpha",
        pins=pins or {},
        text=text,
        open_ports=open_ports,
    )


def api(made: Conversion) -> dict[str, Any]:
    found: dict[str, Any] = made.document["services"]["api"]
    return found


def notes(made: Conversion, outcome: Outcome) -> dict[str, str]:
    return {note.place: note.text for note in made.notes if note.outcome is outcome}


def test_what_both_know_stays_as_it_is() -> None:
    same = {
        "command": ["sh", "-c", "echo $$HOME"],
        "cap_drop": ["ALL"],
        "environment": {"A": "b$$c", "UNSET": None},
        "healthcheck": {"test": ["CMD", "true"], "interval": "30s", "retries": 3},
        "read_only": True,
        "stop_grace_period": "30s",
        "ulimits": {"nofile": 5, "nproc": {"soft": 1, "hard": 2}},
        "user": "10001",
        "logging": {"driver": "json-file", "options": {"max-size": "10m"}},
    }
    made = conversion({**same, "entrypoint": None})
    assert {key: api(made)[key] for key in same} == same
    assert "entrypoint" not in api(made)
    assert made.document["version"] == "3.9"
    assert not notes(made, Outcome.LOST)


def test_a_health_check_of_a_quick_start_takes_the_version_that_knows_it() -> None:
    made = conversion({"healthcheck": {"test": ["CMD", "true"], "start_interval": "1s"}})
    assert made.document["version"] == "3.12"


def test_limits_become_resources() -> None:
    made = conversion(
        {"mem_limit": "536870912", "cpus": 2, "pids_limit": 256, "mem_reservation": "1048576", "memswap_limit": "1"}
    )
    assert api(made)["deploy"]["resources"] == {
        "limits": {"memory": "536870912", "cpus": "2", "pids": 256},
        "reservations": {"memory": "1048576"},
    }
    assert "deploy.resources.limits.memory" in notes(made, Outcome.CHANGED)["api mem_limit"]
    assert "as much swap as memory" in notes(made, Outcome.LOST)["api memswap_limit"]


def test_limits_that_deploy_says_itself_hold() -> None:
    made = conversion({"mem_limit": "5", "deploy": {"resources": {"limits": {"memory": "7m", "cpus": 0.5}}}})
    assert api(made)["deploy"]["resources"] == {"limits": {"memory": str(7 * 1024**2), "cpus": "0.5"}}
    assert "resources" not in api(conversion({"pids_limit": -1}))["deploy"]


def test_tmpfs_and_shared_memory_become_mounts_with_their_sizes() -> None:
    made = conversion({"tmpfs": ["/tmp:size=16m,mode=1777", "/run:exec,uid=5"], "shm_size": "134217728"})
    assert api(made)["volumes"] == [
        {"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": 16 * 1024**2}},
        {"type": "tmpfs", "target": "/run"},
        {"type": "tmpfs", "target": "/dev/shm", "tmpfs": {"size": 134217728}},
    ]
    assert "exec, uid=5 of /run" in notes(made, Outcome.LOST)["api tmpfs"]
    assert "shm_size" not in api(made)
    assert "tmpfs" not in api(made)


def test_a_size_in_percent_is_no_size() -> None:
    made = conversion({"tmpfs": ["/tmp:size=50%"]})
    assert api(made)["volumes"] == [{"type": "tmpfs", "target": "/tmp"}]
    assert "size=50%" in notes(made, Outcome.LOST)["api tmpfs"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("16m", 16 * 1024**2), ("1.5GiB", 1610612736), ("7", 7), ("512k", 524288), ("2gb", 2 * 1024**3), ("50%", None)],
)
def test_sizes_are_read_as_the_engine_reads_them(text: str, size: int | None) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.5"])
def test_a_port_of_one_interface_is_refused(address: str) -> None:
    port = {"mode": "ingress", "host_ip": address, "target": 8000, "published": "8000", "protocol": "tcp"}
    made = conversion({"ports": [port]})
    (refused,) = made.refused
    assert refused.place == "api ports"
    assert f"{address}:8000" in refused.text
    assert "every interface of every node" in refused.text
    assert "--open-ports" in refused.text


def test_a_port_of_one_interface_is_opened_when_a_person_says_so() -> None:
    port = {"mode": "ingress", "host_ip": "127.0.0.1", "target": 8000, "published": "8000", "protocol": "tcp"}
    made = conversion({"ports": [port]}, open_ports=True)
    assert not made.refused
    assert api(made)["ports"] == [{"target": 8000, "protocol": "tcp", "mode": "ingress", "published": 8000}]
    assert "every interface of every node" in notes(made, Outcome.RISK)["api ports"]


def test_ports_of_all_interfaces_need_no_word() -> None:
    made = conversion(
        {
            "ports": [
                {"mode": "ingress", "target": 81, "protocol": "udp"},
                {"mode": "ingress", "host_ip": "::", "target": 82, "published": "82"},
                {"mode": "ingress", "target": 83, "published": "8000-8010"},
            ]
        }
    )
    assert [entry.get("published") for entry in api(made)["ports"]] == [None, 82, None]
    assert "8000-8010" in notes(made, Outcome.CHANGED)["api ports"]
    assert not made.refused


@pytest.mark.parametrize(
    ("restart", "policy"),
    [
        ("always", {"condition": "any"}),
        ("unless-stopped", {"condition": "any"}),
        ("on-failure:3", {"condition": "on-failure", "max_attempts": 3}),
        ("no", {"condition": "none"}),
        (None, {"condition": "any"}),
    ],
)
def test_restart_becomes_a_policy(restart: str | None, policy: dict[str, Any]) -> None:
    made = conversion({"restart": restart} if restart else {})
    assert api(made)["deploy"]["restart_policy"] == policy
    assert "restart" not in api(made)
    assert "api restart" in notes(made, Outcome.CHANGED)


def test_updates_are_gated_by_health_and_roll_back() -> None:
    made = conversion()
    assert api(made)["deploy"]["update_config"] == {
        "parallelism": 1,
        "order": "start-first",
        "failure_action": "rollback",
        "monitor": "15s",
    }
    assert not notes(made, Outcome.RISK)
    unchecked = conversion(checked=False)
    assert "has run for 15s" in notes(unchecked, Outcome.RISK)["api healthcheck"]
    disabled = conversion({"healthcheck": {"disable": True}})
    assert "api healthcheck" in notes(disabled, Outcome.RISK)


def test_what_a_person_says_of_updates_holds() -> None:
    update = {"order": "stop-first", "monitor": "1m0s", "parallelism": 2}
    made = conversion({"deploy": {"update_config": update, "rollback_config": {"parallelism": 3, "delay": None}}})
    config = api(made)["deploy"]["update_config"]
    assert config == {"parallelism": 2, "order": "stop-first", "failure_action": "rollback", "monitor": "1m0s"}
    assert api(made)["deploy"]["rollback_config"] == {"parallelism": 3, "order": "stop-first"}


def test_two_never_write_to_one_volume_and_the_service_stays_with_its_data() -> None:
    data = {"volumes": [{"type": "volume", "source": "data", "target": "/d", "volume": {}}]}
    made = conversion(data, volumes={"data": {"name": "proj_data"}})
    deploy = api(made)["deploy"]
    assert deploy["update_config"]["order"] == "stop-first"
    assert deploy["placement"] == {"constraints": [f"node.id=={NODE}"]}
    assert "kept on alpha" in notes(made, Outcome.RISK)["api volumes"]
    assert made.document["volumes"] == {"data": {}}


def test_what_a_volume_is_said_to_be_stays() -> None:
    declared = {"name": "proj_data", "driver": "rclone", "driver_opts": {"o": "x"}, "labels": {}, "external": None}
    made = conversion(volumes={"data": declared, "own": {"name": "theirs"}})
    assert made.document["volumes"] == {
        "data": {"driver": "rclone", "driver_opts": {"o": "x"}},
        "own": {"name": "theirs"},
    }


def test_a_service_stays_on_the_node_that_kept_it_before() -> None:
    data = {"volumes": [{"type": "volume", "source": "data", "target": "/d"}]}
    made = conversion(data, volumes={"data": {}}, pins={"api": "node2id"})
    assert api(made)["deploy"]["placement"] == {"constraints": ["node.id==node2id"]}


@pytest.mark.parametrize(
    ("mount", "volume"),
    [
        ({"type": "volume", "source": "data", "target": "/d", "read_only": True}, {}),
        ({"type": "volume", "source": "data", "target": "/d"}, {"driver": "rclone"}),
        ({"type": "volume", "source": "data", "target": "/d"}, {"driver_opts": {"type": "nfs"}}),
        ({"type": "volume", "source": "data", "target": "/d"}, {"driver_opts": {"type": "x", "o": "rw,addr=10.0.0.9"}}),
        ({"type": "volume", "target": "/d"}, {}),
    ],
)
def test_what_nodes_share_or_nobody_writes_binds_no_service(mount: dict[str, Any], volume: dict[str, Any]) -> None:
    deploy = api(conversion({"volumes": [mount]}, volumes={"data": volume}))["deploy"]
    assert "placement" not in deploy
    assert deploy["update_config"]["order"] == "start-first"


@pytest.mark.parametrize("options", [{"type": "none", "o": "bind", "device": "/srv"}, {"type": "ext4"}])
def test_a_folder_or_device_of_a_node_keeps_the_service_there(options: dict[str, str]) -> None:
    mount = {"type": "volume", "source": "data", "target": "/d"}
    deploy = api(conversion({"volumes": [mount]}, volumes={"data": {"driver_opts": options}}))["deploy"]
    assert deploy["placement"]["constraints"] == [f"node.id=={NODE}"]
    assert deploy["update_config"]["order"] == "stop-first"


def test_a_volume_without_a_name_is_warned_of() -> None:
    made = conversion({"volumes": [{"type": "volume", "target": "/d", "volume": {}}]})
    assert "/d has no named volume" in notes(made, Outcome.RISK)["api volumes"]


def test_a_volume_with_a_name_loses_nothing_at_an_update() -> None:
    made = conversion({"volumes": [{"type": "volume", "source": "data", "target": "/d"}]}, volumes={"data": {}})
    assert "has no named volume" not in notes(made, Outcome.RISK)["api volumes"]
    bound = conversion({"volumes": [{"type": "bind", "source": "/srv", "target": "/d"}]})
    assert "has no named volume" not in notes(bound, Outcome.RISK)["api volumes"]


@pytest.mark.parametrize(("size", "bytes_"), [("16m", 16 * 1024**2), (1024, 1024), ("odd", 0)])
def test_the_size_of_a_mounted_tmpfs(size: object, bytes_: int) -> None:
    made = conversion({"volumes": [{"type": "tmpfs", "target": "/t", "tmpfs": {"size": size, "mode": 755}}]})
    assert api(made)["volumes"] == [{"type": "tmpfs", "target": "/t", "tmpfs": {"size": bytes_}}]
    assert "mode of the mount at /t" in notes(made, Outcome.LOST)["api volumes"]


@pytest.mark.parametrize(
    ("mode", "job"),
    [(None, "replicated-job"), ("replicated", "replicated-job"), ("global", "global-job"), ("global-job",) * 2],
)
def test_what_others_wait_for_is_a_job_in_every_mode_and_has_no_updates(mode: str | None, job: str) -> None:
    update = {"update_config": {"parallelism": 2}, "rollback_config": {"parallelism": 2}}
    made = conversion(
        {"deploy": {"mode": mode, **update}},
        others={"web": {"image": "web", "depends_on": {"api": {"condition": "service_completed_successfully"}}}},
    )
    deploy = api(made)["deploy"]
    assert deploy["mode"] == job
    assert not set(update) & set(deploy)
    assert "a job is never updated" in notes(made, Outcome.LOST)["api deploy"]


@pytest.mark.parametrize("more", [{"scale": 2}, {"deploy": {"mode": "global", "replicas": 2}}])
def test_one_on_each_node_and_a_number_do_not_go_together(more: dict[str, Any]) -> None:
    made = conversion({"deploy": {"mode": "global"}, **more})
    assert "no replicas or scale" in notes(made, Outcome.REFUSED)["api deploy"]


def test_a_health_check_that_an_override_disables_is_disabled() -> None:
    made = conversion({"healthcheck": {"test": ["CMD", "x"], "interval": "5s", "disable": True}})
    assert api(made)["healthcheck"] == {"disable": True}


class Api:
    """A swarm that holds secrets, one of which somebody else uses."""

    def __init__(self) -> None:
        self.deleted: list[str] = []

    def services(self, **_: object) -> list[dict[str, Any]]:
        return []

    def configs(self, **_: object) -> list[dict[str, Any]]:
        return []

    def secrets(self, **_: object) -> list[dict[str, Any]]:
        return [{"ID": name, "Spec": {"Name": name}} for name in ("used", "gone", "free", "wanted")]

    def remove_secret(self, name: str) -> None:
        if code := {"used": 400, "gone": 404}.get(name):
            response = requests.Response()
            response.status_code = code
            raise docker.errors.APIError(name, response=response)
        self.deleted.append(name)

    remove_config = remove_secret


def test_a_secret_that_another_stack_uses_stays_and_spoils_nothing() -> None:
    client = Api()
    engine = cast("Engine", SimpleNamespace(client=SimpleNamespace(api=client)))
    wanted = Material(kind="secrets", key="k", name="wanted", data=b"")
    assert prune([wanted], "ship", engine) == ("free",)
    assert client.deleted == ["free"]


def test_an_empty_entrypoint_is_the_command() -> None:
    made = conversion({"entrypoint": [], "command": ["serve", "--all"]})
    assert api(made)["entrypoint"] == ["serve", "--all"]
    assert "command" not in api(made)
    assert "api entrypoint" in notes(made, Outcome.CHANGED)
    # Compose writes null where none is given.
    plain = conversion({"entrypoint": None, "command": ["serve"]})
    assert (api(plain).get("entrypoint"), api(plain)["command"]) == (None, ["serve"])


@pytest.mark.parametrize("command", [None, []])
def test_an_empty_entrypoint_without_a_command_is_refused(command: list[str] | None) -> None:
    made = conversion({"entrypoint": [], "command": command})
    assert "the image's own" in notes(made, Outcome.REFUSED)["api entrypoint"]


@pytest.mark.parametrize(
    ("name", "said"), [("a.b", "rename it"), ("a_", "rename it"), ("-" * 2, "rename it"), ("b" * 59, "64 characters")]
)
def test_a_name_that_swarm_does_not_take_is_refused(name: str, said: str) -> None:
    made = conversion(others={name: {"image": "x"}})
    assert said in notes(made, Outcome.REFUSED)[f"{name} name"]
    assert not conversion(others={"a-b_C9": {"image": "x"}, "a" * 58: {"image": "x"}}).refused


def test_a_service_that_is_only_built_is_refused() -> None:
    services = {"api": {"build": {"context": "."}}}
    made = convert(
        {"services": services}, stack="ship", project="p", images={}, contents={}, node="n", node_name="a", pins={}
    )
    assert notes(made, Outcome.REFUSED).keys() == {"api image"}
    assert "api image" not in notes(made, Outcome.RISK)


def test_any_port_is_no_range() -> None:
    made = conversion({"ports": [{"target": 80, "published": "0"}]})
    assert api(made)["ports"] == [{"target": 80, "protocol": "tcp", "mode": "ingress"}]
    assert "api ports" not in notes(made, Outcome.CHANGED)


@pytest.mark.parametrize(("mode", "refused"), [("ingress", True), ("host", False)])
def test_without_a_mesh_a_port_is_of_the_node(mode: str, refused: bool) -> None:
    made = conversion({"deploy": {"endpoint_mode": "dnsrr"}, "ports": [{"target": 80, "mode": mode}]})
    assert ("api ports" in notes(made, Outcome.REFUSED)) is refused


def test_the_host_is_whichever_node() -> None:
    made = conversion({"extra_hosts": ["host.docker.internal=host-gateway", "db=10.0.0.1"]})
    assert api(made)["extra_hosts"] == ["host.docker.internal:host-gateway", "db:10.0.0.1"]
    assert "host.docker.internal is whichever node" in notes(made, Outcome.RISK)["api extra_hosts"]


def test_options_of_a_bridge_are_not_handed_to_an_overlay_in_silence() -> None:
    network = {
        "driver_opts": {"com.docker.network.bridge.name": "br9", "com.docker.network.driver.mtu": "1400"},
        "ipam": {"options": {"foo": "bar"}},
    }
    made = conversion(networks={"back": network})
    assert made.document["networks"]["back"] == {"driver_opts": {"com.docker.network.driver.mtu": "1400"}}
    lost = [note.text for note in made.notes if note.outcome is Outcome.LOST and note.place == "networks back"]
    assert any("com.docker.network.bridge.name" in text for text in lost)
    assert any("ipam options foo" in text for text in lost)


def test_what_a_secret_of_a_variable_holds_is_asked_for(tmp_path: Path) -> None:
    asked: list[str] = []

    def values_of(names: Iterable[str]) -> dict[str, str]:
        asked.extend(names)
        return {"KEY": "s3cret", "EMPTY": ""}

    document = {
        "services": {"api": {"secrets": [{"source": "k"}, {"source": "e"}]}},
        "secrets": {"k": {"environment": "KEY"}, "e": {"environment": "EMPTY"}, "unused": {"environment": "OTHER"}},
    }
    found = read(document, values_of, where=tmp_path / "compose.yaml")
    assert found == {("secrets", "k"): b"s3cret", ("secrets", "e"): b""}
    assert asked == ["KEY", "EMPTY"]


def test_an_own_placement_holds_and_is_warned_of() -> None:
    made = conversion(
        {
            "volumes": [{"type": "volume", "source": "data", "target": "/d"}],
            "deploy": {"placement": {"constraints": ["node.labels.disk==ssd"]}},
        },
        volumes={"data": {}},
    )
    assert api(made)["deploy"]["placement"] == {"constraints": ["node.labels.disk==ssd"]}
    assert "its own data" in notes(made, Outcome.RISK)["api volumes"]


def test_a_port_of_the_node_itself_stops_the_old_one_first() -> None:
    made = conversion({"ports": [{"mode": "host", "target": 80, "published": "8080"}]})
    assert api(made)["deploy"]["update_config"]["order"] == "stop-first"
    assert "same port of the node" in notes(made, Outcome.RISK)["api updates"]


def test_a_one_shot_that_others_wait_for_is_a_job() -> None:
    waits = {"migrate": {"condition": "service_completed_successfully"}, "db": {"condition": "service_healthy"}}
    made = conversion(
        {"depends_on": waits}, others={"migrate": {"image": "api:latest", "restart": "no"}, "db": {"image": "db"}}
    )
    deploy = made.document["services"]["migrate"]["deploy"]
    assert deploy["mode"] == "replicated-job"
    assert deploy["restart_policy"]["condition"] == "on-failure"
    # Swarm refuses a job with either.
    assert not {"update_config", "rollback_config"} & set(deploy)
    assert "depends_on" not in api(made)
    lost = notes(made, Outcome.LOST)["api depends_on"]
    assert "db (healthy), migrate (completed_successfully)" in lost
    assert "starts all at once" in lost


def test_bind_mounts_are_warned_of() -> None:
    mount = {"type": "bind", "source": "/srv", "target": "/b", "bind": {"create_host_path": True, "selinux": "z"}}
    made = conversion({"volumes": [mount]})
    assert api(made)["volumes"] == [{"type": "bind", "source": "/srv", "target": "/b"}]
    assert "/srv must exist on each node" in notes(made, Outcome.RISK)["api volumes"]
    assert "selinux" in notes(made, Outcome.LOST)["api volumes"]


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_what_changes_the_application_stands_against_a_deploy(key: str) -> None:
    made = conversion({key: "host"})
    assert [note.place for note in made.refused] == [f"api {key}"]
    assert key not in api(made)


@pytest.mark.parametrize("key", sorted(LOST))
def test_what_swarm_has_not_is_said(key: str) -> None:
    made = conversion({key: ["x"]})
    assert notes(made, Outcome.LOST)[f"api {key}"]
    assert key not in api(made)


def test_what_a_later_compose_knows_is_said_too() -> None:
    made = conversion(
        {"flux_capacitor": "on", "x-own": 1, "privileged": False, "network_mode": "bridge", "devices": []}
    )
    assert notes(made, Outcome.LOST) == {"api flux_capacitor": "a stack file does not know it"}
    assert not made.refused


def test_each_key_has_one_fate() -> None:
    groups = [set(SAME) - CONVERTED, set(CONVERTED), set(NO_LOSS), set(LOST), set(REFUSED)]
    assert sum(map(len, groups)) == len(set().union(*groups))


def test_security_options_are_named() -> None:
    made = conversion({"security_opt": ["no-new-privileges:true"]})
    assert "no-new-privileges:true" in notes(made, Outcome.LOST)["api security_opt"]


def test_an_image_by_its_id_keeps_its_name_as_a_label() -> None:
    made = conversion({"pull_policy": "never", "labels": {"a": "b"}})
    assert api(made)["image"] == ID
    assert api(made)["labels"] == {"a": "b", "seatrial.image": "api:latest"}
    assert "each node must hold it" in notes(made, Outcome.CHANGED)["api image"]
    assert "pull_policy" not in api(made)


def test_an_image_that_is_not_here_is_warned_of() -> None:
    made = conversion({"pull_policy": "never"}, reference="api:latest")
    assert api(made)["image"] == "api:latest"
    assert "labels" not in api(made)
    assert "fetches what has that name" in notes(made, Outcome.RISK)["api image"]
    assert "asks the registry first" in notes(made, Outcome.LOST)["api pull_policy"]


def test_a_policy_that_fetches_is_not_followed_in_silence() -> None:
    assert "what was found here" in notes(conversion({"pull_policy": "always"}), Outcome.LOST)["api pull_policy"]


def test_networks_span_the_nodes() -> None:
    made = conversion(
        {"networks": {"default": None, "back": {"aliases": ["a"], "ipv4_address": "10.0.0.2"}}},
        networks={
            "default": {"name": "proj_default", "ipam": {}, "driver": "bridge"},
            "back": {
                "name": "proj_back",
                "internal": True,
                "enable_ipv6": True,
                "ipam": {"config": [{"subnet": "10.9.0.0/24", "gateway": "10.9.0.1"}]},
            },
            "shared": {"name": "shared", "external": True},
            "named": {"name": "of-my-own"},
        },
    )
    assert made.document["networks"] == {
        "default": {},
        "back": {"internal": True, "ipam": {"config": [{"subnet": "10.9.0.0/24"}]}},
        "shared": {"external": True, "name": "shared"},
        "named": {"name": "of-my-own"},
    }
    assert api(made)["networks"] == {"default": None, "back": {"aliases": ["a"]}}
    assert "overlay" in notes(made, Outcome.CHANGED)["networks default"]
    lost = [note.text for note in made.notes if note.place == "networks back" and note.outcome is Outcome.LOST]
    assert any("enable_ipv6" in text for text in lost)
    assert any("gateway" in text for text in lost)
    assert "ipv4_address" in notes(made, Outcome.LOST)["api networks"]
    assert "networks shared" in notes(made, Outcome.RISK)


def test_profiles_that_are_not_chosen_and_env_files_are_told_of() -> None:
    text = read_text(b"services: {api: {env_file: .env}, demo: {profiles: [demo]}}")
    assert isinstance(text, ComposeText)
    made = conversion({"environment": {"TOKEN": "s3cret"}}, text=text)
    assert "not deployed" in notes(made, Outcome.LOST)["demo profiles"]
    risk = notes(made, Outcome.RISK)["api env_file"]
    assert ".env was read here" in risk
    assert not any("s3cret" in note.text for note in made.notes)
    assert "s3cret" not in repr(made)


def test_hosts_are_written_as_a_stack_file_has_them() -> None:
    assert api(conversion({"extra_hosts": ["a=1.2.3.4", "b=::1"]}))["extra_hosts"] == ["a:1.2.3.4", "b:::1"]
    assert api(conversion({"extra_hosts": {"a": "1.2.3.4"}}))["extra_hosts"] == ["a:1.2.3.4"]


def test_scale_becomes_replicas() -> None:
    made = conversion({"scale": 3, "deploy": {"replicas": 1}})
    assert api(made)["deploy"]["replicas"] == 3


def test_devices_that_deploy_reserves_are_refused() -> None:
    reserved = {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"]}]}}}
    made = conversion({"deploy": reserved})
    assert [note.place for note in made.refused] == ["api deploy"]
    assert "resources" not in api(made)["deploy"]


def test_secrets_and_configs_are_named_after_their_content(tmp_path: Path) -> None:
    tmp_path.joinpath("s.txt").write_text("s3cret", encoding="utf-8")
    document = {
        "services": {
            "api": {
                "image": "x",
                "secrets": [{"source": "s", "target": "/run/secrets/s", "mode": "0440"}, {"source": "v"}],
                "configs": [{"source": "c", "target": "/c", "mode": 288}],
            }
        },
        "secrets": {
            "s": {"name": "proj_s", "file": str(tmp_path / "s.txt")},
            "v": {"environment": "VALUE"},
            "unused": {"file": "/nowhere"},
            "there": {"name": "already", "external": True},
        },
        "configs": {"c": {"name": "proj_c", "content": "a$$b"}},
    }
    contents = read(document, lambda names: dict.fromkeys(names, "two"), where=tmp_path / "compose.yaml")
    assert contents == {("secrets", "s"): b"s3cret", ("secrets", "v"): b"two", ("configs", "c"): b"a$b"}
    made = convert(
        document,
        stack="ship",
        project="proj",
        images={},
        contents=contents,
        node=NODE,
        node_name="alpha",
        pins={},
    )
    names = {material.key: material.name for material in made.materials}
    assert made.document["secrets"]["s"] == {"external": True, "name": names["s"]}
    assert made.document["secrets"]["there"] == {"external": True, "name": "already"}
    assert made.document["configs"]["c"] == {"external": True, "name": names["c"]}
    assert "unused" not in made.document["secrets"]
    assert api(made)["secrets"] == [{"source": "s", "target": "/run/secrets/s", "mode": 0o440}, {"source": "v"}]
    assert api(made)["configs"] == [{"source": "c", "target": "/c", "mode": 0o440}]
    assert names["s"].startswith("ship_s_")
    (again,) = named({("secrets", "s"): b"three"}, "ship")
    assert again.name != names["s"]
    assert "s3cret" not in repr(made)


def test_a_long_name_of_a_secret_fits() -> None:
    (material,) = named({("secrets", "k" * 80): b"x"}, "ship")
    assert len(material.name) == LONGEST_NAME


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"file": "/nowhere/s.txt"}, "cannot be read"),
        ({"environment": "UNSET"}, "UNSET is not set"),
        ({}, "neither a file nor a variable"),
    ],
)
def test_a_secret_that_cannot_be_had_is_named(table: dict[str, str], message: str, tmp_path: Path) -> None:
    using = {"api": {"secrets": [{"source": "s"}]}}
    with pytest.raises(StackError, match=message) as caught:
        read({"services": using, "secrets": {"s": table}}, lambda _: {}, where=tmp_path / "compose.yaml")
    assert "secrets.s" in caught.value.where


def test_an_image_is_named_by_its_content() -> None:
    digest = "sha256:" + "b" * 64
    pulled = {"Id": ID, "RepoDigests": [f"postgres@{digest}"], "Config": {"Healthcheck": {"Test": ["CMD", "x"]}}}
    assert choose("postgres:17", pulled, own=False) == Image(
        name="postgres:17", reference=f"postgres:17@{digest}", checked=True
    )
    assert choose("docker.io/library/postgres:17", pulled, own=False).reference.endswith(digest)
    assert choose(f"postgres@{digest}", pulled, own=False).reference == f"postgres@{digest}"
    # An engine on containerd's store gives what was built here a digest too: no registry has it.
    assert choose("postgres:17", pulled, own=True).reference == ID
    assert choose("other:1", pulled, own=False).reference == ID
    assert choose("gone:1", None, own=True) == Image(name="gone:1", reference="gone:1")
    assert not choose("x", {"Id": ID, "Config": {"Healthcheck": {"Test": ["NONE"]}}}, own=True).checked


def test_the_file_tells_of_env_files_and_profiles(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    services = {
        "a": {"env_file": ".env"},
        "b": {"env_file": [{"path": "b.env", "required": False}, "c.env"]},
        "c": {"profiles": ["p"]},
    }
    file.write_text(json.dumps({"services": services}), encoding="utf-8")
    text = text_of(file)
    assert set(text.lines) == {"a", "b", "c"}
    found = {name: [env_file.path for env_file in files] for name, files in text.env_files.items() if files}
    assert found == {"a": [".env"], "b": ["b.env", "c.env"]}


@pytest.mark.parametrize("text", ["services: !reset {}", "services: [", "", "[]", "services: 5", "a: !reset null"])
def test_a_file_without_services_tells_nothing(text: str, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(text, encoding="utf-8")
    assert (text_of(file).lines, text_of(file).files) == ({}, ())
    assert text_of(tmp_path / "gone.yaml") == ComposeText()


def test_the_page_on_swarm_names_all_that_is_lost_or_refused() -> None:
    page = PAGE.read_text(encoding="utf-8")
    lost, refused = page.split("## What is dropped, with a notice")[1].split("## What stops a deploy")
    assert {key for key in LOST if f"`{key}`" not in lost} == set()
    assert {key for key in REFUSED if f"`{key}`" not in refused} == set()
