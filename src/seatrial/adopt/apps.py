"""The images that a project makes or should have: from compose files, Dockerfiles, or else its Python projects."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from msgspec import structs

from seatrial.adopt.dockerfiles import is_plain, read_dockerfile, variant
from seatrial.adopt.known import IMAGES
from seatrial.adopt.model import (
    App,
    DockerfileFound,
    Found,
    Project,
    ServiceFound,
    Stack,
    Sure,
    guessed,
    inferred,
    stated,
)
from seatrial.adopt.stacks import image_name
from seatrial.adopt.tree import Tree, joined
from seatrial.compose.reading import REMOTE
from seatrial.facts.image import repository

NAMELESS = {
    *("docker", "project", "src", "app", "apps", "code", "repo", "workspace", "work", "build", "image", "images"),
    "deploy",
    *(".docker", "container", "service", "services", "python", "dockerfiles", "compose", "root", "home", "tmp", ""),
}
"""Names of folders that say nothing of what is in them."""
GENERIC = {"web", "server", "main", "django", "flask", "fastapi", "site", "http", "wsgi", "uwsgi", "gunicorn", "www"}
"""Names of services that only say what they do."""
OTHER_BASE = re.compile(r"(?:^|/)(?:golang|node|rust|openjdk|eclipse-temurin|maven|gradle|nginx|php|ruby|dotnet)\b")
"""Bases of images of other languages."""
MOST_FOLDERS = 300
"""Folders with code that may be a Dockerfile's context."""
REMOTE_NAME = re.compile(r"^\s*url\s*=\s*(?:\w+://|[\w.-]+@)\S*?[/:]([\w.-]+?)(?:\.git)?/?\s*$", re.MULTILINE)


def slug(name: str) -> str:
    """Return a name as an image's may be: small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def project_name(tree: Tree, declared: Found[str] | None, stacks: Sequence[Stack]) -> Found[str]:
    """Return the name of the whole: what it declares, or its repository, or its folder."""
    if declared is not None and slug(declared.value) not in NAMELESS:
        return Found(value=slug(declared.value), where=declared.where, sure=declared.sure)
    for stack in stacks:
        if stack.name and stack.usual and "/" not in stack.files[0] and slug(stack.name) not in NAMELESS:
            return stated(slug(stack.name), stack.files[0], "its `name:`")
    match = REMOTE_NAME.search(tree.git_configuration())
    if match is not None and slug(match[1]) not in NAMELESS:
        return inferred(slug(match[1]), ".git/config", "the repository's name")
    folder = next((name for name in reversed(tree.root.split("/")) if slug(name) not in NAMELESS), "")
    return guessed(slug(folder) or "python-app", ".", "the folder's name")


def find_apps(
    tree: Tree,
    name: Found[str],
    stacks: Sequence[Stack],
    dockerfiles: Sequence[DockerfileFound],
    contexts: Mapping[str, Found[str]],
    projects: Sequence[Project],
) -> tuple[App, ...]:
    """Return the images, those that compose files say first; `contexts` is what `build_contexts` returns."""
    apps = list(_of_stacks(tree, stacks, projects))
    # On bases of the project's own, which bring Python.
    own_bases = [each for each in dockerfiles if not any(map(_is_other_base, each.bases))]
    starts = any(project.starts for project in projects)
    if starts and not any(app.python for app in apps) and not any(each.python for each in dockerfiles):
        apps = [_of_python(app, own_bases, projects) for app in apps]
    covered = {app.dockerfile.value for app in apps if app.dockerfile is not None}
    folders = {app.project for app in apps if app.dockerfile is not None}
    own = [each for each in dockerfiles if each.python and not (each.aside and projects)]
    if not own and starts and not any(app.python for app in apps):
        own = [each for each in own_bases if not each.aside]
    free: dict[str, list[DockerfileFound]] = {}
    for dockerfile in own:
        project = _project(dockerfile.file, contexts[dockerfile.file].value, projects)
        if dockerfile.file not in covered and project not in folders:
            free.setdefault(project, []).append(dockerfile)
    for project, found in free.items():
        apps += [_of_dockerfile(dockerfile, contexts[dockerfile.file], project) for dockerfile in _main(found)]
    if not any(app.python for app in apps):
        apps += _of_projects(projects)
    return tuple(_named(apps, name, projects, stacks))


def _main(found: Sequence[DockerfileFound]) -> list[DockerfileFound]:
    """Return of a project's Dockerfiles the one of the usual name, or for production; all where none stands out."""
    plain = [each for each in found if is_plain(each.file)]
    if len(plain) == 1:
        return plain
    if not plain:
        for word in ("prod", "production", "release", "default", "main", "app"):
            if chosen := [each for each in found if variant(each.file) == word]:
                return chosen[:1]
    return plain or list(found)


