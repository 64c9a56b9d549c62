"""One real start."""

from __future__ import annotations

from enum import StrEnum

from seatrial.facts.data.base import Fact


class Health(StrEnum):
    """What the engine's health check says."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class HealthAnswer(Fact, frozen=True, kw_only=True):
    """One run of the health check."""

    exit_code: int
    output: str
    seconds: float


class Exit(Fact, frozen=True, kw_only=True):
    """How a container ended by itself."""

    code: int
    after: float
    """Seconds from its start."""
    out_of_memory: bool = False
    error: str = ""
    """What the engine says of it."""


class Stop(Fact, frozen=True, kw_only=True):
    """How a container took its stop signal."""

    signal: str
    seconds: float
    code: int
    killed: bool
    """It did not leave in time and was killed."""


class Boot(Fact, frozen=True, kw_only=True):
    """One real start of the image's own command."""

    read_only: bool
    start_error: str = ""
    """Why the engine could not even start it."""
    health: Health = Health.NONE
    healthy_after: float | None = None
    """Seconds from the start to healthy."""
    answers: tuple[HealthAnswer, ...] = ()
    watched: float = 0.0
    """Seconds that it was watched."""
    exit: Exit | None = None
    stop: Stop | None = None
    log: tuple[str, ...] = ()
    """Its last lines."""
    log_cut: bool = False
    """It wrote more than was kept."""
    written: tuple[str, ...] = ()
    """With a writable root: the paths that it wrote outside tmpfs and volumes."""

    @property
    def up(self) -> bool:
        """Whether it became healthy, or (without a health check) stayed up."""
        if self.start_error or self.exit is not None:
            return False
        return self.health is Health.NONE or self.healthy_after is not None
