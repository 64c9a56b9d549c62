"""How a project starts as its files state it: compose services, Dockerfiles, a Procfile, its own shell scripts."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from msgspec import structs

from seatrial.adopt.code import Code
from seatrial.adopt.known import ASGI, WSGI, Framework
from seatrial.adopt.model import DockerfileFound, Found, Project, ServiceFound, Start, stated
from seatrial.adopt.modules import Modules
from seatrial.adopt.starts import nature
from seatrial.adopt.tree import Tree, joined, line_of
from seatrial.facts import FileEntry, FileKind
from seatrial.observe.command.application import SERVERS, application
from seatrial.observe.command.launch import PYTHON, Launch, behind_scripts, launches
from seatrial.observe.paths import DEFAULT_PATH

WORKERS = {
    "celery": "Celery",
    "arq": "arq",
    "dramatiq": "dramatiq",
    "taskiq": "taskiq",
    "rq": "RQ",
    "huey_consumer": "Huey",
}
"""Programs that run workers, with their frameworks."""
WEB = {
    **dict.fromkeys(("uvicorn", "gunicorn", "hypercorn", "granian", "daphne", "waitress-serve", "uwsgi"), ""),
    "flask": "Flask",
    "fastapi": "FastAPI",
    "streamlit": "Streamlit",
    "sanic": "Sanic",
    "litestar": "Litestar",
    "quart": "Quart",
}
"""Programs that serve, with the framework where they serve one alone."""
PORTS = (
    re.compile(r"(?:--port|-p|--server\.port)[= ](?:\$\{?\w+:?-)?(\d{2,5})\b"),
    re.compile(r"(?:--bind|-b|--listen|--http(?:-socket)?|--http11-socket)[= ]\S*?:(?:\$\{?\w+:?-)?(\d{2,5})\b"),
    re.compile(r"runserver(?:_plus)?\s+(?:\S*:)?(\d{2,5})\b"),
)
PROCFILE = re.compile(r"^([A-Za-z][\w-]*):[ \t]*(.+)$", re.MULTILINE)
CONFIGURATION = (".conf", ".ini")
"""Endings of what a supervisor reads."""
SHELL_LINE = re.compile(rb"#!\s*\S*/(?:env\s+)?(?:ba|da|a)?sh\b")


class Scripts:
    """The project's own shell scripts, wherever an image has them: their names count, or what a Dockerfile says."""

    def __init__(self, tree: Tree, console: Mapping[str, str], copied: Mapping[str, str] | None = None) -> None:
        self._tree = tree
        self.console = console
        """The projects' console scripts, with what they call."""
        self._copied = copied or {}
        self._by_name: dict[str, str] = {}
        for path in tree.files:
            name = posixpath.basename(path)
            if (name.endswith((".sh", *CONFIGURATION)) or "." not in name) and name not in SERVERS:
                self._by_name.setdefault(name, path)

    def of_image(self, image: DockerfileFound | None) -> Scripts:
        """Return the scripts as an image has them, whose Dockerfile may give them other names."""
        return self if image is None or not image.copied else Scripts(self._tree, self.console, image.copied)

    def _path(self, path: str) -> str:
        copied = self._copied.get(path, "")
        found = copied if copied in self._tree else self._by_name.get(posixpath.basename(path), "")
        known = found.endswith(CONFIGURATION) or SHELL_LINE.match(self._tree.beginning(found))
        return found if known else ""

    def entry(self, path: str) -> FileEntry | None:
        """Return a script of that name."""
        return FileEntry(kind=FileKind.FILE, mode=0o755, uid=0, gid=0) if self._path(path) else None

    def beginning(self, path: str) -> bytes:
        """Return its first bytes."""
        found = self._path(path)
        return self._tree.beginning(found) if found else b""

    def text(self, path: str) -> str:
        """Return its text."""
        return self._tree.text(self._path(path))


def start_of(words: Sequence[str], environment: Mapping[str, str], scripts: Scripts) -> Start | None:
    """Return what a command starts; None where it is no Python that can be told from its words."""
    given = {"PATH": DEFAULT_PATH, **environment}
    for launch in launches(tuple(words), "/", given, scripts):
        if (start := _of_launch(launch, scripts.console)) is not None:
            return start
    return None


def _of_launch(launch: Launch, console: Mapping[str, str]) -> Start | None:
    rest = behind_scripts(launch.words)
    name = posixpath.basename(rest[0]) if rest else ""
    reference = next(iter(application(launch).modules), "")
    if PYTHON.fullmatch(name):
        behind = [word for word in rest[1:] if word != "-u"]
        name = posixpath.basename(behind[1]) if behind[:1] == ["-m"] and len(behind) > 1 else ""
        if name not in WEB and name not in WORKERS:
            return _of_python(behind, reference, launch.words, console)
    if name in WORKERS:
        return _worker(name, rest, reference, launch.words)
    if name in WEB:
        if name == "streamlit":
            reference = next((word for word in rest if word.endswith(".py")), "")
        return Start(
            kind="web",
            framework=WEB[name],
            reference=reference,
            server=name,
            factory="--factory" in rest or any(re.search(r":\w+\(.*\)$", word) for word in rest),
            interface=_interface(name, rest),
            command=launch.words,
        )
    if name in console:
        return Start(kind="command", reference=console[name], command=launch.words)
    return None


