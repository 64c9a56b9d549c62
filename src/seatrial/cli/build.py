"""build: builds images."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import invoke

from seatrial.cli import output
from seatrial.cli.command import command
from seatrial.errors import SeatrialError, SettingsError, together

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seatrial.engine.find import Engine
    from seatrial.engine.programs import Choice
    from seatrial.host import Host
    from seatrial.images.plan import BuildPlan
    from seatrial.settings.read import Project


@command(
    trusting=True,
    help={
        "app": "the app to build; all apps without it",
        "python": "the Python version, such as 3.13; an app's first without it",
        "all": "every Python version that each app declares",
        "builder": "the buildx builder; without it what BUILDX_BUILDER names, or the engine's own",
        "no-cache": "build every step anew",
        "cache": "keep layers in this folder, and take them from it, for CI; wants a builder of the "
        "driver docker-container",
        "dry-run": "print what would be built, and build nothing",
    },
)
def build(
    _context: invoke.Context,
    app: str | None = None,
    python: str | None = None,
    all: bool = False,
    builder: str | None = None,
    no_cache: bool = False,
    cache: str | None = None,
    dry_run: bool = False,
) -> None:
    """Build images: live progress, then what was made, how large, how long, what came from the cache."""
    from seatrial.engine.programs import choose_builder
    from seatrial.images.build import build_all
    from seatrial.images.plan import plan_matrix
    from seatrial.reports.build import BuildReport, plan_lines

    if python is not None and all:
        raise SettingsError("--python names one version, --all means every one.", fix="Give only one of them.")
    if builder is not None and not builder.strip():
        raise SettingsError("--builder names no builder.", fix="Give its name, or leave the option out.")
    project, host = output.project(), output.host()
    if app is None or app not in project.settings.apps:
        project = output.with_services(project)
    choice = choose_builder(builder, host.environment)
    planned = partial(plan_matrix, project, python=python, every=all, no_cache=no_cache, trust=host.trust)
    names = tuple(project.chosen(app))
    others = [name for name in names if app is None and name in project.of_services]
    plans = planned([name for name in names if name not in others])
    problems: list[SeatrialError] = []
    for name in others if python is None else ():
        # What only a compose file declares keeps no app from its build.
        try:
            plans += planned([name])
        except SeatrialError as error:
            problems.append(error)
    if dry_run:
        print("\n".join(plan_lines(plans, by=_builder_name(choice, host))))
    else:
        engine = output.engine()
        with BuildReport(output.error_console()) as report:
            build_all(plans, engine=engine, host=host, project=project, choice=choice, observer=report, cache=cache)
    if problems:
        raise together(problems, "services cannot be built", where=str(project.folder))


def build_apps(
    project: Project,
    names: Sequence[str],
    engine: Engine,
    host: Host,
    failed: Callable[[BuildPlan, SeatrialError], None] | None = None,
) -> None:
    """Build the images of some apps, as another command needs them; `failed` receives why one is not built."""
    from seatrial.engine.programs import choose_builder
    from seatrial.images.build import build_all
    from seatrial.images.plan import plan_matrix
    from seatrial.reports.build import BuildReport

    plans, choice = plan_matrix(project, names, trust=host.trust), choose_builder(None, host.environment)
    with BuildReport(output.error_console()) as report:
        build_all(plans, engine=engine, host=host, project=project, choice=choice, observer=report, failed=failed)


def _builder_name(choice: Choice | None, host: Host) -> str:
    """Return what would build. Only a builder that somebody named is asked for: else a dry run needs no engine."""
    from seatrial.engine import find, programs

    if choice is not None:
        engine = output.engine()
        builder = programs.find_builder(choice, engine, host)
        return f"the builder {builder}, for {engine}" if builder is not None else f"the builder of {engine}"
    first = next(find.candidates(host))
    return f"the builder of {first.source} ({first.url})" if first.explicit else "the engine's own builder"
