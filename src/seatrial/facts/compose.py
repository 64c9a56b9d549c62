"""What a compose file says."""

from __future__ import annotations

from enum import StrEnum

from seatrial.facts.base import Fact, Unavailable


class Condition(StrEnum):
    """What a service waits for in another, by compose's own names."""

    STARTED = "service_started"
    HEALTHY = "service_healthy"
    COMPLETED = "service_completed_successfully"


class Dependency(Fact, frozen=True, kw_only=True):
    """A service that another one waits for."""

    service: str
    condition: Condition
    line: int = 0


class Port(Fact, frozen=True, kw_only=True):
    """A port of a service that is published on the host."""

    host_ip: str = ""
    """Empty for every interface."""
    published: int | None = None
    """None when the engine chooses a free one."""
    target: int
    protocol: str = "tcp"
    written: str = ""
    """The published port in the file: a number, a range, or nothing."""
    line: int = 0


class Service(Fact, frozen=True, kw_only=True):
    """A service as compose understands it; the values of its environment are left out."""

    name: str
    image: str | None = None
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
    privileged: bool = False
    host_namespaces: tuple[str, ...] = ()
    """Keys such as `network_mode` whose value is `host`."""
    mounts: tuple[str, ...] = ()
    """What of the host it mounts."""
    read_only: bool = False
    dropped: tuple[str, ...] = ()
    """Capabilities that it drops."""
    security: tuple[str, ...] = ()
    memory: bool = False
    """It has a memory limit."""
    processes: bool = False
    """It has a limit of processes."""
    line: int = 0
    lines: dict[str, int] = {}
    """The line of each of its keys."""


class ComposeModel(Fact, frozen=True, kw_only=True):
    """The compose file as compose itself understands it."""

    services: tuple[Service, ...]


class ComposeValue(Fact, frozen=True, kw_only=True):
    """A text of the file itself, before any variable is put in; what a variable stands for is left out."""

    key: str
    where: str
    """The keys on the way to it, with dots."""
    text: str
    line: int


class ComposeVariable(Fact, frozen=True, kw_only=True):
    """A variable that the file refers to without a default."""

    name: str
    line: int
    required: bool = False
    """Compose refuses the file without it: `${NAME:?}`."""
    message: str = ""
    """What the file says of it then: `${NAME:?message}`."""


class EnvironmentFile(Fact, frozen=True, kw_only=True):
    """A file of variables that a service names."""

    path: str
    """As written."""
    line: int
    there: bool
    example: str = ""
    """The example beside it that explains it; empty where there is none."""
    optional: bool = False


class ComposeSource(Fact, frozen=True, kw_only=True):
    """The compose file."""

    path: str
    model: ComposeModel | Unavailable
    values: tuple[ComposeValue, ...] = ()
    variables: tuple[ComposeVariable, ...] = ()
    explained: frozenset[str] = frozenset()
    """The names that `.env` or its example set or show."""
    explained_by: tuple[str, ...] = ()
    """Those of the two that are there."""
    files: tuple[EnvironmentFile, ...] = ()
