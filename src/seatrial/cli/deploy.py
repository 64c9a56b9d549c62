"""deploy: an app on the machines of a swarm."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seatrial.cli import output, up
from seatrial.cli.errors import command
from seatrial.errors import ExitCode, SettingsError, StackLeftError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import invoke

    from seatrial.engine.find import Engine
    from seatrial.errors import SeatrialError
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.swarm.conversion import Conversion, Note
    from seatrial.swarm.deploy import DeployPlan
    from seatrial.swarm.rollout import DeployObserver
    from seatrial.swarm.state import RemovedStack, SwarmServiceState


@dataclass(kw_only=True)
class Known:
    """The last that was seen of a deploy or of a removal, on its way to the screen."""

    app: str = ""
    """Empty until it is known which is meant; and so is the stack's name."""
    stack: str = ""
    nodes: Mapping[str, str] = field(default_factory=dict)
    """The host name of each node, by id."""
    notes: tuple[Note, ...] = ()
    services: tuple[SwarmServiceState, ...] = ()
    changed: bool = False
    """The swarm was changed, or may have been."""
    found: RemovedStack | None = None
    """What there was of the stack before it was removed."""
    left: RemovedStack | None = None
    screen: DeployObserver | None = None
    started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Hand a message on."""
        if self.screen is not None:
            self.screen.say(text)

    def show(self, services: tuple[SwarmServiceState, ...], seconds: float) -> None:
        """Keep where the services stand, and hand it on."""
        self.services = services
        if self.screen is not None:
            self.screen.show(services, seconds)

    def look(self, conversion: Conversion) -> None:
        """Keep what becomes of the compose file."""
        self.notes = conversion.notes

    def see(self, holdings: RemovedStack) -> None:
        """Keep what there is of a stack that is removed."""
        self.found = self.found or holdings
        self.left = holdings

    def deploy(self, problem: SeatrialError | None) -> str:
        """Return the answer of a deploy."""
        from seatrial.reports.deploy import deploy_document

        return deploy_document(
            self.app,
            self.stack,
            self.services,
            notes=self.notes,
            nodes=self.nodes,
            changed=self.changed,
            seconds=time.monotonic() - self.started,
            problem=problem,
        )

    def plan(self, problem: SeatrialError | None) -> str:
        """Return the answer of a look at what would be deployed."""
        from seatrial.reports.deploy import plan_document

        return plan_document(self.app, self.stack, notes=self.notes, problem=problem)

    def removal(self, problem: SeatrialError | None) -> str:
        """Return the answer of a removal."""
        from seatrial.reports.deploy import removed_document

        return removed_document(
            self.app,
            self.stack,
            found=self.found,
            left=self.left,
            seconds=time.monotonic() - self.started,
            problem=problem,
        )


@command(
    help=up.APP
    | {
        "stack": "the stack's name on the swarm; the app's where none is given",
        "remove": "remove the stack; its volumes stay",
        "open-ports": "accept that a port of 127.0.0.1 is published on every interface of every node",
        "timeout": "seconds until the swarm must have converged, or with --remove until all must be gone",
        "dry-run": "say what becomes of the compose file, and change nothing",
        "format": "text or json",
    }
)
def deploy(
    _context: invoke.Context,
    app: str | None = None,
    stack: str | None = None,
    remove: bool = False,
    open_ports: bool = False,
    timeout: int = 300,
    dry_run: bool = False,
    format: str = "text",  # noqa: A002 - the option's name
) -> ExitCode:
    """Deploy an app to Docker Swarm; wait until it runs there, or say why it was rolled back."""
    from seatrial.cli.output import answered, is_json

    as_json = is_json(format)
    known = Known()
    with answered(_document(known, remove=remove, dry_run=dry_run), as_json=as_json):
        if timeout <= 0:
            raise SettingsError(f"--timeout {timeout} leaves no time.", fix="Give seconds above 0.")
        project = _identified(known, app, stack)
        if remove:
            _remove(known, timeout=timeout, dry_run=dry_run, as_json=as_json)
        elif dry_run:
            _dry(known, project, open_ports=open_ports, as_json=as_json)
        else:
            _deploy(known, project, open_ports=open_ports, timeout=timeout, as_json=as_json)
    return ExitCode.OK


def _document(known: Known, *, remove: bool, dry_run: bool) -> Callable[[SeatrialError | None], str]:
    if remove:
        return known.removal
    return known.plan if dry_run else known.deploy


def _identified(known: Known, app: str | None, stack: str | None) -> Project:
    from seatrial.swarm.deploy import stack_name

    project = output.project()
    known.app = up.app_of(project, app)
    known.stack = stack_name(known.app, stack)
    return project


def _plan(known: Known, project: Project, engine: Engine, host: Host, *, open_ports: bool) -> DeployPlan:
    from seatrial.swarm.deploy import plan_deploy

    plan = plan_deploy(
        project, known.app, stack=known.stack, engine=engine, host=host, say=output.say, open_ports=open_ports
    )
    known.nodes = plan.swarm.names
    return plan


def _deploy(known: Known, project: Project, *, open_ports: bool, timeout: float, as_json: bool) -> None:
    from seatrial.filesystem import locked
    from seatrial.reports.deploy import DeployLines, print_deployed, print_notes
    from seatrial.swarm.deploy import deploy as deploy_stack

    engine, host = output.engine(), output.host()
    plan = _plan(known, project, engine, host, open_ports=open_ports)
    screen = output.progress_screen()
    known.screen = DeployLines(screen)

    def noting(made: Conversion) -> None:
        known.look(made)
        known.changed = True
        print_notes(made, screen)

    try:
        with locked(plan.plan.file.parent, waiting=lambda: output.say("Waiting for another run of this stack.")):
            state = deploy_stack(
                plan,
                engine=engine,
                host=host,
                observer=known,
                noting=noting,
                looking=known.look,
                timeout=timeout,
                substitute=up.substitute_maker(project, engine, host, known.say),
            )
    except KeyboardInterrupt:
        if not known.changed:
            raise
        raise StackLeftError(
            f"interrupted: the swarm goes on with {plan.stack}.", fix=f"`docker stack ps {plan.stack}` shows it."
        ) from None
    known.changed = state.changed
    if not as_json:
        print_deployed(state, output.screen())


def _dry(known: Known, project: Project, *, open_ports: bool, as_json: bool) -> None:
    from seatrial.reports.deploy import print_notes
    from seatrial.swarm.deploy import converted, require_ready

    engine, host = output.engine(), output.host()
    plan = _plan(known, project, engine, host, open_ports=open_ports)
    conversion = converted(plan, engine, host)
    known.look(conversion)
    if not as_json:
        print_notes(conversion, output.screen())
    require_ready(conversion, plan, engine)


def _remove(known: Known, *, timeout: float, dry_run: bool, as_json: bool) -> None:
    from seatrial.reports.deploy import print_removed
    from seatrial.swarm import cluster
    from seatrial.swarm import deploy as undeploy

    engine = output.engine()
    if dry_run:
        cluster.swarm_of(engine)
        removed = undeploy.holdings(known.stack, engine)
        known.see(removed)
    else:
        try:
            removed = undeploy.undeploy(
                known.stack, engine=engine, host=output.host(), timeout=timeout, seeing=known.see
            )
        except KeyboardInterrupt:
            raise StackLeftError(
                f"interrupted: the swarm may hold some of {known.stack} yet.", fix="Run it again."
            ) from None
    if not as_json:
        print_removed(known.stack, removed, output.screen(), planned=dry_run)
