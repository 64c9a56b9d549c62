"""Checks of sources alone: of Dockerfiles, what their builds see, and compose files. No engine, nothing is built."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from seatrial.checks.declaration import NO_COMPOSE, NO_CONTEXT
from seatrial.checks.dockerfile import all_instructions, from_context
from seatrial.checks.model import Status
from seatrial.checks.registry import CHECKS, own_checks, reading
from seatrial.checks.verdict import check_of
from seatrial.compose.services import read_compose
from seatrial.engine import programs
from seatrial.engine.find import no_engine
from seatrial.errors import SettingsError
from seatrial.facts import ComposeSource, DockerfileSource, NotInstalled, ProjectFacts, Unavailable
from seatrial.observe.sources import is_requirements, read_context, read_dockerfile, run_lint
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

OBSERVED = frozenset(("contract", "project", "dockerfile", "lint", "context", "compose"))
"""The facts that need no image."""
IGNORE = ".dockerignore"
NOT_LOOKED_AT = Unavailable(reason="no image is looked at here")
NO_PROGRAM = NotInstalled(reason="docker compose is not installed: what it makes of the file is not known")
ROOTS = ("pyproject.toml", "setup.py", "requirements.txt", "Pipfile", "uv.lock", "poetry.lock", IGNORE)
"""What lies at the top of a project, where most builds begin."""
INSTRUCTIONS = re.compile(
    "ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|RUN|SHELL|STOPSIGNAL|USER|VOLUME|"
    "WORKDIR"
)
DOCKERFILE = re.compile(
    r"(?:Docker|Container)file(?:[._-][\w.-]+)?|[\w.-]+[._-](?:Docker|Container)file", re.IGNORECASE
)
NO_DOCKERFILE = re.compile(
    r".*\.(?:\w+ignore|md|rst|txt|j2|jinja2?|tmpl|tpl|in|orig|bak|py|sh|ya?ml|json)", re.IGNORECASE
)
COMPOSE = re.compile(r"(?:[\w.-]+[._-])?compose(?:[._-][\w.-]+)?\.ya?ml", re.IGNORECASE)
SKIPPED = frozenset(("node_modules", "venv", "build", "dist", "site-packages", "__pycache__"))
SEARCHED = frozenset((".docker", ".devcontainer"))
"""Of the hidden folders."""
DEEPEST = 5
"""Levels of folders in which files are searched."""
MOST_FOUND = 200
AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is judged together: an app's sources, or a file that belongs to no app."""

    name: str
    folder: Path
    """The project's: paths are shown from here."""
    dockerfile: Path | None = None
    context: Path | None = None
    """The folder that a build sees; None where that is not known."""
    compose: Path | None = None
    build_arguments: Mapping[str, str] = field(default_factory=dict)
    own_images: Mapping[str, str] = field(default_factory=dict)
    app: str = ""
    contract: Contract = field(default_factory=Contract)
    project: ProjectFacts = field(default_factory=ProjectFacts)
    own_checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()

    def shown(self, path: Path) -> str:
        """Return a path as a person knows it."""
        return str(path.relative_to(self.folder) if path.is_relative_to(self.folder) else path)


