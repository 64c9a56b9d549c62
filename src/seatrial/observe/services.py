"""An image as a compose service runs it: the service's own command, values, mounts and networks. Plans only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from seatrial.engine.containers import NO_ENTRYPOINT, endpoint_of
from seatrial.observe.configuration import configuration_of

if TYPE_CHECKING:
    from seatrial.facts import Configuration, Json
    from seatrial.settings.model import Contract


TAKEN_OVER = ("Binds", "Mounts", "VolumesFrom", "ExtraHosts", "Dns", "DnsOptions", "DnsSearch", "GroupAdd", "Init")
"""Of a container's host configuration, what tells where its data and services are, and its init; no limit, no right."""
SHARED = "container:"
"""How a network mode begins that is another container's network: name, hosts and networks are that one's."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a compose service adds to its image."""

    mode: str
    """The engine's network mode: the network that the container begins in, or `none`, or another container's."""
    networks: dict[str, Json]
    """By name, each with the names that the service has in it, and those that it calls others by."""
    hostname: str
    """Empty where it is the engine's own choice."""
    tmpfs: dict[str, str]
    host: Json
    """More of the engine's host configuration."""
    mounted: frozenset[str]
    """Where the service mounts something."""

    @property
    def shares_network(self) -> bool:
        """Whether it has the network of another container."""
        return self.mode.startswith(SHARED)


def read_service(inspected: Json) -> Service:
    """Return what a service adds, from what the engine says of its container."""
    host = inspected.get("HostConfig") or {}
    config = inspected.get("Config") or {}
    mode = str(host.get("NetworkMode") or "none")
    known = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    own = mode != "none" and not mode.startswith(SHARED)
    # An address that is fixed belongs to the service's own container.
    networks = (
        {name: {**endpoint_of(endpoint, inspected), "IPAMConfig": None} for name, endpoint in known.items()}
        if own
        else {}
    )
    hostname = str(config.get("Hostname") or "")
    return Service(
        mode=mode,
        networks=dict(sorted(networks.items(), key=lambda pair: pair[0] != mode)),
        hostname="" if str(inspected.get("Id", "")).startswith(hostname or "-") else hostname,
        tmpfs=dict(host.get("Tmpfs") or {}),
        host={key: host[key] for key in TAKEN_OVER if host.get(key)},
        mounted=frozenset(str(mount["Destination"]).rstrip("/") for mount in inspected.get("Mounts") or ()),
    )


def as_configured(image: Configuration, inspected: Json) -> Configuration:
    """Return an image's configuration with what its service says otherwise, from the service's container.

    What the service mounts counts as a volume: it may be written to.
    """
    made = configuration_of({"Id": image.id, "Config": inspected.get("Config")}, [], image.reference)
    mounted = (str(mount["Destination"]) for mount in inspected.get("Mounts") or () if mount.get("RW", True))
    tmpfs = (inspected.get("HostConfig") or {}).get("Tmpfs") or {}
    return msgspec.structs.replace(
        image,
        user=made.user,
        entrypoint=made.entrypoint,
        command=made.command,
        environment=made.environment,
        working_directory=made.working_directory,
        exposed_ports=made.exposed_ports,
        health_check=made.health_check,
        stop_signal=made.stop_signal,
        volumes=tuple(sorted({*image.volumes, *mounted, *tmpfs})),
    )


def with_service_environment(contract: Contract, configured: Configuration) -> Contract:
    """Return the contract with the service's environment: the contract's own is for a start without services."""
    return msgspec.structs.replace(contract, environment=configured.environment)


def joined(plan: Json, service: Service, configured: Configuration) -> Json:
    """Return the plan of a boot's container as the service runs it, still under the contract's limits."""
    host = {key: value for key, value in plan["HostConfig"].items() if key != "ExtraHosts"}
    # The engine takes one mount for a place: the service's.
    tmpfs = {path: options for path, options in host["Tmpfs"].items() if path.rstrip("/") not in service.mounted}
    named = {"Hostname": service.hostname} if service.hostname else {}
    own = {key: value for key, value in plan.items() if service.networks or key != "Hostname"}
    made = {
        "User": configured.user,
        "Healthcheck": {"Test": ["NONE"]},
        **own,
        **(named if service.networks else {}),
        "Entrypoint": list(configured.entrypoint) or NO_ENTRYPOINT,
        "Cmd": list(configured.command),
        "WorkingDir": configured.working_directory,
        "StopSignal": configured.stop_signal,
        "HostConfig": {**host, **service.host, "NetworkMode": service.mode, "Tmpfs": {**tmpfs, **service.tmpfs}},
        "NetworkingConfig": {"EndpointsConfig": service.networks},
    }
    return _with_fresh_volumes(made) if "User" in plan else made


def _with_fresh_volumes(plan: Json) -> Json:
    """Return the plan of a start as another user: what the service's own user stored is not that one's to change."""
    host = dict(plan["HostConfig"])
    bound = [str(bind) for bind in host.get("Binds") or ()]
    named = [bind for bind in bound if not bind.startswith("/")]
    mounts = list(host.get("Mounts") or ())
    volumes = [mount for mount in mounts if mount.get("Type") == "volume"]
    places = (*(bind.split(":")[1] for bind in named), *(str(volume["Target"]) for volume in volumes))
    host["Binds"] = [bind for bind in bound if bind not in named]
    host["Mounts"] = [mount for mount in mounts if mount not in volumes]
    return {**plan, "HostConfig": host, "Volumes": {place: {} for place in places}}
