"""Watches a started container until its start is over and it has settled, has ended, or is late."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seatrial.engine.containers import kill
from seatrial.engine.startup import StartFollower, processes, processor_seconds
from seatrial.facts import Health, HealthAnswer, ProcInfo
from seatrial.observe.running.health_poller import health_poller
from seatrial.observe.running.introspect import Introspection

if TYPE_CHECKING:
    from collections.abc import Iterable

    import docker

    from seatrial.engine.containers import Container
    from seatrial.engine.startup import ProcessRow
    from seatrial.facts import Json
    from seatrial.observe.running.sandbox import BootSetup


SETTLES = 0.3
"""Seconds that an application is watched after its start was over."""
AT_LEAST = 1.2
"""Seconds that it is watched once it has been started, however soon it is healthy: a check may say yes to anything."""
POLL = 0.05
"""Seconds between two polls; a poll takes the engine 2 ms."""
LISTED = 0.5
"""Seconds between two looks at its processes."""
MOST_LISTED = 20
"""Looks at its processes in one start."""
CROWDED = 0.95
"""The part of the processes that it may have from which on it is crowded: those that end make room for a moment."""
FORKED = 0.05
"""The part of them that must be new since the look before: a server with many workers starts no more of them."""
CROWDED_LOOKS = 3
"""Looks in a row that find both until it is killed: it forks without end."""
ENDS_WITHIN = 20.0
"""Seconds that what was killed may take to end, on a machine that it has made busy."""
ENDED = {"exited", "dead"}


@dataclass(kw_only=True)
class Workers:
    """The processes below PID 1 that were seen during a start."""

    seen: dict[int, str] = field(default_factory=dict)
    """Command lines, by number."""
    last: tuple[ProcessRow, ...] = ()
    """Those of the last look, PID 1 among them."""
    looked: float | None = None
    looks: int = 0
    computing: int = 0
    """Looks that found one of them computing, or waiting for a processor."""
    crowded: int = 0
    """Looks in a row that found as many as it may have, new ones among them."""
    _listed: frozenset[int] = frozenset()

    def look(self, client: docker.APIClient, container: str, first: int, now: float, limit: int = 0) -> None:
        """Look at the processes, not too often; `first` is PID 1's number on the engine's host, `limit` their most."""
        # A long start is looked at less and less often: each look takes the engine some 20 ms.
        if now - (self.looked or 0.0) >= max(LISTED, now / 2) and self.looks < MOST_LISTED:
            self.looked, self.looks = now, self.looks + 1
            listed = processes(client, container)
            before, self._listed = self._listed, frozenset(row.pid for row in listed)
            forks = len(self._listed - before) >= limit * FORKED
            self.crowded = self.crowded + 1 if forks and 0 < limit * CROWDED <= len(listed) else 0
            self.take(listed, first)
            self.computing += self.busy

    def take(self, listed: Iterable[ProcessRow], first: int) -> None:
        """Take in a list of the processes."""
        rows = {row.pid: row for row in listed}
        if first in rows:
            self.last = tuple(row for row in rows.values() if row.pid == first or _below(row, first, rows))
            self.seen.update({row.pid: row.command for row in self.last if row.pid != first})

    @property
    def busy(self) -> bool:
        """Return whether one of them computed at the last look, PID 1 among them."""
        return any(row.busy for row in self.last)

    def waited(self, client: docker.APIClient, container: str, seconds: float) -> float:
        """Return for how many of these seconds it would have computed and got no processor, as far as looks tell."""
        taken = processor_seconds(client, container) if self.computing > 1 else None
        return 0.0 if taken is None else max(0.0, seconds * self.computing / self.looks - taken)

    @property
    def most(self) -> int:
        """Return the most processes of one command that have the same parent: its workers, if it has any."""
        kinds = Counter((row.parent, _kind(row.command)) for row in self.last if not row.state.startswith("Z"))
        return max(kinds.values(), default=0)

    @property
    def lost(self) -> tuple[str, ...]:
        """Return the command lines of those that ended while others of the same command went on.

        What ended and was the only one of its kind did its work: a migration, a wait for the database.
        """
        there = {row.pid for row in self.last if not row.state.startswith("Z")}
        kinds = {_kind(row.command) for row in self.last if row.pid in there}
        return tuple(command for pid, command in self.seen.items() if pid not in there and _kind(command) in kinds)


def _below(row: ProcessRow, first: int, rows: dict[int, ProcessRow]) -> bool:
    for _ in rows:
        if row.parent == first:
            return True
        if row.parent not in rows:
            return False
        row = rows[row.parent]
    return False


def _kind(command: str) -> str:
    """Return a command line without its numbers: workers of one kind differ in those alone."""
    return re.sub(r"\d+", "", command)


@dataclass(kw_only=True)
class Watched:
    """What was seen of a start when the watch ended."""

    inspected: Json
    healthy_after: float | None = None
    finished: bool = False
    """Its start was over."""
    finished_after: float | None = None
    """The same in seconds from the start, without a health check."""
    watched: float = 0.0
    introspection: Introspection | None = None
    answer: HealthAnswer | None = None
    """The first success of a health check that seatrial ran, where that came before the engine's."""
    early: bool = False
    """It was inspected too early: it listened nowhere yet, and still computed."""
    workers: Workers = field(default_factory=Workers)
    forked: str = ""
    """That it forked without end, for which it was killed, as a clause."""

    @property
    def state(self) -> Json:
        """Return the container's state."""
        state: Json = self.inspected["State"]
        return state

    @property
    def pid(self) -> int:
        """Return PID 1's number on the engine's host; 0 where it does not run."""
        return int(self.state.get("Pid") or 0)


