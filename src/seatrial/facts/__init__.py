"""Facts: what was observed of an image, as plain frozen data; other modules gather them."""

from __future__ import annotations

from seatrial.facts.base import Fact, Json, Unavailable
from seatrial.facts.boot import (
    NOT_DEEP,
    Boot,
    CommandOverride,
    DeepBoots,
    Enforced,
    Exit,
    Freeze,
    Health,
    HealthAnswer,
    Heartbeat,
    Listener,
    ProcessList,
    ProcInfo,
    Restriction,
    Stop,
    Usage,
)
from seatrial.facts.command import (
    Account,
    BlockingFolder,
    FileEntry,
    FileKind,
    HealthCommand,
    ResolvedCommand,
    ResolvedPath,
    Shebang,
)
from seatrial.facts.compose import (
    ComposeModel,
    ComposeSource,
    ComposeValue,
    ComposeVariable,
    Condition,
    Dependency,
    EnvironmentFile,
    Port,
    Service,
)
from seatrial.facts.image import (
    Accounts,
    Configuration,
    ContentKind,
    Contents,
    FoundPath,
    Group,
    HealthCheck,
    Password,
    PathRule,
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
    PathAccess,
    Probe,
)
from seatrial.facts.sources import (
    BuildContext,
    ContextFile,
    DockerfileSource,
    Lint,
    LintFinding,
    NotInstalled,
    ProjectFacts,
    Sources,
)
from seatrial.facts.stack import (
    NOT_STACKED,
    DatabaseRestart,
    Exchange,
    Ready,
    Reply,
    ServiceBoots,
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
    "BlockingFolder",
    "Boot",
    "BrokenDistribution",
    "BuildContext",
    "CommandOverride",
    "ComposeModel",
    "ComposeSource",
    "ComposeValue",
    "ComposeVariable",
    "Condition",
    "Configuration",
    "ContentKind",
    "Contents",
    "ContextFile",
    "DatabaseRestart",
    "DeepBoots",
    "Dependency",
    "Distribution",
    "DockerfileSource",
    "Enforced",
    "EnvironmentFile",
    "Exchange",
    "Executable",
    "Exit",
    "Fact",
    "Facts",
    "FileEntry",
    "FileKind",
    "FoundPath",
    "Freeze",
    "Group",
    "Health",
    "HealthAnswer",
    "HealthCheck",
    "HealthCommand",
    "Heartbeat",
    "Identity",
    "Import",
    "InstalledScript",
    "Interpreter",
    "Json",
    "Lint",
    "LintFinding",
    "Listener",
    "MissingLibrary",
    "Native",
    "NotInstalled",
    "Password",
    "PathAccess",
    "PathRule",
    "Port",
    "Probe",
    "ProcInfo",
    "ProcessList",
    "ProjectFacts",
    "Ready",
    "Reply",
    "ResolvedCommand",
    "ResolvedPath",
    "Restriction",
    "Service",
    "ServiceBoots",
    "ServiceStop",
    "Shebang",
    "Sources",
    "StackRun",
    "Stop",
    "Unavailable",
    "Usage",
    "User",
    "Walk",
    "WorkerLoss",
]

NO_SOURCES = Unavailable(
    reason="the image was named by itself: no project of it is known, so it has no sources to look at"
)
"""Of an image that no app describes."""

NOT_LOOKED_AT = Unavailable(reason="the image's files were not looked at")
"""Of facts that were made without an engine."""

INSTALLERS = ("pip", "setuptools", "wheel", "uv")
"""What installs packages, as distributions and as programs."""


class Facts(Fact, frozen=True, kw_only=True):
    """Everything that the checks may look at."""

    configuration: Configuration
    command: ResolvedCommand | Unavailable
    probe: Probe | Unavailable
    boot: Boot | Unavailable
    relaxed: tuple[Boot, ...] = ()
    """More boots, each with some restrictions lifted, made only when the hardened one did not come up, to tell why."""
    deep: DeepBoots | Unavailable = NOT_DEEP
    """More boots, each with one thing changed, at level deep."""
    stack: StackRun | Unavailable = NOT_STACKED
    """The app with its services up, in a compose project of its own."""
    override: CommandOverride | Unavailable | None = None
    """The ENTRYPOINT with another command; None where that was not tried."""
    project: ProjectFacts
    sources: Sources | Unavailable = NO_SOURCES
    """The project's Dockerfile, build context and compose file."""
    health_command: HealthCommand | Unavailable | None = None
    """What the health check leads to; None where there is none, or it could not be followed."""
    contents: Contents | Unavailable = NOT_LOOKED_AT
    """What its file system holds, of the kinds that checks ask about."""
    accounts: Accounts | Unavailable = NOT_LOOKED_AT
    """Its account files, read by the engine."""
    working_directory: ResolvedPath | Unavailable = NOT_LOOKED_AT
    """WORKDIR, followed by the engine; a container that is started may have had it made."""
    seconds: dict[str, float] = {}
    """How long each observation took."""