def _of_stacks(tree: Tree, stacks: Sequence[Stack], projects: Sequence[Project]) -> Iterator[App]:
    """Yield an app for each image that services are built as: the same context, Dockerfile and target are the same."""
    found: dict[tuple[str, str, str], list[tuple[Stack, ServiceFound]]] = {}
    for stack in stacks:
        for service in stack.built if not stack.aside else ():
            found.setdefault((service.context, service.dockerfile, service.target), []).append((stack, service))
    for (context, path, target), rows in found.items():
        if REMOTE.match(context):
            continue
        stack = rows[0][0]
        same = sorted((service for other, service in rows if other is stack), key=_stands_back)
        service = same[0]
        dockerfile = read_dockerfile(tree, path, target)
        python = dockerfile is not None and dockerfile.python
        where = service.lines.get("build", service.where)
        yield App(
            name=stated(service.name, service.where),
            context=stated(context, where),
            dockerfile=stated(path, where, "" if path in tree else "it is not there"),
            target=target,
            arguments=service.arguments,
            compose=(*((stack.over,) if stack.over else ()), *stack.files),
            services=tuple(each.name for each in same),
            image=repository(service.image),
            project=_project(path, context, projects) if python else "",
            python=python,
            command=_said(service, "command", service.command),
            entrypoint=_said(service, "entrypoint", service.entrypoint),
        )


def _is_other_base(base: str) -> bool:
    """Tell whether a base is of another language, or that of a service such as a database."""
    return OTHER_BASE.search(base) is not None or posixpath.basename(repository(base)) in IMAGES


def _of_python(app: App, own_bases: Iterable[DockerfileFound], projects: Sequence[Project]) -> App:
    """Return an app as one of Python where a project lies in what it is built from."""
    if app.dockerfile is None or app.dockerfile.value not in {each.file for each in own_bases}:
        return app
    project = _project(app.dockerfile.value, app.context.value, projects)
    within = app.context.value == "." or f"{project}/".startswith(f"{app.context.value}/")
    return structs.replace(app, python=True, project=project) if within else app


def _stands_back(service: ServiceFound) -> tuple[bool, ...]:
    """Return how little a service is the application, of those that run its image, for sorting."""
    return bool(service.profiles), not service.ports, bool(service.command or service.entrypoint)


def _said(service: ServiceFound, key: str, words: tuple[str, ...]) -> Found[tuple[str, ...]] | None:
    return stated(words, service.lines.get(key, service.where)) if words else None


def _of_dockerfile(dockerfile: DockerfileFound, context: Found[str], project: str) -> App:
    path = dockerfile.file
    return App(
        name=guessed(variant(path), path), context=context, dockerfile=stated(path, path), project=project, python=True
    )


def build_contexts(tree: Tree, dockerfiles: Iterable[DockerfileFound]) -> dict[str, Found[str]]:
    """Return for each Dockerfile the folder in which most of what it copies is: near it, or one with code."""
    with_code = list(islice((folder for folder in tree.folders if _has_code(tree, folder)), MOST_FOLDERS))
    return {each.file: _build_context(tree, each, with_code) for each in dockerfiles}


def _build_context(tree: Tree, dockerfile: DockerfileFound, with_code: Sequence[str]) -> Found[str]:
    above = [posixpath.dirname(dockerfile.file)]
    while above[-1]:
        above.append(posixpath.dirname(above[-1]))
    plain = [
        source for source in dockerfile.copies if not any(mark in source for mark in "$*?[") and source.strip("./")
    ]
    folders = [*above, *(folder for folder in with_code if folder not in above)]
    there = [sum(_is_there(tree, folder, source) for source in plain) for folder in folders]
    # Of equals, the nearest.
    best = folders[there.index(max(there))]
    if plain and max(there) == len(plain):
        value, sure, why = best, Sure.INFERRED, "what it copies is there"
    elif plain and max(there) > 0:
        value, sure, why = best, Sure.GUESSED, f"{max(there)} of {len(plain)} things that it copies are there"
    else:
        value, sure, why = _without_names(tree, dockerfile, above)
    return Found(value=value or ".", where=dockerfile.file, sure=sure, why=why)


def _without_names(tree: Tree, dockerfile: DockerfileFound, above: Sequence[str]) -> tuple[str, Sure, str]:
    """Return the context of a Dockerfile that copies nothing by name: a folder for Dockerfiles is none."""
    own = _has_code(tree, above[0]) and slug(posixpath.basename(above[0])) not in NAMELESS - {""}
    if own or not above[0] or not dockerfile.copies:
        return above[0], Sure.INFERRED, "the Dockerfile's folder"
    with_code = [folder for folder in above if _has_code(tree, folder)]
    if len(with_code) == 1:
        return with_code[0], Sure.INFERRED, "the one folder above it with code"
    return above[-1], Sure.GUESSED, "it copies nothing by name"


