"""A stack as plain data: what the compose file says, and what the engine says of its containers."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from seatrial.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from seatrial.settings.read import Project


PROJECT_LABEL = "com.docker.compose.project"
"""The label that compose sets on all that belongs to a stack."""


def identify(project: Project, name: str) -> Stack:
    """Return the stack of an app: what `down`, `ps` and `logs` need, whatever the compose file says by now.

    Raises:
        SettingsError: no app has that name.

    """
    project.app(name)
    # Two checkouts of one project, and two apps whose names differ in odd characters only, get names of
    # their own.
    folder = project.folder.resolve()
    digest = hashlib.sha256(f"{folder}\0{name}".encode()).hexdigest()[:8]
    # Compose takes lower-case letters, digits, hyphens and underscores, and no sign at the start.
    readable = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")
    return Stack(app=name, compose_project=f"{readable}-{digest}" if readable else f"app-{digest}")


class Standing(StrEnum):
    """What a finding means for the start."""

    READY = "ready"
    NOTE = "note"
    """Worth knowing; the start goes on."""
    BLOCKED = "blocked"
    """Nothing can be started before this is mended."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at before the start."""

    check: str
    """`compose file`, `env file`, `variable`, `port`, `image`, or a check of the catalogue: `compose/ports`."""
    standing: Standing
    what: str
    """A sentence; it never holds the value of a variable."""
    where: str = ""
    """`file:line`, where that is known."""
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """All that was looked at before a stack is started."""

    stack: Stack
    file: Path
    """The compose file."""
    services: tuple[Service, ...]
    """Empty where compose refuses the file."""
    findings: tuple[Finding, ...]

    @property
    def ready(self) -> bool:
        """Tell whether nothing stands in the way of the start."""
        return not any(one.standing is Standing.BLOCKED for one in self.findings)


def ready(check: str, what: str, *, where: str = "") -> Finding:
    """Return that something is as it must be."""
    return Finding(check=check, standing=Standing.READY, what=what, where=where)


def note(check: str, what: str, *, where: str = "", fix: str = "") -> Finding:
    """Return something that is worth knowing."""
    return Finding(check=check, standing=Standing.NOTE, what=what, where=where, fix=fix)


def blocked(check: str, what: str, *, where: str, fix: str) -> Finding:
    """Return something that stands in the way."""
    return Finding(check=check, standing=Standing.BLOCKED, what=what, where=where, fix=fix)


def require_none(findings: Sequence[Finding]) -> None:
    """Refuse to start while something stands in the way, and name all of it at once.

    Raises:
        StackError: something does.

    """
    found = [one for one in findings if one.standing is Standing.BLOCKED]
    if found:
        raise unready(found)


def unready(found: Sequence[Finding], *, detail: Sequence[str] = ()) -> StackError:
    """Return the error for what stands in the way: the first in full, the others below it."""
    first, *others = found
    lines = [*detail, *(told(one) for one in others)]
    more = f" ({len(others)} more below)" if others else ""
    return StackError(f"{first.what}{more}", where=first.where, fix=first.fix, detail="\n".join(lines))


def told(finding: Finding) -> str:
    """Return a finding as one line."""
    where = f"{finding.where}: " if finding.where else ""
    return f"{where}{finding.what}" + (f" {finding.fix}" if finding.fix else "")


class Condition(StrEnum):
    """What a service waits for in another, by compose's own names."""

    STARTED = "service_started"
    HEALTHY = "service_healthy"
    COMPLETED = "service_completed_successfully"


