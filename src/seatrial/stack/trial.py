"""The app with its services up: brought up, asked, robbed of a worker and of its database, stopped, and removed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from seatrial.errors import StackFailedError
from seatrial.facts import Ready, ServiceBoots, StackRun, Unavailable, WorkerLoss
from seatrial.facts.stack import NOT_UP
from seatrial.observe.boots import boot_as_service
from seatrial.observe.command import find_python
from seatrial.observe.configuration import read_configuration
from seatrial.observe.files import EngineFiles
from seatrial.observe.gather import Wanted
from seatrial.stack import containers as observe
from seatrial.stack import down, up
from seatrial.stack.down import gone_at_the_end
from seatrial.stack.exchange import Agent, AgentError, exchange
from seatrial.stack.failures import restart_database, stop_all, stop_app
from seatrial.stack.isolated import copied_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.model import Contract, StackContract
    from seatrial.stack.images import MakeSubstitute
    from seatrial.stack.isolated import PrivateStack
    from seatrial.stack.state import ContainerState, Observer, StackState

POLL = 0.1
"""Seconds between two requests."""
LEAST = 2.0
"""Seconds that requests go on for after a worker was killed, however soon there is another one."""
MOST_FAILURES = 20
NO_STARTS = Wanted(boot=False)
NOT_ASKED = Unavailable(reason="the contract does not ask for it")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a trial needs."""

    stack: PrivateStack
    contract: Contract
    engine: Engine
    host: Host
    observer: Observer
    substitute: MakeSubstitute | None
    say: Callable[[str], None]
    wanted: Wanted = NO_STARTS
    """Which further starts of the app, among its services."""

    @property
    def asked(self) -> StackContract:
        """What the contract asks for."""
        return self.contract.stack


def try_stack(trial: Trial) -> StackRun:
    """Bring the stack up, see how it does, and remove all of it, its data too, however this ends.

    Raises:
        StackError: it could not be tried: an own image has not been built.
        ImageError: an image can neither be pulled nor replaced.
        StackLeftError: interrupted twice; the message names what remains.
        EngineError: the engine stopped answering.

    """
    plan = trial.stack.plan
    # What a smoke left that was killed: nobody else has a project of this name.
    down.down(plan.stack, engine=trial.engine, volumes=True)
    rest = f"The next `invoke smoke --stack --app {plan.stack.app}` removes what remains."
    with gone_at_the_end(plan.stack, trial.engine, say=trial.observer.say, fix=rest):
        try:
            state = up.up(
                plan,
                engine=trial.engine,
                host=trial.host,
                observer=trial.observer,
                timeout=trial.asked.up_within,
                substitute=trial.substitute,
                remove_volumes=True,
                program=trial.stack.compose,
            )
        except StackFailedError as error:
            return not_up(trial.stack.app, error)
        run = _tried(trial, state)
        trial.say("removing the services and their data")
        return run


def not_up(app: str, error: StackFailedError) -> StackRun:
    """Return what is known of a stack that did not come up."""
    return StackRun(
        app=app,
        services=(),
        up_after=None,
        boots=NOT_UP,
        failure=error.what,
        evidence=tuple(error.detail.splitlines()),
    )


def _tried(trial: Trial, state: StackState) -> StackRun:
    containers = observe.containers(trial.stack.plan.stack, trial.engine)
    app = next(one for one in containers if one.service == trial.stack.app)
    agent = _agent(trial, app)
    unasked = agent if isinstance(agent, Unavailable) else NOT_UP
    run = StackRun(
        app=trial.stack.app,
        services=tuple(f"{one.service}: {one.phase.value}" for one in state.services),
        up_after=state.seconds,
        ready=unasked,
        exchange=unasked,
        workers=unasked,
        database=unasked,
    )
    if isinstance(agent, Agent):
        try:
            run = _asked(trial, agent, run, containers)
        finally:
            agent.close()
    stack = trial.stack.plan.stack
    trial.say("stopping it")
    stops = stop_app(trial.engine, stack, trial.stack.app)
    if trial.wanted.boot:
        trial.say("starting it again among its services")
        run = msgspec.structs.replace(run, boots=_started(trial, app))
    trial.say("stopping its services")
    return msgspec.structs.replace(run, stops=(*stops, *stop_all(trial.engine, stack)))


