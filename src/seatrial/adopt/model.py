"""What is understood of a project: each thing with its value, the place that says it, and how sure that is."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar

from msgspec import Struct

from seatrial.facts.base import Fact

T = TypeVar("T")


class Sure(StrEnum):
    """How sure something is."""

    STATED = "stated"
    """A file says it in so many words."""
    INFERRED = "inferred"
    """It follows from what files say."""
    GUESSED = "guessed"
    """It is usual, and nothing here says otherwise: ask."""


class Found(Struct, Generic[T], frozen=True, kw_only=True):
    """A value, and where it comes from."""

    value: T
    where: str
    """`FILE:LINE`, or a file or folder, from the project's folder."""
    sure: Sure
    why: str = ""
    """How it follows, where that is not plain."""


def stated(value: T, where: str, why: str = "") -> Found[T]:
    """Return what a file says in so many words."""
    return Found(value=value, where=where, sure=Sure.STATED, why=why)


def inferred(value: T, where: str, why: str = "") -> Found[T]:
    """Return what follows from files."""
    return Found(value=value, where=where, sure=Sure.INFERRED, why=why)


def guessed(value: T, where: str, why: str = "") -> Found[T]:
    """Return what is usual."""
    return Found(value=value, where=where, sure=Sure.GUESSED, why=why)


class Unknown(Fact, frozen=True, kw_only=True):
    """What cannot be known from the files."""

    what: str
    where: str
    why: str
    ask: str = ""
    """The option of `init` that answers it, such as `--module`; empty where none does."""
    app: str = ""
    """The app that it is about; empty for the whole."""
    default: str = ""
    """The likeliest answer."""
    required: bool = False
    """Without an answer nothing can be built."""


class Note(Fact, frozen=True, kw_only=True):
    """What a reader should know: a file that cannot be read, a limit, a contradiction."""

    where: str
    what: str
    broken: bool = False
    """It keeps the project from being adopted: a file that its images are made of has an error in it."""


class Argument(Fact, frozen=True, kw_only=True):
    """A build argument without a value."""

    name: str
    line: int
    decides_base: bool = False
    """A FROM names it: without a value the build fails."""


class DockerfileFound(Fact, frozen=True, kw_only=True):
    """A Dockerfile."""

    file: str
    targets: tuple[str, ...] = ()
    """The names of its stages, in their order."""
    arguments: tuple[Argument, ...] = ()
    """Those without a value."""
    bases: tuple[str, ...] = ()
    python: bool = False
    """It installs or runs Python."""
    aside: bool = False
    """It lies in a folder for tests, documentation, examples or development containers."""
    copies: tuple[str, ...] = ()
    """What it copies from its build context."""
    copied: dict[str, str] = {}
    """Single files by their paths in the image, with their own from the Dockerfile's context."""
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command_line: int = 0
    environment: dict[str, str] = {}
    """Variables of ENV that say where a server listens or what it serves."""
    given: tuple[str, ...] = ()
    """All variables of ENV."""
    ports: tuple[int, ...] = ()
    health: str = ""
    """What its HEALTHCHECK says."""
    health_line: int = 0


class ServiceFound(Fact, frozen=True, kw_only=True):
    """A service of a compose file, with the lines of its keys (`lines`); of variables only the names."""

    name: str
    where: str
    image: str = ""
    built: bool = False
    context: str = ""
    """From the project's folder."""
    dockerfile: str = ""
    target: str = ""
    arguments: dict[str, str] = {}
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    settings: dict[str, str] = {}
    """The variables that say where it listens or what it serves, with their values."""
    env_files: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    """As written, variables with their defaults in place."""
    health: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    """Folders of the project that are mounted, from its own folder."""
    depends_on: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    """The schemes of addresses among its variables: `postgresql`."""
    lines: dict[str, str] = {}
    """By key: `FILE:LINE`."""


class ComposeCall(Fact, frozen=True, kw_only=True):
    """How a file of the project calls docker compose."""

    files: tuple[str, ...]
    env_files: tuple[str, ...] = ()
    where: str


class Stack(Fact, frozen=True, kw_only=True):
    """One compose file with what belongs to it."""

    files: tuple[str, ...]
    """The file first, then its override, then what it includes or extends."""
    name: str = ""
    """What its `name:` says."""
    services: tuple[ServiceFound, ...] = ()
    over: str = ""
    """The compose file that it only adds to; empty where it stands alone."""
    usual: bool = False
    """Compose finds it by itself in its folder."""
    call: ComposeCall | None = None
    """The call that brings it up with other files, where the project's files say one alone."""
    aside: bool = False

    @property
    def built(self) -> tuple[ServiceFound, ...]:
        """The services whose images are built here."""
        return tuple(service for service in self.services if service.built)


