"""Decides when the start of a container is over; and reads from the engine what that takes.

A start is over when its health check says so. Without one: when it listens where it should and has stopped computing;
or, with no port to listen on, when it has computed next to nothing for a while. Never after fixed seconds: imports on a
busy machine take ten times as long as alone.
"""

from __future__ import annotations

import ipaddress
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import docker.errors
import requests

from seatrial.engine.streams import close_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


IDLE_FOR = 6.0
"""Seconds for which what has no port to listen on must have computed next to nothing."""
SETTLED = 0.5
"""The same for what listens where it should."""
NEXT_TO_NOTHING = 0.1
"""The share of one processor below which that holds."""
SAMPLED = 0.1
"""The fewest seconds between two samples of its processor time."""
LISTENED = 1.0
"""The fewest seconds between two looks at its ports."""
NANOSECONDS = 1_000_000_000
COLUMNS = "-eo pid,ppid,stat,args"
MOST_BYTES = 256 * 1024
RESOLVER = bytes((127, 0, 0, 11))
"""Where the engine itself answers names, in each container on a network of a person's own."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What is seen of a running container at one moment of its start."""

    healthy: bool | None
    """Whether its health check has passed; None where it has none."""
    idle_for: float
    """Seconds for which it has computed next to nothing, up to now."""
    ports: frozenset[int] = frozenset()
    """The TCP ports on which it should listen."""
    required: bool = True
    """Whether it should listen on them in any case: a worker often shares the image of a server, and its EXPOSE."""
    listening: frozenset[int] | None = None
    """The TCP ports on which it listens; None where that cannot be seen."""


def is_over(sight: Sight, *, idle_for: float = IDLE_FOR) -> bool:
    """Tell whether a start is over; `idle_for` are the seconds that one without a port must have been idle."""
    if sight.healthy is not None:
        return sight.healthy
    if sight.ports and sight.listening is not None:
        if sight.ports <= sight.listening:
            return sight.idle_for >= min(SETTLED, idle_for)
        if sight.required and not sight.listening:
            return False
    return sight.idle_for >= idle_for


@dataclass(frozen=True, kw_only=True)
class ProcessRow:
    """A process of a container, as the engine's `ps` lists it."""

    pid: int
    """Its number on the engine's host."""
    parent: int
    state: str
    """As ps writes it: R runs or waits for a processor, D waits for a disk, S sleeps, T is stopped, Z has ended."""
    command: str

    @property
    def busy(self) -> bool:
        """Whether it computes, or would if it were given a processor or its data."""
        return self.state.startswith(("R", "D"))


def processes(client: docker.APIClient, container: str) -> tuple[ProcessRow, ...]:
    """Return the processes of a container as the engine lists them; none where it cannot tell their states."""
    try:
        listed: Mapping[str, Any] = client.top(container, ps_args=COLUMNS)
    except (docker.errors.APIError, requests.exceptions.Timeout):
        return ()
    if (listed.get("Titles") or [])[:3] != ["PID", "PPID", "STAT"]:
        return ()
    rows = [row for row in listed.get("Processes") or () if len(row) >= 3]  # noqa: PLR2004 - its columns
    return tuple(
        ProcessRow(pid=int(row[0]), parent=int(row[1]), state=row[2], command=" ".join(row[3:]))
        for row in rows
        if row[0].isdigit() and row[1].isdigit()
    )


def processor_seconds(client: docker.APIClient, container: str) -> float | None:
    """Return the processor time that a container has taken; None where the engine does not count it."""
    try:
        counted: Any = client.stats(container, stream=False, one_shot=True)
        # A start takes some time of a processor: 0 is an engine that does not count.
        return int(counted["cpu_stats"]["cpu_usage"]["total_usage"]) / NANOSECONDS or None
    except (docker.errors.APIError, docker.errors.InvalidVersion, requests.exceptions.Timeout):
        return None
    except (KeyError, TypeError, ValueError):
        return None


@dataclass(kw_only=True)
class Activity:
    """Follows how much a container computes."""

    client: docker.APIClient
    container: str
    most: float = 2 * IDLE_FOR
    """Seconds of the past that are kept."""
    _samples: deque[tuple[float, float]] = field(default_factory=deque)

    def idle_for(self, now: float) -> float:
        """Return the seconds, up to now, for which it has computed next to nothing; `now` is any clock's time.

        With an engine that does not count, those since the first look.
        """
        if not self._samples or now - self._samples[-1][0] >= SAMPLED:
            taken = processor_seconds(self.client, self.container)
            self._samples.append((now, self._samples[-1][1] if taken is None and self._samples else taken or 0.0))
            while now - self._samples[0][0] > self.most:
                self._samples.popleft()
        last, taken = self._samples[-1]
        return max(
            (last - at for at, before in self._samples if taken - before <= NEXT_TO_NOTHING * (last - at)), default=0.0
        )


