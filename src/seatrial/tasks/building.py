"""build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.errors import ExitCode, SeatrialError, SettingsError
from seatrial.tasks import surroundings
from seatrial.tasks.boundary import command

if TYPE_CHECKING:
    from collections.abc import Sequence

    import invoke

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.images.build import BuildResult
    from seatrial.images.plan import BuildPlan
    from seatrial.settings.read import Project


@command(
    help={
        "app": "the app to build; all apps without it",
        "python": "the Python version, such as 3.13; an app's first without it",
        "all": "every Python version that each app declares",
        "no-cache": "build every step anew",
        "dry-run": "say what would be built, and build nothing",
    }
)
def build(
    _context: invoke.Context,
    app: str | None = None,
    python: str | None = None,
    all: bool = False,  # noqa: A002 - the option's name
    no_cache: bool = False,
    dry_run: bool = False,
) -> ExitCode:
    """Build images: live progress, then what was made, how large, how long, what came from the cache."""
    from seatrial.images.plan import plan_matrix
    from seatrial.reports.build import plan_lines

    if python is not None and all:
        raise SettingsError("--python names one version, --all means every one.", fix="Give only one of them.")
    project = surroundings.project()
    names = tuple(project.chosen(app))
    plans = plan_matrix(project, names, python=python, every=all, no_cache=no_cache)
    if dry_run:
        for line in plan_lines(plans):
            print(line)
        return ExitCode.OK
    build_all(plans, engine=surroundings.engine(), host=surroundings.host(), project=project)
    return ExitCode.OK


def build_all(plans: Sequence[BuildPlan], *, engine: Engine, host: Host, project: Project) -> list[BuildResult]:
    """Build one after the other, and show how it goes; all are tried, the first problem is raised at the end."""
    from seatrial.images.bases import Registries
    from seatrial.images.build import build as build_one
    from seatrial.reports.build import BuildReport

    registries = Registries(engine=engine)
    problem: SeatrialError | None = None
    results: list[BuildResult] = []
    with BuildReport(surroundings.progress_screen()) as report:
        for plan in plans:
            try:
                built = build_one(
                    plan, engine=engine, host=host, project=project, observer=report, registries=registries
                )
            except SeatrialError as error:
                if len(plans) > 1:
                    surroundings.say(f"{plan.tags[0]} was not built: {error}")
                problem = problem or error
            else:
                results.append(built)
    if problem is not None:
        raise problem
    return results
