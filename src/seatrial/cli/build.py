"""build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.cli import output
from seatrial.cli.errors import command
from seatrial.errors import ExitCode, SeatrialError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import invoke

    from seatrial.engine.builders import Choice
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
        "builder": "the buildx builder; without it what BUILDX_BUILDER names, or the engine's own",
        "no-cache": "build every step anew",
        "dry-run": "say what would be built, and build nothing",
    }
)
def build(
    _context: invoke.Context,
    app: str | None = None,
    python: str | None = None,
    all: bool = False,  # noqa: A002 - the option's name
    builder: str | None = None,
    no_cache: bool = False,
    dry_run: bool = False,
) -> ExitCode:
    """Build images: live progress, then what was made, how large, how long, what came from the cache."""
    from seatrial.engine.builders import choose
    from seatrial.images.plan import plan_matrix
    from seatrial.reports.build import plan_lines

    if python is not None and all:
        raise SettingsError("--python names one version, --all means every one.", fix="Give only one of them.")
    if builder is not None and not builder.strip():
        raise SettingsError("--builder names no builder.", fix="Give its name, or leave the option out.")
    project, host = output.project(), output.host()
    choice = choose(builder, host.environment)
    names = tuple(project.chosen(app))
    plans = plan_matrix(project, names, python=python, every=all, no_cache=no_cache)
    if dry_run:
        for line in plan_lines(plans, by=_by(choice, host)):
            print(line)
        return ExitCode.OK
    build_all(plans, engine=output.engine(), host=host, project=project, choice=choice)
    return ExitCode.OK


def build_all(
    plans: Sequence[BuildPlan], *, engine: Engine, host: Host, project: Project, choice: Choice | None
) -> list[BuildResult]:
    """Build one after the other, and show how it goes; all are tried, the first problem is raised at the end."""
    from seatrial.engine import builders
    from seatrial.images.bases import Registries
    from seatrial.images.build import build as build_one
    from seatrial.reports.build import BuildReport

    builder = builders.find(choice, engine, host)
    if builder is not None and choice is not None:
        output.say(f"The builder {builder}, named by {choice.source}, builds; the images go into {engine}.")
    registries = Registries(engine=engine)
    problem: SeatrialError | None = None
    results: list[BuildResult] = []
    with BuildReport(output.progress_screen()) as report:
        for plan in plans:
            try:
                built = build_one(
                    plan, engine=engine, host=host, project=project, observer=report, registries=registries,
                    builder=builder,
                )  # fmt: skip
            except SeatrialError as error:
                if len(plans) > 1:
                    output.say(f"{plan.tags[0]} was not built: {error}")
                problem = problem or error
            else:
                results.append(built)
    if problem is not None:
        raise problem
    return results


def _by(choice: Choice | None, host: Host) -> str:
    """Return who would build. Only a builder that somebody named is looked at: else a dry run needs no engine."""
    from seatrial.engine import builders, find

    if choice is not None:
        engine = output.engine()
        builder = builders.find(choice, engine, host)
        whose = f"the builder {builder}, for" if builder is not None else "the builder of"
        return f"{whose} {engine}"
    first = next(find.candidates(host))
    return f"the builder of {first.source} ({first.url})" if first.explicit else "the engine's own builder"
