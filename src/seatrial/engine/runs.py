"""A run: all it starts carries its labels, and is removed when it ends; what killed runs left is swept."""

from __future__ import annotations

import re
import secrets
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.engine.find import Engine


LABEL = "seatrial"
OWNER = "seatrial.owner"
COMMITTED = "seatrial.committed"
"""The owner of an image that was made from a container. Not the containers' own label: what has those labels from its
image alone is left alone by the sweep."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The process that a run belongs to, so that another run can tell whether it still lives."""

    machine: str
    """The machine's id with the namespace that process numbers are counted in: a container has its own."""
    boot: str
    pid: int
    started: str

    def __str__(self) -> str:
        """Return it as a label's value."""
        return f"{self.machine}:{self.boot}:{self.pid}:{self.started}"


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
    run = Run(engine=engine, id=secrets.token_hex(8), owner=str(owner(pid)))
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


def remove(client: docker.APIClient, container: str) -> None:
    """Remove a container with its volumes; one that is gone or being removed is not an error."""
    with ignoring_gone():
        client.remove_container(container, force=True, v=True)


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


def owner(pid: int, proc: Path = Path("/proc"), machine: Path = Path("/etc/machine-id")) -> Owner:
    """Return the identity of a process, which no later process with its number shares."""
    name = _read(machine)
    try:
        namespace = (proc / "self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        namespace = ""
    return Owner(
        machine=f"{name}.{namespace}" if name and namespace else "unknown",
        boot=_read(proc / "sys/kernel/random/boot_id"),
        pid=pid,
        started=_started(pid, proc),
    )


def is_dead(label: str, this: Owner, proc: Path = Path("/proc")) -> bool:
    """Tell whether the process behind an owner's label has ended; on another machine, never."""
    # A container has its image's labels too: the text may be anything.
    parts = re.fullmatch(r"([^:]*):([^:]*):([0-9]{1,10}):([^:]*)", label)
    if parts is None:
        return False
    machine, boot, pid, started = parts.groups()
    if machine != this.machine or machine == "unknown" or not this.boot:
        return False
    return boot != this.boot or _started(int(pid), proc) != started


def process_fields(pid: int, proc: Path = Path("/proc")) -> list[str]:
    """Return what /proc says of a process, from its state and its parent on; nothing where it has gone."""
    # The field before them is the program's name in brackets, which may hold anything: proc(5).
    return _read(proc / str(pid) / "stat").rpartition(")")[2].split()


def _started(pid: int, proc: Path) -> str:
    fields = process_fields(pid, proc)
    return fields[19] if len(fields) > 19 else ""  # noqa: PLR2004


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


SWEEP_TIMEOUT = 10
"""Seconds for one request: an engine can hang on a container of a dead run, and answer for all others."""


def start_sweep(engine: Engine, this: Owner) -> threading.Thread:
    """Start a sweep in a thread that does not keep the process alive."""
    sweeper = threading.Thread(target=_sweep, args=(engine, this), name="sweep", daemon=True)
    sweeper.start()
    return sweeper


def _sweep(engine: Engine, this: Owner) -> None:
    try:
        with closing(engine.connection(timeout=SWEEP_TIMEOUT)) as client:
            for container in containers(client, OWNER):
                if is_dead(container["Labels"][OWNER], this) and _made_by_a_run(container, client):
                    remove(client, container["Id"])
            _sweep_images(client, this)
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError):
        # The sweep is not what the user asked for: what it cannot remove now, the next run tries again.
        return


def _sweep_images(client: docker.APIClient, this: Owner) -> None:
    """Remove the images that dead runs left: only nameless ones, as no run names any."""
    for image in client.images(all=True, filters={"label": COMMITTED}):
        named = any(tag != "<none>:<none>" for tag in image.get("RepoTags") or ())
        if not named and is_dead(str((image.get("Labels") or {}).get(COMMITTED, "")), this):
            remove_image(client, image["Id"])


def _made_by_a_run(container: dict[str, Any], client: docker.APIClient) -> bool:
    """Tell whether a run set both labels."""
    labels = own_labels(container, client) or {}
    return OWNER in labels and re.fullmatch(r"[0-9a-f]{16}", labels.get(LABEL, "")) is not None
