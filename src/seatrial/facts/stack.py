"""The app with its services up: what it answered, and how it took the loss of what it needs."""

from __future__ import annotations

from seatrial.facts.base import Fact, Unavailable
from seatrial.facts.boot import Boot, DeepBoots
from seatrial.facts.image import Configuration

NOT_STACKED = Unavailable(reason="the app's services were not brought up: only smoke --stack does")
NOT_UP = Unavailable(reason="the stack did not come up: see stack/healthy")
NOT_STARTED = Unavailable(reason="the app was not started again among its services")


class Reply(Fact, frozen=True, kw_only=True):
    """What the app answered to one request."""

    status: int = 0
    """The HTTP status; 0 where no answer came."""
    body: str = ""
    """The beginning of the answer's body."""
    error: str = ""
    """Why no answer came."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether the status was below 300."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's successes

    def __str__(self) -> str:
        """Return it as a clause."""
        return f"status {self.status}" if self.status else self.error


class PublishedPorts(Fact, frozen=True, kw_only=True):
    """The TCP ports that a service publishes, and where it listened once it was up."""

    service: str
    ports: tuple[int, ...]
    """The container's."""
    listening: tuple[int, ...] | None
    """Where others reach it; None where that could not be seen."""
    own: tuple[int, ...] = ()
    """Where only its own container reaches it."""

    @property
    def silent(self) -> tuple[int, ...]:
        """The published ports on which nothing listens for others."""
        return () if self.listening is None else tuple(sorted({*self.ports} - {*self.listening}))

    def __str__(self) -> str:
        """Return it as a clause."""
        silent = ", ".join(map(str, self.silent))
        alone = sorted({*self.own} & {*self.silent})
        if not silent:
            return f"{self.service} publishes {', '.join(map(str, self.ports))}"
        if alone:
            return f"{self.service} publishes {silent}, and listens there on the loopback of its container alone"
        elsewhere = ", ".join(map(str, self.listening or ()))
        return f"{self.service} publishes {silent}, and listens on {elsewhere or 'no port'}"


class Ready(Fact, frozen=True, kw_only=True):
    """When the app said that it is ready."""

    path: str
    after: float | None
    """Seconds from the moment that the stack was up; None where it never said so."""
    last: Reply


class Exchange(Fact, frozen=True, kw_only=True):
    """Something was stored, and asked for again."""

    write: str
    """The request that stored it: `POST /courses`."""
    written: Reply
    read: str = ""
    """The request that asked for it: `GET /courses/17`; empty where none could be made."""
    shown: Reply | None = None
    """The reply; None where it was not asked."""
    problem: str = ""
    """Why it could not be asked: the write's answer lacks a key that `read` names."""
    missing: tuple[str, ...] = ()
    """Texts that were written, and that the answer does not show."""

    @property
    def held(self) -> bool:
        """Whether what was written was shown."""
        return self.written.good and self.shown is not None and self.shown.good and not self.missing


class DatabaseRestart(Fact, frozen=True, kw_only=True):
    """What was written before and while the database restarted, and what of it was there afterwards."""

    service: str
    took: float
    """Seconds from its stop signal until it ran again."""
    killed: bool
    """It did not stop within its grace time, and was killed."""
    acknowledged: int
    """Writes that the app said yes to."""
    refused: int
    """Writes that the app said no to, or did not answer, while the database was away."""
    refusals: tuple[str, ...] = ()
    """How it said so, each way once."""
    lost: tuple[str, ...] = ()
    """Of the acknowledged ones, those that could not be read afterwards, each with what came instead."""
    recovered_after: float | None
    """Seconds from the database's return to the first write that was stored; None where none was."""
    last: Reply
    """The last write's answer."""
    app_restarts: int = 0
    """How often the engine had to start the app again meanwhile."""


class WorkerLoss(Fact, frozen=True, kw_only=True):
    """What the app answered while one of its workers was killed."""

    workers: int
    """Processes that serve its port; with one alone, none was killed."""
    killed: str = ""
    """The command line of the one that was."""
    requests: int = 0
    """Sent from the kill until another worker had taken its place, or it was too late."""
    failures: tuple[str, ...] = ()
    """Those without a good answer, each with the seconds since the kill."""
    back_after: float | None = None
    """Seconds until there were as many workers as before; None where that never came."""
    waited: float = 0.0


class ServiceStop(Fact, frozen=True, kw_only=True):
    """How a service took its stop signal."""

    service: str
    seconds: float
    grace: float
    """Seconds that its compose file gives it."""
    code: int
    killed: bool
    """It did not leave in time and was killed."""
    out_of_memory: bool = False


class ServiceBoots(Fact, frozen=True, kw_only=True):
    """The app started anew among its services, each time in its own container."""

    configuration: Configuration
    """Its image's, with what the compose file says otherwise."""
    boot: Boot
    relaxed: tuple[Boot, ...]
    deep: DeepBoots | Unavailable
    seconds: dict[str, float]
    """How long each kind of start took."""


class StackRun(Fact, frozen=True, kw_only=True):
    """One run of the app with its services, in its own compose project, which is removed afterwards."""

    app: str
    """The service that is the app."""
    services: tuple[str, ...]
    """Each service, and how it stood in the end."""
    up_after: float | None
    """Seconds until all was up; None where that never came."""
    failure: str = ""
    """Why it did not come up."""
    evidence: tuple[str, ...] = ()
    """What the services to blame said."""
    published: tuple[PublishedPorts, ...] | Unavailable = NOT_UP
    """Of each service that publishes TCP ports."""
    ready: Ready | Unavailable = NOT_UP
    exchange: Exchange | Unavailable = NOT_UP
    workers: WorkerLoss | Unavailable = NOT_UP
    database: DatabaseRestart | Unavailable = NOT_UP
    boots: ServiceBoots | Unavailable = NOT_STARTED
    """Made where a level asks for it."""
    stops: tuple[ServiceStop, ...] | Unavailable = NOT_UP
    """Those that ran when they were asked to stop."""
