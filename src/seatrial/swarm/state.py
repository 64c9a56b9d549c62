"""A stack on a swarm as plain data: what the compose file is converted to, and what the swarm says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
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
    """Adds notes about one place, a service or a part of the top level: `notes.lost(KEY, TEXT)`."""

    def __init__(self, place: str, found: list[Note]) -> None:
        def add(outcome: Outcome, key: str, text: str) -> None:
            found.append(Note(outcome=outcome, place=f"{place} {key}", text=text))

        self.changed = partial(add, Outcome.CHANGED)
        self.lost = partial(add, Outcome.LOST)
        self.risk = partial(add, Outcome.RISK)
        self.refused = partial(add, Outcome.REFUSED)


@dataclass(frozen=True, kw_only=True)
class Image:
    """What a service is to run."""

    name: str
    """As the compose file has it."""
    reference: str
    """What the stack file names: the image's id, its name with a digest, or its name."""
    checked: bool = False
    """The image has its own health check."""


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


NAMESPACE_LABEL = "com.docker.stack.namespace"
"""The label that `docker stack deploy` sets on all that belongs to a stack."""
IMAGE_LABEL = "seatrial.image"
"""The name of a service's image, where swarm is given its id."""


class Update(StrEnum):
    """The state of a service's update, by swarm's own names."""

    UPDATING = "updating"
    PAUSED = "paused"
    COMPLETED = "completed"
    ROLLING_BACK = "rollback_started"
    ROLLBACK_PAUSED = "rollback_paused"
    ROLLED_BACK = "rollback_completed"


ENDED = frozenset({"complete", "shutdown", "failed", "rejected", "remove", "orphaned"})
"""The states of a task that it never leaves."""
GONE = ENDED - {"complete"}
"""The states that swarm wants a task in of which it wants nothing more."""
BROKEN = frozenset({"failed", "rejected", "orphaned"})


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task: one container of a service, from its planning to its end."""

    id: str
    service_id: str
    state: str
    desired: str
    slot: int = 0
    node_id: str = ""
    error: str = ""
    exit_code: int = 0
    container_id: str = ""
    current: bool = True
    """It runs what the service says now."""
    job_round: int = 0
    changed: str = ""
    """Since when it has been in this state, as the engine writes it."""

    @property
    def active(self) -> bool:
        """Tell whether it runs, or may run yet; a job's task is wanted complete from its first moment on."""
        return self.state not in ENDED and self.desired not in GONE

    @property
    def over(self) -> bool:
        """Tell whether it has ended and swarm has seen to it: what comes after it is there, if anything does."""
        return self.state in ENDED and self.desired in GONE


@dataclass(frozen=True, kw_only=True)
class SwarmService:
    """A service of a stack, as the swarm has it."""

    id: str
    name: str
    """Without the stack's name before it."""
    version: str
    """What it is to run, as one hash: changes when that changes."""
    spec: str = ""
    """All that is said of it, as one hash: its ports, its placement and how often it runs, too."""
    replicas: int | None = 1
    """None for one task on each node."""
    job: bool = False
    job_round: int = 0
    update: Update | None = None
    node_pin: str | None = None
    """The id of the node that it is kept on."""


class Phase(StrEnum):
    """How far a service has been deployed."""

    DEPLOYING = "deploying"
    ROLLING_BACK = "rolling back"
    UP = "up"
    DONE = "completed"
    """A job that ended with exit code 0."""
    ROLLED_BACK = "rolled back"
    FAILED = "failed"


FINAL_FAILURES = frozenset({Phase.ROLLED_BACK, Phase.FAILED})


@dataclass(frozen=True, kw_only=True)
class SwarmServiceState:
    """A service at one moment of a deploy."""

    service: SwarmService
    phase: Phase
    running: int
    wanted: int
    broken: tuple[Task, ...] = ()
    """Its tasks that failed in this deploy, the newest first."""
    unready: tuple[Task, ...] = ()
    """Its tasks that are on their way: waiting for a node, fetching an image, not healthy yet."""

    @property
    def telling(self) -> tuple[Task, ...]:
        """Return the tasks that show why it is not up."""
        return self.broken + self.unready

    @property
    def good(self) -> bool:
        """Tell whether it is up or has completed."""
        return self.phase in {Phase.UP, Phase.DONE}


@dataclass(frozen=True, kw_only=True)
class Swarm:
    """The swarm that an engine manages."""

    node: str
    """The id of the engine's own node."""
    names: Mapping[str, str]
    """The host name of each node, by id."""


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A stack that was deployed."""

    name: str
    services: tuple[SwarmServiceState, ...]
    changed: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class RemovedStack:
    """What was removed of a stack, by name."""

    services: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    kept_volumes: tuple[str, ...] = ()
    """Volumes of the stack on the engine that was asked; other nodes may hold more."""

    @property
    def nothing(self) -> bool:
        """Tell whether there was nothing to remove."""
        return not (self.services or self.networks or self.secrets or self.configs)
