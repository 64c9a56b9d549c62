"""One real start."""

from __future__ import annotations

from enum import StrEnum

from seatrial.facts.data.base import Fact, Missing
from seatrial.facts.data.inside import Inside, Top, Usage

NOT_LOOKED = Missing(reason="nobody looked into it while it ran")


class Restriction(StrEnum):
    """What holds a hardened start back, and a plain `docker run` does not have."""

    READ_ONLY = "read-only root"
    CAPABILITIES = "dropped capabilities"
    NO_NEW_PRIVILEGES = "no-new-privileges"
    LIMITS = "memory and process limits"


class Enforced(Fact, frozen=True, kw_only=True):
    """What the engine says that it holds a container to: where it cannot, it drops what it was asked."""

    read_only: bool
    dropped: tuple[str, ...]
    """Capabilities taken away; `ALL` is all of them."""
    added: tuple[str, ...]
    """Capabilities given back."""
    no_new_privileges: bool
    memory: int
    """Bytes; 0 is no limit."""
    processes: int
    """0 is no limit."""


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

    lifted: tuple[Restriction, ...] = ()
    """The restrictions that it was let off; a hardened start is let off none."""
    enforced: Enforced | None = None
    """What the engine held it to; None where it did not start."""
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
    first_log: float | None = None
    """Seconds from the start to its first line; None where it logged nothing before it was asked to stop."""
    log_at_stop: bool = False
    """Its first line came only after it was asked to stop."""
    out_of_memory: bool = False
    """The engine saw a process of it killed for want of memory."""
    inside: Inside | Missing = NOT_LOOKED
    top: Top | Missing = NOT_LOOKED
    usage: Usage | Missing = NOT_LOOKED
    written: tuple[str, ...] = ()
    """With a writable root: the paths that it wrote outside tmpfs and volumes."""

    @property
    def read_only(self) -> bool:
        """Whether its root was read-only."""
        return Restriction.READ_ONLY not in self.lifted

    @property
    def up(self) -> bool:
        """Whether it became healthy, or (without a health check) stayed up."""
        if self.start_error or self.exit is not None:
            return False
        return self.health is Health.NONE or self.healthy_after is not None
