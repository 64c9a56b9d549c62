"""A trial of the app with its services: up, asked, a worker killed, the database restarted, stopped, removed.

What asks the engine raises EngineError when it does not answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from seatrial.engine.find import Engine
from seatrial.errors import StackFailedError
from seatrial.facts import ServiceBoots, StackRun, Unavailable
from seatrial.facts.stack import NOT_UP
from seatrial.host import Host
from seatrial.observe.command.resolve import find_python
from seatrial.observe.configuration import read_configuration
from seatrial.observe.files import EngineFiles
from seatrial.observe.gather import Wanted
from seatrial.observe.running.boot_series import boot_as_service
from seatrial.settings.model import Contract, StackContract
from seatrial.stack import down, inspect, up
from seatrial.stack.agent import NOT_ASKED, Agent, exchange, ready_within
from seatrial.stack.down import removed_afterwards
from seatrial.stack.faults import kill_worker, restart_database, stop_all, stop_app
from seatrial.stack.images import MakeSubstitute
from seatrial.stack.isolated import IsolatedStack, copied_in
from seatrial.stack.ports import where_they_listen
from seatrial.stack.state import ContainerState, Observer, StackState
from seatrial.stack.wait import Clock

NO_STARTS = Wanted(boot=False)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a trial needs."""

    stack: IsolatedStack
    contract: Contract
    engine: Engine
    host: Host
    observer: Observer
    substitute: MakeSubstitute | None
    say: Callable[[str], None]
    wanted: Wanted = NO_STARTS
    """Which further starts of the app, among its services."""
    clock: Clock = time

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
    """
    plan = trial.stack.plan
    # A smoke that was killed may have left something; the project's name belongs to this app and folder alone.
    down.down(plan.stack, engine=trial.engine, volumes=True, within=down.PRIVATE_STOP)
    rest = f"The next `invoke smoke --stack --app {plan.stack.app}` removes what remains."
    with removed_afterwards(plan.stack, trial.engine, say=trial.observer.say, fix=rest):
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
                clock=trial.clock,
            )
        except StackFailedError as error:
            return not_up(trial.stack.app, error)
        run = _run(trial, state)
        trial.say("removing the services and their data")
        return run


def not_up(app: str, error: StackFailedError) -> StackRun:
    """Return what is known of a stack that did not come up."""
    return StackRun(
        app=app, services=(), up_after=None, boots=NOT_UP, failure=error.what, evidence=tuple(error.detail.splitlines())
    )


def _run(trial: Trial, state: StackState) -> StackRun:
    """Return what the app did while its services were up, and how all of them took being stopped."""
    stack = trial.stack.plan.stack
    containers = inspect.containers(stack, trial.engine)
    app = next(container for container in containers if container.service == trial.stack.app)
    agent = _agent(trial, app)
    unasked = agent if isinstance(agent, Unavailable) else NOT_UP
    run = StackRun(
        app=trial.stack.app,
        services=tuple(f"{service.service}: {service.phase.value}" for service in state.services),
        up_after=state.seconds,
        ready=unasked,
        exchange=unasked,
        workers=unasked,
        database=unasked,
    )
    if isinstance(agent, Agent):
        try:
            run = _asked(trial, agent, run, containers, app)
        finally:
            agent.close()
    trial.say("looking where its services listen")
    published = where_they_listen(containers, trial.stack.published, trial.engine, trial.clock)
    run = msgspec.structs.replace(run, published=published)
    trial.say("stopping it")
    stops = stop_app(trial.engine, stack, trial.stack.app, trial.clock)
    if trial.wanted.boot:
        trial.say("starting it again among its services")
        run = msgspec.structs.replace(run, boots=_boots(trial, app))
    trial.say("stopping its services")
    return msgspec.structs.replace(run, stops=(*stops, *stop_all(trial.engine, stack, trial.clock)))


def _asked(
    trial: Trial, agent: Agent, run: StackRun, containers: Sequence[ContainerState], app: ContainerState
) -> StackRun:
    """Return the run with all that the app answered; what disturbs it most comes last."""
    trial.say("asking whether it is ready")
    ready = ready_within(agent, trial.asked)
    trial.say("writing and reading")
    exchanged = exchange(agent, trial.asked)
    trial.say("killing a worker")
    workers = kill_worker(agent, trial.asked)
    trial.say("restarting the database")
    database = restart_database(trial.engine, agent, trial.asked, containers, app)
    return msgspec.structs.replace(run, ready=ready, exchange=exchanged, workers=workers, database=database)


def _boots(trial: Trial, app: ContainerState) -> ServiceBoots | Unavailable:
    if names := copied_in(trial.stack.compose.document or {}, trial.stack.app):
        what = f"compose copies {', '.join(names)} into its container, and nothing is copied onto a read-only root"
        return Unavailable(reason=f"it was not started again: {what}; a secret or config that is a file is mounted")
    return boot_as_service(trial.engine, app.id, trial.contract, deep=trial.wanted.deep)


def _agent(trial: Trial, app: ContainerState) -> Agent | Unavailable:
    """Return what asks the app, or why it cannot be asked."""
    if trial.asked.ready is None and trial.asked.write is None:
        return NOT_ASKED
    configuration = read_configuration(trial.engine, app.image_id)
    exposed = [int(port.partition("/")[0]) for port in configuration.exposed_ports if not port.endswith("/udp")]
    port = trial.stack.port or (exposed[0] if len(exposed) == 1 else None)
    if port is None:
        return Unavailable(
            reason=f"nothing says which port {app.service} listens on: set `port` in the contract's `stack`"
        )
    files = EngineFiles(trial.engine.client.api, app.id)
    python = find_python(configuration, files, trial.contract.interpreter)
    if python is None:
        return Unavailable(reason="the app's image holds no Python interpreter to ask it with")
    return Agent(trial.engine, app.id, python.path, port, clock=trial.clock)
