"""What the image's health check leads to, read by the engine from the image's files."""

from __future__ import annotations

from seatrial.facts.data.base import Fact
from seatrial.facts.data.start import Barrier, Start, Trail


class HealthCommand(Fact, frozen=True, kw_only=True):
    """What running the health check comes down to."""

    start: Start
    """Its program, followed as the image's own command is."""
    script: Trail | None = None
    """The file that its interpreter is told to run, followed to its end; None where it is told none."""
    script_barrier: Barrier | None = None
    """A folder on the way to that file that USER may not enter."""
