"""What the probe says of the environment itself: whose it is, its bytecode, who may change it, what it can do."""

from __future__ import annotations

from seatrial.facts.data.base import Fact


class PathPython(Fact, frozen=True, kw_only=True):
    """What PATH finds for `python` or `python3`."""

    name: str
    path: str
    """Empty where PATH finds none."""
    real: str = ""
    """Its file, links followed."""
    environment: str = ""
    """The virtual environment that it stands in; empty where it is none's."""


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
    """False where not everything could be looked at: too many files, or imports that did not reach their end."""


class Changeable(Fact, frozen=True, kw_only=True):
    """A path of the application's code that USER may change."""

    path: str
    owner: str
    mode: str


class Code(Fact, frozen=True, kw_only=True):
    """The files of one top-level package or module."""

    name: str
    origin: str
    """Where it lies; empty where it is not found."""
    files: int = 0
    """Files and folders that were looked at."""
    changeable: tuple[Changeable, ...] = ()


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
    """What the interpreter can do, tried in a process of its own."""

    modules: tuple[StandardModule, ...] = ()
    trust: TrustStore | None = None
    recursion: bool = False
    """A thread that recursed to the limit got its RecursionError and went on."""
    at: str = ""
    """What was begun last."""
    ended: str = ""
    """How the process ended, where it did not reach its end."""


class Locale(Fact, frozen=True, kw_only=True):
    """Time zone and encodings, as the interpreter has them."""

    zone: str
    utc: bool
    filesystem: str
    preferred: str
    output: str


class ForeignModule(Fact, frozen=True, kw_only=True):
    """An extension module that was built for another machine or C library."""

    path: str
    built_for: str
