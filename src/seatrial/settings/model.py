"""What the settings may say, as types: the reader, the JSON Schema and the docs all come from here."""

from __future__ import annotations

import difflib
import re
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from seatrial import capabilities
from seatrial.text import parse_size


def _form(pattern: str, description: str) -> Meta:
    return Meta(pattern=pattern, description=description)


# Kept importable at run time: msgspec reads the annotations of these classes.
PositiveSeconds = Annotated[float, Meta(gt=0, le=3600)]
BuildSeconds = Annotated[float, Meta(gt=0, le=86_400)]
Absolute = Annotated[str, _form(r"^/[^\0]*\Z", "an absolute path")]
Folder = Annotated[
    str,
    _form(
        r"^/(?!/*\Z)(?!([^\0]*/)?\.\.(/|\Z))[^\0:]*\Z",
        "an absolute path below /, without .. and without options behind a colon: its size is fixed",
    ),
]
Module = Annotated[
    str,
    _form(
        r"^[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?\Z",
        "a module such as package.module, or package.module:attribute",
    ),
]
Program = Annotated[str, _form(r"^[^-\s\0][^\s\0]*\Z", "the name or path of one program")]
Distribution = Annotated[str, _form(r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\Z", "the name of a distribution")]
Requirement = Annotated[
    str, _form(r"^[A-Za-z0-9][A-Za-z0-9._-]*\s*($|[\[<>=!~;@(].*\Z)", "a requirement such as fastapi>=0.115")
]
FileName = Annotated[str, _form(r"^[^/\0]+/?\Z", "the name of a file or folder, without its path")]
Variable = Annotated[str, _form(r"^[A-Za-z_][A-Za-z0-9_.]*\Z", "the name of a variable")]
NoZero = Annotated[str, _form(r"^[^\0]*\Z", "text without a zero byte")]
# Not the dots that a drafted contract holds in a reason's place.
Reason = Annotated[str, _form(r"[^\s.]", "a reason, in words")]
Count = Annotated[int, Meta(ge=1, le=4_194_304)]  # the most that Linux counts: PID_MAX_LIMIT
Processors = Annotated[float, Meta(ge=0.1, le=1024)]
Number = Annotated[int, Meta(ge=0, le=4_294_967_294)]  # of an account: 32 bits, the last one is "nobody at all"
Account = Annotated[str, _form(r"^[^\s:\0]+\Z", "the name of an account")]
Capability = Annotated[str, _form(r"^[A-Za-z_]+\Z", "a capability such as NET_BIND_SERVICE")]
LintRule = Annotated[str, _form(r"^(DL|SC)\d{4}\Z", "a rule of hadolint such as DL3008")]
OciLabel = Annotated[str, _form(r"^[a-z][a-z0-9.]*\Z", "the end of an OCI label such as revision")]
Service = Annotated[str, _form(r"^[a-zA-Z0-9][a-zA-Z0-9._-]*\Z", "the name of a service of the compose file")]
PortNumber = Annotated[int, Meta(ge=1, le=65535)]
RequestPath = Annotated[str, _form(r"^/[!-~]*\Z", "a path of the app such as /courses, in ASCII")]
HeaderName = Annotated[str, _form(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z", "the name of a header")]
HeaderValue = Annotated[str, _form(r"^[ -~]*\Z", "a header's value: ASCII on one line")]
PythonVersion = Annotated[str, _form(r"^3\.\d+$", "a version such as 3.13")]
Size = Annotated[
    str, _form(r"^(?=[^1-9]*[1-9])\d{1,12}(\.\d{1,6})? ?(B|kB|MB|GB|KiB|MiB|GiB)$", "a size such as 500 MB or 1 GiB")
]
"""A size: decimal (MB, as Docker prints image sizes) or binary (MiB, as it reads memory limits)."""
StageName = Annotated[str, _form(r"^[A-Za-z][A-Za-z0-9._-]*\Z", "the name of a stage of the Dockerfile")]
SomePath = Annotated[str, _form(r"^[^\0]+\Z", "the path of a file")]
SeverityName = Literal["error", "warning", "note"]
LEAST_MEMORY = 6 * 1024**2
"""Bytes: an engine gives no container less (moby, daemon/daemon_unix.go)."""
TMPFS_SIZE = 256 * 1024**2
"""Bytes of each memory-backed folder of a start."""
DEBIAN_SETUID = (
    *(f"/usr/bin/{name}" for name in ("chage", "chfn", "chsh", "expiry", "gpasswd", "mount", "newgrp", "passwd")),
    *(f"/usr/bin/{name}" for name in ("su", "umount", "wall", "write")),
    "/usr/sbin/unix_chkpwd",
)
"""The setuid and setgid files of Debian's slim images, buster to forky; /bin is /usr/bin there."""


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A table of the settings: keys in kebab case, unknown ones refused."""


UNIQUE = "{unique}"
"""Stands in a write for a text that is another one each time."""


class Answer(Table, frozen=True, kw_only=True):
    """A request that the app must answer once its start is over."""

    path: RequestPath
    """Where it goes: `/`."""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    """How it is sent."""
    port: PortNumber | None = None
    """The port that it goes to; by default the one that EXPOSE names, or that the app listens on."""
    headers: dict[HeaderName, HeaderValue] = {}
    """Headers that go with it; test values, never real secrets."""
    status: Annotated[int, Meta(ge=100, le=599)] = 200
    """The status that must come."""
    pattern: str | None = None
    """A regular expression of Python's that the beginning of the body must hold: `<h1>`."""

    def __post_init__(self) -> None:
        """Refuse what is not a regular expression."""
        try:
            re.compile(self.pattern or "")
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"`pattern`: not a regular expression of Python's: {error}") from error


class StackWrite(Table, frozen=True, kw_only=True):
    """A request that stores something; `{unique}` in its path or body is another text each time."""

    path: RequestPath
    """Where it goes: `/courses`."""
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    """How it is sent."""
    body: dict[str, Any] = {}
    """What is sent, as JSON: `{ title = "Sea trial {unique}" }`."""
    headers: dict[HeaderName, HeaderValue] = {}
    """Headers that go with it, and with the reading of it; test values, never real secrets."""

    def __post_init__(self) -> None:
        """Refuse a write that could not be distinguished from the one before it."""
        if not (_holds_unique(self.body) or UNIQUE in self.path):
            raise ValueError(f"`body`: expected {UNIQUE} in one of its texts, so that each write can be recognised")


def _holds_unique(value: object) -> bool:
    match value:
        case str():
            return UNIQUE in value
        case dict():
            return any(map(_holds_unique, value.values()))
        case list():
            return any(map(_holds_unique, value))
        case _:
            return False


class StackContract(Table, frozen=True, kw_only=True):
    """What `smoke --stack` asks of the app while its services are up, in its own compose project."""

    service: Service | None = None
    """The service that is the app; by default the only one that stays up on the app's image."""
    database: Service | None = None
    """The service that is the database: it is restarted, and nothing that was written may be lost."""
    port: PortNumber | None = None
    """The port that the app listens on, inside its container; by default the one that it publishes or exposes."""
    ready: RequestPath | None = None
    """A path that answers with a status below 300 when the app and what it needs are ready: `/health/ready`."""
    write: StackWrite | None = None
    """A request that stores something in the database."""
    read: RequestPath | None = None
    """A path that must show what was written; `{id}` is the key `id` of the write's answer: `/courses/{id}`."""
    environment: dict[Variable, NoZero] = {}
    """Variables of the app's service in place of the compose file's; test values, never real secrets."""
    up_within: PositiveSeconds = 120.0
    """Seconds from the start of the first service until all must be healthy, run, or have completed."""
    recovers_within: PositiveSeconds = 30.0
    """Seconds until the app must be ready, and be so again after it lost a worker or its database restarted."""

    def __post_init__(self) -> None:
        """Refuse half of a pair."""
        if (self.write is None) != (self.read is None):
            raise ValueError("`read`: expected together with `write`, as one shows what the other stored")


class SeverityChange(Table, frozen=True, kw_only=True):
    """Another severity for a check, or for a family of checks, and why."""

    severity: SeverityName
    """How much its findings matter."""
    reason: Reason
    """Why; every report shows it."""


class ScanWaiver(Table, frozen=True, kw_only=True):
    """Why a vulnerability with a fix does not count, and for how long."""

    reason: Reason
    """Why; every report shows it."""
    until: date
    """The last day on which it counts: `2027-03-01`, without quotes."""


class ScanContract(Table, frozen=True, kw_only=True):
    """What `scan` asks of the image."""

    waive: dict[str, ScanWaiver] = {}
    """By advisory, in any of its names (`CVE-2026-1234`), or by package: vulnerabilities that do not count."""


class Contract(Table, frozen=True, kw_only=True):
    """What an app's image must be; where a key is missing, the catalogue's default holds."""

    user: Account | None = None
    """The account that the image runs as, by name: what `whoami` prints."""
    uid: Number | None = None
    """The number of that account."""
    gid: Number | None = None
    """The number of its group."""
    python: PythonVersion | None = None
    """The Python version; for an app's own build, the one it was built with."""
    interpreter: Absolute | None = None
    """The interpreter that the application runs on, where the command does not tell: `/app/.venv/bin/python`."""
    modules: tuple[Module, ...] = ()
    """What must import: `package.module`, or `package.module:attribute`."""
    dependencies: tuple[Requirement, ...] | None = None
    """The direct dependencies that the package list must show; by default the project's own."""
    forbidden: tuple[Distribution, ...] | None = None
    """Distributions that must not be there; by default pytest, ruff, mypy and the project's dev group."""
    installers: tuple[Literal["pip", "setuptools", "wheel", "uv"], ...] = ()
    """Of pip, setuptools, wheel and uv, those that the image may hold."""
    extras: tuple[Distribution, ...] = ()
    """The project's extras that the image installs from its lock."""
    groups: tuple[Distribution, ...] = ()
    """The dependency groups that the image installs from its lock; by default none."""
    bytecode: tuple[Literal["dependencies", "standard-library"], ...] = ("dependencies",)
    """What must hold valid bytecode; official base images hold none of the standard library."""
    musl: bool = False
    """Whether the image may stand on musl (Alpine) instead of glibc."""
    standard_library_absent: tuple[Module, ...] = ()
    """C modules of the standard library that the image need not hold, such as `_sqlite3`."""
    executables: tuple[Program, ...] = ()
    """Programs that the code calls."""
    writable_paths: tuple[Absolute, ...] = ()
    """Absolute paths that the image's user must be able to write."""
    files: dict[Absolute, tuple[FileName, ...]] = {}
    """What folders of the image must hold, by name, and nothing else: `{ "/app" = [".venv", "src"] }`."""
    setuid: tuple[Absolute, ...] = DEBIAN_SETUID
    """Setuid and setgid files that may be there; by default those of Debian's slim base."""
    max_unpacked: Size | None = None
    """The most that the image may take on disk, unpacked."""
    gpu: bool = False
    """Whether the application computes on GPUs, and its image may hold CUDA's libraries."""
    max_waste: Size = "5 MB"
    """The most of the image's own bytes that a later layer may remove, write again, or store with another owner."""
    environment: dict[Variable, NoZero] = {}
    """What the application needs in its environment to start; test values, never real secrets."""
    declared_secrets: tuple[str, ...] = ()
    """Environment variables of the image, and absolute paths of its files, that look like secrets and are not."""
    tmpfs: tuple[Folder, ...] = ("/tmp",)  # noqa: S108 - a path inside the image
    """Paths that are memory-backed and writable while the root is read-only, of 256 MiB each. What is in them counts
    towards `memory`."""
    capabilities: tuple[Capability, ...] = ()
    """Capabilities that the application needs; all others are dropped. Those of the host need `--trust host`."""
    memory: Size = "1 GiB"
    """The memory limit of the boot."""
    processes: Count = 256
    """The process limit of the boot."""
    processors: Processors = 2.0
    """The processors that the boot is given; on a host with fewer, those."""
    healthy_within: PositiveSeconds = 30.0
    """Seconds from the start until the health check must pass; without one, the most until the start is over."""
    job: bool = False
    """The command does its work and ends: with exit code 0, within `healthy-within`. It has no health to ask for."""
    stays_up: PositiveSeconds = 6.0
    """Without a health check and a port in EXPOSE: seconds for which it must have computed next to nothing before its
    start counts as over, and it must still run. With a port, its start is over once it listens there."""
    stops_within: PositiveSeconds = 10.0
    """Seconds from the stop signal within which it must exit by itself."""
    first_log_within: PositiveSeconds = 10.0
    """Seconds from the start until the application must have logged its first line."""
    unhealthy_within: PositiveSeconds = 60.0
    """Seconds after which the health check must have noticed that every process of the application is frozen."""
    answers: Annotated[tuple[Answer, ...], Meta(max_length=50)] = ()
    """Requests that must be answered once its start is over: `[{ path = "/", pattern = "<h1>" }]`."""
    required_environment: tuple[Variable, ...] = ()
    """Variables without which the application must refuse to start, and name the one that is missing."""
    arbitrary_uid: bool = False
    """Whether it must also start as a uid that no account has, in group 0, as OpenShift runs it."""
    labels: tuple[OciLabel, ...] = ("title", "version", "revision", "source", "created")
    """The labels `org.opencontainers.image.NAME` that the image must carry; any that it carries must be valid."""
    lint_level: Literal["error", "warning", "info", "style"] = "warning"
    """What of hadolint's findings counts: those of this level and above."""
    lint_ignore: dict[LintRule, Reason] = {}
    """Rules of hadolint that do not count, each with the reason: `{ DL3008 = "…" }`."""
    pin_digests: bool = False
    """Whether the Dockerfile must pin its bases by digest; by default a tag that says a version is enough."""
    max_growth: Annotated[float, Meta(ge=0, le=1000)] = 5.0
    """Percent of the size that a baseline records by which the image may grow where it has no `max-unpacked`, and by
    which a finding about a size may."""
    max_context: Size = "50 MB"
    """The most that a build may be sent."""
    compose_exceptions: dict[str, Reason] = {}
    """What a service of the compose file need not have, each with the reason: `{ "db.read_only" = "…" }`."""
    stack: StackContract = field(default_factory=StackContract)
    """What `smoke --stack` asks of the app with its services up."""
    scan: ScanContract = field(default_factory=ScanContract)
    """What `scan` asks of the image."""
    fail_on: SeverityName = "error"
    """The findings that fail a smoke: those of this severity and above. `--fail-on` says it for one run."""
    severity: dict[str, SeverityChange] = {}
    """Checks (or families of checks) of another severity: `{ "config/labels" = { severity = "error", reason = "…" } }`.
    It holds whatever else the contract says; of both, that of the check counts."""
    waive: dict[str, Reason] = {}
    """Checks that need not hold, each with the reason."""

    def __post_init__(self) -> None:
        """Refuse a limit that no engine takes and a capability that no kernel has; write capabilities in one form."""
        if parse_size(self.memory) < LEAST_MEMORY:
            raise ValueError(f"`memory`: expected at least {LEAST_MEMORY // 1024**2} MiB, not {self.memory!r}")
        names = tuple(dict.fromkeys(map(capabilities.plain_name, self.capabilities)))
        if unknown := [name for name in self.capabilities if capabilities.plain_name(name) not in capabilities.KNOWN]:
            near = difflib.get_close_matches(capabilities.plain_name(unknown[0]), capabilities.KNOWN, n=1)
            hint = f"; the nearest is {near[0]}" if near else ", see capabilities(7)"
            raise ValueError(f"`capabilities`: Linux has no capability {unknown[0]}{hint}")
        msgspec.structs.force_setattr(self, "capabilities", names)


class App(Table, frozen=True, kw_only=True):
    """One Python application of the project."""

    context: str = "."
    """The build context directory, from the file that declares it."""
    dockerfile: str | None = None
    """The Dockerfile; by default `Dockerfile` in the context."""
    target: StageName | None = None
    """The stage of the Dockerfile that is built, by the name behind its AS; by default the last one."""
    entrypoint: tuple[NoZero, ...] | None = None
    """What the image is started with in place of its own ENTRYPOINT, and CMD, as in a compose file."""
    command: tuple[NoZero, ...] | None = None
    """What the image is started with in place of its own CMD; with its services, what the compose file says holds."""
    compose: SomePath | Annotated[tuple[SomePath, ...], Meta(max_length=20)] | None = None
    """The compose file that brings it up with its services; or several, as `docker compose -f A -f B` takes them: what
    a later file says holds, and all paths in them begin in the folder of the first."""
    env_files: Annotated[tuple[SomePath, ...], Meta(max_length=20)] = ()
    """The files that give the compose files' variables their values, as `docker compose --env-file` takes them; by
    default the `.env` beside the first compose file, which is not read where this names others."""
    onboard: bool = True
    """Whether `invoke onboard` brings it up; false where it needs accounts that a newcomer does not have."""
    image: str | None = None
    """The image's name without a tag; by default the app's name."""
    pythons: tuple[PythonVersion, ...] = ()
    """The Python versions that it is built for; the first is the default."""
    python_argument: str = "PYTHON_VERSION"
    """The build argument that chooses the Python version."""
    build_arguments: dict[str, str] = {}
    """More build arguments; never secrets, as they stay in the image's history."""
    build_secrets: tuple[Literal["netrc", "pip-config", "uv-config", "proxy"], ...] = ()
    """The host's credentials that its Dockerfile gets: see Build secrets below."""
    build_certificates: bool = True
    """Whether each RUN of its Dockerfile gets the host's certificates while it runs: see Certificates below."""
    build_within: BuildSeconds = 3600.0
    """Seconds that its build may take, without the time to find out where its bases come from."""
    contract: Contract = field(default_factory=Contract)
    """What its image must be."""


class SubstituteRecipe(Table, frozen=True, kw_only=True):
    """A recipe for a local image that replaces an official one where no registry can be reached."""

    recipe: str
    """The recipe's Dockerfile, from the file that declares it."""
    inputs: dict[str, str] = {}
    """Named build contexts that the recipe needs, each `kind:argument`; see docs/local-substitutes.md."""


class EngineSettings(Table, frozen=True, kw_only=True):
    """The engine that seatrial provides on a host that has none."""

    suite: str = "trixie"
    """The Debian suite that its programs are taken from."""


class Settings(Table, frozen=True, kw_only=True):
    """`[tool.seatrial]`."""

    apps: dict[str, App] = {}
    """The applications, by name."""
    standins: dict[str, SubstituteRecipe] = {}
    """More local substitutes, by image name; `{name}` in it is a part that the recipe gets as a build argument."""
    engine: EngineSettings = field(default_factory=EngineSettings)
    """The engine that seatrial provides."""
    checks: tuple[Module, ...] = ()
    """Modules beside the settings with checks of the project's own: docs/own-checks.md."""
