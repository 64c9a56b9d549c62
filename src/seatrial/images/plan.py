"""What a build is, decided before anything is started."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from seatrial.dockerfile import DockerfileError, declares, for_target, parse, read
from seatrial.errors import BuildError, SettingsError
from seatrial.facts.sources import Dockerfile
from seatrial.filesystem import exists, is_folder
from seatrial.images import untrusted
from seatrial.settings.model import App
from seatrial.settings.read import Project, key_in, line_of, python_of
from seatrial.trust import Trust

APP_LABEL = untrusted.APP_LABEL
PYTHON_LABEL = "seatrial.python"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
IMAGE_NAME = re.compile(rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_COMPONENT}(?:/{_COMPONENT})*")
"""An image's name without a tag, by the distribution project's grammar of references."""


@dataclass(frozen=True, kw_only=True)
class BuildPlan:
    """One build: what `--dry-run` shows and `build` does."""

    app: str
    python: str | None
    image: str
    """The image's name, without a tag."""
    tags: tuple[str, ...]
    """The references that the build sets, the most specific first."""
    context: Path
    dockerfile: Path
    dockerfile_shown: str
    """The Dockerfile's path for messages: relative to the project where it lies in it."""
    build_arguments: Mapping[str, str]
    labels: Mapping[str, str]
    """What stays the same from build to build."""
    target: str | None = None
    """The stage that is built; None: the last one."""
    secrets: tuple[str, ...] = ()
    """The host's credentials that the settings name for it."""
    certificates: bool = True
    """Each RUN gets the host's certificates while it runs."""
    within: float = 3600
    """Seconds that the builder may take."""
    outside: tuple[str, ...] = ()
    """What it reads outside of the project's folder, for a person."""
    no_cache: bool = False
    cache: Path | None = None
    """The folder in which its layers are kept for other machines."""
    owner: str = ""
    """Whose caches and tags it has, where the project is not trusted; empty where it is."""
    of_service: bool = False
    """No app of the settings: a service of a compose file is built so."""
    table: str = ""
    """The table of the settings that says more of it, for a person."""


def plan_build(
    project: Project,
    name: str,
    *,
    python: str | None = None,
    no_cache: bool = False,
    trust: Trust = Trust.PROJECT,
) -> BuildPlan:
    """Plan one build; only the Dockerfile is read.

    Raises:
        SettingsError: the app or the Python version is not declared, or the image's name is not one.
        BuildError: the context or Dockerfile is missing, or lies outside of a project that is not trusted, or the
            Dockerfile cannot take the Python version.
    """
    app = project.app(name)
    version = python_of(name, app, python)
    image = _image_name(project, name)
    context, dockerfile = project.context(app), project.dockerfile(app)
    outside = _outside(project, {"build context": context, "Dockerfile": dockerfile})
    _require_context(project, name, context, outside, trust)
    shown = _shown(dockerfile, project)
    text = read_dockerfile(dockerfile, where=shown, named=project.place(name, "dockerfile"))
    named = project.place(name, "target")
    parsed = parse_for_target(text, app.target, app.build_arguments, where=shown, named=named)
    owner = untrusted.owner_of(project.folder) if trust is Trust.NONE else ""
    if owner:
        untrusted.require_dockers_syntax(text, app.build_arguments, where=shown, settings=declared(project, name))
    default = app.pythons[0] if app.pythons else None
    specific = (f"{image}:py{version}",) if version else ()
    latest = project.of_services[name].tag if name in project.of_services else "latest"
    return BuildPlan(
        app=name,
        python=version,
        image=image,
        tags=(*specific, f"{image}:{latest}") if version == default else specific,
        context=context,
        dockerfile=dockerfile,
        dockerfile_shown=shown,
        build_arguments=_arguments(app, version, parsed, where=shown),
        target=app.target,
        labels={
            APP_LABEL: _first_of(project, name),
            **({PYTHON_LABEL: version} if version else {}),
            **({untrusted.LABEL: owner} if owner else {}),
        },
        secrets=app.build_secrets,
        certificates=app.build_certificates,
        within=app.build_within,
        outside=outside,
        no_cache=no_cache,
        owner=owner,
        of_service=name in project.of_services,
        table="an app that you declare with its context"
        if name in project.of_services
        else project.table("apps", name),
    )


def _image_name(project: Project, name: str) -> str:
    image = project.app(name).image or name
    if IMAGE_NAME.fullmatch(image) is None:
        what = f"{image!r} is not an image name: those are lower-case letters and digits, with single separators."
        said = name in project.of_services
        where = declared(project, name) if said else f"{project.file.name} {project.table('apps', name)}"
        raise SettingsError(what, where=where, fix="Set `image` there.")
    return image


def _require_context(project: Project, name: str, context: Path, outside: Sequence[str], trust: Trust) -> None:
    if outside and trust is Trust.NONE:
        raise BuildError(
            f"{lies_outside(outside)}, and the project is not trusted.",
            where=declared(project, name),
            fix="Keep it inside; or, where you trust the project as your own, give --trust project.",
        )
    if not is_folder(context):
        raise BuildError(
            f"the build context {'is not a directory' if exists(context) else 'does not exist'}.",
            where=_shown(context, project),
            fix=f"Correct {project.place(name, 'context')}.",
        )


