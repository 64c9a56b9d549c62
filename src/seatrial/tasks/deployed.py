"""What is known of a deploy while it goes, and its answer for programs, however it ends."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.errors import SeatrialError
    from seatrial.stack.swarm.model import Conversion, Note, RemovedStack, Standing
    from seatrial.stack.swarm.rollout import DeployObserver


@dataclass(kw_only=True)
class Known:
    """The last that was seen of a deploy or of a removal, on its way to the screen."""

    app: str = ""
    """Empty until it is known which is meant; and so is the stack's name."""
    stack: str = ""
    nodes: Mapping[str, str] = field(default_factory=dict)
    """The host name of each node, by id."""
    notes: tuple[Note, ...] = ()
    standings: tuple[Standing, ...] = ()
    changed: bool = False
    """The swarm was changed, or may have been."""
    found: RemovedStack | None = None
    """What there was of the stack before it was removed."""
    left: RemovedStack | None = None
    screen: DeployObserver | None = None
    started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Hand a message on."""
        if self.screen is not None:
            self.screen.say(text)

    def show(self, standings: tuple[Standing, ...], seconds: float) -> None:
        """Keep where the services stand, and hand it on."""
        self.standings = standings
        if self.screen is not None:
            self.screen.show(standings, seconds)

    def look(self, conversion: Conversion) -> None:
        """Keep what becomes of the compose file."""
        self.notes = conversion.notes

    def see(self, holdings: RemovedStack) -> None:
        """Keep what there is of a stack that is removed."""
        self.found = self.found or holdings
        self.left = holdings

    def deploy(self, problem: SeatrialError | None) -> str:
        """Return the answer of a deploy."""
        from seatrial.reports.deploy_data import deploy_document

        return deploy_document(
            self.app,
            self.stack,
            self.standings,
            notes=self.notes,
            nodes=self.nodes,
            changed=self.changed,
            seconds=time.monotonic() - self.started,
            problem=problem,
        )

    def plan(self, problem: SeatrialError | None) -> str:
        """Return the answer of a look at what would be deployed."""
        from seatrial.reports.deploy_data import plan_document

        return plan_document(self.app, self.stack, notes=self.notes, problem=problem)

    def removal(self, problem: SeatrialError | None) -> str:
        """Return the answer of a removal."""
        from seatrial.reports.deploy_data import removed_document

        return removed_document(
            self.app,
            self.stack,
            found=self.found,
            left=self.left,
            seconds=time.monotonic() - self.started,
            problem=problem,
        )
