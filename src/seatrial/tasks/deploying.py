"""deploy: an app on the machines of a swarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.errors import ExitCode, SettingsError
from seatrial.tasks import composed, surroundings
from seatrial.tasks.boundary import command

if TYPE_CHECKING:
    import invoke

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.stack.swarm.deploy import DeployPlan
    from seatrial.stack.swarm.model import Deployed


@command(
    help=composed.APP
    | {
        "stack": "the stack's name on the swarm; the app's where none is given",
        "remove": "remove the stack; its volumes stay",
        "open-ports": "accept that a port of 127.0.0.1 is published on every interface of every node",
        "timeout": "seconds until the swarm must have converged, or with --remove until all must be gone",
        "dry-run": "say what becomes of the compose file, and change nothing",
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
) -> ExitCode:
    """Deploy an app to Docker Swarm; wait until it runs there, or say why it was rolled back."""
    from seatrial.reports.deploy import print_deployed
    from seatrial.stack.swarm.deploy import plan_deploy, stack_name

    if timeout <= 0:
        raise SettingsError(f"--timeout {timeout} leaves no time.", fix="Give seconds above 0.")
    project = surroundings.project()
    name = composed.app_of(project, app)
    chosen = stack_name(name, stack)
    if remove:
        return _remove(chosen, timeout=timeout, dry_run=dry_run)
    engine, host = surroundings.engine(), surroundings.host()
    plan = plan_deploy(
        project, name, stack=chosen, engine=engine, host=host, say=surroundings.say, open_ports=open_ports
    )
    if dry_run:
        return _dry(plan)
    try:
        state = _deploy(plan, project, engine, host, timeout=timeout)
    except KeyboardInterrupt:
        surroundings.say(f"Interrupted: the swarm goes on with {plan.stack}; `docker stack ps {plan.stack}` shows it.")
        return ExitCode.INTERRUPTED
    print_deployed(state, surroundings.screen())
    return ExitCode.OK


def _deploy(plan: DeployPlan, project: Project, engine: Engine, host: Host, *, timeout: float) -> Deployed:
    from seatrial.lock import locked
    from seatrial.reports.deploy import DeployLines, print_notes
    from seatrial.stack.swarm.deploy import deploy as deploy_stack

    observer = DeployLines(surroundings.progress_screen())
    with locked(plan.plan.file.parent, waiting=lambda: surroundings.say("Waiting for another run of this stack.")):
        return deploy_stack(
            plan,
            engine=engine,
            host=host,
            observer=observer,
            noting=lambda made: print_notes(made, surroundings.progress_screen()),
            timeout=timeout,
            stand_in=composed.stand_in(project, engine, host, observer.say),
        )


def _dry(plan: DeployPlan) -> ExitCode:
    from seatrial.reports.deploy import print_notes
    from seatrial.stack.swarm.deploy import converted, require_deployable

    conversion = converted(plan, surroundings.engine(), surroundings.host())
    print_notes(conversion, surroundings.screen())
    require_deployable(conversion, plan)
    return ExitCode.OK


def _remove(name: str, *, timeout: int, dry_run: bool) -> ExitCode:
    from seatrial.reports.deploy import print_removed
    from seatrial.stack.swarm import cluster, undeploy

    engine = surroundings.engine()
    if dry_run:
        cluster.swarm_of(engine)
        print_removed(name, undeploy.holdings(name, engine), surroundings.screen(), planned=True)
        return ExitCode.OK
    try:
        removed = undeploy.undeploy(name, engine=engine, host=surroundings.host(), timeout=timeout)
    except KeyboardInterrupt:
        surroundings.say(f"Interrupted: the swarm may hold some of {name} yet; run it again.")
        return ExitCode.INTERRUPTED
    print_removed(name, removed, surroundings.screen())
    return ExitCode.OK
