"""A run: all it starts carries its labels, and is removed when it ends; `sweep` removes what killed runs left."""

from __future__ import annotations

import secrets
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import docker
import docker.errors

from seatrial import owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.engine.find import Engine


LABEL = "seatrial"
OWNER = "seatrial.owner"
COMMITTED = "seatrial.committed"
"""The owner of an image that was made from a container. Not the containers' own label: what has those labels from its
image alone is left alone by the sweep."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One command's run against an engine."""

    engine: Engine
    id: str
    owner: str
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when the run is over: nothing may be started after that."""

    @property
    def labels(self) -> dict[str, str]:
        """The labels of everything it starts."""
        return {LABEL: self.id, OWNER: self.owner}


class RunEndedError(Exception):
    """A run was asked to start something after it had ended."""


@contextmanager
def running(engine: Engine, *, pid: int) -> Iterator[Run]:
    """Begin a run; at its end, what it started is removed."""
    run = Run(engine=engine, id=secrets.token_hex(8), owner=str(owner.of(pid)))
    try:
        yield run
    finally:
        end(run)


@contextmanager
def ending(run: Run) -> Iterator[None]:
    """On any error, end the run at once: a thread that waits for one of its containers ends too."""
    try:
        yield
    except BaseException:
        end(run)
        raise


def end(run: Run) -> None:
    """End a run and remove what it started."""
    run.ended.set()
    for container in containers(run.engine.client.api, f"{LABEL}={run.id}"):
        remove(run.engine.client.api, container["Id"])


def containers(client: docker.APIClient, label: str) -> list[dict[str, Any]]:
    """Return the containers with a label, running or not."""
    found: list[dict[str, Any]] = client.containers(all=True, filters={"label": label})
    return found


IMAGE_LABELS: dict[str, dict[str, str]] = {}
"""The labels of images that were looked at, by id: what an id names never changes."""


def image_labels(client: docker.APIClient, image: str) -> dict[str, str] | None:
    """Return the labels of an image, by its id; None where it is gone."""
    if image not in IMAGE_LABELS:
        try:
            inspected = client.inspect_image(image)  # type: ignore[no-untyped-call]
        except docker.errors.NotFound:
            return None
        IMAGE_LABELS[image] = dict((inspected.get("Config") or {}).get("Labels") or {})
    return IMAGE_LABELS[image]


def own_labels(listed: dict[str, Any], client: docker.APIClient) -> dict[str, str] | None:
    """Return the labels that a listed container has of itself; None where its image is gone, which had the others.

    The engine lists a container's labels with those of its image, whoever wrote these.
    """
    inherited = image_labels(client, listed["ImageID"])
    if inherited is None:
        return None
    labels: dict[str, str] = listed["Labels"] or {}
    return {key: value for key, value in labels.items() if inherited.get(key) != value}


STILL_ENDING = "did not receive an exit event"
"""What the engine says of a container that it has killed and that a busy machine has not ended in time."""
TRIES = 3
"""How often such a container is tried to be removed; each try takes the engine some ten seconds."""


def remove(client: docker.APIClient, container: str) -> None:
    """Remove a container with its volumes; one that is gone or being removed is not an error."""
    with ignoring_gone():
        for left in reversed(range(TRIES)):
            try:
                client.remove_container(container, force=True, v=True)
            except docker.errors.APIError as error:
                if not left or STILL_ENDING not in str(error.explanation):
                    raise
            else:
                return


def remove_image(client: docker.APIClient, image: str) -> None:
    """Remove an image, but not its parents; one that is gone, in use or being removed is not an error."""
    with ignoring_gone():
        client.remove_image(image, force=True, noprune=True)


@contextmanager
def ignoring_gone() -> Iterator[None]:
    """Ignore the engine's refusals of what is gone, ended, in use or being removed."""
    try:
        yield
    except docker.errors.APIError as error:
        if error.status_code not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
            raise
