"""Checks of sources alone: of Dockerfiles, what their builds see, and compose files. No engine, nothing is built."""

from __future__ import annotations

import posixpath
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from seatrial import dockerfile
from seatrial.adopt.apps import build_contexts
from seatrial.adopt.dockerfiles import faults, is_dockerfile, read_dockerfile
from seatrial.adopt.stacks import NAMED, USUAL, read_stacks
from seatrial.adopt.tree import Tree
from seatrial.checks.declaration import NO_COMPOSE
from seatrial.checks.model import Status
from seatrial.checks.registry import CHECKS, own_checks, reading
from seatrial.checks.verdict import check_of
from seatrial.compose.reach import resolved
from seatrial.compose.services import below, read_compose
from seatrial.engine.find import no_engine
from seatrial.engine.programs import NOT_INSTALLED
from seatrial.errors import SettingsError
from seatrial.facts import ComposeSource, DockerfileSource, DoesNotApply, NotInstalled, ProjectFacts, Unavailable
from seatrial.filesystem import exists, is_file
from seatrial.observe.project import sources
from seatrial.observe.project.sources import SourceFiles, is_requirements, read_context, run_lint
from seatrial.settings.model import Contract
from seatrial.smoke.images import Smoked, app_target, each
from seatrial.smoke.masking import masked
from seatrial.text import counted

if TYPE_CHECKING:
    from seatrial.checks.model import Check, Severity
    from seatrial.checks.verdict import Smoke
    from seatrial.facts import Lint
    from seatrial.host import Host
    from seatrial.settings.model import App
    from seatrial.settings.read import Project
    from seatrial.smoke.baseline import BaselineFile

OBSERVED = frozenset(("contract", "project", "dockerfile", "lint", "context", "compose"))
"""The facts that need no image."""
NOT_LOOKED_AT = Unavailable(reason="no image is looked at here")
ONLY_A_PART = DoesNotApply(reason="the file only adds to another one, which is not known")
A_PART = re.compile(r"has neither an image nor a build context|depends on undefined service|refers to undefined")
"""What compose says of a file that only adds to another one."""
NO_PROGRAM = NotInstalled(reason="docker compose is not installed: what it makes of the file is not known")
AT_LINE = re.compile(r"(.*?):\d+(?::\d+)?")
"""How a note names a line of a file."""
IGNORE = ".dockerignore"
AT_ONCE = 4
"""Files that are judged at the same time: hadolint and compose run as programs."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is judged together: an app's sources, or a file that belongs to no app."""

    name: str
    folder: Path
    """The project's: paths are shown from here."""
    files: SourceFiles | None = None
    """The Dockerfile and what goes with it; None of a compose file alone."""
    compose: Path | None = None
    app: str = ""
    contract: Contract = field(default_factory=Contract)
    project: ProjectFacts = field(default_factory=ProjectFacts)
    own_checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()


