"""The files that a project without a Dockerfile lacks: Dockerfile, ignore file, compose file, example of variables.

One template each, in `templates/`; the tables here say what each installer and each service adds to them.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec import structs

from seatrial.adopt.commands import port_of
from seatrial.adopt.django import collects, served_settings
from seatrial.adopt.dockerfile_words import as_pattern, copied, plain, shell_word
from seatrial.adopt.installers import COMPILED, INTO, inside, is_package, python_of, tool_of
from seatrial.adopt.known import Framework
from seatrial.adopt.model import App, Found, Project, Start, Sure, Understanding
from seatrial.adopt.proposal import rival_modules, trial_value
from seatrial.adopt.services import SERVICES, environment, example, migrate, named_in, without_password
from seatrial.adopt.stacks import USUAL
from seatrial.adopt.starts import serving
from seatrial.adopt.tree import Tree, joined
from seatrial.errors import SettingsError

if TYPE_CHECKING:
    from jinja2 import Environment

SCRIPTS = re.compile(r"^script_location\s*=\s*(?:%\(here\)s/)?([\w./-]+)", re.MULTILINE)
"""Alembic's folder of migrations, in alembic.ini."""
OF_WORKSPACE = re.compile(r"\{\s*workspace\s*=\s*true\s*\}")
LOWEST = 80
"""A port below is none that an application serves."""
NOT_COPIED = re.compile(r"(?:^|/)(?:tests?|docs?|\.[^/]*|node_modules|build|dist)(?:/|$)")
BUILD_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in", "PKG-INFO")
DESCRIPTIONS = re.compile(r"(?:README|LICEN[CS]E|COPYING|NOTICE|AUTHORS|CHANGE|HISTORY|VERSION)[\w.-]*", re.IGNORECASE)
GOES_ON = re.compile(
    r"\bwhile (?:True|1)\b|forever|signal\.|\.(?:run|start|serve|listen|poll\w*|join|wait)\(|schedul", re.IGNORECASE
)
"""What code says that goes on until it is stopped."""
BROUGHT = {
    "wsgi": {"gunicorn": "gunicorn==23.0.0", "waitress": "waitress==3.0.2"},
    "asgi": {"uvicorn": "uvicorn==0.35.0", "hypercorn": "hypercorn==0.17.3"},
}
"""Servers that the image can bring where no dependency is one, by interface."""
HANDLE = {"aiohttp", "Sanic", "Streamlit", "python-telegram-bot", "aiogram"}
"""Frameworks that handle SIGTERM by themselves, as all servers but uWSGI and waitress do."""
MOST_READ = 500
"""Modules that are searched for a handler of SIGTERM."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What an app without a Dockerfile gets."""

    app: App
    """The app, with its new Dockerfile and compose file."""
    files: Mapping[str, str]
    """Texts by their paths from the project's folder."""


def write_missing(tree: Tree, understanding: Understanding) -> tuple[Written, ...]:
    """Return the files of each app of a Python project that has no Dockerfile.

    Raises:
        SettingsError: it cannot be known how to install, start or base it; what to do is said.
    """
    projects = {project.folder: project for project in understanding.projects}
    return tuple(
        _Recipe(tree, app, projects[app.project]).written()
        for app in understanding.apps
        if app.python and app.dockerfile is None and app.project in projects
    )


