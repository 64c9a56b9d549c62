"""Published ports, as a stack file says them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.stack.swarm.notes import Notes

Json = dict[str, Any]

EVERY_INTERFACE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - read, not bound


def ports(service: Mapping[str, Any], notes: Notes, *, open_ports: bool) -> list[Json]:
    """Return the published ports of a service, in the long form of a stack file.

    Args:
        service: the service in compose's model.
        notes: told what swarm does otherwise.
        open_ports: a person accepts that a port of one interface becomes one of all interfaces.

    """
    made = [_port(one, notes, open_ports=open_ports) for one in service.get("ports") or ()]
    endpoint = (service.get("deploy") or {}).get("endpoint_mode")
    if endpoint == "dnsrr" and any(one["mode"] == "ingress" for one in made):
        notes.refused("ports", "endpoint_mode dnsrr has no mesh to publish on: give each port `mode: host`")
    return made


def on_the_node(service: Mapping[str, Any]) -> bool:
    """Tell whether a service holds a certain port of the node that it runs on: two of it cannot run there."""
    return any(one.get("mode") == "host" and one.get("published") for one in service.get("ports") or ())


def _port(one: Mapping[str, Any], notes: Notes, *, open_ports: bool) -> Json:
    target, published = int(one["target"]), str(one.get("published") or "")
    port: Json = {
        "target": target,
        "protocol": str(one.get("protocol") or "tcp"),
        "mode": str(one.get("mode") or "ingress"),
    }
    if published.isdigit() and int(published):
        port["published"] = int(published)
    elif published.strip("0"):
        notes.changed("ports", f"{published} for {target}: swarm knows no range here and chooses a port itself")
    address = str(one.get("host_ip") or "")
    if address not in EVERY_INTERFACE:
        where = f"{address}:{published or 'any'} for {target}"
        everywhere = "swarm publishes on every interface of every node, for whoever reaches them"
        if open_ports:
            notes.risk("ports", f"{where}: {everywhere}. You said --open-ports")
        else:
            notes.refused("ports", f"{where}: {everywhere}. Say --open-ports to have it so, or publish no port")
    return port
