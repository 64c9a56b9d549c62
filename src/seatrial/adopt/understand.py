"""Understands a Python project by reading its files; nothing of it is run or imported."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from msgspec import structs

from seatrial.adopt import needs
from seatrial.adopt.apps import build_contexts, find_apps, project_name, services_of
from seatrial.adopt.commands import Image, Scripts, merged, start_of, stated_starts
from seatrial.adopt.compose_calls import with_calls
from seatrial.adopt.declarations import Declared
from seatrial.adopt.dockerfiles import read_dockerfile, read_dockerfiles
from seatrial.adopt.known import CLASSES, STREAMLIT
from seatrial.adopt.model import (
    App,
    DockerfileFound,
    Found,
    Note,
    Project,
    ServiceFound,
    Stack,
    Start,
    Sure,
    Understanding,
    guessed,
    inferred,
    stated,
)
from seatrial.adopt.modules import Modules, read_modules
from seatrial.adopt.needs import variables
from seatrial.adopt.projects import read_projects
from seatrial.adopt.proposal import unknown
from seatrial.adopt.stacks import container_port, read_stacks
from seatrial.adopt.starts import starts
from seatrial.adopt.tree import Tree, divided, is_aside, joined
from seatrial.compose.text import settled

URL = re.compile(r"https?://[^/\s\"'$)]+(?::\$?\{?[\w:-]+\}?)?(/[^\s\"'|&;)]*)?")
SURE_ROUTE = re.compile(r"health|live|ready|readiness|alive")
BASE_PYTHON = re.compile(r"(?:^|/)(?:python|uv):(?:python)?(\d+\.\d+(?:\.\d+)?)")
DEFAULT_PORTS = {framework.name: framework.port for framework in (*CLASSES.values(), STREAMLIT) if framework.port}


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """What was read of a project's own files."""

    declared: Declared
    modules: Modules
    files: Sequence[str]


def understand(folder: Path, without: Collection[str] = ()) -> Understanding:
    """Return what is understood of a project's folder; some of its files may be left out."""
    tree = Tree(folder, without)
    stacks, notes = read_stacks(tree)
    stacks, call_notes = with_calls(tree, stacks)
    dockerfiles, more_notes = read_dockerfiles(tree)
    contexts = build_contexts(tree, dockerfiles)
    readings = _readings(tree, _built_from(stacks, dockerfiles, contexts) & set(tree.folders))
    console = {name: target for each in readings for name, (target, _) in each.declared.scripts.items()}
    scripts = Scripts(tree, console)
    projects = tuple(map(_project, readings))
    top = projects[0].name if projects and (len(projects) == 1 or not projects[0].folder) else None
    name = project_name(tree, top, stacks)
    apps = find_apps(tree, name, stacks, dockerfiles, contexts, projects)
    apps = tuple(_with_command(tree, app, scripts) for app in apps)
    finished = tuple(_with_apps(tree, *each, apps, stacks, scripts) for each in zip(projects, readings, strict=True))
    found = [
        *notes,
        *call_notes,
        *more_notes,
        *(note for each in readings for note in (*each.declared.notes, *each.modules.notes)),
    ]
    found += [Note(where=where, what=what) for where, what in dict.fromkeys(tree.notes)]
    return Understanding(
        name=name,
        files=len(tree.files),
        stacks=stacks,
        dockerfiles=dockerfiles,
        projects=finished,
        apps=apps,
        unknown=tuple(dict.fromkeys(unknown(apps, finished, dockerfiles, name))),
        notes=(*found, *_left_over(apps, dockerfiles), *_mounted_over(tree, apps, stacks, finished)),
    )


def _with_command(tree: Tree, app: App, scripts: Scripts) -> App:
    """Return an app without the command of its compose file, where its image starts something by itself.

    Such a command may wait for other services, which an image that is started alone does not have.
    """
    image = read_dockerfile(tree, app.dockerfile.value, app.target) if app.dockerfile is not None else None
    if image is None:
        return app
    own, given = (*image.entrypoint, *image.command), [found.value for found in (app.entrypoint, app.command) if found]
    files = scripts.of_image(image)
    words = tuple(word for value in given for word in value)
    if own and (start_of(own, image.environment, files) or not start_of(words, image.environment, files)):
        return structs.replace(app, command=None, entrypoint=None)
    return app


