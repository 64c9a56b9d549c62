"""One real start, the inspection of its running container, and the further starts of level deep."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from seatrial.facts.base import Fact, Unavailable

KILLED = 137
"""The exit code of a process that SIGKILL ended: 128 + 9."""
RESOLVER = "127.0.0.11"
"""Where the engine itself answers names, in every container on a user-defined network."""


class Listener(Fact, frozen=True, kw_only=True):
    """A port that something in the container listens on."""

    protocol: Literal["tcp", "udp"]
    address: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only the container itself can reach it."""
        return self.address.startswith(("127.", "::ffff:127.")) or self.address == "::1"

    def __str__(self) -> str:
        """Return it as one writes an address."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}/{self.protocol}"


class Heartbeat(Fact, frozen=True, kw_only=True):
    """A file that a gunicorn worker touches to show that it lives."""

    path: str
    filesystem: str
    """Its kind, such as overlay or tmpfs."""


class ProcInfo(Fact, frozen=True, kw_only=True):
    """What the image's own interpreter read of /proc in the running container. An image can forge it."""

    listeners: tuple[Listener, ...]
    command: tuple[str, ...]
    """PID 1's words."""
    uid: int | None
    capabilities: str
    """PID 1's effective capabilities, in hexadecimal as the kernel writes them."""
    no_new_privileges: bool | None
    processes: int
    heartbeats: tuple[Heartbeat, ...] = ()
    zombies: tuple[str, ...] = ()
    """The names of processes below PID 1 that have ended, and that it has not waited for."""
    more_zombies: bool = False
    """There were more of them a second later."""
    host_processors: int = 0
    """Processors that Python counts there: those of the host, whatever the container is given. 0: not known."""
    resolved: dict[str, tuple[str, ...]] = {}
    """Addresses of the names that the health check asks, in the order in which programs try them."""
    truncated: tuple[str, ...] = ()
    """What was cut short because it passed a limit."""

    @property
    def served(self) -> tuple[Listener, ...]:
        """Where the application listens: the engine's own answers to names are none of it."""
        return tuple(listener for listener in self.listeners if listener.address != RESOLVER)

    @property
    def tcp_ports(self) -> set[int]:
        """The TCP ports among them."""
        return {listener.port for listener in self.served if listener.protocol == "tcp"}


class ProcessList(Fact, frozen=True, kw_only=True):
    """The container's processes as the engine lists them, from outside."""

    first: str
    """PID 1's command line; empty where the engine does not list it."""
    commands: tuple[str, ...]
    """All command lines, PID 1's among them."""


class Usage(Fact, frozen=True, kw_only=True):
    """What the container used when it was inspected, as the engine counts it."""

    memory: int
    """Bytes."""
    processes: int
    """Processes and threads: the limit counts both."""


TRACEBACK = "Traceback (most recent call last)"
REFUSED = "read-only file system"
"""EROFS, as the C library says it."""
NO_MORE_PROCESSES = ("can't start new thread", "cannot fork", "can't fork", "fork: retry", "fork: resource temp")
"""How Python and shells say that the process limit is reached."""
STARVED = 0.4
"""The part of a late start that it waited for a processor from which on the machine was too busy to judge it."""
STARVED_FOR = 5.0
"""The seconds of it that this must be: of a few looks at a short start, nothing is sure."""
NOT_INSPECTED = Unavailable(reason="it was not inspected while it ran")


def says_no_more_processes(line: str) -> bool:
    """Tell whether a line of a log says that the process limit is reached."""
    return any(words in line.lower() for words in NO_MORE_PROCESSES)


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
    """Bytes; 0 means no limit."""
    processes: int
    """0 means no limit."""


