"""The boot: one real start of the image's own command, watched until it is up, then asked to stop."""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import docker.errors

from seatrial.engine.containers import MOST_WRITTEN, close_stream, container, engine_errors, kill, refusal
from seatrial.facts import Boot, Enforced, Exit, Health, HealthAnswer, Restriction, Stop
from seatrial.facts.boot import NOT_INSPECTED
from seatrial.observe.health_check import health_poller
from seatrial.observe.introspect import Introspection, shared_memory, usage
from seatrial.observe.probe import CANNOT_START
from seatrial.observe.sandbox import boot_config, joined
from seatrial.settings.model import TMPFS_SIZE
from seatrial.text import show_size

if TYPE_CHECKING:
    from collections.abc import Collection
    from concurrent.futures import Future

    from seatrial.engine.containers import Container
    from seatrial.engine.runs import Run
    from seatrial.facts import Configuration, Json
    from seatrial.observe.sandbox import Service
    from seatrial.settings.model import Contract


KEPT_LINES = 100
KEPT_LINE = 1000
"""Characters of one line."""
KEPT_BYTES = 64 * 1024
STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d) ")
STAMP_BYTES = 64
"""Bytes in which the engine's time of a line has its place."""


def last_lines(booted: Container) -> tuple[tuple[str, ...], bool]:
    """Return the last lines of the log; a flood is kept small by the engine (log rotation) and here."""
    kept, cut = bytearray(), False
    stream = booted.client.logs(booted.id, stream=True, tail=KEPT_LINES)
    for part in stream:
        kept += part
        if len(kept) > 2 * KEPT_BYTES:
            cut = True
            del kept[:-KEPT_BYTES]
        if cut and len(kept) > KEPT_BYTES:
            del kept[:-KEPT_BYTES]
    lines = kept.decode("utf-8", errors="replace").splitlines()[-KEPT_LINES:]
    cut = cut or any(len(line) > KEPT_LINE for line in lines)
    return tuple(line[:KEPT_LINE] for line in lines), cut


def first_line_after(booted: Container, started_at: str) -> float | None:
    """Return the seconds from the start to the first line that the log holds; None where it holds none.

    Of a log that was rotated, the first line is gone: the oldest that is left came later.
    """
    kept = bytearray()
    stream = booted.client.logs(booted.id, stream=True, follow=False, timestamps=True)
    try:
        for part in stream:
            kept += part
            if len(kept) >= STAMP_BYTES:
                break
    finally:
        close_stream(stream)
    found = STAMP.match(bytes(kept))
    if found is None:
        return None
    return between(started_at, found.group().decode().strip())