class ContainerStatus(StrEnum):
    """The state of a container, by the engine's own names."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class Health(StrEnum):
    """What a container's health check says."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Phase(StrEnum):
    """Where a service stands on its way up."""

    ABSENT = "not created"
    WAITING = "waiting"
    """Created; compose starts it when what it depends on is ready."""
    STARTING = "starting"
    RESTARTING = "restarting"
    UP = "up"
    DONE = "completed"
    """A one-shot that ended with exit code 0."""
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Dependency:
    """A service that another one waits for."""

    service: str
    condition: Condition


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port of a service that is published on the host."""

    host_ip: str
    """Empty for every interface."""
    published: int | None
    """None when the engine chooses a free one."""
    target: int
    protocol: str = "tcp"


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service as the compose file declares it."""

    name: str
    image: str | None
    """None when it is only built, by its own `build` section."""
    depends_on: tuple[Dependency, ...] = ()
    ports: tuple[Port, ...] = ()
    checked: bool = False
    """The compose file declares a health check for it."""
    own_command: bool = False
    """It runs another command than its image's own."""
    valued: frozenset[str] = frozenset()
    """The variables of its environment that hold something; never what."""
    replicas: int = 1


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack by name: enough to find, show and remove what runs of it, without its compose file."""

    app: str
    compose_project: str
    """The name that compose labels everything with: unique to the app and the checkout."""
    options: tuple[str, ...] = ()
    """What compose is told before its command: a profile, another env file."""


@dataclass(frozen=True, kw_only=True)
class StackPlan:
    """What `up` is going to bring up."""

    stack: Stack
    file: Path
    """The compose file."""
    env_file: Path | None
    """The `.env` beside it, where there is one."""
    services: tuple[Service, ...]
    own_images: Mapping[str, str]
    """The apps of this project by image name: what `seatrial build` makes."""
    notes: tuple[str, ...] = ()
    """What compose warned of while it read the file."""
    required: tuple[str, ...] = ()
    """The variables without which the app's own image does not start, by its contract."""


@dataclass(frozen=True, kw_only=True)
class ContainerState:
    """A container of a stack, as the engine reports it at one moment."""

    id: str
    name: str
    service: str
    status: ContainerStatus
    one_off: bool = False
    """Made by `compose run`: not one of the service's own."""
    image: str = ""
    """The image's name that it was created from."""
    image_id: str = ""
    config_hash: str = ""
    """Compose's hash of the service's configuration that it was created from."""
    depends_on: tuple[Dependency, ...] = ()
    ports: tuple[Port, ...] = ()
    health: Health | None = None
    """None when it has no health check."""
    health_outputs: tuple[str, ...] = ()
    """What the last health checks printed, oldest first."""
    exit_code: int = 0
    error: str = ""
    """Why the engine could not start it."""
    out_of_memory: bool = False
    restarts: int = 0
    seconds: float = 0.0
    """How long it has been in this state, by the engine's own clock."""
    stop_seconds: int = 10
    """How long it may take to stop before it is killed."""


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """A service at one moment."""

    service: str
    phase: Phase
    container: ContainerState | None = None
    """Its container; of several, the one that is furthest from being up."""
    last_line: str = ""
    """The last line of its output."""
    waits_for: tuple[str, ...] = ()
    """What it depends on that has not come as far as it needs."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a running service can be reached from this machine."""

    service: str
    text: str
    """`http://127.0.0.1:8000` for one of the project's own apps, `127.0.0.1:5432` for others."""


@dataclass(frozen=True, kw_only=True)
class StackState:
    """A stack that is up."""

    stack: Stack
    services: tuple[ServiceState, ...]
    addresses: tuple[Address, ...]
    changed: bool
    """False when it was up already and nothing had to be done."""
    seconds: float
    """How long it took."""


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What was removed, by name."""

    containers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    kept_volumes: tuple[str, ...] = field(default=())
    """Volumes of the stack that are still there."""

    @property
    def nothing(self) -> bool:
        """Tell whether there was nothing to remove."""
        return not (self.containers or self.networks or self.volumes)


class Observer(Protocol):
    """Who is told how a stack comes up."""

    def say(self, text: str) -> None:
        """Take a message for a person."""

    def show(self, services: tuple[ServiceState, ...], seconds: float) -> None:
        """Take the state of every service, `seconds` after the start."""