def _is_there(tree: Tree, folder: str, source: str) -> bool:
    path = joined(folder, source.lstrip("/"))
    return path in tree or path in tree.folders


def _has_code(tree: Tree, folder: str) -> bool:
    return any(name.endswith((".py", ".toml")) or name == "requirements.txt" for name in tree.folders.get(folder, ()))


def _project(dockerfile: str, context: str, projects: Sequence[Project]) -> str:
    """Return the folder of the Python project of an image: beside its Dockerfile, above that, or in its context."""
    folders = {project.folder for project in projects}
    inside = "" if context == "." else context
    here = posixpath.dirname(dockerfile)
    while here and here not in folders:
        here = posixpath.dirname(here)
    if here in folders and here:
        return here
    if inside in folders:
        return inside
    below = [folder for folder in folders if folder.startswith(f"{inside}/" if inside else "")]
    return below[0] if len(below) == 1 else ""


def _of_projects(projects: Sequence[Project]) -> Iterator[App]:
    """Yield an app without a Dockerfile for each project that starts somehow; where none does, for the first."""
    started = [project for project in projects if any(found.value.kind != "command" for found in project.starts)]
    started = started or [project for project in projects if project.starts][:1] or list(projects[:1])
    for project in started:
        where = project.folder or "."
        yield App(
            name=guessed("", where),
            context=inferred(where, where, "it has no Dockerfile"),
            project=project.folder,
            python=True,
        )


def _named(
    apps: Sequence[App], whole: Found[str], projects: Sequence[Project], stacks: Sequence[Stack]
) -> Iterator[App]:
    """Yield apps under different names: the project's where it has one image, otherwise the service's."""
    declared = {project.folder: project.name for project in projects}
    images = Counter(app.project for app in apps if app.python)
    taken: set[str] = set()
    for app in apps:
        of_project = declared.get(app.project) if app.python else None
        if of_project is None or slug(of_project.value) in NAMELESS:
            of_project = whole if app.python and images.total() == 1 else None
        single = app.python and images[app.project] == 1
        if app.services:
            names = _service_names(app, whole, of_project if single else None)
        else:
            names = [_file_name(app, whole, of_project, single=single)]
        chosen = next((name for name in names if slug(name.value) not in taken), names[0])
        value = slug(chosen.value) or whole.value
        numbered = (value, *(f"{value}-{number}" for number in range(2, len(apps) + 2)))
        free = next(name for name in numbered if name not in taken)
        taken.add(free)
        yield _with_stack(structs.replace(app, name=structs.replace(chosen, value=free)), stacks)


def _service_names(app: App, whole: Found[str], of_project: Found[str] | None) -> list[Found[str]]:
    """Return the names of an app that a compose file builds, the best first."""
    service = app.name
    folder = posixpath.basename(posixpath.dirname(app.compose[-1])) or whole.value
    with_folder = structs.replace(service, value=f"{folder}-{service.value}")
    names = [with_folder] if slug(service.value) in NAMELESS else [service, with_folder]
    if of_project is None:
        return names
    # A folder's name is worth less than a service's that says something.
    telling = slug(service.value) not in NAMELESS | GENERIC
    return [service, of_project] if of_project.sure is Sure.GUESSED and telling else [of_project, *names]


def _file_name(app: App, whole: Found[str], of_project: Found[str] | None, *, single: bool) -> Found[str]:
    """Return the name of an app that no compose file builds: its project's, with what its Dockerfile adds."""
    folder = posixpath.basename(app.context.value)
    if of_project is None and slug(folder) not in NAMELESS:
        of_project = guessed(folder, app.context.where, "the folder's name")
    base, more = of_project or whole, app.name.value
    if single or not more:
        return base
    return structs.replace(base, value=f"{base.value}-{more}", where=app.name.where, sure=Sure.INFERRED)


def _with_stack(app: App, stacks: Sequence[Stack]) -> App:
    """Return an app with the compose file that runs an image of its name, where none builds it."""
    if app.compose:
        return app
    for stack in stacks:
        near = stack.usual or len(stacks) == 1
        # A build makes `latest` alone: what runs another tag runs what was released.
        named = [each for each in stack.services if image_name(each.image) == app.name.value]
        services = [each for each in named if each.image in {(name := repository(each.image)), f"{name}:latest"}]
        if services and near and not stack.aside:
            services.sort(key=_stands_back)
            return structs.replace(
                app,
                compose=stack.files,
                services=tuple(each.name for each in services),
                image=repository(services[0].image),
                command=_said(services[0], "command", services[0].command),
                entrypoint=_said(services[0], "entrypoint", services[0].entrypoint),
            )
    return app


def services_of(app: App, stacks: Iterable[Stack]) -> tuple[ServiceFound, ...]:
    """Return the services that run an app."""
    files = app.compose
    return tuple(
        service
        for stack in stacks
        if files and stack.files[0] in files
        for service in stack.services
        if service.name in app.services
    )
