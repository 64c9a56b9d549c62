"""What a smoke costs beside the application's own start and stop: `nox -s bench`.

Wanted: from the command's start to its exit no more than the application's own time to healthy and to stop, plus 1.5 s.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from side_by_side import heading, measure, table, timed

from seatrial.engine.find import find_engine
from seatrial.host import this_host
from seatrial.observe.configuration import read_configuration
from seatrial.observe.running.sandbox import boot_config
from seatrial.settings.read import read_project
from seatrial.smoke import app_target

if TYPE_CHECKING:
    from seatrial.engine.find import Engine
    from seatrial.smoke import Target

ALLOWED = 1.5
"""Seconds that a smoke may take on top of the application's own."""


def main() -> int:
    """Measure both example applications."""
    project = read_project(Path(__file__).parent)
    engine = find_engine(this_host())
    heading("invoke smoke beside the application's own start and stop, in seconds")
    late = False
    for app in project.settings.apps:
        target = app_target(project, app, host=this_host())
        taken = measure(
            {
                f"{app}: its own start and stop": lambda: own_time(engine, target),  # noqa: B023 - called in this round
                f"{app}: invoke smoke": lambda: command("smoke", "--app", app, folder=project.folder),  # noqa: B023
                f"{app}: invoke smoke --level quick": lambda: command(
                    "smoke", "--app", app, "--level", "quick", folder=project.folder  # noqa: B023
                ),
            }
        )  # fmt: skip
        table(taken)
        own, whole, _ = (statistics.median(seconds) for seconds in taken.values())
        late = late or whole - own > ALLOWED
        print(f"  on top of the application's own: {whole - own:.2f} s, {ALLOWED} s allowed\n")
    return int(late)


def command(*words: str, folder: Path) -> float:
    """Return the seconds from the start of a seatrial command to its exit."""
    argv = [sys.executable, "-m", "invoke", *words]
    return timed(lambda: subprocess.run(argv, cwd=folder, check=True, capture_output=True))


def own_time(engine: Engine, target: Target) -> float:
    """Return the application's own time to healthy and to stop: under the same limits, with nothing beside it.

    Healthy is what the image's own HEALTHCHECK says, asked as often as the image declares.
    """
    client = engine.client.api
    configuration = read_configuration(engine, target.reference)
    plan = boot_config(configuration, target.contract)
    del plan["Healthcheck"]
    made = client.create_container_from_config(plan)["Id"]  # type: ignore[no-untyped-call]
    try:
        started = time.perf_counter()
        client.start(made)
        while client.inspect_container(made)["State"]["Health"]["Status"] != "healthy":
            time.sleep(0.02)
        client.stop(made)
        return time.perf_counter() - started
    finally:
        client.remove_container(made, force=True)


if __name__ == "__main__":
    sys.exit(main())
