"""What a smoke showed of an app that init can change by itself, because there is only one way to do it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from msgspec import structs

from seatrial.adopt.model import App, Project, Understanding, inferred
from seatrial.checks.advice import NO_MODULE, debian_package, missing_library
from seatrial.checks.model import Result, Severity, Status
from seatrial.checks.verdict import Smoke

WORKDIR = "/app"
"""Of the Dockerfiles that init writes."""
TELLING = {"app/imports", "boot/healthy", "boot/stays-up", "boot/read-only"}
"""Checks whose evidence is a traceback."""
REFUSED = re.compile(r"(?P<why>Read-only file system|Permission denied): '(?P<path>[^']+)'")
MAKES = re.compile(r"\bmkdir\(|\bin (?:makedirs|mkdir)\b")
"""A line of a traceback that makes a folder: one that is not in the image, so that a tmpfs there hides nothing."""
NEAR = 4
"""Lines of a traceback before its last in which the call stands."""
FOLDER = re.compile(r"(?:/[\w.@+-]+)+")
ENDED_WELL = re.compile(r"exited (?:at start|by itself): exit code 0 after")
NO_JOB = re.compile(r"Traceback|(?:^|: )usage:", re.IGNORECASE)


class Kind(StrEnum):
    """What is changed."""

    LIBRARY = "library"
    """A Debian package is installed in the final stage."""
    FOLDER = "folder"
    """A folder that the app makes is kept in memory."""
    MODULE = "module"
    """The contract no longer asks for a module."""
    JOB = "job"
    """The command counts as a job."""


@dataclass(frozen=True, kw_only=True)
class Repair:
    """One change, and what a person is told of it."""

    kind: Kind
    value: str
    says: str
    why: str = ""
    """What showed that it is needed: for a comment."""
    left: str = ""
    """Why it is not done; empty where it is."""


def repairs(smoke: Smoke, understanding: Understanding) -> list[Repair]:
    """Return what is certain by an app's smoke, with what is left because its Dockerfile is not init's own."""
    app = next((app for app in understanding.apps if app.name.value == smoke.app), None)
    if app is None:
        return []
    project = next((each for each in understanding.projects if each.folder == app.project), Project(folder=app.project))
    failed = [result for result in smoke.checks if result.status is Status.FAIL]
    own = app.dockerfile is None
    found = [
        *_libraries(failed, project, own=own),
        *_folders(failed, app, own=own),
        *_modules(failed, app, project),
        *_job(failed, app, project, own=own),
    ]
    return list({(repair.kind, repair.value): repair for repair in found}.values())


def repaired(understanding: Understanding, name: str, made: Iterable[Repair]) -> Understanding:
    """Return what is understood with the repairs of an app in it."""
    values = {kind: [repair for repair in made if repair.kind is kind and not repair.left] for kind in Kind}
    app = next(app for app in understanding.apps if app.name.value == name)
    libraries = tuple(inferred(repair.value, "a smoke", repair.why) for repair in values[Kind.LIBRARY])
    changed = structs.replace(
        app,
        tmpfs=(*app.tmpfs, *(repair.value for repair in values[Kind.FOLDER])),
        not_imported=(*app.not_imported, *(repair.value for repair in values[Kind.MODULE])),
        job=values[Kind.JOB][0].why if values[Kind.JOB] else app.job,
    )
    projects = tuple(
        structs.replace(each, libraries=(*each.libraries, *libraries)) if each.folder == app.project else each
        for each in understanding.projects
    )
    apps = tuple(changed if each is app else each for each in understanding.apps)
    return structs.replace(understanding, apps=apps, projects=projects)


def _libraries(failed: Iterable[Result], project: Project, *, own: bool) -> Iterator[Repair]:
    there = {found.value for found in project.libraries}
    for result in failed:
        if result.id == "native/libraries-resolve" and result.severity is not Severity.NOTE:
            named = [row.partition(": ")[0] for row in result.items]
        elif result.id in TELLING:
            named = [missing_library(line) for line in (*result.items, *result.evidence)]
        else:
            continue
        for library in filter(None, named):
            # By Debian's rule, the number of a library is a part of its package's name.
            package = debian_package(library) if re.search(r"\.so\.\d", library) else ""
            if package and package not in there:
                left = "" if own else "its Dockerfile is your own: add it to the final stage"
                says = f"the Debian package {package} is installed in the image, for {library}"
                yield Repair(kind=Kind.LIBRARY, value=package, says=says, why=f"{library} was missing", left=left)


def _folders(failed: Iterable[Result], app: App, *, own: bool) -> Iterator[Repair]:
    refused = [path for result in failed if result.id in TELLING for path in _made(result.evidence, own=own)]
    for path in refused:
        if FOLDER.fullmatch(path) and ".." not in path and path not in app.tmpfs:
            deployed = "" if own else f"; whatever runs the image needs it, too: `tmpfs: [{path}]`"
            says = f"{path} is a folder in memory, and empty at each start; where its files must stay, use a volume"
            yield Repair(kind=Kind.FOLDER, value=path, says=f"{says}{deployed}")


def _made(lines: tuple[str, ...], *, own: bool) -> Iterator[str]:
    """Yield the folders that a traceback could not make."""
    for number, line in enumerate(lines):
        found = REFUSED.search(line)
        if found is None or not any(map(MAKES.search, lines[max(0, number - NEAR) : number])):
            continue
        # A folder of the image that another account owns is a fault of the image, unless init wrote that.
        if own or (found["why"].startswith("Read-only") and found["path"].startswith("/")):
            yield posixpath.normpath(posixpath.join(WORKDIR, found["path"]))


def _modules(failed: Iterable[Result], app: App, project: Project) -> Iterator[Repair]:
    """Yield the contract's module, where it is not in the image and the command's own one imports."""
    reference = project.starts[0].value.reference if project.starts and not app.module else ""
    result = next((result for result in failed if result.id == "app/imports"), None)
    if not reference or result is None or reference in app.not_imported:
        return
    tried = result.expected.removeprefix("imports ").split(", ")
    broken = {name: error for name, _, error in (row.partition(": ") for row in result.items)}
    missing, module = NO_MODULE.search(broken.get(reference, "")), reference.partition(":")[0]
    others = [name for name in tried if name not in broken]
    if missing and others and f"{module}.".startswith(f"{missing[1]}."):
        says = f"the contract no longer asks for {reference}, which the image has not: its command leads to {others[0]}"
        yield Repair(kind=Kind.MODULE, value=reference, says=says)


def _job(failed: Iterable[Result], app: App, project: Project, *, own: bool) -> Iterator[Repair]:
    """Yield that a command is a job, where that is all that fails and init chose the command by itself."""
    grave = [result for result in failed if result.severity is Severity.ERROR and not result.follows_from]
    if len(grave) != 1 or grave[0].id != "boot/stays-up" or not ENDED_WELL.search(grave[0].actual):
        return
    chosen = own and not (app.command or app.module) and project.starts and project.starts[0].value.kind == "command"
    if chosen and not any(map(NO_JOB.search, grave[0].evidence)):
        command = " ".join(project.starts[0].value.command)
        says = f"`{command}`, which was chosen by what the files say, counts as a job: it ends with exit code 0"
        why = "a smoke saw it end with exit code 0"
        yield Repair(kind=Kind.JOB, value=command, says=f"{says}; if it should go on, say --command", why=why)