class Health(StrEnum):
    """What the engine's health check says."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


NOT_RUN = {126, 127}
"""Exit codes of a shell, or an engine, for a program that is not there or cannot be run."""


class HealthAnswer(Fact, frozen=True, kw_only=True):
    """One run of the health check."""

    exit_code: int
    output: str
    seconds: float


class Answered(Fact, frozen=True, kw_only=True):
    """The result of one request that the contract names."""

    request: str
    """`GET /courses on port 8000`."""
    wanted: str
    """What had to come, as a clause."""
    status: int = 0
    """The HTTP status; 0 where no answer came."""
    body: str = ""
    """The beginning of the answer's body."""
    error: str = ""
    """Why no answer came."""
    held: bool = False
    """The answer is what had to come."""

    def __str__(self) -> str:
        """Return what came, as a clause."""
        return f"status {self.status}" if self.status else self.error or "no answer"


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
    """The restrictions that were lifted; none of a hardened start."""
    job: bool = False
    """Its command is to end by itself, with exit code 0."""
    enforced: Enforced | None = None
    """What the engine held it to; None where it did not start."""
    start_error: str = ""
    """Why the engine could not even start it."""
    health: Health = Health.NONE
    healthy_after: float | None = None
    """Seconds from the start to healthy."""
    finished: bool = True
    """Its start was over when it was inspected. False: it still computed, or listened nowhere, when time was up."""
    finished_after: float | None = None
    """Without a health check: the seconds until its start was over; None where it never was."""
    answers: tuple[HealthAnswer, ...] = ()
    watched: float = 0.0
    """Seconds that it was watched."""
    waited: float = 0.0
    """Seconds of these that it would have computed, and got no processor: of a start that was late."""
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
    """The kernel killed a process of it when memory ran out."""
    proc: ProcInfo | Unavailable = NOT_INSPECTED
    process_list: ProcessList | Unavailable = NOT_INSPECTED
    usage: Usage | Unavailable = NOT_INSPECTED
    filled: str = ""
    """That it wrote as much as a start may, as a clause; where that is to the engine's disk, it was ended."""
    written: tuple[str, ...] = ()
    """With a writable root: the paths that it wrote outside tmpfs and volumes."""
    answered: tuple[Answered, ...] | Unavailable = ()
    """The results of the requests that the contract names."""
    workers: int = 0
    """The most processes of one command that have the same parent; 0: not seen."""
    lost: tuple[str, ...] = ()
    """The command lines of its workers that ended during the start, while others like them went on."""
    fell_short: str = ""
    """What it lacked that a start with fewer restrictions had, as a clause; such a start has failed."""

    @property
    def read_only(self) -> bool:
        """Whether its root was read-only."""
        return Restriction.READ_ONLY not in self.lifted

    @property
    def came_up(self) -> bool:
        """Whether it became healthy, or (without a health check) stayed up; of a job, whether it ended well."""
        if self.job:
            return self.exit is not None and self.exit.code == 0 and not self.fell_short
        if self.start_error or self.exit is not None or self.fell_short:
            return False
        return self.health is Health.NONE or self.healthy_after is not None

    @property
    def is_starved(self) -> bool:
        """Whether it was late, and waited for a processor for a large part of the time.

        A health check whose program cannot be run never passes, however much time it has.
        """
        if self.answers and all(answer.exit_code in NOT_RUN for answer in self.answers):
            return False
        return not self.came_up and self.exit is None and self.waited > max(STARVED_FOR, STARVED * self.watched)

    @property
    def out_of_processes(self) -> bool:
        """Whether it ran at its limit of processes to the end of the start, by the engine's count or by its log."""
        limit = self.enforced.processes if self.enforced else 0
        counted = self.usage.processes if isinstance(self.usage, Usage) else 0
        return self.exit is None and (0 < limit <= counted or any(map(says_no_more_processes, self.log)))


NOT_DEEP = Unavailable(reason="not started again: only level deep does")


class Freeze(Fact, frozen=True, kw_only=True):
    """What the health check made of an application of which every process was stopped with SIGSTOP."""

    unhealthy_after: float | None
    """Seconds from then to unhealthy; None where that never came."""
    waited: float
    """Seconds that were waited for that."""
    output: str = ""
    """What the health check said last."""


class Restart(Fact, frozen=True, kw_only=True):
    """A second start in the same container, on the same volumes, after SIGKILL ended the first."""

    boot: Boot
    """The second start; its log holds the lines of that one alone."""
    files: tuple[str, ...] = ()
    """The files that the first one left in its volumes and its root."""


class DeepBoots(Fact, frozen=True, kw_only=True):
    """More starts of the image's own command, each with one thing changed."""

    without: dict[str, Boot] = {}
    """By the variable that it had to do without."""
    other_user: Boot | Unavailable | None = None
    """As a uid that no account has; None where the contract does not ask for it."""
    again: Boot | Unavailable
    """The same once more, after the first was removed."""
    writable: Boot | Unavailable
    """With a writable root, to see what it writes."""
    killed: Restart | Unavailable = NOT_DEEP
    """After SIGKILL, once more in the same container."""
    freeze: Freeze | Unavailable | None = None
    """None where there is no health check."""


class CommandOverride(Fact, frozen=True, kw_only=True):
    """The image's ENTRYPOINT with another command behind it."""

    ran: bool
    """The command's own output came out."""
    happened: str
    """How the container ended, as a clause."""
    output: str = ""