@dataclass(kw_only=True)
class StartFollower:
    """Follows the start of one container that has no health check, until it is over."""

    client: docker.APIClient
    container: str
    ports: frozenset[int] = frozenset()
    """The TCP ports on which it should listen."""
    required: bool = True
    """Whether it should do so in any case."""
    idle_for: float = IDLE_FOR
    """Seconds for which it must have been idle where it has no port."""
    interpreter: Callable[[], str] = str
    """Gives the path of a Python in it that can read its ports where it has no `cat`; empty where it has none."""
    listening: frozenset[int] | None = None
    """The TCP ports on which it listened when that was last looked at; None where that cannot be seen."""
    _activity: Activity = field(init=False)
    _listened: float | None = None

    def __post_init__(self) -> None:
        self._activity = Activity(client=self.client, container=self.container, most=2 * max(self.idle_for, SETTLED))

    def sample(self, now: float) -> None:
        """Note how much it computes, and no more."""
        self._activity.idle_for(now)

    def is_over(self, now: float) -> bool:
        """Look once, and tell whether its start is over."""
        idle_for = self._activity.idle_for(now)
        if idle_for < min(SETTLED, self.idle_for):
            return False
        if self.ports and (self._listened is None or now - self._listened >= LISTENED):
            self._listened, self.listening = now, listening(self.client, self.container, self.interpreter)
        sight = Sight(
            healthy=None, idle_for=idle_for, ports=self.ports, required=self.required, listening=self.listening
        )
        # On a busy machine, what waits for a processor looks as idle as what waits for a request.
        return is_over(sight, idle_for=self.idle_for) and not any(
            process.busy for process in processes(self.client, self.container)
        )


TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
READ_TABLES = "import sys\nfor name in sys.argv[1:]:\n try: print(open(name).read())\n except OSError: pass\n"


def listening(client: docker.APIClient, container: str, interpreter: Callable[[], str] = str) -> frozenset[int] | None:
    """Return the TCP ports on which something listens in a running container, as one of its own programs reads them.

    None where none of them could.
    """
    found = sockets(client, container, interpreter)
    return None if found is None else frozenset(found)


def sockets(client: docker.APIClient, container: str, interpreter: Callable[[], str] = str) -> dict[int, bool] | None:
    """Return the same ports, each with whether it is reached from outside of the container."""
    found = _tables(client, container, ["cat", *TABLES])
    if found is None and (python := interpreter()):
        found = _tables(client, container, [python, "-I", "-S", "-B", "-c", READ_TABLES, *TABLES])
    return found


def _tables(client: docker.APIClient, container: str, words: list[str]) -> dict[int, bool] | None:
    try:
        made = client.exec_create(container, words, stderr=False)
        stream = client.exec_start(made["Id"], stream=True)
        try:
            output = _beginning(stream)
        finally:
            close_stream(stream)
    except (docker.errors.APIError, requests.exceptions.Timeout):
        return None
    lines = output.decode("ascii", "replace").splitlines()
    # The kernel's heading: what does not begin with it is an error of the engine, or of another program.
    return ports_in(lines) if any("local_address" in line for line in lines[:3]) else None


def _beginning(stream: Iterable[bytes]) -> bytes:
    output = bytearray()
    for part in stream:
        output += part
        if len(output) > MOST_BYTES:
            break
    return bytes(output)


def ports_in(lines: Iterable[str]) -> dict[int, bool]:
    """Return the ports that listen, from the lines of the kernel's tables; without those of the engine's own names.

    Of each, whether it is reached from outside of the container: not by its loopback alone.
    """
    found: dict[int, bool] = {}
    for line in lines:
        fields = line.split()
        if len(fields) > 3 and fields[3] == "0A":  # noqa: PLR2004 - the column of the state; 0A is LISTEN
            host, _, port = fields[1].partition(":")
            try:
                address, number = bytes.fromhex(host), int(port, 16)
            except ValueError:
                continue
            if address not in {RESOLVER, RESOLVER[::-1]}:
                found[number] = found.get(number, False) or not _is_loopback(address)
    return found


def _is_loopback(address: bytes) -> bool:
    """Tell whether an address of the kernel's tables is the loopback's: words of four bytes in the host's order."""
    words = [address[at : at + 4] for at in range(0, len(address), 4)]
    plain = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    found = ipaddress.ip_address(plain) if len(plain) in {4, 16} else None
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback if found is not None else False
