"""The images of compose services that are built: each is an app's image, where the service's build is that app's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from seatrial.compose.guard import findings, guarded, require_trusted
from seatrial.compose.reach import resolved
from seatrial.compose.reading import REMOTE, small_text
from seatrial.compose.runner import beside, identify, unescaped
from seatrial.compose.services import below, model_with_placeholders, read_services
from seatrial.compose.text import text_of
from seatrial.dockerfile import DockerfileError, for_target, parse, read
from seatrial.engine.find import Engine
from seatrial.errors import StackError
from seatrial.facts import Json
from seatrial.facts.image import repository
from seatrial.host import Host
from seatrial.settings.model import App, Contract
from seatrial.settings.read import OfService, Project
from seatrial.trust import Trust
from seatrial.yaml_tree import at

KNOWN = frozenset({"context", "dockerfile", "target", "args"})
"""Of a build section, what seatrial's own build takes over."""
OF_NO_CONTENT = frozenset(
    (
        *("cache_from", "cache_to", "isolation", "labels", "no_cache", "platforms", "provenance", "pull", "sbom"),
        *("shm_size", "tags", "ulimits"),
    )
)
"""What changes how an image is made or called, and not what it runs."""
MOST_BUILDS = 100
"""Services with a build section: each is compared with each app."""


@dataclass(frozen=True, kw_only=True)
class ServiceBuild:
    """What a compose service is built from. The values of its arguments may be secrets: they are not printed."""

    context: Path
    dockerfile: Path
    target: str | None
    arguments: Mapping[str, str]
    beyond: tuple[str, ...] = ()
    """The keys of its build section that seatrial's build does not know, and that change what it makes."""


def read_builds(document: Json) -> dict[str, ServiceBuild]:
    """Return the builds of compose's own model, by service. Raises StackError: there are too many of them."""
    tables = {name: (table or {}).get("build") for name, table in (document.get("services") or {}).items()}
    found = {name: _read(build) for name, build in tables.items() if build}
    if len(found) > MOST_BUILDS:
        what = f"the compose file builds {len(found)} services, more than {MOST_BUILDS}."
        raise StackError(what, fix="Give services of one build one `image`, and let one of them build it.")
    return found


def _read(written: Json | str) -> ServiceBuild:
    build: Json = {"context": written} if isinstance(written, str) else written
    context = str(build.get("context") or ".")
    folder = resolved(context)
    known = KNOWN | OF_NO_CONTENT
    beyond = [key for key, value in build.items() if value and key not in known and not key.startswith("x-")]
    if REMOTE.match(context):
        beyond.append("context")
    return ServiceBuild(
        context=folder,
        dockerfile=resolved(str(folder / str(build.get("dockerfile") or "Dockerfile"))),
        target=str(build["target"]) if build.get("target") else None,
        arguments=_values(build.get("args")),
        beyond=tuple(sorted(beyond)),
    )


def _values(table: Json | None) -> dict[str, str]:
    """Return the arguments or variables of a table that have a value."""
    return {str(name): unescaped(str(value)) for name, value in (table or {}).items() if value is not None}


def app_of_build(project: Project, build: ServiceBuild) -> str | None:
    """Return the app whose own build a service's build is; None where it is no app's.

    The context, the Dockerfile and the stage are the same, and the app's settings give every argument of the service
    the same value. What else the settings say of the build holds.
    """
    return next((name for name in project.settings.apps if _is_of(project, name, build)), None)


def _is_of(project: Project, name: str, build: ServiceBuild) -> bool:
    app = project.app(name)
    if resolved(str(project.context(app))) != build.context:
        return False
    if resolved(str(project.dockerfile(app))) != build.dockerfile or "dockerfile_inline" in build.beyond:
        return False
    given = arguments_of(app)
    if name in project.of_services and given != build.arguments:
        return False
    if any(given.get(argument) != value for argument, value in build.arguments.items()):
        return False
    return "additional_contexts" not in build.beyond and _stage(build.dockerfile, app.target) == _stage(
        build.dockerfile, build.target
    )


def arguments_of(app: App) -> dict[str, str]:
    """Return the build arguments of an app's first Python."""
    return {**app.build_arguments, **({app.python_argument: app.pythons[0]} if app.pythons else {})}


def _stage(dockerfile: Path, target: str | None) -> int | str | None:
    """Return which stage a target means, by its index; its name where that cannot be told."""
    try:
        final = for_target(parse(read(dockerfile)), target, {}).final
    except (OSError, DockerfileError):
        return target.lower() if target else None
    return None if final is None else final.index


def with_builds(project: Project, app: str, file: Path, document: Json) -> Project:
    """Return a project with an app for each image that services of an app's compose file are built for.

    There is none for an image that an app's build makes already, nor for a build that seatrial cannot carry out. Its
    name is that of the first service of the build; its image that of the service, or PROJECT-SERVICE, as compose names
    it. Raises StackError: the file builds too many services.
    """
    others = beside(project, app).files
    lines = text_of(file, others, lambda other: below(other, project.folder)).lines
    builds = read_builds(document)
    for service in read_services(document):
        build = builds.get(service.name)
        if build is None or build.beyond or maker(project, service.image, build) is not None:
            continue
        image = service.image or f"{identify(project, app).compose_project}-{service.name}".lower()
        line = lines.get(service.name, {}).get("build", 0)
        where = at(below(file, project.folder), line)
        said = OfService(service=service.name, where=where, tag=_tag(image) or "latest")
        taken = project.settings.apps
        names = (service.name, *(f"{app}-{service.name}{number or ''}" for number in range(len(taken) + 1)))
        name = next(name for name in names if name not in taken)
        made = structs.replace(
            _settings_for(project, build),
            image=repository(image),
            entrypoint=service.entrypoint,
            command=service.command,
            contract=Contract(environment=_values(document["services"][service.name].get("environment"))),
        )
        project = replace(
            project,
            settings=structs.replace(project.settings, apps={**taken, name: made}),
            of_services={**project.of_services, name: said},
        )
    return project