def _built_from(
    stacks: Sequence[Stack], dockerfiles: Sequence[DockerfileFound], contexts: Mapping[str, Found[str]]
) -> set[str]:
    """Return the folders that images are built from, as far as that is no guess."""
    said = [service.context for stack in stacks if not stack.aside for service in stack.built]
    own = [contexts[each.file] for each in dockerfiles if each.python and not each.aside]
    said += [context.value for context in own if context.sure is not Sure.GUESSED]
    return {"" if context == "." else context for context in said}


def _readings(tree: Tree, contexts: set[str]) -> tuple[_Reading, ...]:
    """Return what the files of each Python project say, that of the top folder first."""
    declared = read_projects(tree, frozenset(contexts))
    files = divided(tree, (each.folder for each in declared))
    return tuple(
        _Reading(
            declared=each,
            files=files[each.folder],
            # The root of a workspace that is no project by itself holds tools alone.
            modules=Modules()
            if each.members and each.name is None
            else read_modules(tree, each.folder, files[each.folder], each.sources),
        )
        for each in declared
    )


def _left_over(apps: Sequence[App], dockerfiles: Sequence[DockerfileFound]) -> Iterator[Note]:
    built = {app.dockerfile.value for app in apps if app.dockerfile is not None}
    for dockerfile in dockerfiles:
        if dockerfile.file not in built and dockerfile.python and not dockerfile.aside:
            yield Note(where=dockerfile.file, what="no compose service builds it, and another Dockerfile is used")


def _mounted_over(
    tree: Tree, apps: Sequence[App], stacks: Sequence[Stack], projects: Sequence[Project]
) -> Iterator[Note]:
    """Yield a note for each target that no code is copied to, and whose code is mounted: the image may hold none."""
    for app in apps:
        image = read_dockerfile(tree, app.dockerfile.value, app.target) if app.dockerfile and app.target else None
        places = [found.where for each in projects if each.folder == app.project for found in each.packages]
        places = places or [path for path in tree.files if path.endswith(".py") and not is_aside(path)]
        copies = [joined(app.context.value, source.lstrip("/")) for source in image.copies] if image else []
        if image is None or any("$" in copy or _overlap(copy, place) for copy in copies for place in places):
            continue
        for service in services_of(app, stacks):
            inside = [each for each in service.mounts if any(_overlap(each, place) for place in places)]
            if inside:
                where = service.lines.get("volumes", service.where)
                what = (
                    f"{service.name} is built to its target {app.target} and mounts {inside[0]} there: the image alone "
                    "may hold no code. `target` of the app says which stage is proved"
                )
                yield Note(where=where, what=what)
                break


def _overlap(path: str, other: str) -> bool:
    """Tell whether one of two paths is the other or lies in it; the first may be a pattern."""
    within = path == "." or f"{other}/".startswith(f"{path}/") or f"{path}/".startswith(f"{other}/")
    return within or fnmatchcase(other, path)


def _project(reading: _Reading) -> Project:
    """Return a project as its own files tell, without what compose files and Dockerfiles say about it."""
    declared, modules = reading.declared, reading.modules
    return Project(
        folder=declared.folder,
        name=declared.name,
        installer=declared.installer,
        lock=declared.lock,
        requirements=declared.requirements,
        python=declared.python,
        layout=modules.layout,
        packages=modules.packages,
        members=declared.members,
        dependencies={name: where for name, where in declared.dependencies.items() if "[" not in name},
        starts=starts(modules, declared.dependencies, declared.scripts),
        libraries=needs.libraries(declared),
        programs=needs.programs(modules.codes),
        data=modules.data,
    )


