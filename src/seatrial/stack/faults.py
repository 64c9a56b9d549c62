"""Faults that the app has to survive: a worker is killed, the database restarts, everything is stopped.

What asks the engine raises EngineError when it does not answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from seatrial.compose.runner import Stack
from seatrial.compose.services import in_order, waiting_for
from seatrial.engine.containers import engine_errors
from seatrial.engine.find import Engine
from seatrial.facts import DatabaseRestart, Exchange, ServiceStop, Unavailable, WorkerLoss
from seatrial.facts.boot import KILLED
from seatrial.settings.model import StackContract, StackWrite
from seatrial.stack import down, inspect
from seatrial.stack.agent import (
    NO_WRITE,
    NOT_ASKED,
    RETRY_SECONDS,
    Agent,
    AgentError,
    Worker,
    Written,
    read_back,
    store,
)
from seatrial.stack.state import ContainerState, ContainerStatus, declared_by
from seatrial.stack.wait import Clock

POLL = 0.1
"""Seconds between two writes."""
WORKER_POLL = 0.05
"""Seconds between two requests after a worker was killed."""
LEAST_ASKED = 2.0
"""Seconds that requests go on for after a worker was killed, however soon it is replaced."""
MOST_FAILURES = 20
WRITES_BEFORE = 5
"""Writes before the database is restarted."""
MOST_GRACE = 120
"""Seconds that a service has to stop, whatever its compose file says."""
MOST_SHOWN = 10
NO_DATABASE = Unavailable(reason="the contract's `stack` names no `database`")


def kill_worker(agent: Agent, asked: StackContract) -> WorkerLoss | Unavailable:
    """Kill one of the app's workers, and send requests until it is replaced."""
    if asked.ready is None:
        return NOT_ASKED
    try:
        before = agent.workers()
        if not before:
            return Unavailable(reason="no process can be seen to hold the app's port")
        if len(before) == 1:
            return WorkerLoss(workers=1)
        if problem := agent.kill(before[0]):
            return Unavailable(reason="its worker could not be killed", detail=problem)
    except AgentError as error:
        return Unavailable(reason=str(error))
    return _requests_without(agent, asked.ready, asked.recovers_within, before)


def _requests_without(agent: Agent, path: str, seconds: float, before: Sequence[Worker]) -> WorkerLoss:
    started = agent.clock.monotonic()
    requests = 0
    failures: list[str] = []
    back: float | None = None
    while True:
        reply = agent.request(path)
        elapsed = agent.clock.monotonic() - started
        requests += 1
        if not reply.good:
            failures.append(f"after {elapsed:.1f} s: {reply}")
        if back is None and _is_replaced(agent, {worker.pid for worker in before}):
            back = elapsed
        if elapsed >= seconds or (back is not None and elapsed >= LEAST_ASKED):
            return WorkerLoss(
                workers=len(before),
                killed=before[0].command,
                requests=requests,
                failures=tuple(failures[:MOST_FAILURES]),
                back_after=back,
                waited=elapsed,
            )
        agent.clock.sleep(WORKER_POLL)


def _is_replaced(agent: Agent, before: set[int]) -> bool:
    try:
        now = {worker.pid for worker in agent.workers()}
    except AgentError:
        return False
    return len(now) >= len(before) and bool(now - before)


def restart_database(
    engine: Engine, agent: Agent, asked: StackContract, containers: Sequence[ContainerState], app: ContainerState
) -> DatabaseRestart | Unavailable:
    """Write while the database restarts, then read all that was acknowledged.

    Raises EngineError: the engine stopped answering, or could not start the database again.
    """
    if asked.database is None:
        return NO_DATABASE
    if asked.write is None or asked.read is None:
        return NO_WRITE
    database = next((container for container in containers if container.service == asked.database), None)
    if database is None or database.status is not ContainerStatus.RUNNING:
        return Unavailable(reason=f"{asked.database} does not run, so that it cannot be restarted")
    restarts = _restarts(engine, app)
    writes = [store(agent, asked.write) for _ in range(WRITES_BEFORE)]
    with ThreadPoolExecutor(max_workers=1) as beside:
        restarting = beside.submit(_restart, engine, database, agent.clock)
        recovered = _write_until_stored(agent, asked.write, asked.recovers_within, restarting, writes)
    took, killed = restarting.result()
    stored = [write for write in writes if write.reply.good]
    refusals = [str(write.reply) for write in writes if not write.reply.good]
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
        app_restarts=_restarts(engine, app) - restarts,
    )


