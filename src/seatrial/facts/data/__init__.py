"""Facts: what was observed of an image, as plain frozen data; other modules gather them."""

from __future__ import annotations

from seatrial.facts.data.base import Fact, Json, Missing
from seatrial.facts.data.boot import Boot, Exit, Health, HealthAnswer, Stop
from seatrial.facts.data.image import Configuration, HealthCheck
from seatrial.facts.data.probe import (
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
from seatrial.facts.data.project import ProjectFacts
from seatrial.facts.data.start import Account, Barrier, Entry, FileKind, Script, Start, Trail

__all__ = [
    "INSTALLERS",
    "Account",
    "Barrier",
    "Boot",
    "BrokenDistribution",
    "Configuration",
    "Distribution",
    "Entry",
    "Executable",
    "Exit",
    "Fact",
    "Facts",
    "FileKind",
    "Health",
    "HealthAnswer",
    "HealthCheck",
    "Identity",
    "Import",
    "InstalledScript",
    "Interpreter",
    "Json",
    "Missing",
    "MissingLibrary",
    "Native",
    "Place",
    "Probe",
    "ProjectFacts",
    "Script",
    "Start",
    "Stop",
    "Trail",
]

INSTALLERS = ("pip", "setuptools", "wheel", "uv")
"""What installs packages, as distributions and as programs."""


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