def _of_python(
    behind: Sequence[str], reference: str, words: tuple[str, ...], console: Mapping[str, str]
) -> Start | None:
    script = behind[0] if behind else ""
    if posixpath.basename(script) == "manage.py":
        kind = "web" if behind[1:2] and "runserver" in behind[1] else "command"
        return Start(kind=kind, framework="Django", reference=script, command=words)
    called = script if script.endswith(".py") else reference or console.get(posixpath.basename(script), "")
    return Start(kind="command", reference=called, command=words) if called else None


def _worker(name: str, rest: Sequence[str], reference: str, words: tuple[str, ...]) -> Start:
    kind, framework = "worker", WORKERS[name]
    if name == "celery" and "worker" not in rest:
        kind, framework = ("web", "Flower") if "flower" in rest else ("command", framework)
    return Start(kind=kind, framework=framework, reference=reference, server=name, command=words)


def _interface(name: str, words: Sequence[str]) -> str:
    line = " ".join(words).lower()
    if name == "gunicorn" and "$" in line:
        return ""
    if name in {"uvicorn", "hypercorn", "daphne", "fastapi"} or "uvicornworker" in line or "interface asgi" in line:
        return ASGI
    return WSGI if name in {"gunicorn", "waitress-serve", "uwsgi", "flask"} else ""


def port_of(words: Sequence[str], environment: Mapping[str, str]) -> int | None:
    """Return the port that a command says; what a variable may change has its default."""
    line = " ".join(words)
    for name, value in environment.items():
        line = line.replace(f"${{{name}}}", value).replace(f"${name}", value)
    found = (match for pattern in PORTS if (match := pattern.search(line)))
    return next((int(match[1]) for match in found), None)


def procfile(tree: Tree, folder: str, scripts: Scripts) -> Iterator[tuple[Found[Start], int | None]]:
    """Yield what a Procfile starts, with the port of each."""
    path = joined(folder, "Procfile")
    text = tree.text(path)
    for match in PROCFILE.finditer(text):
        try:
            words = shlex.split(match[2])
        except ValueError:
            continue
        if (start := start_of(["sh", "-c", match[2]], {}, scripts)) is not None and match[1] != "release":
            where = f"{path}:{line_of(text, match.start())}"
            yield stated(start, where), port_of(words, {})


DEVELOPMENT = re.compile(r"^(?:fastapi dev|flask run|.*manage\.py runserver)|--reload\b|--debug\b")
SERVES_APPLICATION = {"gunicorn", "uwsgi"}
"""Servers that serve `application` where their words name a module alone."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image of a project, with its Dockerfile and the services that run it."""

    dockerfile: DockerfileFound | None
    services: tuple[ServiceFound, ...]


def stated_starts(
    tree: Tree, project: Project, images: Sequence[Image], scripts: Scripts
) -> Iterator[tuple[Found[Start], int | None]]:
    """Yield what compose services, Dockerfiles and a Procfile start, each with the port that its command says."""
    for image in images:
        yield from _of_services(image, scripts.of_image(image.dockerfile))
    for dockerfile in (image.dockerfile for image in images if image.dockerfile is not None):
        environment, words = dockerfile.environment, (*dockerfile.entrypoint, *dockerfile.command)
        if (start := start_of(words, environment, scripts.of_image(dockerfile))) is not None:
            if start.kind == "command" and dockerfile.ports:
                start = structs.replace(start, kind="web")
            where = f"{dockerfile.file}:{dockerfile.command_line}"
            yield _says(start, where), port_of(start.command, environment)
    yield from procfile(tree, project.folder, scripts)


def _of_services(image: Image, scripts: Scripts) -> Iterator[tuple[Found[Start], int | None]]:
    """Yield what the services of an image start by commands of their own."""
    entrypoint = image.dockerfile.entrypoint if image.dockerfile is not None else ()
    known = image.dockerfile.environment if image.dockerfile is not None else {}
    for service in image.services:
        environment = {**known, **service.settings}
        words = (*(service.entrypoint or entrypoint), *service.command)
        start = start_of(words, environment, scripts) if service.command or service.entrypoint else None
        if start is not None:
            where = service.lines.get("command") or service.lines.get("entrypoint") or service.where
            yield _says(start, where), port_of(start.command, environment)


def _says(start: Start, where: str) -> Found[Start]:
    development = DEVELOPMENT.search(" ".join(start.command))
    return stated(start, where, "a server for development" if development else "")


