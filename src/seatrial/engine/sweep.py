"""Sweeps up after runs that died before they could remove what they had started."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from seatrial.engine.commits import sweep_images
from seatrial.engine.runs import LABEL, OWNER, Owner, containers, is_dead, remove

if TYPE_CHECKING:
    from typing import Any

    import docker

    from seatrial.engine.find import Engine

PATIENCE = 10
"""Seconds for one request: an engine can be stuck on a container of a dead run, and answer for all others."""


def start(engine: Engine, this: Owner) -> threading.Thread:
    """Begin to sweep, beside what the command is about; whoever began it may end before it does."""
    sweeper = threading.Thread(target=_sweep, args=(engine, this), name="sweep", daemon=True)
    sweeper.start()
    return sweeper


def _sweep(engine: Engine, this: Owner) -> None:
    import docker.errors
    import requests

    try:
        client = engine.connection(timeout=PATIENCE)
        try:
            for container in containers(client, OWNER):
                if is_dead(container["Labels"][OWNER], this) and _made_by_a_run(container, client):
                    remove(client, container["Id"])
            sweep_images(client, this)
        finally:
            client.close()
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError):
        # Nobody asked for the sweep: what it cannot remove now, the next run tries again.
        return


def _made_by_a_run(container: dict[str, Any], client: docker.APIClient) -> bool:
    """Tell whether a run put these labels on it: a container also has the labels of its image, whoever wrote them."""
    labels: dict[str, str] = container["Labels"]
    inspected = client.inspect_image(container["ImageID"])  # type: ignore[no-untyped-call]
    inherited = (inspected.get("Config") or {}).get("Labels") or {}
    return inherited.get(OWNER) != labels[OWNER] and re.fullmatch(r"[0-9a-f]{16}", labels.get(LABEL, "")) is not None
