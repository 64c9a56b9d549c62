"""What is not known of a project, the answers to that, and the settings that are proposed for it, as TOML."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import structs

from seatrial.adopt.apps import services_of, slug
from seatrial.adopt.known import ADDRESSES, NAMES, VALUES_BY_TYPE, VALUES_BY_WORD
from seatrial.adopt.model import (
    App,
    DockerfileFound,
    Found,
    Project,
    ServiceFound,
    Stack,
    Start,
    Sure,
    Understanding,
    Unknown,
    Variable,
    stated,
)
from seatrial.adopt.stacks import container_port
from seatrial.adopt.starts import CONSOLE, is_usual
from seatrial.checks.secrets import named_secret, secret
from seatrial.errors import SettingsError
from seatrial.settings.model import Module
from seatrial.text import plain_line, toml_key, toml_value

NAME, MODULE, CONTEXT, ARGUMENT = "--name", "--module", "--context", "--build-argument"
COMMAND, SERVER, PORT = "--command", "--server", "--port"
LAST_PORT = 65_535
NAMES_PORT = re.compile(r"(?:^|_|PG|DB|SQL)PORT$")
VERSION = re.compile(r"3\.\d+")
Answers = Mapping[tuple[str, str], str]
"""Answers by option and app; the app is empty for the only one. A build argument's name is a part of the option."""


def unknown(
    apps: Sequence[App], projects: Sequence[Project], dockerfiles: Sequence[DockerfileFound], name: Found[str]
) -> Iterator[Unknown]:
    """Yield what is not known, each with the option that answers it, where there is one."""
    by_folder = {project.folder: project for project in projects}
    images = {dockerfile.file: dockerfile for dockerfile in dockerfiles}
    if not projects:
        yield Unknown(what="Python project", where=".", why="no file declares one, and there is no module")
    if name.sure is Sure.GUESSED and [app.name.value for app in apps] in ([], [name.value]):
        why = f"nothing names the project; {name.value} is the folder's"
        yield Unknown(what="name", where=name.where, why=why, ask=NAME, default=name.value)
    for app in apps:
        project = by_folder.get(app.project) if app.python else None
        image = images.get(app.dockerfile.value) if app.dockerfile is not None else None
        if image is not None:
            yield from _of_build(app, image, project)
        if project is not None:
            yield from _of_start(app, project, image)


def _of_build(app: App, image: DockerfileFound, project: Project | None) -> Iterator[Unknown]:
    name = app.name.value
    for argument in image.arguments:
        if argument.decides_base and not app.arguments.get(argument.name):
            python = project.python if project is not None and "PYTHON" in argument.name else None
            yield Unknown(
                what=f"build argument {argument.name} of {name}",
                where=f"{image.file}:{argument.line}",
                why="a FROM needs it, and it has no value",
                ask=f"{ARGUMENT} {argument.name}",
                app=name,
                default=version[0] if python is not None and (version := VERSION.search(python.value)) else "",
                required=True,
            )
    if app.context.sure is Sure.GUESSED:
        yield Unknown(
            what=f"build context of {name}",
            where=app.context.where,
            why=app.context.why,
            ask=CONTEXT,
            app=name,
            default=app.context.value,
        )


def _of_start(app: App, project: Project, image: DockerfileFound | None) -> Iterator[Unknown]:
    where, name = project.folder or ".", app.name.value
    starts = project.starts
    if all(start.sure is Sure.GUESSED for start in starts):
        why = starts[0].why if starts else "no command and no application was found"
        if image is not None and (words := (*image.entrypoint, *image.command)):
            where, why = f"{image.file}:{image.command_line}", f"what {words[0]} starts cannot be told"
        likely = starts[0].value.reference if starts else ""
        yield Unknown(what=f"start of {name}", where=where, why=why, ask=MODULE, app=name, default=likely)
    if rivals := rival_modules(project):
        first = next(start for start in starts if start.value.kind == "web")
        why = f"several could be served: {', '.join(sorted(rivals)[:4])}"
        likely = first.value.reference
        yield Unknown(what=f"module of {name}", where=first.where, why=why, ask=MODULE, app=name, default=likely)
    if image is not None:
        return
    web = next((start.value for start in starts if start.value.kind == "web"), None)
    if web is not None and web.interface and not web.server and not _is_stated(project):
        why = f"no {web.interface.upper()} server is among its dependencies"
        usual = "uvicorn" if web.interface == "asgi" else "gunicorn"
        yield Unknown(what=f"server of {name}", where=where, why=why, ask=SERVER, app=name, default=usual)
    if project.python is None:
        yield Unknown(what=f"Python version of {name}", where=where, why="nothing names one", app=name)
    if project.installer is None:
        yield Unknown(what=f"installer of {name}", where=where, why="it declares no dependencies", app=name)
    if any(start.value.framework == "Celery" for start in starts) and not project.services:
        yield Unknown(what=f"broker of {name}", where=where, why="Celery needs one, and none is named", app=name)


