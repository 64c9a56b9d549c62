"""Where a running stack can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from seatrial.stack.images import repository
from seatrial.stack.model import Address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.stack.model import ServiceState

LOCAL = "127.0.0.1"
EVERY_INTERFACE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - read, not bound


def addresses(
    services: Sequence[ServiceState],
    own_images: Mapping[str, str],
    images: Mapping[str, str],
    *,
    machine: str = LOCAL,
) -> tuple[Address, ...]:
    """Return the addresses of a stack's published TCP ports.

    Args:
        services: the services as they run.
        own_images: the project's own images: they are taken to speak HTTP.
        images: the image that each service names.
        machine: the name of the machine that the engine runs on.

    """
    found: dict[str, Address] = {}
    for one in services:
        for port in one.container.ports if one.container is not None else ():
            if port.published is None or port.protocol != "tcp":
                continue
            ip = machine if port.host_ip in EVERY_INTERFACE else port.host_ip
            text = f"{f'[{ip}]' if ':' in ip else ip}:{port.published}"
            if repository(images.get(one.service, "")) in own_images:
                text = f"http://{text}"
            found.setdefault(text, Address(service=one.service, text=text))
    return tuple(found.values())


def machine_of(url: str) -> str:
    """Return the machine that an engine's published ports are on, from the engine's address."""
    parts = urlsplit(url)
    return parts.hostname or LOCAL if parts.scheme in {"tcp", "ssh", "http", "https"} else LOCAL