def _settings_for(project: Project, build: ServiceBuild) -> App:
    """Return how a service's image is built: as an app's settings say, where its build is that app's."""
    app = app_of_build(project, build)
    known = App() if app is None else project.app(app)
    return structs.replace(
        known,
        context=str(build.context),
        dockerfile=str(build.dockerfile),
        target=build.target,
        build_arguments=build.arguments if app is None else arguments_of(known),
        pythons=(),
        compose=None,
        env_files=(),
        onboard=False,
    )


def maker(project: Project, image: str | None, build: ServiceBuild) -> str | None:
    """Return the app whose build makes a service's image; None where none does.

    Where the service names no image, or one of the app's name with a tag that no build of the app sets, that is the
    app whose build it is.
    """
    if image is not None:
        named_so = [name for name, app in project.settings.apps.items() if (app.image or name) == repository(image)]
        if app := next((name for name in named_so if _is_set(project, name, image)), None):
            return app
    app = app_of_build(project, build)
    own = app is not None and app not in project.of_services
    if app is None or image is None or (own and (project.app(app).image or app) == repository(image)):
        return app
    return None


def _is_set(project: Project, app: str, image: str) -> bool:
    """Tell whether a build of an app sets an image's tag."""
    tag = _tag(image) or "latest"
    if app in project.of_services:
        return tag == project.of_services[app].tag
    return tag in {"latest", *(f"py{version}" for version in project.app(app).pythons)}


def _tag(image: str) -> str:
    return image[len(repository(image)) :].partition("@")[0].removeprefix(":")


def makers(project: Project, document: Json) -> dict[str, str]:
    """Return the apps that make the images of the services that are built, by service."""
    services, builds = document.get("services") or {}, read_builds(document)
    found = {name: maker(project, services[name].get("image"), build) for name, build in builds.items()}
    return {name: app for name, app in found.items() if app is not None}


def named(project: Project, document: Json) -> dict[str, str]:
    """Return the images of the services that are built, by service, where the file names none: one for each build.

    A service whose image has an app's name and a tag that no build of the app sets gets the app's, too.
    """
    found = {}
    for name, app in makers(project, document).items():
        image = document["services"][name].get("image")
        if image is None or not _is_set(project, app, image):
            tag = project.of_services[app].tag if app in project.of_services else "latest"
            found[name] = (project.app(app).image or app) + (f":{tag}" if tag != "latest" else "")
    return found


def with_images(project: Project, app: str, file: Path, document: Json) -> Json:
    """Return the model of an app's compose file, with the images of the services that only have a build section."""
    return with_named(document, named(with_builds(project, app, file, document), document))


def with_named(document: Json, images: Mapping[str, str]) -> Json:
    """Return compose's model with the images of services; how the file says that those are pulled does not hold."""
    services = {
        name: {**{key: value for key, value in table.items() if key != "pull_policy"}, "image": images[name]}
        if name in images
        else table
        for name, table in (document.get("services") or {}).items()
    }
    return {**document, "services": services}


DECLARES = re.compile(r"^[^#\n]*\b(?:build|include|extends)[\"']?\s*:", re.MULTILINE)
"""What a compose file's text holds, if services of it are built."""


def building_files(project: Project, trust: Trust) -> dict[str, Path]:
    """Return the compose files whose services may be built, by app: as far as the files' text tells.

    A file outside of a project that is not trusted is not opened: it may be one.
    """
    files = {name: project.compose_files(app) for name, app in project.settings.apps.items()}
    found = {name: [resolved(str(file)) for file in named] for name, named in files.items() if named}
    building = {name: any(_may_build(file, project.folder, trust) for file in named) for name, named in found.items()}
    return {name: named[0] for name, named in found.items() if building[name]}


def _may_build(file: Path, folder: Path, trust: Trust) -> bool:
    if trust is Trust.NONE and not file.is_relative_to(folder.resolve()):
        return True
    return DECLARES.search(small_text(file) or "") is not None


def with_services(project: Project, *, engine: Engine, host: Host, say: Callable[[str], None]) -> Project:
    """Return a project with the apps of its compose files' services: see with_builds.

    Compose is asked only where a file's text speaks of builds. `say` receives why a file is left out.

    Raises:
        EngineError: compose is not installed, or too old.
    """
    for name, file in building_files(project, host.trust).items():
        try:
            compose, reading = guarded(identify(project, name), file, project.folder, engine=engine, host=host)
            document, _ = model_with_placeholders(compose, text_of(file, beside(project, name).files))
            require_trusted(findings(reading, document, host.trust), lambda _: None)
            project = with_builds(project, name, file, document)
        except StackError as error:
            say(f"{below(file, project.folder)}: the services that are built there are left out: {error}")
    return project