def merged(said: Sequence[Found[Start]], coded: Sequence[Found[Start]], modules: Modules) -> tuple[Found[Start], ...]:
    """Return what files state first, with what the code adds to it; then what only the code tells."""
    found: dict[tuple[str, str], Found[Start]] = {}
    taken: set[int] = set()
    for each in sorted(said, key=lambda each: (each.value.kind != "web", bool(each.why))):
        start = each.value
        same = [number for number, code in enumerate(coded) if _same(start, code.value)]
        if same:
            known = coded[same[0]].value
            taken.update(number for number, code in enumerate(coded) if code.value.reference == known.reference)
            start = _with_code(start, known)
        elif made := _made_by(start, modules):
            start = structs.replace(start, framework=made.name, interface=made.interface or start.interface)
        elif start.kind == "command" and (code := _code_of(start, modules)) is not None:
            kind, framework = nature(code, modules.by_name)
            start = structs.replace(start, kind=kind, framework=framework, folder=modules.roots.get(code.path) or ".")
        found.setdefault((start.kind, start.reference or " ".join(start.command)), structs.replace(each, value=start))
    return (*found.values(), *(code for number, code in enumerate(coded) if number not in taken))


def _with_code(said: Start, known: Start) -> Start:
    """Return what a command starts, with what the code says of that; the command's own module counts."""
    module, colon, _ = said.reference.partition(":")
    other, _, name = known.reference.partition(":")
    reference, folder = known.reference, known.folder
    if colon:
        reference = said.reference
    elif module and other.endswith(f".{module}"):
        # It starts deeper than the code's own root: core.wsgi, of shop.core.wsgi.
        reference = f"{module}:{name}" if name else module
        folder = joined(folder, other.removesuffix(f".{module}").replace(".", "/"))
    return structs.replace(
        said,
        kind=known.kind if said.kind == "command" else said.kind,
        framework=known.framework or said.framework,
        interface=known.interface or said.interface,
        reference=reference or said.reference,
        factory=said.factory or known.factory,
        folder=folder,
    )


def _made_by(start: Start, modules: Modules, depth: int = 3) -> Framework | None:
    """Return what makes the object or factory that a command names, in its module or in that which it comes from."""
    module, _, attribute = start.reference.partition(":")
    code = modules.by_name.get(module)
    if code is None or depth == 0:
        return None
    made = (*code.objects, *code.factories)
    if exact := next((each.framework for each in made if attribute and each.name == attribute), None):
        return exact
    # An application that wraps another one: what the module makes is of one framework.
    frameworks = {each.framework for each in made if each.framework.kind == start.kind}
    if len(frameworks) == 1:
        return next(iter(frameworks))
    further = code.bound.get(attribute, "") or code.bound.get("*", "").replace(".*", f".{attribute}")
    origin, _, name = further.rpartition(".")
    return _made_by(structs.replace(start, reference=f"{origin}:{name}"), modules, depth - 1) if origin else None


def _code_of(start: Start, modules: Modules) -> Code | None:
    """Return the module that a command runs as a script, or by its name."""
    if start.reference.endswith(".py"):
        tail = start.reference.lstrip("./").split("/")
        for count in range(len(tail)):
            ending = "/".join(tail[count:])
            for code in modules.codes:
                if code.path == ending or code.path.endswith(f"/{ending}"):
                    return code
        return None
    module = start.reference.partition(":")[0]
    return modules.by_name.get(module) or modules.by_name.get(f"{module}.__main__")


def _same(said: Start, coded: Start) -> bool:
    """Tell whether a command starts what the code makes."""
    if said.reference and coded.reference:
        return _refers(said, coded)
    if said.framework and said.framework == coded.framework and said.kind == coded.kind:
        return True
    if not said.reference and said.kind == coded.kind == "web" and said.server and coded.interface:
        return True  # A variable or the server's own configuration names it.
    return bool(coded.command) and said.command[:1] == coded.command[:1] and not said.reference


def _refers(said: Start, coded: Start) -> bool:
    """Tell whether a command's reference means what the code makes; one may begin deeper than the other."""
    if posixpath.basename(said.reference) == "manage.py":
        return said.kind == coded.kind == "web" and coded.framework == "Django"
    module, _, attribute = said.reference.partition(":")
    other, _, name = coded.reference.partition(":")
    attribute = attribute or ("application" if said.server in SERVES_APPLICATION else "")
    if said.reference.endswith(".py"):
        path = said.reference.lstrip("./")
        return coded.command[-1:] in {(path,), (posixpath.basename(path),)}
    if f".{module}".endswith(f".{other}") or f".{other}".endswith(f".{module}"):
        return attribute in {"", name}
    if not attribute and module == f"{other}.{name}":
        return True
    # `celery -A shop`: the application is in a module of that package.
    return said.framework == coded.framework == "Celery" and other.startswith(f"{module}.")