class _Recipe:
    """One app, and what its files are made of."""

    def __init__(self, tree: Tree, app: App, project: Project) -> None:
        if project.installer is not None and project.installer.value == "conda":
            raise SettingsError(
                "there is no recipe for conda.",
                where=project.installer.where,
                fix="Write a Dockerfile, and run this again: it is taken as it is.",
            )
        self.tree, self.app, self.project = tree, app, project
        lock = project.lock.value if project.lock is not None else ""
        declaration = joined(project.folder, "pyproject.toml")
        if not lock and OF_WORKSPACE.search(tree.text(declaration)):
            raise SettingsError(
                "it needs another member of its workspace, which a lock alone says how to install.",
                where=declaration,
                fix="Run `uv lock`, then init again.",
            )
        above = posixpath.dirname(lock)
        # A lock below the project, such as requirements/all.txt, is no workspace's.
        inside = not above or project.folder.startswith(f"{above}/")
        self.workspace = bool(lock) and above != project.folder and inside
        self.root = above if self.workspace else project.folder
        start = _start(app, project)
        # From the build context, where the image has it.
        self.start = structs.replace(start, folder=self._inside(start.folder.removeprefix(".")) or ".")
        self.builds = is_package(tree, project)

    def written(self) -> Written:
        """Return the app and its files; what the project has already stays as it is."""
        folder = self.project.folder
        dockerfile, compose = joined(folder, "Dockerfile"), joined(folder, "compose.yaml")
        values = self._values()
        files = {
            dockerfile: _render("Dockerfile", values),
            f"{dockerfile}.dockerignore" if self.workspace else joined(self.root, ".dockerignore"): _render(
                "dockerignore", {"paths": [as_pattern(path) for path in self._paths()]}
            ),
        }
        app = structs.replace(
            self.app, context=_found(self.root or "."), dockerfile=_found(dockerfile), job=self._job(), command=None
        )
        if not any(joined(folder, name) in self.tree for name in USUAL):
            stack = self._stack(values)
            files |= {compose: _render("compose.yaml", stack)}
            app = structs.replace(app, compose=(compose,), services=(str(stack["service"]),))
            if asked := example(self.project, stack["environment"], stack["secrets"]):
                files[joined(folder, ".env.example")] = asked  # One that is there already stays as it is.
        return Written(app=app, files={name: text for name, text in files.items() if name not in self.tree})

    def _job(self) -> str:
        """Return why the command counts as a job; empty where it may go on."""
        start = self.start
        if self.app.job or start.kind != "command":
            return self.app.job
        module = start.reference.partition(":")[0].replace(".", "/").removesuffix("/__main__")
        folder = joined(self.root, start.folder)
        names = (
            start.reference,
            f"{module}.py",
            f"{module}/__main__.py",
            f"src/{module}.py",
            f"src/{module}/__main__.py",
        )
        found = next((joined(folder, name) for name in names if joined(folder, name) in self.tree), "")
        return "" if not found or GOES_ON.search(self.tree.text(found)) else f"nothing in {found} goes on for ever"

    def _values(self) -> dict[str, object]:
        project, start = self.project, self.start
        found = [each for each in project.libraries if each.sure is not Sure.GUESSED]
        port = self._port()
        settings = served_settings(self.tree, project, start)
        pythonpath = "" if self.builds else joined("/app", start.folder).rstrip("/")
        return {
            "name": self.app.name.value,
            "python": python_of(project),
            "tool": tool_of(
                project, root=self.root, builds=self.builds, workspace=self.workspace, served=bool(start.server)
            ),
            "server": BROUGHT.get(start.interface, {}).get(self.app.server, ""),
            "into": INTO,
            "compilers": sorted({each for name in project.dependencies for each in COMPILED.get(name, ())}),
            "libraries": sorted(each.value for each in found),
            "libraries_of": sorted({each.why.partition(" ")[0] for each in found}),
            "copies": [copied(f"/app/{path}", f"/app/{path}") for path in self._data()] if self.builds else [],
            "pythonpath": pythonpath and shell_word(pythonpath),
            "settings": settings,
            "static": self._static(),
            "port": port,
            # What a person's command starts need not speak HTTP.
            "health": _connects(port) if self.app.command else _health(project, port),
            "stop_signal": self._stop_signal(),
            "command": _command(start),
        }

    def _static(self) -> str:
        """Return the command that collects Django's static files; empty where there is none."""
        required = (found.value for found in self.project.variables if found.value.strict)
        values = {variable.name: trial_value(variable, self.project) for variable in required}
        flat = not self.builds and self.root == self.project.folder
        return collects(self.tree, self.project, self.start, values) if flat else ""

    def _stop_signal(self) -> str:
        """Return the signal that it ends by: a container's first process ignores SIGTERM where nothing handles it."""
        start = self.start
        if start.server in {"uwsgi", "pyuwsgi", "waitress"}:
            return "SIGINT"
        own = [path for path in self.tree.files if path.endswith(".py") and not NOT_COPIED.search(path)][:MOST_READ]
        handled = start.server or start.framework in HANDLE or any("SIGTERM" in self.tree.text(path) for path in own)
        return "SIGTERM" if handled else "SIGINT"

    def _port(self) -> int:
        """Return the port that it serves; 0 for none."""
        start, found = self.start, self.project.port
        if start.kind != "web":
            return 0
        if self.app.port or self.app.command is not None:
            return self.app.port or port_of(start.command, {}) or 0
        # The backlog of a socket looks like a port.
        return found.value if found is not None and found.value >= LOWEST else 0

    def _inside(self, path: str) -> str:
        return inside(self.root, path)

    def _paths(self) -> Iterator[str]:
        """Yield what the build context needs: what declares the project, its code, and what it reads."""
        tree, root = self.tree, self.root
        tops = {each.split("/", 1)[0] for each in self._members()} if self.workspace or self.project.members else set()
        if self.workspace:
            yield from (name for name in ("pyproject.toml", "uv.lock", "README.md") if joined(root, name) in tree)
            yield from sorted(tops)
            return
        names = tree.folders.get(root, ())
        wanted = {posixpath.basename(self.project.lock.value) if self.project.lock is not None else "", "Pipfile"}
        wanted |= {name for name in names if name in BUILD_FILES or (self.builds and DESCRIPTIONS.fullmatch(name))}
        # A setup.py may read any of them.
        whole = joined(root, "setup.py") in tree
        required = [each.value for each in self.project.requirements if whole or not each.value.development]
        listed = {self._inside(each.file) for each in required}
        yield from sorted(wanted.intersection(names) | listed)
        code = {
            self._inside(path).split("/", 1)[0]
            for path in tree.files
            if path.endswith(".py") and joined(root, self._inside(path)) == path
            if not NOT_COPIED.search(self._inside(path))
        }
        yield from sorted((code | tops | set(self._data())) - wanted)

    def _members(self) -> Iterator[str]:
        for path in self.tree.files:
            if path.endswith("/pyproject.toml") and not NOT_COPIED.search(path):
                yield path

    def _data(self) -> Iterator[str]:
        """Yield what is no code and is read at run time, from the build context: files and top-level folders."""
        there = self.tree.folders.keys() | set(self.tree.files)
        for found in dict.fromkeys((*(each.value for each in self.project.data), *self._migrations())):
            inside = self._inside(found).strip("/")
            top = inside.split("/", 1)[0]
            if inside and not NOT_COPIED.search(inside) and top not in {"src", "."} and joined(self.root, top) in there:
                yield top

    def _migrations(self) -> Iterator[str]:
        """Yield what the command of the migrations reads beside the project's packages."""
        for found in self.project.migrations:
            file = found.where.partition(":")[0]
            yield file
            if location := SCRIPTS.search(self.tree.text(file)):
                yield joined(posixpath.dirname(file), location[1])
            if found.value.startswith("python "):
                yield joined(self.project.folder, shlex.split(found.value)[1])

    def _stack(self, values: Mapping[str, object]) -> dict[str, Any]:
        project = self.project
        services = [
            SERVICES[each.value]
            for each in project.services
            if each.value in SERVICES and each.sure is not Sure.GUESSED
        ]
        example_there = self.tree.text(joined(project.folder, ".env.example"))
        unique = [
            without_password(each, example_there) for each in {service.name: service for service in services}.values()
        ]
        variables = dict(environment(project, unique, example_there))
        own = self.app.name.value if self.app.name.value not in {each.name for each in unique} else "app"
        secrets = [key for service in unique for key, value in service.environment.items() if ":?" in value]
        asked = {*secrets, *(name for name, value in variables.items() if value.startswith(f"${{{name}:?"))}
        return {
            **values,
            "service": own,
            "tmpfs": self.app.tmpfs,
            "services": unique,
            "environment": variables,
            "secrets": secrets,
            "asks": bool(example(project, variables, secrets)),
            "lacks": sorted(asked - named_in(example_there)) if example_there else [],
            "migrate": migrate(project),
            "stays": not self._job(),
        }


