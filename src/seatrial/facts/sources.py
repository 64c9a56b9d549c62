"""The project's own sources of an image: its declarations, lock, Dockerfile, build context and compose file."""

from __future__ import annotations

from seatrial.facts.base import Fact, Unavailable
from seatrial.facts.compose import ComposeSource
from seatrial.facts.dockerfile import Base, Dockerfile


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


class ProjectFacts(Fact, frozen=True, kw_only=True):
    """What the app's own project files declare."""

    name: str = ""
    dependencies: tuple[str, ...] | None = None
    """Direct dependencies as requirement strings; None where no file declares any."""
    dependencies_file: str = ""
    dev_group: tuple[str, ...] = ()
    """The names in its `dev` dependency group or extra."""
    lock: LockFile | Unavailable | None = None
    """Its lock file; None where it has none, missing where the file does not say what is to be installed."""


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
    """There are more than were looked at."""
    admitted: tuple[str, ...] = ()
    """Of the paths that the gatherer tried on the ignore file, those that it lets through, whether they are there
    or not: a `.env` that is not there today is there tomorrow."""
    texts: dict[str, str] = {}
    """The requirement files among them."""


class Sources(Fact, frozen=True, kw_only=True):
    """Everything of the project that says how the image is made and brought up."""

    dockerfile: DockerfileSource
    lint: Lint | Unavailable
    context: BuildContext | Unavailable
    compose: ComposeSource | Unavailable | None
    """None where the app has no compose file."""