def _is_stated(project: Project) -> bool:
    """Tell whether a file states how it starts; a console script may be there for something else."""
    return any(
        start.sure is Sure.STATED and (start.value.kind == "web" or start.why != CONSOLE) for start in project.starts
    )


def rival_modules(project: Project) -> set[str]:
    """Return the applications of a project between which nothing decides; none where there is only one."""
    if _is_stated(project):
        return set()
    rivals = {
        start.value.reference
        for start in project.starts
        if start.value.kind == "web" and start.value.framework != "Django"
    }
    # One module of a usual name stands out: `shop.main:app` beside `shop.admin:app`.
    usual = {reference for reference in rivals if is_usual(reference)}
    return set() if len(rivals) < 2 or len(usual) == 1 else rivals  # noqa: PLR2004 - one alone has no rival


def answered(understanding: Understanding, answers: Answers) -> Understanding:
    """Return what is understood with a person's answers in their places.

    Raises:
        SettingsError: an answer is for an app that is not there, or for one of several and does not say which.
    """
    names = [app.name.value for app in understanding.apps if app.python]
    for option, app in answers:
        if app not in {*names, ""} or (app == "" and len(names) > 1):
            raise SettingsError(
                f"{option.partition(' ')[0]} is for {app or 'an app'}: {'there is no such app' if app else 'which?'}.",
                fix=f"Give {option.partition(' ')[0]} APP=VALUE, the app being one of: {', '.join(sorted(names))}.",
            )
    given = {name: {option: value for (option, app), value in answers.items() if app in {"", name}} for name in names}
    apps = tuple(_answered(app, given[app.name.value]) if app.python else app for app in understanding.apps)
    taken = [app.name.value for app in apps]
    if wrong := [name for name in taken if not name or taken.count(name) > 1]:
        what = f"two apps are called {wrong[0]}" if wrong[0] else "it says no name: small letters, digits and dashes"
        raise SettingsError(f"{what}.", where=NAME, fix="Give each app a name of its own.")
    called = {before.name.value: after.name.value for before, after in zip(understanding.apps, apps, strict=True)}
    left = [
        structs.replace(each, app=called.get(each.app, ""))
        for each in understanding.unknown
        if not {(each.ask, each.app), (each.ask, "")} & set(answers)
    ]
    return structs.replace(understanding, apps=apps, unknown=tuple(left))


def _answered(app: App, answers: Mapping[str, str]) -> App:
    arguments = {key.removeprefix(f"{ARGUMENT} "): value for key, value in answers.items() if key.startswith(ARGUMENT)}
    return structs.replace(
        app,
        name=_said(NAME, slug(answers[NAME])) if NAME in answers else app.name,
        context=_said(CONTEXT, answers[CONTEXT]) if CONTEXT in answers else app.context,
        module=answers.get(MODULE, app.module),
        command=_words(answers[COMMAND]) if COMMAND in answers else app.command,
        server=answers.get(SERVER, app.server),
        port=_port_number(answers[PORT]) if PORT in answers else app.port,
        arguments={**app.arguments, **arguments},
    )


def _words(command: str) -> Found[tuple[str, ...]]:
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        words, why = (), str(error)
    else:
        why = "it has no word"
    if not words:
        raise SettingsError(f"{COMMAND} {command!r} is no command: {why}.", fix="Quote its words as a shell wants it.")
    return Found(value=words, where=f"as {COMMAND} says", sure=Sure.STATED)


def _port_number(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) <= LAST_PORT):
        raise SettingsError(f"{PORT} {text!r} is no port.", fix=f"Give a number from 1 to {LAST_PORT}.")
    return int(text)


def _said(option: str, value: str) -> Found[str]:
    return stated(value, f"as {option} says")


HEAD = """\
# Settings of seatrial, proposed by `seatrial init`: behind each line is where it was found. Change what you like;
# seatrial's docs/settings.md tells all keys.
"""
LONGEST = 200
"""Characters of a comment."""


@dataclass(frozen=True)
class Line:
    """A key of a table, its value, and where that was found."""

    key: str
    value: object
    found: str
    guess: bool = False
    """It is written as a comment."""


