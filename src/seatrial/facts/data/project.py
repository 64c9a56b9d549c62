"""What the app's own project says."""

from __future__ import annotations

from seatrial.facts.data.base import Fact, Missing
from seatrial.facts.data.lock import Lock


class ProjectFacts(Fact, frozen=True, kw_only=True):
    """What the app's own project files declare."""

    name: str = ""
    dependencies: tuple[str, ...] | None = None
    """Direct dependencies as requirement strings; None where no file declares any."""
    dependencies_file: str = ""
    dev_group: tuple[str, ...] = ()
    """The names in its `dev` dependency group or extra."""
    lock: Lock | Missing | None = None
    """Its lock file; None where it has none, missing where the file does not say what is to be installed."""