def _found(value: str) -> Found[str]:
    return Found(value=value, where=value, sure=Sure.STATED)


def _start(app: App, project: Project) -> Start:
    """Return how a project starts.

    Raises:
        SettingsError: that is not known, several could be meant, or no server is among its dependencies.
    """
    if app.command is not None:
        port = app.port or port_of(app.command.value, {})
        return Start(kind="web" if port else "command", command=app.command.value)
    said = next((found for found in project.starts if app.module and found.value.reference == app.module), None)
    if app.module and said is None:
        raise SettingsError(
            f"{app.module} is no application that its code makes.",
            where=project.folder or ".",
            fix=f"Name one of: {', '.join(found.value.reference for found in project.starts) or 'none was found'}.",
        )
    if said is None and (rivals := rival_modules(project)):
        raise SettingsError(
            f"several could be served: {', '.join(sorted(rivals)[:4])}.",
            where=project.starts[0].where,
            fix=f"Say which: --module {min(rivals)}.",
        )
    if not project.starts:
        raise SettingsError(
            "how it starts cannot be told: there is no command, no application and no script.",
            where=project.folder or ".",
            fix="Name its module: `seatrial init --module package.module:application`.",
        )
    found = said or project.starts[0]
    start = found.value
    return start if start.command else _served(app, project, found)


