"""Facts: what was observed of an image, as plain frozen data; other modules gather them."""

from __future__ import annotations

from seatrial.facts.base import Fact, Json, Missing
from seatrial.facts.boot import (
    NOT_DEEP,
    Boot,
    Enforced,
    Exit,
    Freeze,
    Health,
    HealthAnswer,
    Heartbeat,
    Inside,
    Listener,
    Override,
    Restriction,
    Starts,
    Stop,
    Top,
    Usage,
)
from seatrial.facts.command import Account, Barrier, Entry, FileKind, HealthCommand, Script, Start, Trail
from seatrial.facts.image import (
    Accounts,
    Configuration,
    ContentKind,
    Contents,
    Found,
    Group,
    HealthCheck,
    Password,
    Rule,
    User,
    Walk,
)
from seatrial.facts.probe import (
    BrokenDistribution,
    Distribution,
    Executable,
    Identity,
    Import,
    InstalledScript,
    Interpreter,
    MissingLibrary,
    Native,
    Place,
    Probe,
)
from seatrial.facts.sources import (
    BuildContext,
    ComposeModel,
    ComposeService,
    ComposeSource,
    ComposeValue,
    ComposeVariable,
    ContextFile,
    DockerfileSource,
    EnvironmentFile,
    Lint,
    LintFinding,
    NotInstalled,
    ProjectFacts,
    Published,
    Sources,
    Wait,
)
from seatrial.facts.stack import (
    NOT_STACKED,
    DatabaseRestart,
    Exchange,
    Ready,
    Reply,
    ServiceStarts,
    ServiceStop,
    StackRun,
    WorkerLoss,
)

__all__ = [
    "INSTALLERS",
    "NOT_DEEP",
    "NOT_STACKED",
    "NO_SOURCES",
    "Account",
    "Accounts",
    "Barrier",
    "Boot",
    "BrokenDistribution",
    "BuildContext",
    "ComposeModel",
    "ComposeService",
    "ComposeSource",
    "ComposeValue",
    "ComposeVariable",
    "Configuration",
    "ContentKind",
    "Contents",
    "ContextFile",
    "DatabaseRestart",
    "Distribution",
    "DockerfileSource",
    "Enforced",
    "Entry",
    "EnvironmentFile",
    "Exchange",
    "Executable",
    "Exit",
    "Fact",
    "Facts",
    "FileKind",
    "Found",
    "Freeze",
    "Group",
    "Health",
    "HealthAnswer",
    "HealthCheck",
    "HealthCommand",
    "Heartbeat",
    "Identity",
    "Import",
    "Inside",
    "InstalledScript",
    "Interpreter",
    "Json",
    "Lint",
    "LintFinding",
    "Listener",
    "Missing",
    "MissingLibrary",
    "Native",
    "NotInstalled",
    "Override",
    "Password",
    "Place",
    "Probe",
    "ProjectFacts",
    "Published",
    "Ready",
    "Reply",
    "Restriction",
    "Rule",
    "Script",
    "ServiceStarts",
    "ServiceStop",
    "Sources",
    "StackRun",
    "Start",
    "Starts",
    "Stop",
    "Top",
    "Trail",
    "Usage",
    "User",
    "Wait",
    "Walk",
    "WorkerLoss",
]

NO_SOURCES = Missing(reason="the image was named by itself: no project of it is known, so it has no sources to look at")
"""Of an image that no app describes."""

NOT_LOOKED_AT = Missing(reason="the image's files were not looked at")
"""Of facts that were made without an engine."""

INSTALLERS = ("pip", "setuptools", "wheel", "uv")
"""What installs packages, as distributions and as programs."""


class Facts(Fact, frozen=True, kw_only=True):
    """Everything that the checks may look at."""

    configuration: Configuration
    start: Start | Missing
    probe: Probe | Missing
    boot: Boot | Missing
    relaxed: tuple[Boot, ...] = ()
    """More starts, each let off some restrictions, made only when the hardened one did not come up, to tell why."""
    starts: Starts | Missing = NOT_DEEP
    """Further starts, made at level deep of an image that comes up."""
    stack: StackRun | Missing = NOT_STACKED
    """The app with its services up, in a compose project of its own."""
    override: Override | Missing | None = None
    """The ENTRYPOINT with another command; None where that was not tried."""
    project: ProjectFacts
    sources: Sources | Missing = NO_SOURCES
    """The project's Dockerfile, build context and compose file."""
    health_command: HealthCommand | Missing | None = None
    """What the health check leads to; None where there is none, or it could not be followed."""
    contents: Contents | Missing = NOT_LOOKED_AT
    """What its file system holds, of the kinds that checks ask about."""
    accounts: Accounts | Missing = NOT_LOOKED_AT
    """Its account files, read by the engine."""
    working_directory: Trail | Missing = NOT_LOOKED_AT
    """WORKDIR, followed by the engine; a container that is started may have had it made."""
    seconds: dict[str, float] = {}
    """How long each observation took."""
