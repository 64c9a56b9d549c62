"""The boot: one real start of the image's own command, watched until it is up, then asked to stop."""

from __future__ import annotations

import posixpath
import time
from datetime import datetime
from typing import TYPE_CHECKING

from seatrial.engine.containers import container, engine_errors, kill, refusal
from seatrial.facts.data import Boot, Exit, Health, HealthAnswer, Stop
from seatrial.facts.sandbox import boot_config

if TYPE_CHECKING:
    from seatrial.engine.containers import Container
    from seatrial.engine.runs import Run
    from seatrial.facts.data import Configuration, Json
    from seatrial.settings.model import Contract

SETTLES = 0.3
"""The most seconds that an application is watched after it became healthy."""
POLL = 0.05
"""Seconds between two looks; one look takes the engine 2 ms."""
KEPT_LINES = 100
KEPT_LINE = 1000
"""Characters of one line."""
KEPT_BYTES = 64 * 1024
KEPT_PATHS = 50
KILLED = 137
"""The exit code of a process that SIGKILL ended: 128 + 9."""


def run_boot(run: Run, configuration: Configuration, contract: Contract, *, read_only: bool = True) -> Boot:
    """Start the image for real and return what happened.

    Raises:
        EngineError: the engine does not answer.

    """
    if not configuration.words:
        return Boot(read_only=read_only, start_error="the image has no ENTRYPOINT and no CMD")
    plan = boot_config(configuration, contract, read_only=read_only)
    with engine_errors(f"starting {configuration.reference}"), container(run, plan) as booted:
        return watch(booted, configuration, contract, read_only=read_only)


def watch(booted: Container, configuration: Configuration, contract: Contract, *, read_only: bool) -> Boot:
    """Start a made container, watch it until it is up, has ended or is late, and stop it."""
    import docker.errors

    started = time.monotonic()
    try:
        booted.client.start(booted.id)
    except docker.errors.APIError as error:
        if error.status_code not in {400, 404, 500}:
            raise
        return Boot(read_only=read_only, start_error=refusal(error))
    has_check = configuration.health_check is not None
    state, healthy_after = _until_up(booted, contract, started, has_check=has_check)
    watched = time.monotonic() - started
    ended = _exit(state)
    # An application that is not up has nothing to finish: it is killed, not asked.
    up = ended is None and (healthy_after is not None or not has_check)
    stop = _stop(booted, configuration, contract) if up else None
    if ended is None and not up:
        kill(booted)
    lines, cut = _log(booted)
    return Boot(
        read_only=read_only,
        health=_health(state) if has_check else Health.NONE,
        healthy_after=healthy_after,
        answers=_answers(state),
        watched=watched,
        exit=ended,
        stop=stop,
        log=lines,
        log_cut=cut,
        written=() if read_only else _written(booted, configuration, contract),
    )


def _until_up(booted: Container, contract: Contract, started: float, *, has_check: bool) -> tuple[Json, float | None]:
    seconds = contract.healthy_within if has_check else contract.stays_up
    healthy_after: float | None = None
    while True:
        state = booted.client.inspect_container(booted.id)["State"]
        passed = time.monotonic() - started
        if has_check and healthy_after is None and _health(state) is Health.HEALTHY:
            healthy_after = passed
        if state["Status"] in {"exited", "dead"}:
            return state, healthy_after
        if healthy_after is not None:
            # The first good answer is not the end: an application that dies right after it is not up.
            seconds = min(max(contract.stays_up, healthy_after), healthy_after + SETTLES)
        if passed >= seconds:
            return state, healthy_after
        booted.wait(POLL)


def _health(state: Json) -> Health:
    try:
        return Health(state.get("Health", {}).get("Status", "none"))
    except ValueError:
        return Health.NONE


def _answers(state: Json) -> tuple[HealthAnswer, ...]:
    rows = state.get("Health", {}).get("Log") or ()
    return tuple(
        HealthAnswer(
            exit_code=int(row["ExitCode"]),
            output=str(row.get("Output", ""))[:2000],
            seconds=_between(row["Start"], row["End"]),
        )
        for row in rows[-3:]
    )


def _exit(state: Json) -> Exit | None:
    if state["Status"] not in {"exited", "dead"}:
        return None
    return Exit(
        code=int(state["ExitCode"]),
        after=_between(state["StartedAt"], state["FinishedAt"]),
        out_of_memory=bool(state.get("OOMKilled")),
        error=str(state.get("Error", "")),
    )


def _between(first: str, last: str) -> float:
    """Return the seconds between two of the engine's times (RFC 3339, nanoseconds)."""
    return max(0.0, (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds())


def _stop(booted: Container, configuration: Configuration, contract: Contract) -> Stop:
    """Send the image's stop signal and see how the application takes it."""
    import docker.errors

    asked = time.monotonic()
    try:
        booted.client.kill(booted.id, signal=configuration.stop_signal)
    except docker.errors.APIError as error:
        # 409: it ended between the last look and now; its exit code tells the rest.
        if error.status_code != 409:  # noqa: PLR2004 - HTTP conflict
            raise
    while True:
        state = booted.client.inspect_container(booted.id)["State"]
        seconds = time.monotonic() - asked
        if state["Status"] in {"exited", "dead"}:
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


def _log(booted: Container) -> tuple[tuple[str, ...], bool]:
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


def _written(booted: Container, configuration: Configuration, contract: Contract) -> tuple[str, ...]:
    """Return the paths that it wrote: those that a read-only root would have refused."""
    allowed = (*contract.tmpfs, *configuration.volumes, "/dev", "/proc", "/sys", "/run/secrets")
    changed = [row["Path"] for row in booted.client.diff(booted.id) or ()]
    # The engine lists the folders above a changed path too: only the ends tell something.
    above = {posixpath.dirname(path) for path in changed}
    ends = [path for path in changed if path not in above]
    outside = [path for path in ends if not any(path == top or path.startswith(f"{top}/") for top in allowed)]
    return tuple(outside[:KEPT_PATHS])
