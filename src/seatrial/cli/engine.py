"""engine.*: the engine that seatrial provides. Four commands that are read together."""

from __future__ import annotations

import invoke

from seatrial.cli import output
from seatrial.cli.command import command

DRY_RUN = {"dry-run": "print what would be done, and do nothing"}


@command(default=True)
def status(_context: invoke.Context) -> None:
    """Show which engine is used, and the state of the one that seatrial provides."""
    from seatrial import offline
    from seatrial.engine.find import find_engine
    from seatrial.errors import EngineError
    from seatrial.text import show_size

    host = output.host()
    try:
        used = f"in use: {find_engine(host)}"
    except EngineError as error:
        used = f"in use: none. {error.what}"
    own = offline.engine_status(host)
    print(used)
    if not own.unpacked:
        print("seatrial's own: not there; `invoke engine.start` fetches and starts it")
        return
    state = f"running, Docker {own.version}, process {own.pid}" if own.running else "stopped"
    print(f"seatrial's own: {state}; from {own.origin}; socket {own.socket}")
    print(f"  {own.folder} holds {show_size(offline.engine_disk_bytes(host))}")


@command(help=DRY_RUN)
def start(_context: invoke.Context, dry_run: bool = False) -> None:
    """Fetch (once) and start an engine of seatrial's own, beside any other."""
    from seatrial import offline
    from seatrial.settings.model import EngineSettings

    host = output.host()
    project = output.project_if_any()
    settings = project.settings.engine if project else EngineSettings()
    own = offline.engine_status(host)
    if dry_run:
        step = "do nothing, as it runs" if own.running else "start it" if own.unpacked else "fetch, unpack and start it"
        print(f"would {step}: Docker from {offline.engine_origin(settings)} in {own.folder}")
    else:
        print(offline.start_engine(host, settings, output.say))


@command(help=DRY_RUN)
def stop(_context: invoke.Context, dry_run: bool = False) -> None:
    """Stop seatrial's own engine; its images and volumes stay."""
    from seatrial import offline

    host = output.host()
    if dry_run:
        print("would stop it" if offline.engine_status(host).running else "it does not run: nothing to do")
    else:
        print("stopped" if offline.stop_engine(host, output.say) else "it did not run")


@command(help=DRY_RUN)
def remove(_context: invoke.Context, dry_run: bool = False) -> None:
    """Remove seatrial's own engine with its images and volumes."""
    from seatrial import offline

    host = output.host()
    if dry_run:
        own = offline.engine_status(host)
        print(f"would remove {own.folder}" if own.unpacked else "it is not there: nothing to do")
    else:
        print("removed" if offline.remove_engine(host, output.say) else "it was not there")