def between(first: str, last: str) -> float:
    """Return the seconds between two of the engine's times (RFC 3339, nanoseconds)."""
    return max(0.0, (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds())


SETTLES = 0.3
"""The most seconds that an application is watched after it became healthy."""
AT_LEAST = 1.2
"""Seconds that it is watched once it has been started, however soon it is healthy: a check may say yes to anything."""
POLL = 0.05
"""Seconds between two polls; a poll takes the engine 2 ms."""
KEPT_PATHS = 50
DOCKER_INIT = ("/sbin/docker-init", "/usr/sbin/docker-init")
"""Where the engine puts its init; the second, where /sbin is a link."""
KILLED = 137
"""The exit code of a process that SIGKILL ended: 128 + 9."""
ENDED = {"exited", "dead"}
AT_ONCE = 2
"""Starts side by side: more would make each other late on a small machine."""


@dataclass(frozen=True, kw_only=True)
class BootSetup:
    """What every start of an image's own command needs."""

    run: Run
    configuration: Configuration
    contract: Contract
    python: Future[str]
    """The interpreter to read /proc with; it is looked for while the first container starts."""
    service: Service | None = None
    """What a compose service adds, where it is started among its services; None where it is started alone."""

    @property
    def at_once(self) -> int:
        """How many starts may run side by side."""
        return AT_ONCE if self.service is None else 1

    def writes_to_disk(self, lifted: Collection[Restriction]) -> bool:
        """Whether a start can write to the engine's disk: to a writable root, or a volume that is no tmpfs."""
        volumes = set(self.configuration.volumes) - set(self.contract.tmpfs) - set(self.configuration.empty_volumes)
        return Restriction.READ_ONLY in lifted or bool(volumes) or self.service is not None

    def plan(self, *, lifted: Collection[Restriction] = (), without: str = "", user: str = "") -> Json:
        """Return the engine's JSON for a container of one start."""
        plan = boot_config(self.configuration, self.contract, lifted=lifted, without=without, user=user)
        return plan if self.service is None else joined(plan, self.service, self.configuration)


@dataclass(kw_only=True)
class Watched:
    """What was seen of a start when the watch ended."""

    inspected: Json
    healthy_after: float | None = None
    watched: float = 0.0
    introspection: Introspection | None = None
    answer: HealthAnswer | None = None
    """The first success of a health check that seatrial ran, where that came before the engine's."""

    @property
    def state(self) -> Json:
        """Return the container's state."""
        state: Json = self.inspected["State"]
        return state


def run_boot(starter: BootSetup, *, lifted: Collection[Restriction] = (), without: str = "", user: str = "") -> Boot:
    """Start the image for real and return what happened.

    `lifted` are restrictions to leave out, `without` is a variable that it must do without, and `user` an account to
    run as in place of the image's.

    Raises:
        EngineError: the engine does not answer.

    """
    configuration = starter.configuration
    in_order = tuple(restriction for restriction in Restriction if restriction in lifted)
    if not configuration.words:
        return Boot(lifted=in_order, start_error="the image has no ENTRYPOINT and no CMD")
    plan = starter.plan(lifted=in_order, without=without, user=user)
    watched = starter.writes_to_disk(in_order)
    with (
        engine_errors(f"starting {configuration.reference}"),
        container(starter.run, plan, watched=watched) as booted,
    ):
        return watch(starter, booted, in_order)


def watch(starter: BootSetup, booted: Container, lifted: tuple[Restriction, ...]) -> Boot:
    """Start a made container, watch it until it is up, has ended or is late, and stop it."""
    configuration, contract = starter.configuration, starter.contract
    started = time.monotonic()
    error = begin(booted)
    if error:
        return Boot(lifted=lifted, start_error=error)
    has_check = configuration.health_check is not None
    seen = until_up(starter, booted, started)
    ended = _exit(seen.state)
    # An application that is not up has nothing to finish: it is killed, not asked.
    up = ended is None and (seen.healthy_after is not None or not has_check)
    first_log = first_line_after(booted, seen.state["StartedAt"])
    taken = (
        seen.introspection.usage if seen.introspection else NOT_INSPECTED if ended else usage(booted.client, booted.id)
    )
    filled = _full_volume(booted, configuration) if ended is None else ""
    stop = _stop(booted, configuration, contract) if up else None
    if ended is None and not up:
        kill(booted)
    lines, cut = last_lines(booted)
    return Boot(
        lifted=lifted,
        enforced=enforced(seen.inspected["HostConfig"]),
        health=_health_of(seen) if has_check else Health.NONE,
        healthy_after=seen.healthy_after,
        answers=(*([seen.answer] if seen.answer else ()), *_answers(seen.state)),
        watched=seen.watched,
        exit=ended,
        stop=stop,
        log=lines,
        log_cut=cut,
        first_log=first_log,
        log_at_stop=first_log is None and stop is not None and bool(lines),
        out_of_memory=bool(seen.state.get("OOMKilled")),
        proc=seen.introspection.proc if seen.introspection else NOT_INSPECTED,
        process_list=seen.introspection.process_list if seen.introspection else NOT_INSPECTED,
        usage=taken,
        filled=filled or _written_to_disk(booted),
        written=_written(booted, seen.inspected, contract) if Restriction.READ_ONLY in lifted else (),
    )


def begin(booted: Container) -> str:
    """Start a made container; return why the engine could not, or nothing."""
    try:
        booted.client.start(booted.id)
    except docker.errors.APIError as error:
        if error.status_code not in CANNOT_START:
            raise
        return refusal(error)
    return ""


def until_up(starter: BootSetup, booted: Container, started: float, *, bare: bool = False) -> Watched:
    """Watch a started container until it is up and settled, has ended, or is late.

    Unless `bare`, its health check is asked as soon as it may be ready, and the container is inspected once it is up.
    """
    contract, has_check = starter.contract, starter.configuration.health_check is not None
    seconds = contract.healthy_within if has_check else contract.stays_up
    at_least = time.monotonic() - started + AT_LEAST
    seen = Watched(inspected={})
    with health_poller(starter.run, starter.configuration, booted.id) as poller:
        poller.over |= bare
        while True:
            seen.inspected = booted.client.inspect_container(booted.id)
            seen.watched = time.monotonic() - started
            if has_check and seen.healthy_after is None:
                seen.answer = _good(poller.poll(busy=bool(seen.inspected.get("ExecIDs"))))
                if seen.answer or health(seen.state) is Health.HEALTHY:
                    seen.healthy_after = seen.watched
            if seen.state["Status"] in ENDED:
                if seen.introspection:
                    seen.introspection.wait()
                return seen
            if seen.healthy_after is not None:
                # The first good answer is not the end: an application that dies right after it is not up.
                seconds = min(max(contract.stays_up, seen.healthy_after), max(seen.healthy_after + SETTLES, at_least))
            # Without a health check it cannot be known when it is ready: it is watched for the whole time.
            due = seen.healthy_after is not None or (not has_check and seen.watched >= seconds)
            if due and not bare and seen.introspection is None:
                pid = int(seen.state.get("Pid") or 0)
                seen.introspection = Introspection(run=starter.run, container=booted.id, python=starter.python, pid=pid)
            # With a health check the inspection lies within the settle time, as a rule, and so costs nothing.
            if seen.watched >= seconds and (seen.introspection is None or seen.introspection.over):
                return seen
            booted.wait(POLL)


def enforced(limits: Json) -> Enforced:
    """Read back what the engine holds a container to: what it cannot do (no such cgroup), it drops with a warning."""
    options = limits.get("SecurityOpt") or ()
    return Enforced(
        read_only=bool(limits.get("ReadonlyRootfs")),
        dropped=tuple(limits.get("CapDrop") or ()),
        added=tuple(limits.get("CapAdd") or ()),
        no_new_privileges=any(option in {"no-new-privileges", "no-new-privileges:true"} for option in options),
        memory=int(limits.get("Memory") or 0),
        processes=max(0, int(limits.get("PidsLimit") or 0)),
    )


def health(state: Json) -> Health:
    """Return what the engine's health check says."""
    try:
        return Health((state.get("Health") or {}).get("Status", "none"))
    except ValueError:
        return Health.NONE


def _health_of(seen: Watched) -> Health:
    """Return its health: the engine's word, or healthy where our own question was answered before the engine's."""
    said = health(seen.state)
    return Health.HEALTHY if seen.answer and said is not Health.UNHEALTHY else said


def _good(answer: HealthAnswer | None) -> HealthAnswer | None:
    return answer if answer is not None and answer.exit_code == 0 else None


def _answers(state: Json) -> tuple[HealthAnswer, ...]:
    rows = (state.get("Health") or {}).get("Log") or ()
    return tuple(
        HealthAnswer(
            exit_code=int(row["ExitCode"]),
            output=str(row.get("Output", ""))[:2000],
            seconds=between(row["Start"], row["End"]),
        )
        for row in rows[-3:]
    )


def _exit(state: Json) -> Exit | None:
    if state["Status"] not in ENDED:
        return None
    return Exit(
        code=int(state["ExitCode"]),
        after=between(state["StartedAt"], state["FinishedAt"]),
        out_of_memory=bool(state.get("OOMKilled")),
        error=str(state.get("Error", "")),
    )


def _stop(booted: Container, configuration: Configuration, contract: Contract) -> Stop:
    """Send the image's stop signal and see how the application takes it."""
    asked = time.monotonic()
    try:
        booted.client.kill(booted.id, signal=configuration.stop_signal)
    except docker.errors.APIError as error:
        # 409: it ended between the last poll and now; its exit code tells the rest.
        if error.status_code != 409:  # noqa: PLR2004 - HTTP conflict
            raise
    while True:
        state = booted.client.inspect_container(booted.id)["State"]
        seconds = time.monotonic() - asked
        if state["Status"] in ENDED:
            return Stop(
                signal=configuration.stop_signal,
                seconds=seconds,
                code=int(state["ExitCode"]),
                killed=int(state["ExitCode"]) == KILLED,
            )
        if seconds >= contract.stops_within:
            kill(booted)
            return Stop(signal=configuration.stop_signal, seconds=seconds, code=KILLED, killed=True)
        booted.wait(POLL)


def _written_to_disk(booted: Container) -> str:
    if not booted.written:
        return ""
    written, most = show_size(booted.written[0]), show_size(MOST_WRITTEN)
    return f"it wrote {written} to its volumes and its root, and was killed: a start may write {most}"


FULL = 0.95
"""The part of a memory-backed volume's size from which on it is asked whether it is full."""
ROOM = 64 * 1024
"""Bytes that a volume that is not full has room for."""
NO_SPACE = "no space left"


def _archive(name: str, size: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = size
        archive.addfile(member, io.BytesIO(bytes(size)))
    return packed.getvalue()


def _full_volume(booted: Container, configuration: Configuration) -> str:
    """Return that a memory-backed volume of a running container is full, as a clause; empty where none is."""
    if not configuration.empty_volumes or shared_memory(booted.client, booted.id) < TMPFS_SIZE * FULL:
        return ""
    for path in configuration.empty_volumes:
        try:
            booted.client.put_archive(booted.id, path, _archive(".seatrial", ROOM))
        except docker.errors.APIError as error:
            if NO_SPACE in str(error.explanation).lower():
                return f"it filled its volume {path}: a start has {show_size(TMPFS_SIZE)} there"
    return ""


def _written(booted: Container, inspected: Json, contract: Contract) -> tuple[str, ...]:
    """Return the paths that it wrote: those that a read-only root would have refused."""
    # Where something is mounted the engine makes the mount point: what is written there is not in the root.
    mounted = (str(mount["Destination"]).rstrip("/") for mount in inspected.get("Mounts") or ())
    host = inspected["HostConfig"]
    allowed = (*contract.tmpfs, *(host.get("Tmpfs") or ()), *mounted, "/dev", "/proc", "/sys", "/run/secrets")
    if host.get("Init"):
        allowed += DOCKER_INIT
    changed = [row["Path"] for row in booted.client.diff(booted.id) or ()]
    # The engine lists the folders above a changed path too: only the ends tell something.
    above = {posixpath.dirname(path) for path in changed}
    ends = [path for path in changed if path not in above]
    outside = [path for path in ends if not any(path == top or path.startswith(f"{top}/") for top in allowed)]
    return tuple(outside[:KEPT_PATHS])
