"""Facts: what was observed of an image, as plain frozen data; other modules gather them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct


class Fact(Struct, frozen=True, kw_only=True):
    """Something observed."""


# --- what the engine says of the image -----------------------------------------------------------------


class HealthCheck(Fact, frozen=True, kw_only=True):
    """The image's HEALTHCHECK; times in seconds."""

    test: tuple[str, ...]
    """As the engine keeps it: `CMD` and the words, or `CMD-SHELL` and one line."""
    interval: float
    timeout: float
    start_period: float
    retries: int


class Configuration(Fact, frozen=True, kw_only=True):
    """The image's configuration and history, from the engine: an image cannot forge what it is run with."""

    reference: str
    id: str
    platform: str
    user: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    working_directory: str = "/"
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    health_check: HealthCheck | None = None
    stop_signal: str = "SIGTERM"
    history: tuple[str, ...] = ()
    """What made each layer, oldest first."""
    unpacked: int
    """The sum of the layers' sizes, unpacked, in bytes."""

    @property
    def words(self) -> tuple[str, ...]:
        """The whole command that a container of this image runs."""
        return self.entrypoint + self.command


# --- what the image's own command leads to, read by the engine from the image's files -------------------


class FileKind(StrEnum):
    """What a path is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"


class Entry(Fact, frozen=True, kw_only=True):
    """One path in the image, its last part not followed."""

    kind: FileKind
    mode: int
    uid: int
    gid: int
    size: int = 0
    target: str = ""
    """Where a link points, as written in it."""


class Trail(Fact, frozen=True, kw_only=True):
    """A path followed to its end, link by link."""

    steps: tuple[str, ...]
    """Every path on the way; the first is the one asked for, the last the end."""
    entry: Entry | None
    """What stands at the end; None where nothing does."""
    missing: str = ""
    """Where nothing stands at the end: the first part of it that is not there, or why it has no end."""

    @property
    def end(self) -> str:
        """The last path."""
        return self.steps[-1]

    @property
    def gap(self) -> str:
        """What is wrong at its end, as a clause; empty where something stands there."""
        return f"{self.missing} is not there" if self.missing.startswith("/") else self.missing

    def __str__(self) -> str:
        """Return the way from the first path to the last."""
        return " -> ".join(self.steps)


class Account(Fact, frozen=True, kw_only=True):
    """The account that USER names, from the image's own account files."""

    name: str = ""
    uid: int | None = None
    """None where USER is a name that the image does not know."""
    gids: tuple[int, ...] = ()
    home: str = ""


class Script(Fact, frozen=True, kw_only=True):
    """A `#!` line and where its interpreter leads."""

    line: str
    interpreter: str
    trail: Trail


class Barrier(Fact, frozen=True, kw_only=True):
    """A folder on the way to a program that USER may not enter."""

    path: str
    entry: Entry
    on_the_way_to: str


class Start(Fact, frozen=True, kw_only=True):
    """What starting the image's own command comes down to."""

    words: tuple[str, ...]
    word: str = ""
    """The word that names the application's program: the first one, or the one behind wrappers."""
    starters: dict[str, Trail | None] = {}
    """The shell and the wrappers (tini, env) that start it, each followed to its end; None where PATH holds none."""
    shell: bool = False
    """A shell stands in between: the words are inside a line that only the shell takes apart."""
    searched: tuple[str, ...] = ()
    """The folders of PATH that were looked through."""
    program: Trail | None = None
    """The program, followed to its end; None where PATH holds none of that name."""
    scripts: tuple[Script, ...] = ()
    """The `#!` lines from the program to a binary, in order."""
    unrunnable: str = ""
    """The file at the end of them, where the kernel can run no such file: neither a binary nor a `#!` line."""
    loader: Trail | None = None
    """The dynamic loader that the binary at the end names, followed to its end."""
    barrier: Barrier | None = None
    account: Account
    python: str = ""
    """The interpreter that the application runs on (or was meant to); empty where the image holds none."""
    python_why: str = ""
    """How that was found out."""
    python_trail: Trail | None = None


# --- what the image's own interpreter says, inside the sandbox -----------------------------------------


class Identity(Fact, frozen=True, kw_only=True):
    """Who a process of the image is."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    """As `whoami` prints it; empty where no account has that uid."""
    home: str
    directory: str


class Interpreter(Fact, frozen=True, kw_only=True):
    """The interpreter that ran the probe."""

    executable: str
    version: str
    implementation: str
    prefix: str
    base_prefix: str
    path: tuple[str, ...]
    settings: dict[str, str] = {}
    """pyvenv.cfg, where it is a virtual environment's."""


class Distribution(Fact, frozen=True, kw_only=True):
    """An installed distribution."""

    name: str
    version: str
    location: str
    requires: tuple[str, ...] = ()
    editable: str = ""
    """The project's location, where it is an editable install."""
    scripts: tuple[str, ...] = ()
    """The console scripts that it declares."""
    base: bool = False
    """It belongs to the interpreter below the environment, not to the environment."""


