"""Removes what runs left behind that could not clean up, while the command works."""

from __future__ import annotations

import re
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
import requests

from seatrial.engine.runs import COMMITTED, LABEL, OWNER, Owner, containers, is_dead, remove, remove_image

if TYPE_CHECKING:
    from seatrial.engine.find import Engine

TIMEOUT = 10
"""Seconds for one request: an engine can hang on a container of a dead run, and answer for all others."""


def start(engine: Engine, this: Owner) -> threading.Thread:
    """Start a sweep in a thread that does not keep the process alive."""
    sweeper = threading.Thread(target=_sweep, args=(engine, this), name="sweep", daemon=True)
    sweeper.start()
    return sweeper


def _sweep(engine: Engine, this: Owner) -> None:
    try:
        with closing(engine.connection(timeout=TIMEOUT)) as client:
            for container in containers(client, OWNER):
                if is_dead(container["Labels"][OWNER], this) and _made_by_a_run(container, client):
                    remove(client, container["Id"])
            sweep_images(client, this)
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError):
        # The sweep is not what the user asked for: what it cannot remove now, the next run tries again.
        return


def sweep_images(client: docker.APIClient, this: Owner) -> None:
    """Remove the images that dead runs left: only nameless ones, as no run names any."""
    for image in client.images(all=True, filters={"label": COMMITTED}):
        named = any(tag != "<none>:<none>" for tag in image.get("RepoTags") or ())
        if not named and is_dead(str((image.get("Labels") or {}).get(COMMITTED, "")), this):
            remove_image(client, image["Id"])


def _made_by_a_run(container: dict[str, Any], client: docker.APIClient) -> bool:
    """Tell whether a run set these labels: a container also has the labels of its image, whoever wrote those."""
    labels: dict[str, str] = container["Labels"]
    inspected = client.inspect_image(container["ImageID"])  # type: ignore[no-untyped-call]
    inherited = (inspected.get("Config") or {}).get("Labels") or {}
    return inherited.get(OWNER) != labels[OWNER] and re.fullmatch(r"[0-9a-f]{16}", labels.get(LABEL, "")) is not None
