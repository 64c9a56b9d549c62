"""restart: restarts an app's services."""

from __future__ import annotations

import invoke

from seatrial.cli import output
from seatrial.cli.command import command
from seatrial.errors import SeatrialError


@command(
    trusting=True,
    help={
        **output.APP,
        "service": "only this service; all that run without it",
        "timeout": "seconds until it must be up again",
        "dry-run": "print what would be restarted, and restart nothing",
        **output.FORMAT,
    },
)
def restart(
    _context: invoke.Context,
    app: str | None = None,
    service: str | None = None,
    timeout: str = "120",
    dry_run: bool = False,
    format: str = "text",
) -> None:
    """Restart an app's services; wait until all is healthy again, or say why it is not."""
    from seatrial.compose.runner import identify
    from seatrial.compose.services import own_images
    from seatrial.reports.json import restart_plan_document
    from seatrial.reports.stack_console import print_up, progress
    from seatrial.stack import restart as restarting
    from seatrial.stack.plan import compose_file, require_trusted

    as_json, seconds = output.wants_json(format), output.positive_seconds(timeout)
    project = output.project()
    stack = identify(project, output.app_with_stack(project, app))
    names: tuple[str, ...] = ()
    record = output.UpRecord()

    def document(problem: SeatrialError | None) -> str:
        if dry_run:
            return restart_plan_document(stack, names, problem=problem)
        return record.document(stack, problem, began=bool(names))

    with output.json_at_the_end(document, wanted=as_json):
        file, engine = compose_file(project, stack.app), output.engine()
        require_trusted(project, stack.app, engine=engine, host=output.host())
        containers = restarting.to_restart(stack, engine, service)
        names = tuple(dict.fromkeys(container.service for container in containers))
        if not dry_run:
            with progress(output.error_console()) as screen:
                record.state = restarting.restart(
                    containers,
                    stack=stack,
                    file=file,
                    own_images=own_images(project),
                    engine=engine,
                    observer=record.observer.wrapping(screen),
                    timeout=seconds,
                )
    if record.state is not None and not as_json:
        print_up(record.state, output.console())
    elif not as_json:
        print(f"{stack.app}: would restart {', '.join(names)}")