def _with_apps(
    tree: Tree, project: Project, reading: _Reading, apps: Sequence[App], stacks: Sequence[Stack], scripts: Scripts
) -> Project:
    """Return a project with what the images that hold it, and their services, say."""
    modules, dependencies = reading.modules, reading.declared.dependencies
    own = [app for app in apps if app.python and app.project == project.folder]
    images = [
        Image(
            dockerfile=read_dockerfile(tree, app.dockerfile.value, app.target) if app.dockerfile is not None else None,
            services=services_of(app, stacks),
        )
        for app in own
    ]
    services = [service for image in images for service in image.services]
    dockerfiles = [image.dockerfile for image in images if image.dockerfile is not None]
    stack = next((each for each in stacks for app in own if app.compose and each.files[0] in app.compose), None)
    if stack is None and project.folder == "":
        stack = next((each for each in stacks if each.usual and posixpath.dirname(each.files[0]) == ""), None)
    said = list(stated_starts(tree, project, images, scripts))
    chosen = merged([start for start, _ in said], project.starts, modules)
    frameworks = [start.value.framework for start in chosen]
    return structs.replace(
        project,
        starts=chosen,
        python=project.python or _python_of(dockerfiles),
        port=next(_ports(chosen, said, services, dockerfiles, modules), None),
        health=_health(services, dockerfiles, modules),
        variables=variables(tree, project.folder, modules.codes, services, reading.files),
        services=needs.services(reading.declared, modules.codes, services, stack),
        migrations=needs.migrations(tree, project.folder, dependencies, reading.files),
        data=needs.data(tree, project.folder, project.data, frameworks),
    )


def _python_of(dockerfiles: Sequence[DockerfileFound]) -> Found[str] | None:
    for image in dockerfiles:
        for base in image.bases:
            if match := BASE_PYTHON.search(base):
                return inferred(match[1], image.file, f"it stands on {base}")
    return None


def _ports(
    found: Sequence[Found[Start]],
    said: Sequence[tuple[Found[Start], int | None]],
    services: Sequence[ServiceFound],
    dockerfiles: Sequence[DockerfileFound],
    modules: Modules,
) -> Iterator[Found[int]]:
    """Yield the ports that it may listen on, the surest first."""
    for start, port in said:
        if port is not None and start.value.kind == "web":
            yield stated(port, start.where)
    for service in services:
        for port in filter(None, map(container_port, service.ports)):
            yield stated(port, service.lines.get("ports", service.where))
    for image in dockerfiles:
        for port in image.ports:
            yield stated(port, image.file, "EXPOSE")
    served = ((code.path, each) for code in modules.codes for each in code.served if each.port)
    yield from (inferred(each.port, f"{path}:{each.line}") for path, each in served)
    for start in found:
        if start.value.kind == "web" and (port := DEFAULT_PORTS.get(start.value.framework, 0)):
            yield guessed(port, start.where, "its usual one")


def _health(
    services: Sequence[ServiceFound], dockerfiles: Sequence[DockerfileFound], modules: Modules
) -> Found[str] | None:
    for service in services:
        if match := URL.search(settled(" ".join(service.health))):
            return stated(match[1] or "/", service.lines.get("healthcheck", service.where))
    for image in dockerfiles:
        if match := URL.search(settled(image.health)):
            return stated(match[1] or "/", f"{image.file}:{image.health_line}")
    roots = {
        posixpath.dirname(code.path)
        for code in modules.codes
        if code.path.endswith(("wsgi.py", "asgi.py", "settings.py"))
    }
    routes = [
        # Of Django's modules of addresses, only that beside the settings is sure to be the first.
        (path, code.path, line, aside or (code.path.endswith("urls.py") and posixpath.dirname(code.path) not in roots))
        for code in modules.codes
        for path, line, aside in code.routes
    ]
    routes = [row for row in routes if not row[3] or SURE_ROUTE.search(row[0])]
    # A route that tells whether it is ready asks its services too: a restart would not fix these.
    routes.sort(key=lambda row: (row[3], "ready" in row[0], "health" not in row[0], len(row[0])))
    for path, file, line, aside in routes:
        why = "something may come before it" if aside else ""
        return Found(value=path, where=f"{file}:{line}", sure=Sure.GUESSED if aside else Sure.INFERRED, why=why)
    return None
