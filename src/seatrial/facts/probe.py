"""What the image's own interpreter says inside the sandbox; what its files tell takes the place of its word."""

from __future__ import annotations

from msgspec import structs

from seatrial.facts.base import Fact


class PathPython(Fact, frozen=True, kw_only=True):
    """What PATH finds for `python` or `python3`."""

    name: str
    path: str
    """Empty where PATH finds none."""
    real: str = ""
    """Its file, links followed."""
    environment: str = ""
    """The virtual environment that it is in; empty if not in a virtual environment."""


class Environment(Fact, frozen=True, kw_only=True):
    """The environment of the interpreter that ran the probe."""

    real: str
    """The interpreter's file, links followed."""
    home_python: str = ""
    """The interpreter that stands in the home that pyvenv.cfg records, links followed; empty where none does."""
    machine: str = ""
    """As `uname -m` prints it."""
    implementation: str = ""
    """`sys.implementation.name`: what the marker `implementation_name` is compared with."""
    pythons: tuple[PathPython, ...] = ()
    linked: tuple[str, ...] = ()
    """Files by which installers link a source folder into the environment (.egg-link, __editable__)."""


class Stale(Fact, frozen=True, kw_only=True):
    """Bytecode that Python would not use."""

    source: str
    problem: str


class Bytecode(Fact, frozen=True, kw_only=True):
    """The bytecode of some source files, judged as Python's import system does."""

    sources: int
    missing: tuple[str, ...] = ()
    """The first sources without any."""
    missing_count: int = 0
    stale: tuple[Stale, ...] = ()
    """The first whose bytecode is not valid."""
    stale_count: int = 0
    complete: bool = True
    """False where not everything could be checked: too many files, or imports that did not reach their end."""


class Changeable(Fact, frozen=True, kw_only=True):
    """A path of the code that USER may change; of a folder and what lies below it, the folder."""

    path: str
    owner: str
    mode: str


class Code(Fact, frozen=True, kw_only=True):
    """The files of one top-level package or module, or of what it runs on."""

    name: str
    origin: str
    """Where it lies; empty where it is not found."""
    files: int = 0
    """Files and folders that were checked."""
    changeable: tuple[Changeable, ...] = ()
    """The first ones."""
    count: int = 0
    """How many there are, those below the listed ones included."""
    own: bool = True
    """It is the application's; otherwise it belongs to its command, its interpreter or its dependencies."""


class StandardModule(Fact, frozen=True, kw_only=True):
    """A C module of the standard library, and how its import went."""

    name: str
    ok: bool
    absent: bool = False
    """There is no such module."""
    error: str = ""


class TrustStore(Fact, frozen=True, kw_only=True):
    """What a TLS client of this interpreter trusts."""

    certificates: int = 0
    """Authorities that a default context finds, in its file or its folder."""
    file: str = ""
    folder: str = ""
    certifi: str = ""
    """The bundle of the distribution certifi, where the environment holds one."""
    lost: tuple[str, ...] = ()
    """Variables that name a store which is not there."""
    error: str = ""


class SelfTest(Fact, frozen=True, kw_only=True):
    """What the interpreter can do, tried in its own process."""

    modules: tuple[StandardModule, ...] = ()
    trust: TrustStore | None = None
    recursion: bool = False
    """A thread that recursed to the limit got its RecursionError and went on."""
    at: str = ""
    """What was begun last."""
    ended: str = ""
    """How the process ended, where it did not reach its end."""
    late: bool = False
    """It was ended as it took too long."""


class Locale(Fact, frozen=True, kw_only=True):
    """Time zone and encodings, as the interpreter has them."""

    zone: str
    utc: bool
    filesystem: str
    preferred: str
    output: str


class StartHook(Fact, frozen=True, kw_only=True):
    """Something that runs, or is loaded, before the application's first line."""

    kind: str
    """pth (a line of such a file that Python runs), sitecustomize, usercustomize, variable, or preload."""
    where: str
    """The file, or the variable."""
    line: str = ""
    """The line, or the variable's value."""


class StartSide(Fact, frozen=True, kw_only=True):
    """What an interpreter says of itself."""

    version: str
    implementation: str
    executable: str
    prefix: str
    base_prefix: str
    standard_library: str


class ImportDifference(Fact, frozen=True, kw_only=True):
    """An import that goes another way with the application's start than without the hooks."""

    name: str
    isolated: str
    """The error without the hooks; empty where there is none."""
    application: str
    """The error with them; empty where there is none."""