def _first_of(project: Project, name: str) -> str:
    """Return the first app with an app's image and build: apps that differ in their command share one image."""

    def made(name: str) -> tuple[object, ...]:
        app = project.app(name)
        paths = (project.context(app), project.dockerfile(app), app.target)
        return (app.image or name, *paths, app.build_arguments, app.pythons, app.python_argument)

    return next(other for other in project.settings.apps if made(other) == made(name))


def plan_matrix(
    project: Project,
    names: Sequence[str],
    *,
    python: str | None = None,
    every: bool = False,
    no_cache: bool = False,
    trust: Trust = Trust.PROJECT,
) -> tuple[BuildPlan, ...]:
    """Plan the builds of several apps.

    Apps that share an image and its build are built once. With `python`, those apps are built that declare it; with
    `every`, every version that each app declares; otherwise each app's default.

    Raises:
        SettingsError: an app is unknown, or none of them declares the version.
        BuildError: see plan_build.
    """
    pairs: list[tuple[str, str | None]] = []
    for name in names:
        declared = project.app(name).pythons
        if python is not None:
            pairs += [(name, python)] if python in declared else []
        else:
            pairs += [(name, version) for version in declared] if every and declared else [(name, None)]
    if not pairs and names:
        # Nobody declares it: planning the first app says so, and suggests the nearest.
        pairs = [(names[0], python)]
    plans = [plan_build(project, name, python=version, no_cache=no_cache, trust=trust) for name, version in pairs]
    unlike = {(plan.tags, plan.labels[APP_LABEL]): plan for plan in reversed(plans)}
    return tuple(plan for plan in plans if unlike[plan.tags, plan.labels[APP_LABEL]] is plan)


def _outside(project: Project, paths: Mapping[str, Path]) -> tuple[str, ...]:
    """Return what lies outside of the project's folder, links followed: `the build context /srv`."""
    folder = project.folder.resolve()
    resolved = {what: path.resolve() for what, path in paths.items()}
    return tuple(f"the {what} {path}" for what, path in resolved.items() if not path.is_relative_to(folder))


def lies_outside(outside: Sequence[str]) -> str:
    """Return what is said of a plan's `outside`."""
    return f"{' and '.join(outside)} {'lies' if len(outside) == 1 else 'lie'} outside of the project's folder"


def declared(project: Project, app: str, key: str = "") -> str:
    """Return the file and line that declare an app, or a key of it."""
    if app in project.of_services:
        return project.of_services[app].where
    with suppress(OSError, UnicodeDecodeError):
        keys = key_in(project.file, "apps", app, *([key] if key else [])).split(".")
        line = line_of(project.file.read_text(encoding="utf-8"), keys)
        return f"{project.file.name}:{line}" if line else project.file.name
    return project.file.name


def read_dockerfile(file: Path, *, where: str, named: str) -> str:
    """Return a Dockerfile's text; `named` tells where it is named."""
    told = f"{named} names it."
    try:
        return read(file)
    except FileNotFoundError:
        fix = f"Write it, or correct {named}."
        raise BuildError("there is no such Dockerfile.", where=where, fix=fix) from None
    except OSError as error:
        raise BuildError(f"the Dockerfile cannot be read: {error.strerror}.", where=where, fix=told) from error
    except DockerfileError as error:
        at = f"{where}:{error.line}" if error.line else where
        raise BuildError(f"the Dockerfile cannot be used: {error.what}.", where=at, fix=told) from error


def parse_for_target(
    text: str, target: str | None, build_arguments: Mapping[str, str], *, where: str, named: str
) -> Dockerfile:
    """Return a Dockerfile of which a stage is built; `named` tells where the stage is named.

    Raises:
        BuildError: it has no such stage, or several.
    """
    try:
        return for_target(parse(text), target, build_arguments)
    except DockerfileError as error:
        at = f"{where}:{error.line}" if error.line else where
        raise BuildError(f"{error.what}.", where=at, fix=f"{error.fix} {named} names it.") from None


def dockerfile_of(plan: BuildPlan, project: Project) -> Dockerfile:
    """Return a plan's Dockerfile, of which its stage is built. Raises BuildError: it cannot be, or cannot be read."""
    where, named = plan.dockerfile_shown, partial(project.place, plan.app)
    text = read_dockerfile(plan.dockerfile, where=where, named=named("dockerfile"))
    return parse_for_target(text, plan.target, plan.build_arguments, where=where, named=named("target"))


def _shown(path: Path, project: Project) -> str:
    return str(path.relative_to(project.folder) if path.is_relative_to(project.folder) else path)


def _arguments(app: App, version: str | None, dockerfile: Dockerfile, *, where: str) -> dict[str, str]:
    if version is None:
        return dict(app.build_arguments)
    if declares(dockerfile, app.python_argument):
        return {**app.build_arguments, app.python_argument: version}
    if version != app.pythons[0]:
        raise BuildError(
            f"Python {version} cannot be chosen: there is no ARG {app.python_argument}.",
            where=where,
            fix=f"Write `ARG {app.python_argument}={app.pythons[0]}` above FROM and use it there, "
            "or name the Dockerfile's own argument with `python-argument`.",
        )
    return dict(app.build_arguments)