def _restarts(engine: Engine, app: ContainerState) -> int:
    """Return how often the engine has started the app again by itself."""
    with engine_errors("inspecting the app's container"):
        return int(engine.client.api.inspect_container(app.id).get("RestartCount", 0))


def _write_until_stored(
    agent: Agent, write: StackWrite, seconds: float, restarting: Future[tuple[float, bool]], writes: list[Written]
) -> float | None:
    """Write until a write is stored that was sent after the restart; return how long after it that was."""
    back: float | None = None
    while True:
        if back is None and restarting.done():
            back = agent.clock.monotonic()
        writes.append(store(agent, write))
        elapsed = 0.0 if back is None else agent.clock.monotonic() - back
        if back is not None and writes[-1].reply.good:
            return elapsed
        if elapsed >= seconds:
            return None
        agent.clock.sleep(POLL)


def _restart(engine: Engine, database: ContainerState, clock: Clock) -> tuple[float, bool]:
    """Stop a container as its compose file says, and start it again."""
    with engine_errors(f"restarting {database.service}"):
        client = engine.connection()
        try:
            started = clock.monotonic()
            client.stop(database.id, timeout=min(database.stop_seconds, MOST_GRACE))
            code = int(client.inspect_container(database.id)["State"]["ExitCode"])
            client.start(database.id)
            return clock.monotonic() - started, code == KILLED
        finally:
            client.close()


def _lost(agent: Agent, write: StackWrite, read: str, stored: Sequence[Written], *, seconds: float) -> tuple[str, ...]:
    """Return what cannot be read any more, up to `MOST_SHOWN`. The app may take `seconds` to recover."""
    until = agent.clock.monotonic() + seconds

    def back(written: Written) -> Exchange:
        retry_seconds = max(RETRY_SECONDS, until - agent.clock.monotonic())
        return read_back(agent, write, read, written, retry_seconds=retry_seconds)

    lost = (_how(found) for found in map(back, stored) if not found.held)
    return tuple(islice(lost, MOST_SHOWN))


def _how(lost: Exchange) -> str:
    if lost.problem:
        return f"{lost.write}: {lost.problem}"
    if lost.missing:
        return f"{lost.read}: its answer does not show {', '.join(lost.missing)}"
    return f"{lost.read}: {lost.shown}"


def stop_app(engine: Engine, stack: Stack, app: str, clock: Clock) -> tuple[ServiceStop, ...]:
    """Ask the app to stop, and before it what depends on it; see how they take that."""
    there = inspect.containers(stack, engine)
    above = {app, *waiting_for(app, in_order(declared_by(there)))}
    chosen = [container for container in there if container.service in above]
    stops = _stop_running(engine, chosen, clock)
    # What the engine was about to start again would come back in the middle of what follows.
    down.stop([container for container in chosen if container.status is not ContainerStatus.RUNNING], engine)
    return stops


def stop_all(engine: Engine, stack: Stack, clock: Clock) -> tuple[ServiceStop, ...]:
    """Ask every service that still runs to stop, each before those that it depends on; see how it takes that."""
    return _stop_running(engine, inspect.containers(stack, engine), clock)


def _stop_running(engine: Engine, containers: Sequence[ContainerState], clock: Clock) -> tuple[ServiceStop, ...]:
    running = [container for container in containers if container.status is ContainerStatus.RUNNING]
    return tuple(_stop(engine, container, clock) for level in down.levels(running) for container in level)


def _stop(engine: Engine, container: ContainerState, clock: Clock) -> ServiceStop:
    api, grace = engine.client.api, min(container.stop_seconds, MOST_GRACE)
    with engine_errors(f"stopping {container.service}"):
        started = clock.monotonic()
        api.stop(container.id, timeout=grace)
        seconds = clock.monotonic() - started
        state = api.inspect_container(container.id)["State"]
    code = int(state["ExitCode"])
    return ServiceStop(
        service=container.service,
        seconds=seconds,
        grace=grace,
        code=code,
        killed=code == KILLED,
        out_of_memory=bool(state.get("OOMKilled")),
    )
