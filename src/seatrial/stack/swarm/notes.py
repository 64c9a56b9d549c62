"""Collects what becomes of each part of a compose file."""

from __future__ import annotations

from seatrial.stack.swarm.model import Fate, Note


class Notes:
    """Notes about one place, a service or a part of the top level."""

    def __init__(self, place: str, found: list[Note]) -> None:
        self._place = place
        self._found = found

    def changed(self, key: str, text: str) -> None:
        """Swarm has another word for it."""
        self._add(Fate.CHANGED, key, text)

    def lost(self, key: str, text: str) -> None:
        """Swarm has nothing like it."""
        self._add(Fate.LOST, key, text)

    def risk(self, key: str, text: str) -> None:
        """It does not work as it does on one machine."""
        self._add(Fate.RISK, key, text)

    def refused(self, key: str, text: str) -> None:
        """Without it the application would not be the same."""
        self._add(Fate.REFUSED, key, text)

    def _add(self, fate: Fate, key: str, text: str) -> None:
        self._found.append(Note(fate=fate, place=f"{self._place} {key}", text=text))
