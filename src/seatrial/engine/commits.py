"""Images that a run makes from its containers, for itself alone: removed when it ends, or by a later run's sweep."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from seatrial.engine.runs import LABEL, OWNER, Owner, is_dead

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from seatrial.engine.containers import Container
    from seatrial.engine.runs import Run

COMMITTED = "seatrial.committed"
"""Whose image it is. Not the containers' own label: a container that has its labels from its image alone is left alone
by the sweep."""


@contextmanager
def committed(run: Run, container: Container) -> Iterator[str]:
    """Give the id of an image that holds what a container changed; it is removed at the end.

    Raises:
        docker.errors.APIError: the engine refuses.

    """
    client = container.client
    labels = {LABEL: "", OWNER: "", COMMITTED: run.owner}
    made = str(client.commit(container.id, conf={"Labels": labels})["Id"])
    try:
        yield made
    finally:
        remove_image(client, made)


def remove_image(client: docker.APIClient, image: str) -> None:
    """Remove an image and none that it was made from; one that is gone is left to that."""
    import docker.errors

    try:
        client.remove_image(image, force=True, noprune=True)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        # A container of another process uses it, or it is being removed.
        if error.status_code != 409:  # noqa: PLR2004 - HTTP conflict
            raise


def sweep_images(client: docker.APIClient, this: Owner) -> None:
    """Remove the images that dead runs left: nameless ones alone, as no run of ours names any."""
    for image in client.images(all=True, filters={"label": COMMITTED}):
        named = any(tag != "<none>:<none>" for tag in image.get("RepoTags") or ())
        if not named and is_dead(str((image.get("Labels") or {}).get(COMMITTED, "")), this):
            remove_image(client, image["Id"])
