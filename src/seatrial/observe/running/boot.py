"""The boot: one real start of the image's own command, watched until it is up, then asked to stop."""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
import time
from datetime import datetime
from typing import TYPE_CHECKING

import docker.errors

from seatrial.engine.containers import MOST_WRITTEN, container, engine_errors, kill, refusal
from seatrial.engine.streams import close_stream
from seatrial.facts import Boot, Enforced, Exit, Health, HealthAnswer, Restriction, Stop
from seatrial.facts.boot import KILLED, NOT_INSPECTED
from seatrial.observe.running.introspect import shared_memory, usage
from seatrial.observe.running.probe import CANNOT_START
from seatrial.observe.running.questions import send_requests
from seatrial.observe.running.sandbox import BootSetup
from seatrial.observe.running.watch import ENDED, POLL, Watched, health, until_ended, until_up
from seatrial.settings.model import TMPFS_SIZE
from seatrial.text import show_size

if TYPE_CHECKING:
    from collections.abc import Collection

    from seatrial.engine.containers import Container
    from seatrial.facts import Configuration, Json
    from seatrial.settings.model import Contract


KEPT_PATHS = 50
DOCKER_INIT = ("/sbin/docker-init", "/usr/sbin/docker-init")
"""Where the engine puts its init; the second, where /sbin is a link."""


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
    with engine_errors(f"starting {configuration.reference}"), container(starter.run, plan, watched=watched) as booted:
        return watch(starter, booted, in_order)


def watch(starter: BootSetup, booted: Container, lifted: tuple[Restriction, ...]) -> Boot:
    """Start a made container, watch it until it is up, has ended or is late, and stop it."""
    configuration, contract = starter.configuration, starter.contract
    started = time.monotonic()
    error = begin(booted)
    if error:
        return Boot(lifted=lifted, start_error=error)
    has_check = configuration.health_check is not None
    within = contract.healthy_within
    seen = until_ended(booted, started, within=within) if contract.job else until_up(starter, booted, started)
    over = ended(seen.state)
    # An application that is not up has nothing to finish: it is killed, not asked. A job that is late is not up.
    up = over is None and not contract.job and (seen.healthy_after is not None or not has_check)
    first_log = first_line_after(booted, seen.state["StartedAt"])
    taken = (
        seen.introspection.usage if seen.introspection else NOT_INSPECTED if over else usage(booted.client, booted.id)
    )
    filled = _full_volume(booted, configuration) if over is None else ""
    proc = seen.introspection.proc if seen.introspection else NOT_INSPECTED
    answered = send_requests(starter, booted.id, contract.answers, proc) if up and contract.answers else ()
    stop = _stop(booted, configuration, contract) if up else None
    late = over is None and not up
    waited = seen.workers.waited(booted.client, booted.id, seen.watched) if late else 0.0
    if late:
        kill(booted)
    lines, cut = last_lines(booted)
    return Boot(
        lifted=lifted,
        job=contract.job,
        enforced=enforced(seen.inspected["HostConfig"]),
        health=health_of(seen, configuration),
        healthy_after=seen.healthy_after,
        finished=seen.finished,
        finished_after=seen.finished_after,
        answers=(*([seen.answer] if seen.answer else ()), *_answers(seen.state)),
        watched=seen.watched,
        waited=waited,
        exit=over,
        stop=stop,
        log=lines,
        log_cut=cut,
        first_log=first_log,
        log_at_stop=first_log is None and stop is not None and bool(lines),
        out_of_memory=bool(seen.state.get("OOMKilled")),
        proc=proc,
        process_list=seen.introspection.process_list if seen.introspection else NOT_INSPECTED,
        usage=taken,
        filled=filled or seen.forked or _written_to_disk(booted),
        answered=answered,
        workers=seen.workers.most,
        lost=seen.workers.lost if over is None else (),
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


def health_of(seen: Watched, configuration: Configuration) -> Health:
    """Return its health: the engine's word, or healthy where our own question was answered before the engine's."""
    if configuration.health_check is None:
        return Health.NONE
    said = health(seen.state)
    return Health.HEALTHY if seen.answer and said is not Health.UNHEALTHY else said


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


def ended(state: Json) -> Exit | None:
    """Return how a container ended; None while it runs."""
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


KEPT_LINES = 100
KEPT_LINE = 1000
"""Characters of one line."""
KEPT_BYTES = 64 * 1024
STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d) ")
STAMP_BYTES = 64
"""Bytes in which the engine's time of a line has its place."""


def last_lines(booted: Container, *, since: str = "") -> tuple[tuple[str, ...], bool]:
    """Return the last lines of the log, and whether more was written than is kept.

    A flood is kept small by the engine (log rotation) and here. `since` is the engine's time from which on they count.
    """
    kept, cut = bytearray(), False
    later = datetime.fromisoformat(since).timestamp() if since else None
    stream = booted.client.logs(booted.id, stream=True, tail=KEPT_LINES, since=later)
    for part in stream:
        kept += part
        if len(kept) > 2 * KEPT_BYTES:
            cut = True
            del kept[:-KEPT_BYTES]
        if cut and len(kept) > KEPT_BYTES:
            del kept[:-KEPT_BYTES]
    lines = lines_in(bytes(kept))[-KEPT_LINES:]
    cut = cut or any(len(line) > KEPT_LINE for line in lines)
    return tuple(line[:KEPT_LINE] for line in lines), cut


def lines_in(output: bytes) -> list[str]:
    """Return the lines of an output, with their carriage returns: these tell of files with Windows line ends."""
    lines = output.decode("utf-8", errors="replace").split("\n")
    return lines if lines[-1] else lines[:-1]


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
