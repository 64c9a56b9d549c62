"""What the engine says of an image: its configuration, accounts and files."""

from __future__ import annotations

import re
from enum import StrEnum

from seatrial.facts.base import Fact

RUNS_TOO = {"amd64": ("386",), "arm64": ("arm",)}
"""The 32-bit programs that a 64-bit processor runs as well."""


HEALTH_SHELL = ("/bin/sh", "-c")
"""What the engine runs a line of a health check with: an image's SHELL holds for its build, not for its containers."""


class HealthCheck(Fact, frozen=True, kw_only=True):
    """The image's HEALTHCHECK; times in seconds."""

    test: tuple[str, ...]
    """As the engine keeps it: `CMD` and the words, or `CMD-SHELL` and one line."""
    interval: float
    timeout: float
    start_period: float
    retries: int


class AskedAddress(Fact, frozen=True, kw_only=True):
    """Where a health check sends its question."""

    host: str
    port: int


ADDRESS = re.compile(
    r"(?<![\w.@/-])(?:(https?)://)?(localhost|[\w-]+(?:\.[\w-]+)*|\[[0-9a-fA-F:.]+\])(?::(\d{1,5}))?(?=[/\s'\"?]|$)",
    re.ASCII,
)
USUAL_PORTS = {"http": 80, "https": 443}
MOST_ADDRESSES = 5


class VolumeFolder(Fact, frozen=True, kw_only=True):
    """Whose the folder of a volume is; the engine makes one that the image lacks for root."""

    mode: int = 0o755
    uid: int = 0
    gid: int = 0