class Start(Fact, frozen=True, kw_only=True):
    """A way in which the project starts."""

    kind: str
    """web, worker, bot, or command: anything else, such as a job that ends."""
    framework: str = ""
    reference: str = ""
    """`shop.api:app`; a module for `python -m`; a script's path."""
    factory: bool = False
    interface: str = ""
    """asgi or wsgi; empty where it serves by itself."""
    server: str = ""
    command: tuple[str, ...] = ()
    folder: str = "."
    """Where the command starts, from the project's folder."""


class Variable(Fact, frozen=True, kw_only=True):
    """A variable that the project reads."""

    name: str
    required: bool = False
    """It does not start without it, as far as the code tells."""
    strict: bool = False
    """The code has no other way without it wherever it is read, be that in a branch or a function alone."""
    default: str = ""
    """As written in code or example; never a secret's."""
    type: str = ""
    """What its value must be, as the code says: `int`, `PostgresDsn`."""
    read: bool = False
    """The code reads it; else a file only names it."""
    comment: str = ""


class Requirements(Fact, frozen=True, kw_only=True):
    """A file of requirements."""

    file: str
    pinned: bool
    """Each names one exact version."""
    hashed: bool
    development: bool = False
    """It is for development, tests or documentation."""


class Project(Fact, frozen=True, kw_only=True):
    """A Python project: a folder with its own declarations."""

    folder: str
    name: Found[str] | None = None
    installer: Found[str] | None = None
    lock: Found[str] | None = None
    requirements: tuple[Found[Requirements], ...] = ()
    python: Found[str] | None = None
    layout: Found[str] | None = None
    packages: tuple[Found[str], ...] = ()
    """Its top-level packages and modules."""
    members: tuple[Found[str], ...] = ()
    """The folders of a workspace."""
    dependencies: dict[str, str] = {}
    """The direct ones of run time, normalised, with where each is named."""
    starts: tuple[Found[Start], ...] = ()
    """The likeliest first."""
    port: Found[int] | None = None
    health: Found[str] | None = None
    """A route that says whether it lives."""
    variables: tuple[Found[Variable], ...] = ()
    services: tuple[Found[str], ...] = ()
    migrations: tuple[Found[str], ...] = ()
    data: tuple[Found[str], ...] = ()
    """Files and folders that are no code and are read at run time."""
    programs: tuple[Found[str], ...] = ()
    libraries: tuple[Found[str], ...] = ()
    """Debian packages that its dependencies load at run time."""


class App(Fact, frozen=True, kw_only=True):
    """An image that the project makes or should have."""

    name: Found[str]
    context: Found[str]
    dockerfile: Found[str] | None = None
    """None where one has to be written."""
    target: str = ""
    arguments: dict[str, str] = {}
    compose: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    """The services of the compose file that run it, that which is the app first."""
    image: str = ""
    """The name of its image, without a tag, where the compose file gives it one."""
    python: bool = False
    project: str = ""
    """The folder of its Python project, from the project's folder; empty for that itself."""
    module: str = ""
    """What it serves, as a person said."""
    port: int = 0
    """What it listens on, as a person said."""
    server: str = ""
    """What serves it, as a person said, where its dependencies have none."""
    job: str = ""
    """Why its command counts as a job, which does its work and ends; empty where it does not."""
    tmpfs: tuple[str, ...] = ()
    """Folders that it makes and writes, as a smoke showed."""
    not_imported: tuple[str, ...] = ()
    """Modules that are not in its image, as a smoke showed."""
    command: Found[tuple[str, ...]] | None = None
    """What the compose file, or a person, starts in place of the image's own command."""
    entrypoint: Found[tuple[str, ...]] | None = None


class Understanding(Fact, frozen=True, kw_only=True):
    """All that is understood of a project's folder."""

    name: Found[str]
    files: int
    """How many were seen."""
    stacks: tuple[Stack, ...] = ()
    dockerfiles: tuple[DockerfileFound, ...] = ()
    projects: tuple[Project, ...] = ()
    apps: tuple[App, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    notes: tuple[Note, ...] = ()
