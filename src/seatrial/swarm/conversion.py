"""What a compose file is converted to for a swarm, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


MaterialKind = Literal["secrets", "configs"]


class Outcome(StrEnum):
    """What happens to a part of a compose file on a swarm."""

    CHANGED = "changed"
    """Swarm says it in another way."""
    LOST = "lost"
    """Swarm has nothing like it: it is left out."""
    RISK = "careful"
    """It behaves differently on a swarm."""
    REFUSED = "refused"
    """Without it the application would be another one: nothing is deployed."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """What happens to one part of a compose file."""

    outcome: Outcome
    place: str
    """The service and its key, `api ports`; or a part of the top level, `networks outside`."""
    text: str


class Notes:
    """Notes about one place, a service or a part of the top level."""

    def __init__(self, place: str, found: list[Note]) -> None:
        self._place = place
        self._found = found

    def changed(self, key: str, text: str) -> None:
        """Swarm says it in another way."""
        self._add(Outcome.CHANGED, key, text)

    def lost(self, key: str, text: str) -> None:
        """Swarm has nothing like it."""
        self._add(Outcome.LOST, key, text)

    def risk(self, key: str, text: str) -> None:
        """It behaves differently on a swarm."""
        self._add(Outcome.RISK, key, text)

    def refused(self, key: str, text: str) -> None:
        """Without it the application would be another one."""
        self._add(Outcome.REFUSED, key, text)

    def _add(self, outcome: Outcome, key: str, text: str) -> None:
        self._found.append(Note(outcome=outcome, place=f"{self._place} {key}", text=text))


@dataclass(frozen=True, kw_only=True)
class Image:
    """What a service is to run."""

    name: str
    """As the compose file has it."""
    reference: str
    """What the stack file names: the image's id, its name with a digest, or its name."""
    checked: bool = False
    """The image has a health check of its own."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """A secret or config that a stack needs."""

    kind: MaterialKind
    key: str
    """Its name in the compose file."""
    name: str
    """Its name in the swarm; it holds a hash of the content, so that a change makes a new one, which rolls out."""
    data: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """A compose file as a stack file."""

    document: Mapping[str, Any] = field(repr=False)
    """The stack file. It holds the values of env files, secrets among them: it is never printed."""
    notes: tuple[Note, ...]
    materials: tuple[Material, ...]

    @property
    def refused(self) -> tuple[Note, ...]:
        """Return the notes that stand against a deploy."""
        return tuple(note for note in self.notes if note.outcome is Outcome.REFUSED)
