"""Takes away what the app stands on, and sees how it does: its database, and at last everything."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from seatrial.compose.services import in_order, waiting_for
from seatrial.engine.containers import engine_errors
from seatrial.facts import DatabaseRestart, ServiceStop, Unavailable
from seatrial.stack import containers as observe
from seatrial.stack import down
from seatrial.stack.exchange import NO_WRITE, PATIENCE, container_restarts, read_back, store
from seatrial.stack.state import ContainerStatus, declared_by

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from seatrial.compose.services import Stack
    from seatrial.engine.find import Engine
    from seatrial.facts import Exchange
    from seatrial.settings.model import StackContract, StackWrite
    from seatrial.stack.exchange import Agent, Written
    from seatrial.stack.state import ContainerState


POLL = 0.1
"""Seconds between two writes."""
BEFORE = 5
"""Writes before the database is restarted."""
KILLED = 137
"""The exit code of a process that SIGKILL ended: 128 + 9."""
MOST_SHOWN = 10
NO_DATABASE = Unavailable(reason="the contract's `stack` names no `database`")


def restart_database(
    engine: Engine, agent: Agent, asked: StackContract, containers: Sequence[ContainerState], app: ContainerState
) -> DatabaseRestart | Unavailable:
    """Write all the while that the database restarts, then look for all that was acknowledged.

    Raises:
        EngineError: the engine stopped answering, or could not start the database again.

    """
    if asked.database is None:
        return NO_DATABASE
    if asked.write is None or asked.read is None:
        return NO_WRITE
    database = next((one for one in containers if one.service == asked.database), None)
    if database is None or database.status is not ContainerStatus.RUNNING:
        return Unavailable(reason=f"{asked.database} does not run, so that it cannot be restarted")
    restarts = container_restarts(engine, app.id)
    writes = [store(agent, asked.write) for _ in range(BEFORE)]
    with ThreadPoolExecutor(max_workers=1) as beside:
        restarting = beside.submit(_restart, engine, database)
        recovered = _write_on(agent, asked.write, asked.recovers_within, restarting, writes)
    took, killed = restarting.result()
    stored = [one for one in writes if one.reply.good]
    refusals = [str(one.reply) for one in writes if not one.reply.good]
    return DatabaseRestart(
        service=database.service,
        took=took,
        killed=killed,
        acknowledged=len(stored),
        refused=len(refusals),
        refusals=tuple(dict.fromkeys(refusals))[:MOST_SHOWN],
        lost=() if recovered is None else _lost(agent, asked.write, asked.read, stored, seconds=asked.recovers_within),
        recovered_after=recovered,
        last=writes[-1].reply,
        app_restarts=container_restarts(engine, app.id) - restarts,
    )


def _write_on(
    agent: Agent, write: StackWrite, seconds: float, restarting: Future[tuple[float, bool]], writes: list[Written]
) -> float | None:
    """Write until a write is stored that was sent after the restart; return how long after it that was."""
    back: float | None = None
    while True:
        if back is None and restarting.done():
            back = time.monotonic()
        writes.append(store(agent, write))
        elapsed = 0.0 if back is None else time.monotonic() - back
        if back is not None and writes[-1].reply.good:
            return elapsed
        if elapsed >= seconds:
            return None
        time.sleep(POLL)


def _restart(engine: Engine, database: ContainerState) -> tuple[float, bool]:
    """Stop a container as its compose file says, and start it again."""
    with engine_errors(f"restarting {database.service}"):
        client = engine.connection()
        try:
            started = time.monotonic()
            client.stop(database.id, timeout=database.stop_seconds)
            code = int(client.inspect_container(database.id)["State"]["ExitCode"])
            client.start(database.id)
            return time.monotonic() - started, code == KILLED
        finally:
            client.close()


def _lost(agent: Agent, write: StackWrite, read: str, stored: Sequence[Written], *, seconds: float) -> tuple[str, ...]:
    """Return what cannot be read any more; after some, it is plain enough. The app may take `seconds` to recover."""
    lost: list[str] = []
    until = time.monotonic() + seconds
    for one in stored:
        back = read_back(agent, write, read, one, patience=max(PATIENCE, until - time.monotonic()))
        if not back.held:
            lost.append(_how(back))
        if len(lost) == MOST_SHOWN:
            break
    return tuple(lost)


def _how(lost: Exchange) -> str:
    if lost.problem:
        return f"{lost.write}: {lost.problem}"
    if lost.missing:
        return f"{lost.read}: its answer does not show {', '.join(lost.missing)}"
    return f"{lost.read}: {lost.shown}"


def stop_app(engine: Engine, stack: Stack, app: str) -> tuple[ServiceStop, ...]:
    """Ask the app to stop, and before it what depends on it; see how they take that.

    Raises:
        EngineError: the engine stopped answering.

    """
    there = observe.containers(stack, engine)
    above = {app, *waiting_for(app, in_order(declared_by(there)))}
    chosen = [one for one in there if one.service in above]
    stops = _stop_running(engine, chosen)
    # What the engine was about to start again would come back in the middle of what follows.
    with engine_errors(f"stopping {app}"):
        for one in chosen:
            if one.status in {ContainerStatus.RESTARTING, ContainerStatus.PAUSED}:
                engine.client.api.stop(one.id, timeout=one.stop_seconds)
    return stops


def stop_all(engine: Engine, stack: Stack) -> tuple[ServiceStop, ...]:
    """Ask every service that still runs to stop, each before those that it depends on; see how it takes that.

    Raises:
        EngineError: the engine stopped answering.

    """
    return _stop_running(engine, observe.containers(stack, engine))


def _stop_running(engine: Engine, containers: Sequence[ContainerState]) -> tuple[ServiceStop, ...]:
    running = [one for one in containers if one.status is ContainerStatus.RUNNING]
    return tuple(_stop(engine, one) for level in down.levels(running) for one in level)


def _stop(engine: Engine, one: ContainerState) -> ServiceStop:
    api = engine.client.api
    with engine_errors(f"stopping {one.service}"):
        started = time.monotonic()
        api.stop(one.id, timeout=one.stop_seconds)
        seconds = time.monotonic() - started
        state = api.inspect_container(one.id)["State"]
    code, memory = int(state["ExitCode"]), bool(state.get("OOMKilled"))
    return ServiceStop(
        service=one.service,
        seconds=seconds,
        grace=one.stop_seconds,
        code=code,
        killed=code == KILLED,
        out_of_memory=memory,
    )
