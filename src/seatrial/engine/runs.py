"""A run: everything it starts is labelled with it, and is removed when it ends; a later run sweeps what is left."""

from __future__ import annotations

import re
import secrets
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import docker

    from seatrial.engine.containers import Container
    from seatrial.engine.find import Engine


LABEL = "seatrial"
OWNER = "seatrial.owner"


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The process that a run belongs to, so that another run can tell whether it still lives."""

    machine: str
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
        """The labels that everything it starts carries."""
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
        run.ended.set()
        end(run)


@contextmanager
def ending(run: Run) -> Iterator[None]:
    """When anything goes wrong, take the containers away at once: a thread that waits for one ends too."""
    try:
        yield
    except BaseException:
        run.ended.set()
        end(run)
        raise


def end(run: Run) -> None:
    """Remove what a run started."""
    for container in containers(run.engine.client.api, f"{LABEL}={run.id}"):
        remove(run.engine.client.api, container["Id"])


def owner(pid: int, proc: Path = Path("/proc"), machine: Path = Path("/etc/machine-id")) -> Owner:
    """Return who a process is, in a way that outlives a reuse of its number."""
    return Owner(
        machine=_machine(_read(machine), proc),
        boot=_read(proc / "sys/kernel/random/boot_id"),
        pid=pid,
        started=_started(pid, proc),
    )


def _machine(name: str, proc: Path) -> str:
    """Return a machine's id with the namespace that process numbers are counted in: a container has its own."""
    try:
        namespace = (proc / "self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        namespace = ""
    return f"{name}.{namespace}" if name and namespace else "unknown"


def is_dead(label: str, this: Owner, proc: Path = Path("/proc")) -> bool:
    """Tell whether the process behind an owner's label is gone; on another machine, never."""
    parts = label.split(":")
    # A container has its image's labels too: the text may be anything.
    if len(parts) != 4 or not re.fullmatch(r"[0-9]{1,10}", parts[2]):  # noqa: PLR2004 - the parts of an Owner
        return False
    machine, boot, pid, started = parts
    if machine != this.machine or machine == "unknown" or not this.boot:
        return False
    return boot != this.boot or _started(int(pid), proc) != started


def containers(client: docker.APIClient, label: str) -> list[dict[str, Any]]:
    """Return the containers with a label, running or not."""
    found: list[dict[str, Any]] = client.containers(all=True, filters={"label": label})
    return found


def remove(client: docker.APIClient, container: str) -> None:
    """Remove a container with its volumes; one that is gone, or is being removed already, is left to that."""
    import docker.errors

    try:
        client.remove_container(container, force=True, v=True)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        # Another process (an earlier sweep, the run itself) removes it at this moment.
        if error.status_code != 409:  # noqa: PLR2004 - HTTP conflict
            raise


def _started(pid: int, proc: Path) -> str:
    # Field 22 of /proc/PID/stat, counted behind the name, which may itself hold spaces: proc(5).
    fields = _read(proc / str(pid) / "stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""  # noqa: PLR2004


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


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
