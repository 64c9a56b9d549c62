"""A run: everything it starts is labelled with it, and is gone when it ends, however it ends."""

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

    import docker

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