def until_up(starter: BootSetup, booted: Container, started: float, *, bare: bool = False) -> Watched:
    """Watch a started container until its start is over and it has settled, has ended, or is late.

    Unless `bare`, its health check is asked as soon as it may be ready, and the container is inspected once it is up.
    """
    contract, configuration = starter.contract, starter.configuration
    has_check = configuration.health_check is not None
    at_least = time.monotonic() - started + AT_LEAST
    seen = Watched(inspected={})
    follower = StartFollower(
        client=booted.client,
        container=booted.id,
        ports=frozenset() if has_check else configuration.tcp_ports,
        # What is healthy has started; whether it has also finished its imports tells what listens nowhere.
        idle_for=SETTLES if has_check else contract.stays_up,
        interpreter=starter.interpreter,
    )
    with health_poller(starter.run, configuration, booted.id) as poller:
        poller.over |= bare
        while True:
            seen.inspected = booted.client.inspect_container(booted.id)
            seen.watched = time.monotonic() - started
            if has_check and seen.healthy_after is None:
                seen.answer = _good(poller.poll(busy=bool(seen.inspected.get("ExecIDs"))))
                if seen.answer or health(seen.state) is Health.HEALTHY:
                    seen.healthy_after = seen.watched
            if seen.state["Status"] in ENDED:
                return _ended(seen)
            late = seen.watched >= contract.healthy_within
            _follow(seen, follower, has_check=has_check, bare=bare)
            if seen.workers.crowded >= CROWDED_LOOKS and seen.healthy_after is None:
                return _killed(seen, booted)
            over_after = seen.healthy_after if has_check else seen.finished_after
            if late and has_check and over_after is None and (bare or not _told_late(seen, starter, booted)):
                return seen
            # Without a health check, what still computes when time is up runs all the same.
            if over_after is not None or late:
                if not bare and seen.introspection is None and (seen.finished or late or not seen.early):
                    seen.introspection = _introspection(seen, starter, booted)
                settled = seen.watched >= max((over_after or 0.0) + SETTLES, at_least)
                if settled and (bare or _is_told(seen, follower, late=late)):
                    return seen
            booted.wait(POLL)