class Start(Fact, frozen=True, kw_only=True):
    """The isolated start of the interpreter, and the one that the application has."""

    hooks: tuple[StartHook, ...] = ()
    isolated: StartSide
    application: StartSide | None = None
    """None where it did not get as far."""
    ended: str = ""
    """How the application's start ended, where it did not reach its end."""
    late: bool = False
    """It was ended as it took too long."""
    replaced: tuple[str, ...] = ()
    """Basic modules and streams that are not the standard library's own in the application's start."""
    loaded: tuple[str, ...] = ()
    """The modules that its hooks loaded, each with its file."""
    added: tuple[str, ...] = ()
    """The folders that its hooks put on sys.path."""
    removed: tuple[str, ...] = ()
    """The folders that its hooks took away."""
    differences: tuple[ImportDifference, ...] = ()


class ForeignModule(Fact, frozen=True, kw_only=True):
    """An extension module that was built for another machine or C library."""

    path: str
    built_for: str


class Identity(Fact, frozen=True, kw_only=True):
    """Who a process of the image is."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    """As `whoami` prints it; empty where no account has that uid."""
    home: str
    directory: str


class OffPath(Fact, frozen=True, kw_only=True):
    """A folder with distributions that the interpreter does not look into."""

    folder: str
    distributions: tuple[str, ...]
    """Their normalised names."""
    why: str
    fix: str


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
    off_path: tuple[OffPath, ...] = ()
    """By the image's files: what it cannot import."""
    archives: tuple[str, ...] = ()
    """By the image's files: the zips and zipped eggs on its path, which are not read."""


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
    origin: str = ""
    """The local file or folder that it was installed from, as a URL (PEP 610)."""
    packages: tuple[str, ...] = ()
    """The packages that it holds, where it was installed from a local file or folder."""
    without_code: str = ""
    """Why its metadata stands for no code; empty where its code is there."""


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
    """One import, done in its own process as the image's user with the image's environment."""

    name: str
    ok: bool
    seconds: float
    error: str = ""
    traceback: str = ""
    late: bool = False
    """It was ended before it was decided."""


class Executable(Fact, frozen=True, kw_only=True):
    """A program looked for on the image's PATH."""

    name: str
    path: str
    """Empty where there is none."""


class PathAccess(Fact, frozen=True, kw_only=True):
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
    optional: bool = False
    """The package that needs it imports without it, and has other shared objects that load."""


class Native(Fact, frozen=True, kw_only=True):
    """The environment's extension modules and what they need."""

    modules: int
    missing: tuple[MissingLibrary, ...] = ()
    libc: str = ""
    """The interpreter's C library: glibc or musl; empty where it is unknown."""
    foreign: tuple[ForeignModule, ...] = ()
    """Extension modules that were built for another machine or C library."""


class Probe(Fact, frozen=True, kw_only=True):
    """What the one short container of the probe said.

    Of the account, the interpreter's folders, distributions, scripts, programs, places and code, it holds what the
    image's files tell: `seatrial.observe.python.agreement` puts that in the place of the interpreter's word.
    """

    identity: Identity
    interpreter: Interpreter
    distributions: tuple[Distribution, ...]
    broken_distributions: tuple[BrokenDistribution, ...] = ()
    scripts: tuple[InstalledScript, ...]
    imports: tuple[Import, ...]
    executables: tuple[Executable, ...]
    places: tuple[PathAccess, ...]
    native: Native
    own_packages: tuple[str, ...] = ()
    """The packages in the folders that the command and PYTHONPATH put on the path."""
    environment: Environment | None = None
    bytecode: Bytecode | None = None
    """That of the dependencies."""
    standard_bytecode: Bytecode | None = None
    """That of the standard library's modules that the application's imports loaded."""
    code: tuple[Code, ...] | None = None
    """The top-level packages of the modules that were asked for."""
    selftest: SelfTest | None = None
    locale: Locale | None = None
    start: Start | None = None
    """The two starts of the interpreter, to be compared."""
    problems: dict[str, str] = {}
    """The parts of the answer that could not be had, and why."""
    truncated: tuple[str, ...] = ()
    """What was cut short because it passed a limit."""
    complete: bool = True
    """False for what it said first: what takes long is missing."""
    waited: float = 0.0
    """The most seconds that one of its processes waited for a processor; 0 where the kernel does not count them."""


OPTIONAL = tuple(field.name for field in structs.fields(Probe) if field.default is None)
"""The parts of an answer that the probe may lack."""


class Difference(Fact, frozen=True, kw_only=True):
    """Something of which the image's files and its interpreter say different things."""

    what: str
    files: str
    """What the files say."""
    said: str
    """What the interpreter said."""


class Agreement(Fact, frozen=True, kw_only=True):
    """The interpreter's word compared with the files, where both can tell."""

    differences: tuple[Difference, ...] = ()
    distributions: int = 0
    """How many were compared."""
    executables: int = 0
    start_code: tuple[str, ...] = ()
    """Files in site folders whose code runs at each start of the interpreter."""
