"""Starts an application again in its container, on its volumes, after SIGKILL: what a crash left behind is there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import docker.errors

from seatrial.engine.containers import container, engine_errors, kill
from seatrial.facts import Boot, Restart, Restriction, Unavailable
from seatrial.observe.archive import Archive, ArchiveError, LimitExceededError, Limits
from seatrial.observe.boot import begin, ended, health_of
from seatrial.observe.boot_log import last_lines
from seatrial.observe.files import EngineFiles
from seatrial.observe.sandbox import with_lasting_volumes
from seatrial.observe.watch import ENDED, POLL, until_up

if TYPE_CHECKING:
    from seatrial.engine.containers import Container
    from seatrial.facts import Json
    from seatrial.observe.boot import BootSetup


DIES_WITHIN = 5.0
"""Seconds for a killed container to be seen ended."""
MOST_FILES = 100
LISTING = Limits(seconds=5.0, most=16_000_000, entries=2000)
"""What it may take to list a volume."""


def restart(starter: BootSetup, lifted: tuple[Restriction, ...]) -> Restart | Unavailable:
    """Start it, kill it once it is up, and start the same container again.

    Raises:
        EngineError: the engine does not answer.

    """
    reference = starter.configuration.reference
    plan = with_lasting_volumes(starter.plan(lifted=lifted))
    with engine_errors(f"starting {reference} again"), container(starter.run, plan, watched=True) as booted:
        error = begin(booted)
        if error:
            return Unavailable(reason="it could not be started to be killed", detail=error)
        first = until_up(starter, booted, time.monotonic(), bare=True)
        if first.state["Status"] in ENDED or (first.healthy_after is None and not first.finished):
            return Unavailable(reason="its start was not over when it was started to be killed")
        kill(booted)
        if not _has_ended(booted):
            return Unavailable(reason=f"it was not seen to end within {DIES_WITHIN:g} s of SIGKILL")
        files = left_behind(booted, first.inspected)
        error = begin(booted)
        if error:
            return Restart(boot=Boot(lifted=lifted, start_error=error), files=files)
        seen = until_up(starter, booted, time.monotonic(), bare=True)
        over = ended(seen.state)
        if over is None:
            kill(booted)
        lines, cut = last_lines(booted, since=seen.state["StartedAt"])
        boot = Boot(
            lifted=lifted,
            health=health_of(seen, starter.configuration),
            healthy_after=seen.healthy_after,
            finished=seen.finished,
            finished_after=seen.finished_after,
            watched=seen.watched,
            exit=over,
            log=lines,
            log_cut=cut,
        )
        return Restart(boot=boot, files=files)


def _has_ended(booted: Container) -> bool:
    deadline = time.monotonic() + DIES_WITHIN
    while booted.client.inspect_container(booted.id)["State"]["Status"] not in ENDED:
        if time.monotonic() >= deadline:
            return False
        booted.wait(POLL)
    return True


def left_behind(booted: Container, inspected: Json) -> tuple[str, ...]:
    """Return the files in the volumes of a container that has ended, and those that it wrote to its root."""
    found: list[str] = []
    files = EngineFiles(booted.client, booted.id)
    for mount in (mount for mount in inspected.get("Mounts") or () if mount.get("Type") == "volume"):
        folder = str(mount["Destination"]).rstrip("/")
        try:
            with files.tree(folder) as stream:
                # The engine names what it packs from the folder itself on.
                for member in Archive(stream, LISTING):
                    if member.letter in {"f", "o"} and len(found) < MOST_FILES:
                        found.append(f"{folder}/{member.path.lstrip('/').partition('/')[2]}")
        except (docker.errors.APIError, ArchiveError, LimitExceededError, OSError):
            continue
    if not inspected["HostConfig"].get("ReadonlyRootfs"):
        found += [str(row["Path"]) for row in booted.client.diff(booted.id) or () if row.get("Kind") == 1]
    return tuple(found[:MOST_FILES])