def proposed_settings(understanding: Understanding, table: str) -> str:
    """Return the tables of a project's apps; `table` is what stands before `apps`: `tool.seatrial.`, or nothing."""
    projects = {project.folder: project for project in understanding.projects}
    images = {dockerfile.file: dockerfile for dockerfile in understanding.dockerfiles}
    parts: list[str] = []
    for app in adopted(understanding):
        name = f"{table}apps.{app.name.value}"
        project = projects.get(app.project, Project(folder=app.project))
        services = services_of(app, understanding.stacks)
        assert app.dockerfile is not None  # noqa: S101 - adopted
        image = images.get(app.dockerfile.value)
        parts += _table(name, _app(app, understanding.stacks))
        parts += _table(f"{name}.contract", _contract(app, project, understanding.unknown, image))
        parts += _table(f"{name}.contract.environment", _environment(project, image))
        parts += _table(f"{name}.contract.stack", _stack(app, project, services) if app.compose else ())
    return "\n".join(parts)


def adopted(understanding: Understanding) -> list[App]:
    """Return the apps that settings can be written for: images of Python, with a Dockerfile, from inside the folder."""
    return [
        app
        for app in understanding.apps
        if app.python and app.dockerfile is not None and not app.context.value.startswith(("..", "/"))
    ]


def _table(name: str, lines: Iterable[Line]) -> Iterator[str]:
    rows = list(lines)
    if rows:
        # A table of comments alone is a comment too.
        head = f"[{name}]" if not all(line.guess for line in rows) else f"# [{name}]"
        yield "\n".join((head, *map(_line, rows))) + "\n"


def _line(line: Line) -> str:
    written = f"{'# ' if line.guess else ''}{toml_key(line.key)} = {toml_value(line.value)}"
    found = plain_line(line.found)[:LONGEST]
    return f"{written}  # {found}" if found else written


def _because(found: Found[Any]) -> str:
    why = f"a guess: {found.why}" if found.sure is Sure.GUESSED else found.why
    return ", ".join(filter(None, (found.where, why)))


def _app(app: App, stacks: Sequence[Stack]) -> Iterator[Line]:
    yield Line("context", app.context.value, _because(app.context))
    assert app.dockerfile is not None  # noqa: S101 - adopted
    yield Line("dockerfile", app.dockerfile.value, app.dockerfile.where)
    if app.target:
        yield Line("target", app.target, app.context.where)
    arguments = {key: value for key, value in app.arguments.items() if not (named_secret(key) or secret(key, value))}
    if arguments:
        yield Line("build-arguments", arguments, app.context.where if app.services else f"as {ARGUMENT} says")
    if app.image and app.image != app.name.value:
        yield Line("image", app.image, f"as {app.compose[0]} calls it")
    if app.compose:
        call = next((each.call for each in stacks if each.files[0] == app.compose[0]), None)
        files = app.compose[0] if call is None or len(call.files) == 1 else list(call.files)
        said = "" if call is None else f"; {call.where} calls compose so"
        yield Line("compose", files, f"it runs it as {', '.join(app.services)}{said}")
        if call is not None and call.env_files:
            yield Line("env-files", list(call.env_files), call.where)
    elif stack := next((each for each in stacks if each.usual and not each.aside and not each.built), None):
        runs = ", ".join(dict.fromkeys(service.image for service in stack.services if service.image))
        why = f"a guess: it runs {runs}; with `image = NAME`, a build of this app makes NAME:latest"
        yield Line("compose", stack.files[0], why, guess=True)
    for key, found in (("entrypoint", app.entrypoint), ("command", app.command)):
        if found is not None:
            why = "" if found.where.startswith("as ") else ": the image by itself starts nothing that is known"
            yield Line(key, found.value, f"{found.where}{why}")


def _contract(app: App, project: Project, unknown: Iterable[Unknown], image: DockerfileFound | None) -> Iterator[Line]:
    if app.job:
        yield Line("job", value=True, found=f"a guess: {app.job}")
    if app.tmpfs:
        yield Line("tmpfs", ["/tmp", *app.tmpfs], "a smoke showed that it writes there")  # noqa: S108 - in a container
    if app.module:
        yield Line("modules", [app.module], f"as {MODULE} says")
    elif ask := next((each for each in unknown if each.ask == MODULE and each.app == app.name.value), None):
        if _is_module(ask.default):
            yield Line("modules", [ask.default], f"{ask.where}, a guess: {ask.why}; {MODULE} says it", guess=True)
    elif image is not None:  # Otherwise its Dockerfile is written now, and its command names what it serves.
        for start in project.starts[:1]:
            reference = start.value.reference
            if _is_module(reference) and start.value.server and reference not in app.not_imported:
                guess = start.sure is not Sure.STATED or not _is_in_image(app, project, start)
                found = f"{_because(start)}, a guess: no command of the image names it" if guess else _because(start)
                yield Line("modules", [reference], found, guess=guess)