def check_sources(
    project: Project | None,
    folder: Path,
    host: Host,
    *,
    files: Sequence[Path] = (),
    app: str | None = None,
    fail_on: Severity | None = None,
    baseline: BaselineFile | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Smoked:
    """Judge the sources of a project's apps, or those that files concern; without an app, all that a folder holds.

    `say` receives which files are not checked. What the baseline knows of an app is excused.

    Raises:
        SettingsError: a file or the app does not exist, or there is nothing to check.
    """
    apps = project.chosen(app) if project and (app or project.settings.apps) else {}
    root = project.folder if project else folder
    whole = _Folder(root)
    names, alone = list(apps), [] if apps or files else _Folder(folder).all()
    if files:
        names, alone = _concerned(project, apps, files, whole, say)
    elif not apps and not alone:
        raise SettingsError(
            "no Dockerfile and no compose file in this folder or below it.",
            where=str(folder),
            fix="Go to your project's folder, or name the files.",
        )
    own = own_checks() if alone else ()
    subjects: list[tuple[str, Callable[[], Subject]]] = []
    if project:
        subjects += [(name, partial(_of_app, project, name, host)) for name in names]
    for file in alone:
        around = whole if file.is_relative_to(root) else _Folder(file.parent)
        subjects.append((str(file), partial(_alone, file, around, host, own)))
    with ThreadPoolExecutor(max_workers=AT_ONCE) as beside:
        judged = [(name, beside.submit(_judged, subject, host, fail_on, baseline)) for name, subject in subjects]
        return each([(name, future.result) for name, future in judged])


@dataclass(frozen=True)
class _Folder:
    """What lies in a folder, read when it is first asked for."""

    root: Path

    @cached_property
    def tree(self) -> Tree:
        return Tree(self.root)

    @cached_property
    def composes(self) -> dict[str, str]:
        """Return the compose files by what belongs to each: itself, overrides, what it includes."""
        stacks, notes = read_stacks(self.tree)
        found = {file: stack.over or stack.files[0] for stack in stacks for file in stack.files}
        broken = [match[1] for note in notes if (match := AT_LINE.fullmatch(note.where))]
        return {**{file: file for file in broken if _is_compose(file)}, **found}

    def all(self) -> list[Path]:
        """Return every Dockerfile and compose file."""
        paths = (*filter(is_dockerfile, self.tree.files), *self.composes.values())
        return [self.root / path for path in dict.fromkeys(paths)]

    def build_of(self, path: str) -> tuple[str, str, Mapping[str, str]]:
        """Return the context, target and arguments of a Dockerfile: as a compose file says, or the likeliest."""
        for service in (service for stack in read_stacks(self.tree)[0] for service in stack.built):
            if service.dockerfile == path:
                return service.context, service.target, service.arguments
        found = read_dockerfile(self.tree, path)
        if found is None:
            return posixpath.dirname(path), "", {}
        # What is likely for one of Python is likely for any.
        contexts = build_contexts(self.tree, [msgspec.structs.replace(found, python=True)])
        return contexts[path].value, "", {}


def _of_app(project: Project, name: str, host: Host) -> Subject:
    target = app_target(project, name, host=host)
    return Subject(
        name=name,
        folder=project.folder,
        files=target.sources,
        compose=target.sources.compose if target.sources else None,
        app=name,
        contract=target.contract,
        project=target.project,
        own_checks=target.own_checks,
        notes=target.notes,
    )


def _alone(file: Path, folder: _Folder, host: Host, own: tuple[Check, ...]) -> Subject:
    path = file.relative_to(folder.root).as_posix()
    if not is_dockerfile(file.name):
        return Subject(name=path, folder=folder.root, compose=file, own_checks=own)
    context, target, arguments = folder.build_of(path)
    files = SourceFiles(
        project=folder.root,
        dockerfile=file,
        context=folder.root / context,
        compose=None,
        build_arguments=arguments,
        target=target or None,
        host=host,
    )
    return Subject(name=path, folder=folder.root, files=files, own_checks=own)


def _judged(
    subject_of: Callable[[], Subject], host: Host, fail_on: Severity | None, baseline: BaselineFile | None
) -> Smoke:
    started = time.perf_counter()
    subject = subject_of()
    contract = subject.contract
    if fail_on is not None:
        contract = msgspec.structs.replace(contract, fail_on=fail_on.value)
    facts = _facts(subject, host)
    smoke = check_of(
        subject.name,
        facts,
        contract,
        reading(facts.keys() | {"contract"}, subject.own_checks),
        seconds=time.perf_counter() - started,
        app=subject.app,
        notes=subject.notes,
    )
    told = msgspec.structs.replace(smoke, notes=(*smoke.notes, *_left(smoke, subject)))
    told = masked(told, contract.environment.items())
    return baseline.judged(told, contract) if baseline and subject.app else told


def _left(smoke: Smoke, subject: Subject) -> Iterator[str]:
    """Yield how many checks were not made, and what makes them."""
    skipped = [result.actual for result in smoke.checks if result.status is Status.SKIP]
    left = sum(NOT_LOOKED_AT.reason in reason for reason in skipped)
    if subject.files is not None:
        left += len((*CHECKS, *subject.own_checks)) - len(reading(OBSERVED, subject.own_checks))
    if left:
        yield f"{counted(left, 'check')} more need an image: `seatrial smoke` makes them"
    if missing := sum(reason == NO_PROGRAM.reason for reason in skipped):
        yield f"{counted(missing, 'check')} of the compose file need docker compose, which is not installed"


def _facts(subject: Subject, host: Host) -> dict[str, object]:
    """Return what is observed: the facts of a Dockerfile, of a compose file, or both."""
    found: dict[str, object] = {"project": subject.project}
    files = subject.files
    with ThreadPoolExecutor(max_workers=2) as beside:
        compose = beside.submit(_compose, subject, subject.compose, host) if subject.compose else None
        if files is not None:
            lint: Future[Lint | Unavailable] = beside.submit(run_lint, files.dockerfile, files.project, host)
            found["dockerfile"] = _dockerfile(files)
            found["context"] = read_context(files.context, files.dockerfile, files.shown(files.context), files.project)
            found["lint"] = lint.result()
        if compose is not None or subject.app:
            found["compose"] = compose.result() if compose is not None else NO_COMPOSE
    return found


def _dockerfile(files: SourceFiles) -> DockerfileSource | Unavailable:
    """Return a Dockerfile; `Unavailable` where no build takes it, which nobody has tried here."""
    shown = files.shown(files.dockerfile)
    source = sources.read_dockerfile(files.dockerfile, shown, files.build_arguments, files.target)
    if isinstance(source, Unavailable):
        return source
    if not source.parsed.stages:
        return Unavailable(reason=f"{shown} has no FROM")
    for line, _, what in faults(dockerfile.read(files.dockerfile), source.parsed):
        if line >= source.parsed.stages[0].line:  # What stands before is hadolint's finding.
            return Unavailable(reason=f"{shown}:{line}: {what}")
    return source


def _compose(subject: Subject, file: Path, host: Host) -> ComposeSource | Unavailable:
    nobody, files = no_engine(host), subject.files
    asked = partial(read_compose, file, below(file, subject.folder), subject.folder, nobody, host)
    found = asked(beside=files.beside, own=files.own_images, with_images=files.with_images) if files else asked()
    if isinstance(found, Unavailable):
        return found
    if isinstance(found.model, Unavailable):
        if NOT_INSTALLED in found.model.reason:
            return msgspec.structs.replace(found, model=NO_PROGRAM)
        # One of a usual name is started as it is.
        part = not subject.app and file.name not in USUAL and A_PART.search(found.model.reason)
        return msgspec.structs.replace(found, model=ONLY_A_PART) if part else found
    return msgspec.structs.replace(found, images={service.name: NOT_LOOKED_AT for service in found.model.services})


def _concerned(
    project: Project | None,
    apps: Mapping[str, App],
    files: Sequence[Path],
    folder: _Folder,
    say: Callable[[str], None],
) -> tuple[list[str], list[Path]]:
    """Return the apps that files concern, and the files that are judged by themselves."""
    names: dict[str, None] = {}
    alone: dict[Path, None] = {}
    unknown = []
    for file in files:
        if not exists(file):
            raise SettingsError("does not exist.", where=str(file), fix="Name a Dockerfile or compose file.")
        meant = _meant(resolved(str(file)), folder)
        of_apps = {
            part: [name for name, app in apps.items() if project and _concerns(project, app, part)] for part in meant
        }
        names |= dict.fromkeys(name for found in of_apps.values() for name in found)
        alone |= dict.fromkeys(part for part, found in of_apps.items() if not found and _is_judged(part, folder))
        if not any(found or part in alone for part, found in of_apps.items()):
            say(f"{file} is not checked: it is no Dockerfile and no compose file, and no app's.")
            unknown += [file] if file.name != IGNORE else []
    if unknown and not names and not alone:
        raise SettingsError(
            "there is nothing to check in these files.",
            where=str(unknown[0]),
            fix="Name a Dockerfile or a compose file; one of another name belongs to an app in the settings.",
        )
    return list(names), list(alone)


def _meant(file: Path, folder: _Folder) -> Iterable[Path]:
    """Return the files that are meant by one: all in a folder, a Dockerfile by its ignore file, a compose file."""
    if file.is_dir():
        return _Folder(file).all()
    if file.name.endswith(IGNORE):
        own = file.name.removesuffix(IGNORE)
        beside = [file.with_name(own)] if own else sorted(file.parent.iterdir())
        return [file, *(each for each in beside if is_dockerfile(each.name) and is_file(each))]
    if file.suffix in {".yml", ".yaml"} and file.is_relative_to(folder.root):
        path = file.relative_to(folder.root).as_posix()
        return [folder.root / folder.composes.get(path, path)]
    return [file]


def _is_judged(file: Path, folder: _Folder) -> bool:
    """Tell whether a file is judged by itself, where it is no app's."""
    if is_dockerfile(file.name):
        return True
    inside = file.is_relative_to(folder.root)
    return file.relative_to(folder.root).as_posix() in folder.composes if inside else _is_compose(file.name)


def _is_compose(path: str) -> bool:
    return NAMED.fullmatch(posixpath.basename(path)) is not None


def _concerns(project: Project, app: App, file: Path) -> bool:
    """Tell whether an app's checks read a file."""
    context, dockerfile = resolved(str(project.context(app))), resolved(str(project.dockerfile(app)))
    compose = [resolved(str(file)) for file in project.compose_files(app)]
    values = {resolved(str(project.folder / path)) for path in app.env_files}
    ignores = (dockerfile.with_name(f"{dockerfile.name}{IGNORE}"), context / IGNORE)
    if file in {resolved(str(project.file)), dockerfile, *ignores, *values, *compose}:
        return True
    if compose and file.parent == compose[0].parent and file.name.startswith(".env"):
        return True
    return file.is_relative_to(context) and is_requirements(str(file.relative_to(context)))
