"""What `up` is going to bring up: the compose file, read by compose, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from seatrial.compose import guard
from seatrial.compose.reach import resolved
from seatrial.compose.readiness import Readiness, unready
from seatrial.compose.runner import Compose, Stack, identify
from seatrial.compose.services import app_of, own_images, read_services
from seatrial.compose.text import text_of
from seatrial.compose.variables import (
    check_variables,
    copy_example,
    missing_env,
    to_copy,
    variable_sources,
    without_missing,
)
from seatrial.engine.find import Engine
from seatrial.errors import StackError
from seatrial.facts import Json, Service
from seatrial.filesystem import exists, is_file
from seatrial.host import Host
from seatrial.images import services as built_services
from seatrial.settings.read import Project
from seatrial.trust import Trust


@dataclass(frozen=True, kw_only=True)
class StackPlan:
    """What `up` is going to bring up."""

    stack: Stack
    file: Path
    """The compose file."""
    services: tuple[Service, ...]
    own_images: Mapping[str, str]
    """The apps of this project by image name: what `seatrial build` makes."""
    named: Mapping[str, str] = field(default_factory=dict)
    """The images of the services that only have a build section: what `seatrial build` makes for them."""
    makers: Mapping[str, str] = field(default_factory=dict)
    """The apps whose builds make the images of the services that are built, by service."""
    beyond: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By service: the keys of its build section that seatrial's own build does not know."""
    project: Project | None = field(default=None, repr=False)
    """The project, with the apps of the services that are built."""
    notes: tuple[str, ...] = ()
    """What compose warned of while it read the file."""
    document: Json = field(default_factory=dict, repr=False)
    """Compose's own model. It holds the values of env files, secrets among them: it is never printed."""
    compose: Compose | None = field(default=None, repr=False)
    """Compose for this file, with the variables that it asks for."""
    required: tuple[str, ...] = ()
    """The variables without which the app's own image does not start, by its contract."""

    def builder(self, service: Service) -> str | None:
        """Return the app whose build alone makes a service's image; None where a registry may have it."""
        app = self.makers.get(service.name) or app_of(service.image, self.own_images)
        named_by_file = self.project is not None and app in self.project.of_services and service.name not in self.named
        return None if named_by_file else app


def plan_up(
    project: Project,
    name: str,
    *,
    engine: Engine,
    host: Host,
    say: Callable[[str], None],
    create_env: bool = False,
    ask: Callable[[str], bool] | None = None,
) -> StackPlan:
    """Return what `up` is going to bring up; nothing is started.

    With `create_env`, or where `ask` is answered with yes, a missing `.env` is copied from the `.env.example`
    beside the compose file, and `say` receives a message; `ask` is None where stdin is not a terminal.

    Raises:
        SettingsError: no app has that name.
        StackError: it has no compose file, compose refuses it, it reaches beyond a project that is not trusted, or env
            files or variables are missing: all that are.
        EngineError: compose is not installed, or too old.
    """
    stack = identify(project, name)
    file = compose_file(project, name)
    compose, reading = guard.guarded(stack, file, project.folder, engine=engine, host=host, say=say)
    for env_file, example in to_copy(file, stack.beside).items():
        if not create_env and not (ask is not None and ask(f"{env_file} is missing. Copy it from {example.name}?")):
            raise _incomplete(compose) or unready([missing_env(env_file, example)])
        copy_example(example, env_file)
        say(f"Copied {example.name} to {env_file}. Fill in your own values where it asks for them.")
    try:
        document, notes = compose.model()
    except StackError as error:
        # Compose names the first of what is missing; a person wants to know all of it.
        raise (_incomplete(compose) or error) from None
    guard.require_trusted(guard.findings(reading, document, host.trust), say)
    plan = planned(project, stack, file, document)
    if not plan.services:
        raise StackError("it declares no service.", where=str(file), fix="Declare one under `services:`.")
    return replace(plan, notes=notes, compose=compose)


def require_trusted(project: Project, name: str, *, engine: Engine, host: Host) -> None:
    """Refuse, with StackError, a compose file that reaches beyond a project that is not trusted."""
    if host.trust is Trust.NONE:
        file = compose_file(project, name)
        stack = identify(project, name)
        compose, reading = guard.guarded(stack, file, project.folder, engine=engine, host=host)
        document, _ = compose.model()
        guard.require_trusted(guard.findings(reading, document, host.trust), lambda _: None)


def planned(project: Project, stack: Stack, file: Path, document: Json) -> StackPlan:
    """Return the plan for a stack by compose's own model of its file."""
    project = built_services.with_builds(project, stack.app, file, document)
    named, makers = built_services.named(project, document), built_services.makers(project, document)
    document = built_services.with_named(document, named)
    required = project.app(stack.app).contract.required_environment
    return StackPlan(
        stack=stack,
        file=file,
        services=tuple(read_services(document)),
        named=named,
        makers=makers,
        beyond={name: each.beyond for name, each in built_services.read_builds(document).items() if each.beyond},
        document=document,
        own_images=own_images(project, stack.app),
        project=project,
        required=required,
    )


def _incomplete(compose: Compose) -> StackError | None:
    """Return the error that names every missing env file and variable; None where none is.

    Raises StackError: compose does not take the env file.
    """
    beside = compose.stack.beside
    text = text_of(compose.file, beside.files)
    valued = variable_sources(without_missing(compose), [variable.name for variable in text.variables])
    found = check_variables(compose.file, text, valued, beside)
    missing = [finding for finding in found if finding.readiness is Readiness.BLOCKED]
    return unready(missing) if missing else None


def compose_file(project: Project, name: str) -> Path:
    """Return the compose file of an app, the first of several. Raises StackError: it has none, or one is not there."""
    app = project.app(name)
    if not app.compose:
        raise StackError(
            f"{name} has no compose file.",
            where=f"{project.file.name} {project.table('apps', name)}",
            fix='Name one: compose = "compose.yaml".',
        )
    files = {named: resolved(str(named)) for named in project.compose_files(app)}
    for named, file in files.items():
        if not is_file(file):
            raise StackError(
                "it is not a regular file." if exists(file) else "there is no such compose file.",
                where=str(named if exists(file) else file),
                fix=f"Correct `compose` in {project.file.name} {project.table('apps', name)}.",
            )
    return next(iter(files.values()))