def _is_in_image(app: App, project: Project, start: Found[Start]) -> bool:
    """Tell whether a command names a module, and it is the image's own, or the module is one of the project's."""
    module = start.value.reference.partition(":")[0]
    words = " ".join(start.value.command)
    if module not in words and module.replace(".", "/") not in words:
        return False  # A configuration file or a variable names it, and may name a folder, too.
    own = app.dockerfile is not None and start.where.startswith(f"{app.dockerfile.value}:")
    return own or module.partition(".")[0] in {found.value.removesuffix(".py") for found in project.packages}


def _is_module(reference: str) -> bool:
    try:
        msgspec.convert(reference, Module)
    except msgspec.ValidationError:
        return False
    return not reference.endswith(".py")


def _environment(project: Project, image: DockerfileFound | None) -> Iterator[Line]:
    """Yield a value for each variable without which it does not start; never that of a file of values."""
    for found in project.variables:
        variable = found.value
        if (
            variable.strict
            and variable.name != "DJANGO_SETTINGS_MODULE"
            and (image is None or variable.name not in image.given)
        ):
            value = trial_value(variable, project)
            how = "requires it" if variable.required else "has no way without it"
            yield Line(variable.name, value, f"{found.where} {how}: a value for trials")


def trial_value(variable: Variable, project: Project) -> str:
    """Return a value that a variable may have in a trial: its example's, or a made-up one."""
    return variable.default or made_up(variable, project)


def made_up(variable: Variable, project: Project) -> str:
    """Return a value that a variable of that name and type may have."""
    name, kind = variable.name.upper(), variable.type.removesuffix(" | None").rpartition("pydantic.")[2]
    if value := next((value for pattern, value in VALUES_BY_TYPE.items() if re.fullmatch(pattern, kind)), ""):
        return value if value != "1" or not NAMES_PORT.search(name) else _port(name, project)
    words = name.split("_")
    if NAMES_PORT.search(name):
        return _port(name, project)
    # REDIS_HOST is a host.
    if value := next((VALUES_BY_WORD[word] for word in (words[-1], *words) if word in VALUES_BY_WORD), ""):
        return value
    if words[-1] not in {"URL", "URI", "DSN"} and not kind.endswith("Dsn"):
        return "made-up"
    database = next((found.value for found in project.services if found.value in ADDRESSES), "")
    address = ADDRESSES.get(database, "http://localhost")
    if database == "postgres" and {"sqlalchemy", "sqlmodel"} & set(project.dependencies):
        usual = "psycopg2" in project.dependencies or "psycopg2-binary" in project.dependencies
        wanted = ["asyncpg"] if "ASYNC" in words else [] if usual else ["psycopg", "asyncpg"]
        driver = next((f"+{name}" for name in wanted if name in project.dependencies), "")
        return address.replace("://", f"{driver}://", 1)
    return address


def _port(name: str, project: Project) -> str:
    """Return the port of the service that a variable's name is about; else one to serve."""
    known = (found.value for found in project.services if found.value in NAMES)
    address = next((ADDRESSES[kind] for kind in known if NAMES[kind].search(name)), "")
    return str(urlsplit(address).port or VALUES_BY_WORD["PORT"])


def _stack(app: App, project: Project, services: Sequence[ServiceFound]) -> Iterator[Line]:
    service = next((each for each in services if each.name == app.services[0]), None)
    if service is None:
        return
    if len(app.services) > 1:
        others = ", ".join(app.services[1:])
        yield Line("service", service.name, f"{service.where}; its image also runs {others}")
    published = next(filter(None, map(container_port, service.ports)), None)
    port = project.port
    # What another service of the image publishes is its own: a dashboard's port.
    elsewhere = {container_port(each) for found in services if found.name in app.services[1:] for each in found.ports}
    if port is not None and port.value not in {published, *elsewhere} and port.sure is not Sure.GUESSED:
        yield Line("port", port.value, _because(port))
    if project.health is not None and project.health.sure is Sure.STATED:
        yield Line("ready", project.health.value, _because(project.health))
