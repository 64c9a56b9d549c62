"""Facts: what was observed of an image, as plain frozen data; other modules gather them."""

from __future__ import annotations

from datetime import date

from seatrial.facts.base import *
from seatrial.facts.boot import *
from seatrial.facts.code import *
from seatrial.facts.command import *
from seatrial.facts.compose import *
from seatrial.facts.image import *
from seatrial.facts.inventory import *
from seatrial.facts.layers import *
from seatrial.facts.probe import *
from seatrial.facts.sources import *
from seatrial.facts.stack import *

NO_SOURCES = DoesNotApply(
    reason="the image was named by itself: no project of it is known, so it has no sources to check"
)
"""Of an image that no app describes."""

FILES_NOT_READ = Unavailable(reason="the image's files were not read")
"""Of facts that were made without an engine."""

INSTALLERS = ("pip", "setuptools", "wheel", "uv")
"""What installs packages, as distributions and as programs."""


class Facts(Fact, frozen=True, kw_only=True):
    """Everything that the checks can use."""

    configuration: Configuration
    command: ResolvedCommand | Unavailable
    probe: Probe | Unavailable
    by_files: Probe | Unavailable | None = None
    """Of an image that nothing was run of: what its files tell of what a probe tells; None where it was probed."""
    agreement: Agreement | Unavailable = FILES_NOT_READ
    """Whether the probe says what the image's files say."""
    boot: Boot | Unavailable
    relaxed: tuple[Boot, ...] = ()
    """More boots, each with some restrictions lifted, made only when the hardened one did not start, to tell why."""
    deep: DeepBoots | Unavailable = NOT_DEEP
    """More boots, each with one thing changed, at level deep."""
    stack: StackRun | Unavailable = NOT_STACKED
    """The app with its services up, in its own compose project."""
    override: CommandOverride | Unavailable | None = None
    """The ENTRYPOINT with another command; None where that was not tried."""
    project: ProjectFacts
    sources: Sources | Unavailable = NO_SOURCES
    """The project's Dockerfile, build context and compose file."""
    health_command: HealthCommand | Unavailable | None = None
    """What the health check leads to; None where there is none, or it could not be followed."""
    contents: Contents | Unavailable = FILES_NOT_READ
    """What its file system holds, of the kinds that checks ask about."""
    accounts: Accounts | Unavailable = FILES_NOT_READ
    """Its account files, read by the engine."""
    own_code: OwnCode | Unavailable = FILES_NOT_READ
    """The application's own modules, read from the image's files."""
    inventory: Inventory | Unavailable = FILES_NOT_READ
    """What its files say is installed."""
    today: date = date.min
    """The day of the observation."""
    working_directory: ResolvedPath | Unavailable = FILES_NOT_READ
    """WORKDIR, followed by the engine; a container that is started may have had it made."""
    layers: Layers | Unavailable = NO_LAYERS
    """What each of its layers holds, and what a later one hides."""
    seconds: dict[str, float] = {}
    """How long each observation took."""