def until_ended(booted: Container, started: float, *, within: float) -> Watched:
    """Watch a started job until it has ended, time is up, or it forks without end."""
    seen = Watched(inspected={})
    while True:
        seen.inspected = booted.client.inspect_container(booted.id)
        seen.watched = time.monotonic() - started
        if seen.state["Status"] in ENDED or seen.watched >= within:
            return seen
        _look(seen, booted.client, booted.id)
        if seen.workers.crowded >= CROWDED_LOOKS:
            return _killed(seen, booted)
        booted.wait(POLL)


def _ended(seen: Watched) -> Watched:
    """Return what was seen of a start that has ended, with what its inspection could still tell."""
    if seen.introspection:
        seen.introspection.wait()
    return seen


def _killed(seen: Watched, booted: Container) -> Watched:
    """Kill what forks without end: it never gets ready, and takes the processors from everything else."""
    limit, deadline = seen.inspected["HostConfig"]["PidsLimit"], time.monotonic() + ENDS_WITHIN
    seen.forked = f"it had {limit} processes and threads, as many as it is allowed, started more, and was killed"
    kill(booted)
    while seen.state["Status"] not in ENDED and time.monotonic() < deadline:
        booted.wait(POLL)
        seen.inspected = booted.client.inspect_container(booted.id)
    return _ended(seen)


def _look(seen: Watched, client: docker.APIClient, container: str) -> None:
    """Look at the processes of a start."""
    limit = int(seen.inspected["HostConfig"].get("PidsLimit") or 0)
    seen.workers.look(client, container, seen.pid, seen.watched, limit)


def _follow(seen: Watched, follower: StartFollower, *, has_check: bool, bare: bool) -> None:
    """Look whether a start is over, and at its workers meanwhile."""
    if not bare:
        _look(seen, follower.client, follower.container)
    if has_check and not bare and seen.healthy_after is not None:
        follower.sample(seen.watched)
    if not has_check and not seen.finished and follower.is_over(seen.watched):
        seen.finished, seen.finished_after = True, seen.watched


def _introspection(seen: Watched, starter: BootSetup, booted: Container) -> Introspection:
    return Introspection(
        run=starter.run,
        container=booted.id,
        python=starter.python,
        pid=seen.pid,
        names=starter.asked_names,
    )


def _told_late(seen: Watched, starter: BootSetup, booted: Container) -> bool:
    """Tell whether an inspection of what never became healthy is in progress: where it listens explains that."""
    if seen.introspection is None:
        seen.introspection = _introspection(seen, starter, booted)
    return not seen.introspection.over


def _is_told(seen: Watched, follower: StartFollower, *, late: bool) -> bool:
    """Tell whether the inspection is over, and was not made too early; that one is forgotten, to be made again.

    A health check that says yes to anything passes long before an application that still imports listens.
    """
    if seen.introspection is None:
        # It was forgotten: made again once the application is idle.
        seen.finished = seen.finished or follower.is_over(seen.watched)
        return False
    if not seen.introspection.over:
        return False
    proc = seen.introspection.proc
    listens = isinstance(proc, ProcInfo) and bool(proc.served)
    seen.workers.take(seen.introspection.rows, seen.pid)
    # Ours is asked only of what is idle; that it still is shows in its processes.
    rests = seen.answer is not None and bool(seen.introspection.rows) and not seen.workers.busy
    seen.finished = seen.finished or listens or rests or follower.is_over(seen.watched)
    if seen.finished or late or not isinstance(proc, ProcInfo):
        return True
    seen.introspection, seen.early = None, True
    return False


def health(state: Json) -> Health:
    """Return what the engine's health check says."""
    try:
        return Health((state.get("Health") or {}).get("Status", "none"))
    except ValueError:
        return Health.NONE


def _good(answer: HealthAnswer | None) -> HealthAnswer | None:
    return answer if answer is not None and answer.exit_code == 0 else None
