"""An image as a compose service runs it: the service's own command, values, mounts and networks. Plans only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from seatrial.facts.configuration import configuration_of

if TYPE_CHECKING:
    from seatrial.facts.data import Configuration, Json
    from seatrial.settings.model import Contract

TAKEN_OVER = ("Binds", "Mounts", "VolumesFrom", "ExtraHosts", "Dns", "DnsOptions", "DnsSearch", "GroupAdd", "Init")
"""Of a container's host configuration, what tells where its data and services are, and its init; no limit, no right."""
SHARED = "container:"
"""How a network mode begins that is another container's network: name, hosts and networks are that one's."""
NO_ENTRYPOINT = [""]
"""How the engine is told to leave out an image's ENTRYPOINT: an empty list would mean the image's own."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a compose service adds to its image."""

    networks: tuple[str, ...]
    """By name; the first is the one that the container begins in."""
    tmpfs: dict[str, str]
    host: Json
    """More of the engine's host configuration."""


def read_service(inspected: Json) -> Service:
    """Return what a service adds, from what the engine says of its container."""
    host = inspected.get("HostConfig") or {}
    first = str(host.get("NetworkMode") or "none")
    known = tuple((inspected.get("NetworkSettings") or {}).get("Networks") or ())
    return Service(
        networks=(first, *(name for name in known if name != first)),
        tmpfs=dict(host.get("Tmpfs") or {}),
        host={key: host[key] for key in TAKEN_OVER if host.get(key)},
    )


def as_configured(image: Configuration, inspected: Json) -> Configuration:
    """Return an image's configuration with what its service says otherwise, from the service's container.

    What the service mounts counts as a volume: it may be written to.
    """
    made = configuration_of({"Id": image.id, "Config": inspected.get("Config")}, [], image.reference)
    mounted = (str(one["Destination"]) for one in inspected.get("Mounts") or () if one.get("RW", True))
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


def as_asked(contract: Contract, configured: Configuration) -> Contract:
    """Return the contract with the service's values: what the contract makes up stands for services that are not up."""
    return msgspec.structs.replace(contract, environment=configured.environment)


def joined(plan: Json, service: Service, configured: Configuration) -> Json:
    """Return the plan of a boot's container as the service runs it, still under the contract's limits."""
    mode = service.networks[0]
    own = mode != "none" and not mode.startswith(SHARED)
    host = {key: value for key, value in plan["HostConfig"].items() if key != "ExtraHosts"}
    plan = plan if own else {key: value for key, value in plan.items() if key != "Hostname"}
    return {
        "User": configured.user,
        "Healthcheck": {"Test": ["NONE"]},
        **plan,
        "Entrypoint": list(configured.entrypoint) or NO_ENTRYPOINT,
        "Cmd": list(configured.command),
        "WorkingDir": configured.working_directory,
        "StopSignal": configured.stop_signal,
        "HostConfig": {
            **host,
            **service.host,
            "NetworkMode": mode,
            "Tmpfs": {**host["Tmpfs"], **service.tmpfs},
        },
        "NetworkingConfig": {"EndpointsConfig": {name: {} for name in service.networks if own}},
    }