class BrokenDistribution(Fact, frozen=True, kw_only=True):
    """Metadata that cannot be read."""

    location: str
    problem: str


class InstalledScript(Fact, frozen=True, kw_only=True):
    """A script beside the interpreter, and whether its `#!` interpreter is there."""

    path: str
    interpreter: str
    found: bool


class Import(Fact, frozen=True, kw_only=True):
    """One import, done in a process of its own as the image's user with the image's environment."""

    name: str
    ok: bool
    seconds: float
    error: str = ""
    traceback: str = ""


class Executable(Fact, frozen=True, kw_only=True):
    """A program looked for on the image's PATH."""

    name: str
    path: str
    """Empty where there is none."""


class Place(Fact, frozen=True, kw_only=True):
    """A path that may have to be written, judged by its permissions; the probe's own root is read-only."""

    path: str
    exists: bool
    writable: bool
    nearest: str
    """The path itself, or the nearest folder above it that exists."""
    owner: str
    mode: str


class MissingLibrary(Fact, frozen=True, kw_only=True):
    """A shared library that the loader would not find."""

    library: str
    needed_by: str
    searched: tuple[str, ...]


class Native(Fact, frozen=True, kw_only=True):
    """The environment's extension modules and what they need."""

    modules: int
    missing: tuple[MissingLibrary, ...] = ()


class Probe(Fact, frozen=True, kw_only=True):
    """Everything that the one short container of the probe said."""

    identity: Identity
    interpreter: Interpreter
    distributions: tuple[Distribution, ...]
    broken_distributions: tuple[BrokenDistribution, ...] = ()
    scripts: tuple[InstalledScript, ...]
    imports: tuple[Import, ...]
    executables: tuple[Executable, ...]
    places: tuple[Place, ...]
    native: Native
    truncated: tuple[str, ...] = ()
    """What was cut short because it passed a limit."""


# --- one real start -----------------------------------------------------------------------------------


class Health(StrEnum):
    """What the engine's health check says."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class HealthAnswer(Fact, frozen=True, kw_only=True):
    """One run of the health check."""

    exit_code: int
    output: str
    seconds: float


class Exit(Fact, frozen=True, kw_only=True):
    """How a container ended by itself."""

    code: int
    after: float
    """Seconds from its start."""
    out_of_memory: bool = False
    error: str = ""
    """What the engine says of it."""


class Stop(Fact, frozen=True, kw_only=True):
    """How a container took its stop signal."""

    signal: str
    seconds: float
    code: int
    killed: bool
    """It did not leave in time and was killed."""


class Boot(Fact, frozen=True, kw_only=True):
    """One real start of the image's own command."""

    read_only: bool
    start_error: str = ""
    """Why the engine could not even start it."""
    health: Health = Health.NONE
    healthy_after: float | None = None
    """Seconds from the start to healthy."""
    answers: tuple[HealthAnswer, ...] = ()
    watched: float = 0.0
    """Seconds that it was watched."""
    exit: Exit | None = None
    stop: Stop | None = None
    log: tuple[str, ...] = ()
    """Its last lines."""
    log_cut: bool = False
    """It wrote more than was kept."""
    written: tuple[str, ...] = ()
    """With a writable root: the paths that it wrote outside tmpfs and volumes."""

    @property
    def up(self) -> bool:
        """Whether it became healthy, or (without a health check) stayed up."""
        if self.start_error or self.exit is not None:
            return False
        return self.health is Health.NONE or self.healthy_after is not None


# --- what the project says ----------------------------------------------------------------------------


class ProjectFacts(Fact, frozen=True, kw_only=True):
    """What the app's own project files declare."""

    name: str = ""
    dependencies: tuple[str, ...] | None = None
    """Direct dependencies as requirement strings; None where no file declares any."""
    dependencies_file: str = ""
    dev_group: tuple[str, ...] = ()
    """The names in its `dev` dependency group or extra."""


class Missing(Fact, frozen=True, kw_only=True):
    """A fact that could not be had."""

    reason: str
    detail: str = ""


class Facts(Fact, frozen=True, kw_only=True):
    """Everything that the checks may look at."""

    configuration: Configuration
    start: Start | Missing
    probe: Probe | Missing
    boot: Boot | Missing
    relaxed_boot: Boot | Missing | None = None
    """A second start with a writable root, made only when the first one failed, to tell why."""
    project: ProjectFacts
    seconds: dict[str, float] = {}
    """How long each observation took."""


Json = dict[str, Any]
"""An object of the engine's API."""

INSTALLERS = ("pip", "setuptools", "wheel", "uv")
"""What installs packages, as distributions and as programs."""