def check_sources(
    project: Project | None,
    folder: Path,
    host: Host,
    *,
    files: Sequence[Path] = (),
    app: str | None = None,
    fail_on: Severity | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Smoked:
    """Judge the sources of a project's apps, or those that files concern; without an app, all that a folder holds.

    `say` receives which files are not checked.

    Raises:
        SettingsError: a file or the app does not exist, or there is nothing to check.
    """
    apps = project.chosen(app) if project and (app or project.settings.apps) else {}
    root = project.folder if project else folder
    names, alone = list(apps), [] if apps or files else list(_found(folder))
    if files:
        names, alone = _concerned(project, apps, files, say)
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
    subjects += [(str(file), partial(_alone, file, root, own)) for file in alone]
    with ThreadPoolExecutor(max_workers=AT_ONCE) as beside:
        judged = [(name, beside.submit(_judged, subject, host, fail_on)) for name, subject in subjects]
        return each([(name, future.result) for name, future in judged])


def _of_app(project: Project, name: str, host: Host) -> Subject:
    target = app_target(project, name, host=host)
    files = target.sources
    if files is None:
        raise ValueError("of an app on a host, the sources are known")
    return Subject(
        name=name,
        folder=project.folder,
        dockerfile=files.dockerfile,
        context=files.context,
        compose=files.compose,
        build_arguments=files.build_arguments,
        own_images=files.own_images,
        app=name,
        contract=target.contract,
        project=target.project,
        own_checks=target.own_checks,
        notes=target.notes,
    )


def _alone(file: Path, folder: Path, own: tuple[Check, ...]) -> Subject:
    found = Subject(name="", folder=folder, own_checks=own)
    name = found.shown(file)
    if COMPOSE.fullmatch(file.name):
        return Subject(name=name, folder=folder, compose=file, own_checks=own)
    return Subject(name=name, folder=folder, dockerfile=file, context=_context_of(file, folder), own_checks=own)


def _context_of(dockerfile: Path, folder: Path) -> Path | None:
    """Return the folder that a Dockerfile is likely built from; None where no folder holds what it copies.

    Of its own folder and those above it in the project, it is the nearest that holds most of that.
    """
    parsed = read_dockerfile(dockerfile, "", {})
    if isinstance(parsed, Unavailable):
        return None
    copied = {what for instruction in all_instructions(parsed.parsed) for what in from_context(instruction)}
    above = [each for each in (dockerfile.parent, *dockerfile.parent.parents) if each.is_relative_to(folder)]
    if len(above) < 2 or not copied:  # noqa: PLR2004 - nothing to choose from
        return dockerfile.parent
    held = {each: sum(_holds(each, what) for what in (*copied, *ROOTS)) for each in above}
    best = max(above, key=lambda each: held[each])
    return best if held[best] else None


def _holds(folder: Path, what: str) -> bool:
    # Every folder holds all of itself; a variable's value is not known.
    name = what.strip("/").removeprefix("./")
    if name in {"", ".", "*"} or any(part in name for part in ("$", "://", "**", "..")):
        return False
    with suppress(OSError, ValueError, NotImplementedError):
        return next(folder.glob(name), None) is not None
    return False


def _judged(subject_of: Callable[[], Subject], host: Host, fail_on: Severity | None) -> Smoke:
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
    return masked(
        msgspec.structs.replace(smoke, notes=(*smoke.notes, *_left(smoke, subject))), contract.environment.items()
    )


def _left(smoke: Smoke, subject: Subject) -> Iterator[str]:
    """Yield how many checks were not made, and what makes them."""
    skipped = [result.actual for result in smoke.checks if result.status is Status.SKIP]
    left = sum(NOT_LOOKED_AT.reason in reason for reason in skipped)
    if subject.dockerfile is not None:
        left += len((*CHECKS, *subject.own_checks)) - len(reading(OBSERVED, subject.own_checks))
    if left:
        yield f"{counted(left, 'check')} more need an image: `seatrial smoke` makes them"
    if missing := sum(reason == NO_PROGRAM.reason for reason in skipped):
        yield f"{counted(missing, 'check')} of the compose file need docker compose, which is not installed"


def _facts(subject: Subject, host: Host) -> dict[str, object]:
    """Return what is observed: the facts of a Dockerfile, of a compose file, or both."""
    found: dict[str, object] = {"project": subject.project}
    with ThreadPoolExecutor(max_workers=2) as beside:
        lint: Future[Lint | Unavailable] | None = None
        if subject.dockerfile is not None:
            lint = beside.submit(run_lint, subject.dockerfile, subject.folder, host)
        compose = beside.submit(_compose, subject, subject.compose, host) if subject.compose else None
        if subject.dockerfile is not None:
            found["dockerfile"] = _dockerfile(subject, subject.dockerfile)
            found["context"] = NO_CONTEXT
            if subject.context is not None:
                shown = subject.shown(subject.context)
                found["context"] = read_context(subject.context, subject.dockerfile, shown, subject.folder)
        if lint is not None:
            found["lint"] = lint.result()
        if compose is not None:
            found["compose"] = compose.result()
        elif subject.app:
            found["compose"] = NO_COMPOSE
    return found


def _dockerfile(subject: Subject, file: Path) -> DockerfileSource | Unavailable:
    """Return a Dockerfile; `Unavailable` where no build takes it, which nobody has tried here."""
    shown = subject.shown(file)
    source = read_dockerfile(file, shown, subject.build_arguments)
    if isinstance(source, Unavailable):
        return source
    if not source.parsed.stages:
        return Unavailable(reason=f"{shown} has no FROM")
    for instruction in all_instructions(source.parsed):
        if not INSTRUCTIONS.fullmatch(instruction.keyword) and not source.parsed.syntax:
            return Unavailable(reason=f"{shown}:{instruction.line}: {instruction.keyword} is no instruction")
    return source


def _compose(subject: Subject, file: Path, host: Host) -> ComposeSource | Unavailable:
    nobody = no_engine(host)
    found = read_compose(file, subject.shown(file), subject.folder, nobody, host, own=subject.own_images)
    if isinstance(found, Unavailable):
        return found
    if isinstance(found.model, Unavailable):
        there = programs.is_installed("compose", nobody, host)
        return found if there else msgspec.structs.replace(found, model=NO_PROGRAM)
    return msgspec.structs.replace(found, images={each.name: NOT_LOOKED_AT for each in found.model.services})


def _concerned(
    project: Project | None, apps: Mapping[str, App], files: Sequence[Path], say: Callable[[str], None]
) -> tuple[list[str], list[Path]]:
    """Return the apps that files concern, and the files that are judged by themselves."""
    names: dict[str, None] = {}
    alone: dict[Path, None] = {}
    unknown = []
    for file in files:
        if not file.exists():
            raise SettingsError(
                "does not exist.", where=str(file), fix="Name a Dockerfile, a compose file or a folder."
            )
        whole = file.resolve()
        found = [name for name, app in apps.items() if project and _concerns(project, app, whole)]
        names |= dict.fromkeys(found)
        own = [] if found else list(_found(whole) if whole.is_dir() else _served(whole))
        alone |= dict.fromkeys(own)
        if not found and not own:
            say(f"{file} is not checked: it is no Dockerfile and no compose file, and no app's.")
            unknown += [file] if whole.name != IGNORE else []
    if unknown and not names and not alone:
        raise SettingsError(
            "there is nothing to check in these files.",
            where=str(unknown[0]),
            fix="Name a Dockerfile or a compose file; one of another name belongs to an app in the settings.",
        )
    return list(names), list(alone)


def _concerns(project: Project, app: App, file: Path) -> bool:
    """Tell whether an app's checks read a file."""
    context, dockerfile = project.context(app).resolve(), project.dockerfile(app).resolve()
    compose = (project.folder / app.compose).resolve() if app.compose else None
    read = {project.file.resolve(), dockerfile, dockerfile.with_name(f"{dockerfile.name}{IGNORE}"), context / IGNORE}
    if file in read or file == compose:
        return True
    if compose is not None and file.parent == compose.parent and file.name.startswith(".env"):
        return True
    return file.is_relative_to(context) and is_requirements(str(file.relative_to(context)))


def _served(file: Path) -> Iterator[Path]:
    """Yield a Dockerfile or compose file, or the Dockerfiles that an ignore file is for."""
    if file.name.endswith(IGNORE):
        own = file.name.removesuffix(IGNORE)
        beside = [file.with_name(own)] if own else sorted(file.parent.iterdir())
        yield from (each for each in beside if _is_dockerfile(each.name) and each.is_file())
    elif _is_dockerfile(file.name) or COMPOSE.fullmatch(file.name):
        yield file


def _is_dockerfile(name: str) -> bool:
    return DOCKERFILE.fullmatch(name) is not None and NO_DOCKERFILE.fullmatch(name) is None


def _found(folder: Path) -> Iterator[Path]:
    """Yield the Dockerfiles and compose files of a folder and those below it."""
    return islice(_walked(folder), MOST_FOUND)


def _walked(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        place = Path(here)
        deep = len(place.relative_to(folder).parts) >= DEEPEST
        folders[:] = [] if deep else sorted(name for name in folders if _is_searched(name))
        found = (place / name for name in sorted(names) if _is_dockerfile(name) or COMPOSE.fullmatch(name))
        yield from (file for file in found if file.resolve().is_relative_to(folder.resolve()))


def _is_searched(name: str) -> bool:
    return name not in SKIPPED and (not name.startswith(".") or name in SEARCHED)