class Configuration(Fact, frozen=True, kw_only=True):
    """The image's configuration and history, from the engine: an image cannot forge what it is run with."""

    reference: str
    id: str
    platform: str
    engine_platform: str = ""
    """What the engine itself runs, in the same words: `linux/amd64`."""
    user: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    entrypoint_from: str = ""
    """The file and line that say it, where it is not the image's own."""
    command_from: str = ""
    """Likewise."""
    environment: dict[str, str] = {}
    working_directory: str = "/"
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    empty_volumes: dict[str, VolumeFolder] = {}
    """Those of its volumes whose folders hold nothing in the image."""
    tmpfs_folders: dict[str, VolumeFolder] = {}
    """Those of the contract's tmpfs whose folders are in the image."""
    labels: dict[str, str] = {}
    health_check: HealthCheck | None = None
    stop_signal: str = "SIGTERM"
    history: tuple[str, ...] = ()
    """What made each layer, oldest first."""
    created: str = ""
    """When, by its builder, as RFC 3339 writes it; empty where it says nothing."""
    unpacked: int
    """The sum of the layers' sizes, unpacked, in bytes."""

    @property
    def foreign(self) -> bool:
        """Whether it was built for another platform than the engine's."""
        system, _, machine = self.platform.partition("/")
        here_system, _, here = self.engine_platform.partition("/")
        known = bool(machine and here)
        return known and (system != here_system or machine not in {here, *RUNS_TOO.get(here, ())})

    @property
    def words(self) -> tuple[str, ...]:
        """The whole command that a container of this image runs."""
        return self.entrypoint + self.command

    @property
    def named_words(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The two parts of that, each with the name by which its author writes it: `CMD`, or `command`."""
        first = "entrypoint" if self.entrypoint_from else "ENTRYPOINT"
        return (first, self.entrypoint), ("command" if self.command_from else "CMD", self.command)

    @property
    def tcp_ports(self) -> frozenset[int]:
        """The TCP ports that EXPOSE names."""
        parts = (port.partition("/") for port in self.exposed_ports)
        return frozenset(
            int(number) for number, _, kind in parts if re.fullmatch(r"[0-9]{1,5}", number) and kind in {"", "tcp"}
        )

    @property
    def health_addresses(self) -> tuple[AskedAddress, ...]:
        """The addresses that the words of the health check name: `http://localhost:8000/health`."""
        found: dict[AskedAddress, None] = {}
        for match in (match for word in self.health_words for match in ADDRESS.finditer(word)):
            scheme, host, port = match.groups()
            if scheme or port:
                number = int(port or USUAL_PORTS[scheme])
                found[AskedAddress(host=host.strip("[]"), port=number)] = None
        return tuple(address for address in found if 0 < address.port < 1 << 16)[:MOST_ADDRESSES]

    @property
    def health_words(self) -> tuple[str, ...]:
        """The whole command of the health check, as the engine runs it; empty where it runs none."""
        kind, *words = self.health_check.test if self.health_check else ("NONE",)
        return {"CMD": tuple(words), "CMD-SHELL": (*HEALTH_SHELL, *words)}.get(kind, ())


class Password(StrEnum):
    """Whether an account has a password; the password or its hash itself is never kept."""

    EMPTY = "empty"
    """Whoever asks is let in."""
    SET = "set"
    LOCKED = "locked"


class User(Fact, frozen=True, kw_only=True):
    """A row of /etc/passwd, with its row of /etc/shadow."""

    name: str
    uid: int
    password: Password


class Group(Fact, frozen=True, kw_only=True):
    """A row of /etc/group."""

    name: str
    gid: int


class Accounts(Fact, frozen=True, kw_only=True):
    """What /etc/passwd, /etc/shadow and /etc/group hold."""

    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    cut: bool = False
    """There are more rows than were kept."""


class ContentKind(StrEnum):
    """What a path was found for; `seatrial.observe.path_rules` has the rules of each."""

    SETUID = "setuid"
    WORLD_WRITABLE = "world-writable"
    LEFTOVER = "leftover"
    ENVIRONMENT = "environment"
    """A virtual environment, by its pyvenv.cfg."""
    TESTS = "tests"
    PACKAGE_LISTS = "package-lists"
    INSTALLER_CACHE = "installer-cache"
    BUILD_TOOL = "build-tool"
    REMOTE_ACCESS = "remote-access"
    SECRET = "secret"  # noqa: S105 - a kind of file
    LOGIN_LOG = "login-log"


class PathRule(Fact, frozen=True, kw_only=True):
    """A matching rule; all set fields must match."""

    kind: ContentKind
    about: str = ""
    """What such a path is, for a finding's reader."""
    types: str = "f"
    """Of f (file), d (folder), l (link) and o (other), those that it is for."""
    name: str = ""
    """A regular expression that the base name fits whole."""
    path: str = ""
    """One that the whole path fits."""
    but: str = ""
    """One that must not be found in the path."""
    mode: int = 0
    """Permission bits, of which one is enough."""
    content: str = ""
    """One that the file's beginning holds."""
    unsticky: bool = False
    """Not for folders with the sticky bit, nor for what is below them."""
    whole: bool = False
    """A folder that stands for everything of its kind below it."""
    summarised: bool = False
    """A folder reported with the number and size of the files below it, where there are any."""


class FoundPath(Fact, frozen=True, kw_only=True):
    """A path that fits a rule."""

    kind: ContentKind
    path: str
    """What cannot be shown of it (bytes that are no UTF-8, line ends) is escaped."""
    about: str = ""
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    """Bytes; of a summarised folder, of all files below it."""
    files: int = 0
    """Of a summarised folder: the files below it."""
    capabilities: tuple[str, ...] = ()
    """What a file gives whoever runs it."""

    def __str__(self) -> str:
        """Return the path, with what is known of it."""
        return f"{self.path} ({self.about})" if self.about else self.path


class Contents(Fact, frozen=True, kw_only=True):
    """What the file system holds, as the engine packs it."""

    paths: int
    """How many paths were checked."""
    found: tuple[FoundPath, ...] = ()
    counts: dict[str, int] = {}
    """How many were found of each kind; `found` holds the first of them."""
    folders: dict[str, tuple[str, ...]] = {}
    """The names in the folders that were asked for."""
    cut: tuple[str, ...] = ()
    """What was left out, and why: a limit was passed."""


def repository(image: str) -> str:
    """Return an image's name without its tag and digest."""
    head, separator, last = image.partition("@")[0].rpartition("/")
    return f"{head}{separator}{last.partition(':')[0]}"
