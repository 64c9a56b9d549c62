"""Removes what dead commands left of every kind: processes, folders, containers, networks, volumes, images, tags.

A command that is killed cannot clean up. What it starts tells by a label, a name or a variable which process it
belongs to; the next command removes what belongs to none that lives. Nothing else is touched.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
import requests

from seatrial import owner
from seatrial.engine.runs import COMMITTED, LABEL, OWNER, containers, own_labels, remove, remove_image
from seatrial.owner import Owner

if TYPE_CHECKING:
    from seatrial.engine.find import Engine

TIMEOUT = 10
"""Seconds for one request: an engine can hang on a container of a dead run, and answer for all others."""
ENDED_WITHIN = 2.0
"""Seconds that a killed program may take to end."""
UNSEARCHED = "unsearched"
"""How the tag of an image begins that has not been searched for secrets yet."""
TAG = re.compile(rf".+:{UNSEARCHED}-(?P<token>[0-9a-f]{{16}}-[0-9]+-[0-9]*)-[0-9a-f]{{12}}")
TAGS = tuple(f"{'*/' * depth}*:{UNSEARCHED}-*" for depth in range(5))
"""The engine's patterns for such tags: a star is no slash."""


def start(engine: Engine, this: Owner) -> threading.Thread:
    """Start a sweep in a thread that does not keep the process alive."""
    sweeper = threading.Thread(target=_sweep, args=(engine, this), name="sweep", daemon=True)
    sweeper.start()
    return sweeper


def _sweep(engine: Engine, this: Owner) -> None:
    # First: a program of a dead command may still be making more.
    end_programs(this)
    owner.sweep_folders()
    # What the user asked for is something else: what cannot be removed now, the next command tries again.
    with (
        suppress(docker.errors.DockerException, requests.exceptions.RequestException, OSError),
        closing(engine.connection(timeout=TIMEOUT)) as client,
    ):
        for action in chain(_left(client, this), _left_images(client, this)):
            with suppress(docker.errors.APIError, requests.exceptions.Timeout):
                action()


def _left(client: docker.APIClient, this: Owner) -> Iterator[Callable[[], Any]]:
    """Yield what removes each container, network and volume that dead commands left."""
    for container in containers(client, OWNER):
        if _is_left(container["Labels"], this) and _is_left(own_labels(container, client) or {}, this):
            yield partial(remove, client, container["Id"])
    for network in client.networks(filters={"label": OWNER}):
        if _is_left(network.get("Labels") or {}, this):
            yield partial(client.remove_network, network["Id"])
    for volume in client.volumes(filters={"label": OWNER}).get("Volumes") or ():
        if _is_left(volume.get("Labels") or {}, this):
            yield partial(client.remove_volume, volume["Name"])


def _left_images(client: docker.APIClient, this: Owner) -> Iterator[Callable[[], Any]]:
    """Yield what removes each image and tag that they left."""
    for image in client.images(all=True, filters={"label": COMMITTED}):
        # No run names any.
        named = any(tag != "<none>:<none>" for tag in image.get("RepoTags") or ())
        if not named and owner.is_dead(str((image.get("Labels") or {}).get(COMMITTED, "")), this):
            yield partial(remove_image, client, image["Id"])
    for image in client.images(filters={"reference": list(TAGS)}):
        for tag in image.get("RepoTags") or ():
            found = TAG.fullmatch(tag)
            if found and owner.is_dead_by_token(found["token"], this):
                yield partial(client.remove_image, tag)


def _is_left(labels: dict[str, str], this: Owner) -> bool:
    """Tell whether labels are those of a run that has ended."""
    return re.fullmatch(r"[0-9a-f]{16}", labels.get(LABEL, "")) is not None and owner.is_dead(
        labels.get(OWNER, ""), this
    )


def end_programs(this: Owner, proc: Path = Path("/proc")) -> None:
    """Kill the programs of this account that dead commands had started: a build goes on without who asked for it."""
    killed = [pid for pid in _programs(this, proc) if _kill(pid, this, proc)]
    deadline = time.monotonic() + ENDED_WITHIN
    while any((proc / str(pid) / "environ").exists() for pid in killed) and time.monotonic() < deadline:
        time.sleep(0.02)


def _programs(this: Owner, proc: Path) -> Iterator[int]:
    for folder in proc.glob("[0-9]*"):
        if _is_of_dead(folder, this, proc):
            yield int(folder.name)


def _is_of_dead(folder: Path, this: Owner, proc: Path) -> bool:
    # OSError: it has ended, or is another account's.
    with suppress(OSError):
        found = re.search(rb"(?:^|\0)%b=([^\0]*)" % owner.VARIABLE.encode(), (folder / "environ").read_bytes())
        known = folder.stat().st_uid == os.geteuid() and (folder / "exe").readlink().name in owner.PROGRAMS
        if found is not None and known:
            return owner.is_dead(found[1].decode("utf-8", "replace"), this, proc)
    return False


def _kill(pid: int, this: Owner, proc: Path) -> bool:
    with suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            # The handle is that of one process: its number cannot be given to another any more.
            if _is_of_dead(proc / str(pid), this, proc):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                return True
        finally:
            os.close(handle)
    return False
