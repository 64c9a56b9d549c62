"""What a compose service adds to its image: plain data."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.factories import configuration

from seatrial.checks.model import Level
from seatrial.checks.registry import CATALOGUE, among_services
from seatrial.facts import HealthCheck, VolumeFolder
from seatrial.observe.running.sandbox import (
    as_configured,
    boot_config,
    joined,
    override_config,
    probe_config,
    read_service,
    with_service_environment,
)
from seatrial.settings.model import Contract

INSPECTED: dict[str, Any] = {
    "Id": "0123456789ab",
    "Image": "sha256:1",
    "Config": {
        "Hostname": "0123456789ab",
        "User": "7",
        "Entrypoint": None,
        "Cmd": ["serve"],
        "Env": ["PATH=/bin", "URL=postgresql://db"],
        "WorkingDir": "/srv",
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGINT",
        "ExposedPorts": {"8000": {}, "53/udp": {}},
    },
    "HostConfig": {
        "NetworkMode": "shop_default",
        "Binds": ["shop_data:/data:rw"],
        "Mounts": None,
        "Tmpfs": {"/run": ""},
        "Privileged": True,
        "CapAdd": ["SYS_ADMIN"],
        "Memory": 0,
        "ExtraHosts": ["mail:10.0.0.1"],
    },
    "Mounts": [{"Destination": "/data", "RW": True}, {"Destination": "/etc/shop", "RW": False}],
    "NetworkSettings": {
        "Networks": {
            "front": {
                "Aliases": ["web", "0123456789ab"],
                "Links": ["db:postgres"],
                "IPAMConfig": {"IPv4Address": "1.2.3.4"},
            },
            "shop_default": {},
        }
    },
}


def test_a_service_says_where_its_data_and_services_are_and_takes_no_right_along() -> None:
    service = read_service(INSPECTED)
    assert list(service.networks) == ["shop_default", "front"]
    assert service.networks["front"] == {"Aliases": ["web"], "IPAMConfig": None, "Links": ["db:postgres"]}
    assert (service.mode, service.hostname, service.shares_network) == ("shop_default", "", False)
    assert service.mounted == {"/data", "/etc/shop"}
    assert service.tmpfs == {"/run": ""}
    assert service.host == {"Binds": ["shop_data:/data:rw"], "ExtraHosts": ["mail:10.0.0.1"]}


def test_what_the_service_says_otherwise_counts() -> None:
    check = HealthCheck(test=("CMD", "true"), interval=1, timeout=1, start_period=0, retries=3)
    image = configuration(health_check=check, entrypoint=("/entry",), volumes=("/v",))
    seen = as_configured(image, INSPECTED)
    assert (seen.user, seen.words, seen.working_directory, seen.stop_signal) == ("7", ("serve",), "/srv", "SIGINT")
    assert (seen.id, seen.reference, seen.unpacked) == (image.id, image.reference, image.unpacked)
    assert seen.health_check is None
    assert seen.exposed_ports == ("53/udp", "8000/tcp")
    # What is mounted read-only may not be written.
    assert seen.volumes == ("/data", "/run", "/v")
    contract = with_service_environment(Contract(environment={"URL": "made-up", "TOKEN": "made-up"}), seen)
    assert contract.environment == {"PATH": "/bin", "URL": "postgresql://db"}


def test_a_start_among_services_keeps_the_limits_and_takes_the_rest_from_the_service() -> None:
    seen = as_configured(configuration(entrypoint=("/entry",)), INSPECTED)
    contract = with_service_environment(Contract(memory="100 MB"), seen)
    alone = boot_config(seen, contract, without="URL")
    plan = joined(alone, read_service(INSPECTED), seen)
    assert (plan["Entrypoint"], plan["Cmd"], plan["User"], plan["WorkingDir"]) == ([""], ["serve"], "7", "/srv")
    assert plan["Healthcheck"] == {"Test": ["NONE"]}
    assert plan["Env"] == ["PATH=/bin", "URL"]
    assert list(plan["NetworkingConfig"]["EndpointsConfig"]) == ["shop_default", "front"]
    assert plan["Hostname"] == "seatrial"
    host = plan["HostConfig"]
    assert host["NetworkMode"] == "shop_default"
    assert host["Binds"] == ["shop_data:/data:rw"]
    assert set(host["Tmpfs"]) == {"/run", "/tmp"}
    assert host["ExtraHosts"] == ["mail:10.0.0.1"]
    for limit in ("ReadonlyRootfs", "CapDrop", "CapAdd", "SecurityOpt", "PidsLimit", "Memory", "MemorySwap"):
        assert host[limit] == alone["HostConfig"][limit]
    assert "Privileged" not in host


@pytest.mark.parametrize(
    ("memory", "asked", "given"),
    [
        ("1 GiB", 0, 64 * 1024**2),
        ("1 GiB", 512 * 1024**2, 512 * 1024**2),
        ("100 MB", 100 * 1024**3, 100_000_000),
        ("10 MB", 0, 10_000_000),
    ],
)
def test_a_services_shared_memory_holds_within_the_memory_limit(memory: str, asked: int, given: int) -> None:
    inspected = {**INSPECTED, "HostConfig": {**INSPECTED["HostConfig"], "ShmSize": asked}}
    seen = as_configured(configuration(), inspected)
    plan = joined(boot_config(seen, Contract(memory=memory)), read_service(inspected), seen)
    assert plan["HostConfig"]["ShmSize"] == given


def test_a_start_as_another_user_gets_volumes_of_its_own() -> None:
    seen = as_configured(configuration(), INSPECTED)
    mounts = [
        {"Type": "volume", "Source": "cache", "Target": "/cache"},
        {"Type": "bind", "Source": "/a", "Target": "/b"},
    ]
    host = {**INSPECTED["HostConfig"], "Binds": ["shop_data:/data:rw", "/etc/shop:/etc/shop:ro"], "Mounts": mounts}
    plan = joined(boot_config(seen, Contract(), user="9:0"), read_service({**INSPECTED, "HostConfig": host}), seen)
    assert plan["User"] == "9:0"
    assert plan["Volumes"] == {"/data": {}, "/cache": {}}
    assert plan["HostConfig"]["Binds"] == ["/etc/shop:/etc/shop:ro"]
    assert plan["HostConfig"]["Mounts"] == [mounts[1]]


def test_a_place_that_the_service_mounts_is_no_tmpfs_and_its_name_is_kept() -> None:
    config = {**INSPECTED["Config"], "Hostname": "shop"}
    mounted = {**INSPECTED, "Config": config, "Mounts": [{"Destination": "/tmp/", "RW": True}]}
    seen = as_configured(configuration(), mounted)
    plan = joined(boot_config(seen, Contract(tmpfs=("/tmp", "/x"))), read_service(mounted), seen)
    assert set(plan["HostConfig"]["Tmpfs"]) == {"/x", "/run"}
    assert plan["Hostname"] == "shop"


@pytest.mark.parametrize(("mode", "known"), [("none", {"none": {}}), ("container:0123", {})])
def test_a_container_without_a_network_of_its_own_stays_without(mode: str, known: dict[str, Any]) -> None:
    alone = {**INSPECTED, "HostConfig": {"NetworkMode": mode}, "NetworkSettings": {"Networks": known}}
    seen = as_configured(configuration(), alone)
    plan = joined(boot_config(seen, Contract()), read_service(alone), seen)
    assert plan["HostConfig"]["NetworkMode"] == mode
    assert "Hostname" not in plan
    assert "ExtraHosts" not in plan["HostConfig"]
    assert plan["NetworkingConfig"] == {"EndpointsConfig": {}}


def test_the_starts_among_services_are_judged_by_what_starts_decide() -> None:
    standard, deep = among_services(Level.STANDARD), among_services(Level.DEEP)
    assert {check.id for check in standard} < {check.id for check in deep}
    assert {check for check in CATALOGUE if check.stack} <= set(standard)
    assert all(check.stack or check.level is not Level.QUICK for check in deep)
    started = {check.id for check in deep if not check.stack}
    assert started == {
        check.id
        for check in CATALOGUE
        if check.level is not Level.QUICK
        and not check.stack
        and check.id != "runtime/command-override"
        and "layers" not in dict(check.parameters)
    }


EMPTY = {"/data": VolumeFolder(mode=0o750, uid=7, gid=8), "/spool": VolumeFolder(), "/run": VolumeFolder()}


def test_an_empty_volume_of_the_image_is_bounded_and_as_its_folder() -> None:
    image = configuration(volumes=tuple(EMPTY), empty_volumes=EMPTY)
    for plan in (
        boot_config(image, Contract(tmpfs=("/run",))),
        probe_config(image, "/python", ["-c"], Contract(tmpfs=("/run",))),
        override_config(image, ["x"], Contract(tmpfs=("/run",))),
    ):
        mounts = {mount["Target"]: mount["VolumeOptions"]["DriverConfig"] for mount in plan["HostConfig"]["Mounts"]}
        assert set(mounts) == {"/data", "/spool"}
        assert {mount["Name"] for mount in mounts.values()} == {"local"}
        assert mounts["/data"]["Options"]["o"] == "nosuid,nodev,size=268435456,mode=750,uid=7,gid=8"
        assert mounts["/spool"]["Options"]["type"] == "tmpfs"


def test_what_a_service_mounts_is_in_place_of_the_images_volume() -> None:
    image = configuration(volumes=tuple(EMPTY), empty_volumes=EMPTY)
    mounts = [{"Type": "volume", "Source": "cache", "Target": "/cache"}]
    config = {**INSPECTED["Config"], "Volumes": {"/data": {}, "/spool": {}}}
    seen = [*INSPECTED["Mounts"], {"Type": "volume", "Destination": "/spool", "Name": "0" * 64, "RW": True}]
    host = {**INSPECTED["HostConfig"], "Mounts": mounts}
    service = read_service({**INSPECTED, "Config": config, "HostConfig": host, "Mounts": seen})
    assert service.mounted == {"/data", "/etc/shop"}
    plan = joined(boot_config(image, Contract(tmpfs=())), service, image)
    assert [mount["Target"] for mount in plan["HostConfig"]["Mounts"]] == ["/spool", "/cache"]
    as_another = joined(boot_config(image, Contract(tmpfs=()), user="9"), service, image)
    assert [mount["Target"] for mount in as_another["HostConfig"]["Mounts"]] == ["/spool"]
