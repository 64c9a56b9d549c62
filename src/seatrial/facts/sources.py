"""The project's own sources of an image: its declarations, lock file, Dockerfile, build context and compose file."""

from __future__ import annotations

from enum import StrEnum

from seatrial.facts.base import Fact, Unavailable


class Instruction(Fact, frozen=True, kw_only=True):
    """One instruction, its continuation lines joined."""

    keyword: str
    text: str
    """What follows the keyword."""
    body: str
    """The lines of its heredocs."""
    line: int
    """The line that it starts on, from 1."""

    @property
    def flags(self) -> tuple[tuple[str, str], ...]:
        """The leading `--name=value` words."""
        pairs: list[tuple[str, str]] = []
        for word in self.text.split():
            if not word.startswith("--"):
                break
            name, _, value = word[2:].partition("=")
            pairs.append((name, value.strip("\"'")))
        return tuple(pairs)

    @property
    def whole(self) -> str:
        """The instruction on one line."""
        return f"{self.keyword} {self.text}".strip()

    @property
    def words(self) -> tuple[str, ...]:
        """The words after the flags."""
        return tuple(self.text.split()[len(self.flags) :])


class Stage(Fact, frozen=True, kw_only=True):
    """A FROM and what follows it."""

    index: int
    name: str | None
    base: str
    """The image or the earlier stage, as written."""
    instructions: tuple[Instruction, ...]
    """The FROM itself first."""

    def answers_to(self, reference: str) -> bool:
        """Tell whether `COPY --from=reference` means this stage."""
        by_name = self.name is not None and self.name == reference.lower()
        return by_name or reference == str(self.index)


class Base(Fact, frozen=True, kw_only=True):
    """An image that a build takes from outside."""

    reference: str
    line: int
    stages: tuple[str, ...] = ()
    """The names of the Dockerfile's own stages: a misspelt one reads like an image."""


class Dockerfile(Fact, frozen=True, kw_only=True):
    """A parsed Dockerfile. BuildKit reports what is malformed in it."""

    syntax: str | None
    """The image that its `# syntax=` line names."""
    arguments: tuple[Instruction, ...]
    """Every ARG before the first FROM."""
    stages: tuple[Stage, ...]


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
    built: bool = False
    """It has a `build` section."""
    depends_on: tuple[Dependency, ...] = ()
    ports: tuple[Port, ...] = ()
    checked: bool = False
    """The compose file declares a health check for it."""
    own_command: bool = False
    """It runs another command than its image's own."""
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


class LockRequirement(Fact, frozen=True, kw_only=True):
    """One package that is asked for, and when."""

    name: str
    version: str = ""
    """Which of several locked versions; empty where the lock holds only one."""
    marker: str = ""
    extras: tuple[str, ...] = ()
    """The extras of that package that are asked for with it."""
    only: tuple[str, ...] = ()
    """The project's extras and groups that ask for it; empty where it is always wanted."""


class LockedPackage(Fact, frozen=True, kw_only=True):
    """One package of a lock, its name normalised."""

    name: str
    version: str = ""
    """Empty where the lock names none: a project's own folder, or an address."""
    local: bool = False
    """The project itself, or another folder of it: an image need not hold it as a distribution."""
    marker: str = ""
    """Where the lock holds several versions: when this one is meant."""
    wants: tuple[LockRequirement, ...] = ()
    extras: dict[str, tuple[LockRequirement, ...]] = {}


class LockFile(Fact, frozen=True, kw_only=True):
    """A lock file."""

    file: str
    project: str = ""
    """The project's own name, normalised."""
    whole: bool = True
    """It names everything that is to be installed; pinned requirements may name the direct ones only."""
    roots: tuple[LockRequirement, ...] = ()
    packages: tuple[LockedPackage, ...] = ()
    names: tuple[str, ...] = ()
    """The extras and groups that it knows."""
    defaults: tuple[str, ...] = ()
    """The groups that it installs unless told otherwise, without those of development."""
    chosen: tuple[str, ...] = ()
    """The extras and groups that the Dockerfile's own commands install."""
    beside: tuple[str, ...] = ()
    """The requirements that the Dockerfile's own commands install beside it."""


class ProjectFacts(Fact, frozen=True, kw_only=True):
    """What the app's own project files declare."""

    name: str = ""
    build_backend: str = ""
    """What builds its wheel, as pyproject.toml names it; setuptools where it names none."""
    dependencies: tuple[str, ...] | None = None
    """Direct dependencies as requirement strings; None where no file declares any."""
    dependencies_file: str = ""
    dev_group: tuple[str, ...] = ()
    """The names in its `dev` dependency group or extra."""
    extras: tuple[str, ...] = ()
    """The requirements of the extras and groups that the Dockerfile's own commands install."""
    optional: tuple[str, ...] = ()
    """The names in its extras and groups: what it can do without."""
    lock: LockFile | Unavailable | None = None
    """Its lock file; None where it has none, `Unavailable` where the file does not say what is to be installed."""


class DockerfileSource(Fact, frozen=True, kw_only=True):
    """The Dockerfile, parsed; each instruction knows its line."""

    path: str
    """From the project's folder."""
    parsed: Dockerfile
    bases: tuple[Base, ...] = ()
    """The images that it takes from outside, every argument resolved."""


class LintFinding(Fact, frozen=True, kw_only=True):
    """Something that the linter says of a line."""

    rule: str
    level: str
    """error, warning, info or style."""
    line: int
    message: str


class Lint(Fact, frozen=True, kw_only=True):
    """What hadolint says of the Dockerfile."""

    findings: tuple[LintFinding, ...] = ()
    configuration: str = ""
    """The project's own configuration that held; empty where there is none."""


class NotInstalled(Unavailable, frozen=True, kw_only=True):
    """A fact that an optional program would give, which is not there."""


class ContextFile(Fact, frozen=True, kw_only=True):
    """A file that a build may see."""

    path: str
    """From the context's folder."""
    size: int
    """In bytes."""


class BuildContext(Fact, frozen=True, kw_only=True):
    """What the ignore file lets through."""

    path: str
    ignore_file: str = ""
    """From the project's folder; empty where there is none."""
    suggested: str = ""
    """Where an ignore file belongs, from the project's folder."""
    files: tuple[ContextFile, ...] = ()
    truncated: bool = False
    """There are more than were read."""
    admitted: tuple[str, ...] = ()
    """Of the paths that the gatherer tried on the ignore file, those that it lets through, whether they are there
    or not: a `.env` that is not there today is there tomorrow."""
    kept_out: tuple[str, ...] = ()
    """The others of them."""
    texts: dict[str, str] = {}
    """The requirement files among them."""


class Sources(Fact, frozen=True, kw_only=True):
    """Everything of the project that says how the image is made and brought up."""

    dockerfile: DockerfileSource
    lint: Lint | Unavailable
    context: BuildContext | Unavailable
    compose: ComposeSource | Unavailable | None
    """None where the app has no compose file."""
