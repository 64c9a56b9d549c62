"""A compose file: what its text says, its services as compose resolves them, and what is known of their images."""

from __future__ import annotations

from enum import StrEnum

from seatrial.facts.base import Fact, Unavailable
from seatrial.facts.command import Account, FileEntry, ResolvedCommand, ResolvedPath


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


class MountKind(StrEnum):
    """What a mount brings."""

    BIND = "bind"
    VOLUME = "volume"
    TMPFS = "tmpfs"
    SECRET = "secret"  # noqa: S105 - compose's word for a file
    CONFIG = "config"


class Mount(Fact, frozen=True, kw_only=True):
    """What a container gets at a path, in the place of what its image has there."""

    kind: MountKind
    source: str = ""
    """The path on the host, or the name of the volume; empty for an unnamed volume."""
    target: str
    read_only: bool = False
    copies: bool = True
    """A new volume gets what the image has at its path."""
    foreign: bool = False
    """A volume that is external, or that a driver makes: what it holds, and whose it is, is not known."""
    host: FileEntry | None = None
    """What stands at the source of a bind, a secret or a config; None where that is not known."""
    missing: bool = False
    """Nothing stands there: the engine makes a folder of it."""
    options: str = ""
    """Of a tmpfs, as written."""
    line: int = 0

    @property
    def of_host(self) -> bool:
        """Whether it brings a file or folder of the host."""
        return self.kind in {MountKind.BIND, MountKind.SECRET, MountKind.CONFIG}

    def covers(self, path: str) -> bool:
        """Tell whether a path of the container is this mount's, or would be."""
        folder = self.target.rstrip("/")
        return path == folder or path.startswith(f"{folder}/")


class Service(Fact, frozen=True, kw_only=True):
    """A service as compose understands it; of the values of its environment only those in `settings` are kept."""

    name: str
    image: str | None = None
    """None when it is only built, by its own `build` section."""
    depends_on: tuple[Dependency, ...] = ()
    ports: tuple[Port, ...] = ()
    checked: bool = False
    """The compose file declares a health check for it."""
    test: tuple[str, ...] = ()
    """The test of that health check: `CMD` and the words, or `CMD-SHELL` and one line."""
    unchecked: bool = False
    """The compose file takes away the health check that its image may have."""
    built: bool = False
    """It has a build section."""
    own: bool = False
    """It runs an image of this project."""
    entrypoint: tuple[str, ...] | None = None
    """None where it has its image's own."""
    command: tuple[str, ...] | None = None
    """Likewise."""
    user: str = ""
    working_directory: str = ""
    settings: dict[str, str] = {}
    """Variables that say where programs are, where a server listens or where it keeps its data; never a secret."""
    network_mode: str = ""
    volumes: tuple[Mount, ...] = ()
    added: tuple[str, ...] = ()
    """Capabilities that it gets."""
    valued: frozenset[str] = frozenset()
    """The variables of its environment that hold something; never what."""
    init: bool = False
    """The engine's own init is its PID 1."""
    one_shot: bool = False
    """Its restart policy says that it may end by itself: `"no"`, written down, or `on-failure`; or it is a job."""
    replicas: int = 1
    privileged: bool = False
    host_namespaces: tuple[str, ...] = ()
    """Keys such as `network_mode` whose value is `host`."""
    read_only: bool = False
    dropped: tuple[str, ...] = ()
    """Capabilities that it drops."""
    security: tuple[str, ...] = ()
    gpus: bool = False
    """It asks for GPUs."""
    memory: bool = False
    """It has a memory limit."""
    processes: bool = False
    """It has a limit of processes."""
    line: int = 0
    lines: dict[str, int] = {}
    """The line of each of its keys, and of what some of them hold: `environment.NAME`, `volumes./data`."""

    @property
    def own_command(self) -> bool:
        """Whether it runs another command than its image's own."""
        return self.entrypoint is not None or self.command is not None

    @property
    def mounts(self) -> tuple[str, ...]:
        """What of the host it mounts."""
        return tuple(mount.source for mount in self.volumes if mount.kind is MountKind.BIND)


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
    literal: bool = False
    """It may be no variable at all: `$NAME` right behind a letter, or in a command for a shell."""


class UnsetVariable(Fact, frozen=True, kw_only=True):
    """A dollar sign that compose takes for the beginning of a variable that has no value: what it says is lost."""

    name: str
    key: str
    """The variable whose value loses it."""
    file: str
    """The file that says it, for a person."""
    line: int


class QuotedValue(Fact, frozen=True, kw_only=True):
    """An item of an `environment` list whose quotes belong to the value: `- KEY="value"`."""

    service: str
    key: str
    line: int
    exact: bool = False
    """What stands in the quotes is an address or a number: with quotes it is none."""


class LocalAddress(Fact, frozen=True, kw_only=True):
    """A text of a service that has the address of its own container: `localhost`."""

    service: str
    key: str
    """The variable, or `command`."""
    scheme: str = ""
    """Of a URL: `postgresql`."""
    port: int | None = None
    line: int = 0


class EnvironmentFile(Fact, frozen=True, kw_only=True):
    """A file of variables that a service names."""

    path: str
    """As written."""
    line: int
    there: bool
    example: str = ""
    """The example beside it that explains it; empty where there is none."""
    optional: bool = False


class ServiceFiles(Fact, frozen=True, kw_only=True):
    """What follows from an image's files for a service; nothing was started for it."""

    account: Account
    """Who it runs as."""
    alone: ResolvedCommand
    """What its command resolves to in the image."""
    mounted: ResolvedCommand
    """What it resolves to with the service's mounts over the image."""
    hidden_environments: tuple[str, ...] = ()
    """Virtual environments of the image that are not there any more below a mount."""
    places: dict[str, ResolvedPath] = {}
    """What the image has where volumes are mounted, by target."""
    filled: frozenset[str] = frozenset()
    """Those of them that hold something in the image."""
    no_health_program: tuple[str, ...] = ()
    """The programs of the compose file's health check, none of which is there; empty where one is, or is unknown."""


class ServiceImage(Fact, frozen=True, kw_only=True):
    """What follows for a service from its image's configuration and files."""

    image: str
    checked: bool = False
    """The image has a HEALTHCHECK."""
    words: tuple[str, ...] = ()
    """The command that the service runs: the compose file's, or else the image's."""
    settings: dict[str, str] = {}
    """As a service's, with those of the image."""
    exposed: tuple[int, ...] = ()
    volumes: tuple[str, ...] = ()
    files: ServiceFiles | Unavailable


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
    unset: tuple[UnsetVariable, ...] = ()
    quoted: tuple[QuotedValue, ...] = ()
    local: tuple[LocalAddress, ...] = ()
    images: dict[str, ServiceImage | Unavailable] = {}
    """By service: what follows from its image."""
