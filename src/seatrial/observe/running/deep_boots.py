"""The starts of level deep: with one thing changed each, frozen while it runs, and again after SIGKILL."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import docker.errors

from seatrial.engine.containers import container, engine_errors, kill
from seatrial.facts import Boot, DeepBoots, Freeze, Health, Restart, Restriction, Unavailable
from seatrial.inside import script
from seatrial.observe.archive import Archive, ArchiveError, LimitExceededError, Limits
from seatrial.observe.files import EngineFiles
from seatrial.observe.running.boot import begin, ended, health_of, last_lines, run_boot
from seatrial.observe.running.sandbox import HEALTH_EVERY, BootSetup, with_lasting_volumes
from seatrial.observe.running.watch import ENDED, POLL, health, until_up

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from seatrial.engine.containers import Container
    from seatrial.facts import Json


ARBITRARY_USER = "1000620000:0"
"""A uid as OpenShift makes them up for each project, with group 0; no account has it."""
COLUMNS = "-eo pid,ppid,stat"
FREEZE_SECONDS = 5.0
"""The most seconds for the processes to be seen stopped."""
NOT_UP = Unavailable(reason="it does not start, so it was not started again: see boot/healthy or boot/stays-up")


def deep_boots(starter: BootSetup, first: Boot) -> DeepBoots | Unavailable:
    """Start a working image again and again, with one thing changed each time."""
    if not first.came_up:
        return NOT_UP
    lifted, contract = first.lifted, starter.contract
    with ThreadPoolExecutor(max_workers=starter.at_once, thread_name_prefix="deep") as pool:
        has_check = starter.configuration.health_check is not None
        # The longest first, so that the others run beside it; one by one it is the last, as it is killed: what that
        # leaves behind in a volume is not the next one's fault.
        freezing = pool.submit(freeze, starter, lifted) if has_check and starter.at_once > 1 else None
        again = pool.submit(run_boot, starter, lifted=lifted)
        writing = pool.submit(run_boot, starter, lifted={*lifted, Restriction.READ_ONLY}) if first.read_only else None
        without = {
            name: pool.submit(run_boot, starter, lifted=lifted, without=name)
            for name in dict.fromkeys(contract.required_environment)
        }
        other = pool.submit(run_boot, starter, lifted=lifted, user=ARBITRARY_USER) if contract.arbitrary_uid else None
        killed = pool.submit(restart, starter, lifted)
        if has_check and freezing is None:
            freezing = pool.submit(freeze, starter, lifted)
        return DeepBoots(
            without={name: boot.result() for name, boot in without.items()},
            other_user=other.result() if other else None,
            again=again.result(),
            writable=writing.result() if writing else first,
            killed=killed.result(),
            freeze=freezing.result() if freezing else None,
        )


def freeze(starter: BootSetup, lifted: tuple[Restriction, ...]) -> Freeze | Unavailable:
    """Start it, stop every process of it once it is healthy, and see what its health check says then."""
    configuration = starter.configuration
    plan = starter.plan(lifted=lifted)
    # One bad answer is enough: how often the engine asks again is the engine's to keep, and nothing of the image.
    plan["Healthcheck"]["Retries"] = 1
    watched = starter.writes_to_disk(lifted)
    with engine_errors(f"freezing {configuration.reference}"), container(starter.run, plan, watched=watched) as booted:
        error = begin(booted)
        if error:
            return Unavailable(reason="it could not be started to be frozen", detail=error)
        seen = until_up(starter, booted, time.monotonic(), bare=True)
        if seen.healthy_after is None or seen.state["Status"] in ENDED:
            return Unavailable(reason="it did not become healthy when it was started to be frozen")
        python = starter.python.result(timeout=FREEZE_SECONDS)
        problem = _stop_all(booted, python, str(seen.state.get("Pid")))
        if problem:
            return Unavailable(reason="its processes could not be frozen", detail=problem)
        frozen = _until_unhealthy(starter, booted)
        kill(booted)
        return frozen


def _stop_all(booted: Container, python: str, pid: str) -> str:
    """Stop every process; return why that could not be done, or nothing."""
    client = booted.client
    try:
        if len(_states(client.top(booted.id, ps_args=COLUMNS), pid)) > 1 and not python:
            return "the image holds no Python interpreter to send the signal with"
        if python:
            made = client.exec_create(
                booted.id, [python, "-I", "-S", "-B", "-c", script("freeze")], stdout=False, stderr=False
            )
            client.exec_start(made["Id"], detach=True)
            _until(booted, lambda: not client.exec_inspect(made["Id"])["Running"])
        client.kill(booted.id, signal="SIGSTOP")

        def all_stopped() -> bool:
            states = _states(client.top(booted.id, ps_args=COLUMNS), pid).values()
            return bool(states) and all(state.startswith(("T", "Z")) for state in states)

        stopped = _until(booted, all_stopped)
    except docker.errors.APIError as error:
        return str(error.explanation)
    return "" if stopped else f"after {FREEZE_SECONDS:g} s not all of them are seen to be stopped"


def _states(listed: Mapping[str, Any], first: str) -> dict[str, str]:
    """Return the states of PID 1, by its number, and of all below it; empty where the engine's table has them not."""
    titles = listed.get("Titles") or []
    if titles[:3] != ["PID", "PPID", "STAT"]:
        return {}
    rows = {row[0]: row for row in listed.get("Processes") or [] if len(row) >= 3}  # noqa: PLR2004 - its columns

    def below(number: str) -> bool:
        for _ in rows:
            if number == first:
                return True
            number = rows[number][1] if number in rows else ""
        return False

    return {number: row[2] for number, row in rows.items() if below(number)}


def _until(booted: Container, done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + FREEZE_SECONDS
    while not (over := done()) and time.monotonic() < deadline:
        booted.wait(POLL)
    return over


def _until_unhealthy(starter: BootSetup, booted: Container) -> Freeze:
    check = starter.configuration.health_check
    # One check has to begin and to run into its timeout, whatever the contract allows.
    seconds = max(starter.contract.unhealthy_within, HEALTH_EVERY + (check.timeout if check else 0.0) + 1.0)
    began = time.monotonic()
    while True:
        state = booted.client.inspect_container(booted.id)["State"]
        passed = time.monotonic() - began
        unhealthy = health(state) is Health.UNHEALTHY
        if unhealthy or passed >= seconds or state["Status"] in ENDED:
            rows = (state.get("Health") or {}).get("Log") or [{}]
            return Freeze(
                unhealthy_after=passed if unhealthy else None,
                waited=passed,
                output=str(rows[-1].get("Output", ""))[:2000],
            )
        booted.wait(POLL)


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
