"""Removes what another tool leaves on the engine: container-structure-test leaves volumes, and more where it fails."""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import docker
import docker.errors

from seatrial.engine.runs import COMMITTED, LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.engine.find import Engine

ANONYMOUS = "com.docker.volume.anonymous"
"""The label that the engine gives a volume that nobody named."""


@contextmanager
def leaving_nothing(engine: Engine, image: str) -> Iterator[None]:
    """While another tool runs an image's containers; at the end, remove what it made and left.

    That is every container of the image, or of an image that was made from it; the images that it made from it; and
    anonymous volumes that nothing uses. What was there before stays, and so does what seatrial made itself.
    """
    with closing(engine.connection()) as client:
        inspected = client.inspect_image(image)  # type: ignore[no-untyped-call]
        containers, images, volumes = _containers(client, inspected), _images(client, inspected), _volumes(client)
        try:
            yield
        finally:
            for made in _containers(client, inspected) - containers:
                with suppress(docker.errors.NotFound):
                    client.remove_container(made, force=True, v=True)
            for made in _images(client, inspected) - images:
                with suppress(docker.errors.NotFound):
                    client.remove_image(made, force=True, noprune=True)
            # Another tool that runs beside this one may have removed it already, or just begun to use it.
            for made in _volumes(client) - volumes if (inspected.get("Config") or {}).get("Volumes") else ():
                with suppress(docker.errors.APIError):
                    client.remove_volume(made)


def _containers(client: docker.APIClient, image: dict[str, Any]) -> set[str]:
    found = client.containers(all=True, filters={"ancestor": image["Id"]})
    return {container["Id"] for container in found if not container["Labels"].get(LABEL)}


def _images(client: docker.APIClient, image: dict[str, Any]) -> set[str]:
    """Return the nameless images that begin with an image's layers."""
    layers = image["RootFS"]["Layers"]
    found: set[str] = set()
    for nameless in client.images(all=True, filters={"dangling": True}):
        with suppress(docker.errors.NotFound):
            other = client.inspect_image(nameless["Id"])  # type: ignore[no-untyped-call]
            committed = ((other.get("Config") or {}).get("Labels") or {}).get(COMMITTED)
            if not committed and other["RootFS"]["Layers"][: len(layers)] == layers:
                found.add(other["Id"])
    return found


def _volumes(client: docker.APIClient) -> set[str]:
    found = client.volumes(filters={"dangling": True})["Volumes"] or ()
    return {volume["Name"] for volume in found if ANONYMOUS in (volume.get("Labels") or {})}