def _started(trial: Trial, app: ContainerState) -> ServiceBoots | Unavailable:
    if names := copied_in(trial.stack.compose.document or {}, trial.stack.app):
        what = f"compose copies {', '.join(names)} into its container, and nothing is copied onto a read-only root"
        return Unavailable(reason=f"it was not started again: {what}; a secret or config that is a file is mounted")
    return boot_as_service(trial.engine, app.id, trial.contract, deep=trial.wanted.deep)


def _asked(trial: Trial, agent: Agent, run: StackRun, containers: Sequence[ContainerState]) -> StackRun:
    """Return the run with all that the app answered; what disturbs it most comes last."""
    trial.say("asking whether it is ready")
    ready = ready_within(agent, trial.asked)
    trial.say("writing and reading")
    exchanged = exchange(agent, trial.asked)
    trial.say("killing a worker")
    workers = lose_worker(agent, trial.asked)
    trial.say("restarting the database")
    app = next(one for one in containers if one.service == trial.stack.app)
    database = restart_database(trial.engine, agent, trial.asked, containers, app)
    return msgspec.structs.replace(run, ready=ready, exchange=exchanged, workers=workers, database=database)


def _agent(trial: Trial, app: ContainerState) -> Agent | Unavailable:
    """Return what asks the app, or why it cannot be asked."""
    if trial.asked.ready is None and trial.asked.write is None:
        return NOT_ASKED
    configuration = read_configuration(trial.engine, app.image_id)
    exposed = [int(one.partition("/")[0]) for one in configuration.exposed_ports if not one.endswith("/udp")]
    port = trial.stack.port or (exposed[0] if len(exposed) == 1 else None)
    if port is None:
        return Unavailable(
            reason=f"nothing says which port {app.service} listens on: set `port` in the contract's `stack`"
        )
    files = EngineFiles(trial.engine.client.api, app.id)
    python = find_python(configuration, files, trial.contract.interpreter)
    if python is None:
        return Unavailable(reason="the app's image holds no Python interpreter to ask it with")
    return Agent(trial.engine, app.id, python.path, port)


def ready_within(agent: Agent, asked: StackContract) -> Ready | Unavailable:
    """Ask until the app says that it is ready, or its time is over."""
    if asked.ready is None:
        return NOT_ASKED
    started = time.monotonic()
    while True:
        reply = agent.request(asked.ready)
        elapsed = time.monotonic() - started
        if reply.good or elapsed >= asked.recovers_within:
            return Ready(path=asked.ready, after=elapsed if reply.good else None, last=reply)
        time.sleep(POLL)


def lose_worker(agent: Agent, asked: StackContract) -> WorkerLoss | Unavailable:
    """Kill one of the app's workers, and ask on until another one has taken its place."""
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
        return _without(agent, asked.ready, asked.recovers_within, {one.pid for one in before}, before[0].command)
    except AgentError as error:
        return Unavailable(reason=str(error))


def _without(agent: Agent, path: str, seconds: float, before: set[int], killed: str) -> WorkerLoss:
    started = time.monotonic()
    requests = 0
    failures: list[str] = []
    back: float | None = None
    while True:
        reply = agent.request(path)
        elapsed = time.monotonic() - started
        requests += 1
        if not reply.good:
            failures.append(f"after {elapsed:.1f} s: {reply}")
        if back is None and _as_many(agent, before):
            back = elapsed
        if elapsed >= seconds or (back is not None and elapsed >= LEAST):
            return WorkerLoss(
                workers=len(before),
                killed=killed,
                requests=requests,
                failures=tuple(failures[:MOST_FAILURES]),
                back_after=back,
                waited=elapsed,
            )
        time.sleep(POLL / 2)


def _as_many(agent: Agent, before: set[int]) -> bool:
    try:
        now = {one.pid for one in agent.workers()}
    except AgentError:
        return False
    return len(now) >= len(before) and bool(now - before)
