"""The further starts of level deep, and the start with another command."""

from __future__ import annotations

from seatrial.facts.data.base import Fact, Missing
from seatrial.facts.data.boot import Boot

NOT_DEEP = Missing(reason="not started again: only level deep does")


class Freeze(Fact, frozen=True, kw_only=True):
    """What the health check made of an application of which every process was stopped with SIGSTOP."""

    unhealthy_after: float | None
    """Seconds from then to unhealthy; None where that never came."""
    waited: float
    """Seconds that were waited for that."""
    output: str = ""
    """What the health check said last."""


class Starts(Fact, frozen=True, kw_only=True):
    """More starts of the image's own command, each with one thing changed."""

    without: dict[str, Boot] = {}
    """By the variable that it had to do without."""
    other_user: Boot | Missing | None = None
    """As a uid that no account has; None where the contract does not ask for it."""
    again: Boot | Missing
    """The same once more, after the first was removed."""
    writable: Boot | Missing
    """With a writable root, to see what it writes."""
    freeze: Freeze | Missing | None = None
    """None where there is no health check."""


class Override(Fact, frozen=True, kw_only=True):
    """The image's ENTRYPOINT with another command behind it."""

    ran: bool
    """The command's own output came out."""
    happened: str
    """How the container ended, as a clause."""
    output: str = ""
