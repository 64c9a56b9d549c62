"""deploy: deploys an app to Docker Swarm."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import invoke

from seatrial.cli import output
from seatrial.cli.command import command
from seatrial.errors import SeatrialError, StackLeftError

if TYPE_CHECKING:
    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.swarm.deploy import DeployPlan
    from seatrial.swarm.state import Conversion, Note, RemovedStack, SwarmServiceState


class Record:
    """What is known so far of a deploy or a removal: the JSON document is made from it, also after an error."""

    def __init__(self) -> None:
        self.observer: output.Recorder[SwarmServiceState] = output.Recorder()
        self.app = self.stack = ""
        """Empty until known."""
        self.nodes: Mapping[str, str] = {}
        """Host names by node id."""
        self.notes: tuple[Note, ...] = ()
        self.changed = False
        """The swarm was changed, or may have been."""
        self.found: RemovedStack | None = None
        """What there was of the stack before it was removed."""
        self.left: RemovedStack | None = None
        self._started = time.monotonic()

    def converted(self, conversion: Conversion) -> None:
        """Keep what happens to the compose file."""
        self.notes = conversion.notes

    def held(self, holdings: RemovedStack) -> None:
        """Keep what there is of the stack."""
        self.found = self.found or holdings
        self.left = holdings

    def document(self, problem: SeatrialError | None, *, remove: bool, dry_run: bool) -> str:
        """Return the JSON document."""
        from seatrial.reports import json

        app, stack, seconds = self.app, self.stack, time.monotonic() - self._started
        if remove:
            return json.removed_document(app, stack, found=self.found, left=self.left, seconds=seconds, problem=problem)
        if dry_run:
            return json.plan_document(app, stack, notes=self.notes, problem=problem)
        return json.deploy_document(
            app,
            stack,
            self.observer.states,
            notes=self.notes,
            nodes=self.nodes,
            changed=self.changed,
            seconds=seconds,
            problem=problem,
        )


@command(
    trusting=True,
    help={
        **output.APP,
        "stack": "the stack's name on the swarm; the app's by default",
        "remove": "remove the stack; its volumes stay",
        "open-ports": "accept that a port of 127.0.0.1 is published on every interface of every node",
        "timeout": "seconds until the swarm must have converged, or with --remove until all must be removed",
        "dry-run": "print what happens to the compose file, and change nothing",
        **output.FORMAT,
    },
)
def deploy(
    _context: invoke.Context,
    app: str | None = None,
    stack: str | None = None,
    remove: bool = False,
    open_ports: bool = False,
    timeout: str = "300",
    dry_run: bool = False,
    format: str = "text",
) -> None:
    """Deploy an app to Docker Swarm; wait until it runs there, or say why it was rolled back."""
    from seatrial.swarm.deploy import stack_name

    as_json = output.wants_json(format)
    record = Record()
    with output.json_at_the_end(partial(record.document, remove=remove, dry_run=dry_run), wanted=as_json):
        seconds = output.positive_seconds(timeout)
        project = output.project()
        record.app = output.app_with_stack(project, app)
        record.stack = stack_name(record.app, stack)
        if remove:
            _remove(record, timeout=seconds, dry_run=dry_run, as_json=as_json)
        elif dry_run:
            _dry_run(record, project, open_ports=open_ports, as_json=as_json)
        else:
            _deploy(record, project, open_ports=open_ports, timeout=seconds, as_json=as_json)


def _plan(record: Record, project: Project, engine: Engine, host: Host, *, open_ports: bool) -> DeployPlan:
    from seatrial.swarm.deploy import plan_deploy

    plan = plan_deploy(
        project, record.app, stack=record.stack, engine=engine, host=host, say=output.say, open_ports=open_ports
    )
    record.nodes = plan.swarm.names
    return plan


def _deploy(record: Record, project: Project, *, open_ports: bool, timeout: float, as_json: bool) -> None:
    from seatrial.filesystem import locked
    from seatrial.reports.stack_console import ChangedLines, describe_swarm_service, print_deployed, print_notes
    from seatrial.stack.images import substitute_maker
    from seatrial.swarm.deploy import deploy as deploy_stack

    engine, host = output.engine(), output.host()
    plan = _plan(record, project, engine, host, open_ports=open_ports)
    console = output.error_console()
    observer = record.observer.wrapping(ChangedLines(console, describe_swarm_service))

    def noting(conversion: Conversion) -> None:
        record.converted(conversion)
        record.changed = True
        print_notes(conversion, console)

    try:
        with locked(plan.plan.file.parent, waiting=lambda: output.say("Waiting for another run on this stack.")):
            state = deploy_stack(
                plan,
                engine=engine,
                host=host,
                observer=observer,
                noting=noting,
                looking=record.converted,
                timeout=timeout,
                substitute=substitute_maker(project, engine, host, observer.say),
            )
    except KeyboardInterrupt:
        if not record.changed:
            raise
        raise StackLeftError(
            f"interrupted: the swarm continues with {plan.stack}.", fix=f"`docker stack ps {plan.stack}` shows it."
        ) from None
    record.changed = state.changed
    if not as_json:
        print_deployed(state, output.console())


def _dry_run(record: Record, project: Project, *, open_ports: bool, as_json: bool) -> None:
    from seatrial.reports.stack_console import print_notes
    from seatrial.swarm.deploy import converted, require_ready

    engine, host = output.engine(), output.host()
    plan = _plan(record, project, engine, host, open_ports=open_ports)
    conversion = converted(plan, engine, host)
    record.converted(conversion)
    if not as_json:
        print_notes(conversion, output.console())
    require_ready(conversion, plan, engine)


def _remove(record: Record, *, timeout: float, dry_run: bool, as_json: bool) -> None:
    from seatrial.reports.stack_console import print_removed
    from seatrial.swarm import cluster
    from seatrial.swarm.deploy import holdings, undeploy

    engine = output.engine()
    if dry_run:
        cluster.swarm_of(engine)
        removed = holdings(record.stack, engine)
        record.held(removed)
    else:
        try:
            removed = undeploy(record.stack, engine=engine, host=output.host(), timeout=timeout, seeing=record.held)
        except KeyboardInterrupt:
            raise StackLeftError(
                f"interrupted: the swarm may still hold parts of {record.stack}.", fix="Run it again."
            ) from None
    if not as_json:
        print_removed(record.stack, removed, output.console(), planned=dry_run)