def _served(app: App, project: Project, found: Found[Start]) -> Start:
    """Return a start by the server that a person named, where no dependency is one."""
    start, known = found.value, BROUGHT.get(found.value.interface, {})
    if app.server not in known:
        usual = "uvicorn" if start.interface == "asgi" else "gunicorn"
        missing = (
            f"no {start.interface.upper() or 'web'} server is among its dependencies, and {start.reference} needs one"
        )
        wrong = f"{app.server} is none of {', '.join(known)}; {missing}"
        raise SettingsError(
            f"{wrong if app.server else missing}.",
            where=found.where,
            fix=f"Add one to its dependencies: {_adding(project, usual)}. Or let the image bring it: --server {usual}.",
        )
    framework = Framework(start.framework, interface=start.interface, port=project.port.value if project.port else 0)
    command = serving(app.server, start.reference, framework, factory=start.factory)
    return structs.replace(start, server=app.server, command=command)


def _adding(project: Project, name: str) -> str:
    installer = project.installer.value if project.installer is not None else ""
    if installer in {"uv", "poetry", "pdm"}:
        return f"`{installer} add {name}`"
    if installer == "pipenv":
        return f"`pipenv install {name}`"
    file = next((each.value.file for each in project.requirements if not each.value.development), "pyproject.toml")
    return f"a line in {file}"


def _command(start: Start) -> list[str]:
    """Return the command as it starts from the project's folder."""
    words = list(start.command)
    if start.server == "gunicorn" and words[0] == "gunicorn" and "--worker-tmp-dir" not in words:
        # Its workers' heartbeat belongs in memory.
        words[1:1] = ["--worker-tmp-dir", "/dev/shm"]  # noqa: S108 - in a container
    for number, word in enumerate(words):
        if number and word.endswith(".py") and start.folder not in {"", "."}:
            words[number] = f"{start.folder}/{word}"
    return words


def _connects(port: int) -> dict[str, object]:
    """Return a health check that sees whether something takes connections."""
    code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 4).close()"
    return {"says": "Something takes the connection.", "command": ["python", "-I", "-S", "-c", code]}


def _health(project: Project, port: int) -> dict[str, object]:
    """Return how the image's health check asks, by the standard library alone; without a route, whether it answers."""
    route = project.health.value if project.health is not None else ""
    limit = 400 if route else 500
    code = (
        f"import http.client as h; c = h.HTTPConnection('127.0.0.1', {port}, timeout=4); "
        f"c.request('GET', '{route or '/'}'); raise SystemExit(c.getresponse().status >= {limit})"
    )
    says = f"{route} answers." if route else "It answers: an error of the server's own, 500 and above, is none."
    return {"says": says, "command": ["python", "-I", "-S", "-c", code]}


def _render(name: str, values: Mapping[str, object]) -> str:
    """Return a template's text with values in their places."""
    return str(_templates().get_template(f"{name}.jinja").render(values))


@cache
def _templates() -> Environment:
    # It takes 40 ms to import, and only `init` writes anything.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(  # noqa: S701 - no HTML
        loader=PackageLoader("seatrial.adopt"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    made.filters["json"] = json.dumps
    made.globals.update(copied=copied, plain=plain)
    return made
