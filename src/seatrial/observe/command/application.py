"""What a program imports of the application, by the rules of the servers that start it."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from seatrial.observe import paths
from seatrial.observe.command.launch import PYTHON, Launch, behind_scripts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from seatrial.observe.paths import Files

SERVERS = {
    *("uvicorn", "gunicorn", "hypercorn", "granian", "daphne", "celery", "flask", "fastapi", "arq", "dramatiq"),
    *("streamlit", "sanic", "litestar", "taskiq", "waitress-serve"),
}
"""Console scripts that put the working directory on sys.path before they import the application."""
ATTRIBUTE = r"[A-Za-z_][\w.]*"
APPLICATION = re.compile(rf"({ATTRIBUTE}):({ATTRIBUTE})(?:\(.*\))?")
"""`PACKAGE.MODULE:ATTRIBUTE`, also as a factory that is called."""
FLASK_FILES = ("wsgi.py", "app.py")
FASTAPI_FILES = ("main.py", "app.py", "api.py", "app/main.py", "app/app.py", "app/api.py")
"""Where the two look by themselves, by their documentation."""


@dataclass(frozen=True, kw_only=True)
class Application:
    """What a program imports of the application, as its words say."""

    modules: tuple[str, ...] = ()
    """`PACKAGE.MODULE` or `PACKAGE.MODULE:ATTRIBUTE`."""
    import_root: str = ""
    """What it puts first on sys.path; empty where that is nothing of the application's."""
    runs: str = ""
    """The module that `python -m MODULE` runs as a program; empty where it runs none, or a server."""
    script: str = ""
    """The Python file that it runs as a program."""
    development: str = ""
    """The words that make it a server for development; empty where it is none."""


def application(launch: Launch, files: Files | None = None) -> Application:
    """Return what a program imports of the application; with the image's files, also what is found by looking there."""
    rest = behind_scripts(launch.words)
    if rest and PYTHON.fullmatch(posixpath.basename(rest[0])):
        options = list(takewhile(lambda word: word.startswith("-") and word not in {"-m", "-c"}, rest[1:]))
        behind = rest[1 + len(options) :]
        root = _pythons_root(behind, options, launch)
        if behind[:1] == ["-m"] and len(behind) > 1:
            module = posixpath.basename(behind[1])
            if module not in SERVERS:
                development = " ".join(behind[:2]) if module == "http.server" else ""
                script = _unguarded(behind[1], root, files)
                named = Application(modules=(behind[1],), import_root=root, runs=behind[1], development=development)
                return Application(import_root=root, script=script) if script else named
            return _server(replace(launch, words=tuple(behind[1:])), files)
        name = posixpath.basename(behind[0]) if behind else ""
        if name in SERVERS:
            return _server(replace(launch, words=(name, *behind[1:])), files)
        development = " ".join(behind[:2]) if name == "manage.py" and behind[1:2] and "runserver" in behind[1] else ""
        script = posixpath.normpath(posixpath.join(launch.directory, behind[0])) if behind else ""
        script = script if script.endswith(".py") else ""
        return Application(import_root=root, script=script, development=development)
    if rest and posixpath.basename(rest[0]) in SERVERS:
        return _server(replace(launch, words=tuple(rest)), files)
    return _of_script(rest, launch, files)


def _unguarded(module: str, root: str, files: Files | None) -> str:
    """Return a module's file, if it does its work wherever it is loaded: an import of it would never end."""
    file = posixpath.join(root, f"{module.replace('.', '/')}.py") if root else ""
    text = files.text(file) if files is not None and file else ""
    return file if text and "__name__" not in text else ""


def _pythons_root(behind: Sequence[str], options: Sequence[str], launch: Launch) -> str:
    """Return what Python puts first on sys.path. With PYTHONSAFEPATH, -P or -I, that is nothing."""
    if launch.environment.get("PYTHONSAFEPATH") or any(re.match(r"-\w*[IP]", word) for word in options):
        return ""
    first = next(iter(behind), "-c")
    if first in {"-m", "-c"}:
        return launch.directory
    return posixpath.dirname(posixpath.join(launch.directory, first))


def _of_script(rest: Sequence[str], launch: Launch, files: Files | None) -> Application:
    """Return what a console script imports: installers write them all alike."""
    if not rest or files is None:
        return Application()
    program = paths.search(rest[0], launch.environment.get("PATH", paths.DEFAULT_PATH), launch.directory, files)
    if program is None or not program.is_file or not files.beginning(program.end).startswith(b"#!"):
        return Application()
    text = files.text(program.end)[:2000]
    match = re.search(rf"^from ({ATTRIBUTE}) import ({ATTRIBUTE})$", text, re.MULTILINE)
    if match is None or "sys.exit(" not in text:
        return Application()
    return Application(modules=(f"{match[1]}:{match[2].partition('.')[0]}",))


def application_of(started: Iterable[Launch], files: Files) -> Application:
    """Return what programs import of the application, together."""
    found = [application(launch, files) for launch in started]
    return Application(
        modules=tuple(dict.fromkeys(module for each in found for module in each.modules)),
        import_root=next((each.import_root for each in found if each.import_root), ""),
        runs=next((each.runs for each in found if each.runs), ""),
        script=next((each.script for each in found if each.script), ""),
        development=next((each.development for each in found if each.development), ""),
    )


TAKES_A_VALUE = re.compile(
    r"-[A-Za-z]|--(?:config|worker-class|bind|workers|chdir|app-dir|host|port|log-level|log-config|env-file|env|"
    r"logger-class|access-logfile|error-logfile|timeout|interface|loop|http|ws|lifespan|name|pid|user|group|threads|"
    r"keep-alive|max-requests|max-requests-jitter|worker-tmp-dir|graceful-timeout|log-file|statsd-host|certfile|"
    r"keyfile|forwarded-allow-ips|proxy-allow-from|root-path|ssl-keyfile|ssl-certfile|reload-dir|reload-include|"
    r"app|path|processes|queues|concurrency|pool|loglevel|entrypoint|timeout-keep-alive|timeout-graceful-shutdown)"
)
"""Options of servers that take the next word. A short option that takes none hides a word that is no application."""


def _server(launch: Launch, files: Files | None) -> Application:
    name, words = launch.name, launch.words[1:]
    option = next((word for word in ("--app-dir", "--chdir") if word in words[:-1]), None)
    root = posixpath.join(launch.directory, words[words.index(option) + 1]) if option else launch.directory
    named = _named(name, words, launch, files)
    if named and named[0].endswith(".py"):
        module, root = _of_file(named[0], root, files)
        named = (module,) if module else ()
    return Application(modules=named, import_root=root, development=_development(name, words))


def _named(name: str, words: Sequence[str], launch: Launch, files: Files | None) -> tuple[str, ...]:
    """Return what a server's words name: a module, with or without an attribute, or a file."""
    free = _positional(words)
    if name in {"celery", "flask", "litestar"}:
        variable = {"flask": "FLASK_APP", "litestar": "LITESTAR_APP"}.get(name, "")
        given = _option(words, ("-A", "--app")) or launch.environment.get(variable, "")
        given = given or (_first_there(FLASK_FILES, launch.directory, files) if name == "flask" else "")
        return _reference(given)
    if name == "fastapi":
        given = _option(words, ("-e", "--entrypoint")) or next(iter(free[1:2]), "")
        if given and ":" not in given and not given.endswith(".py"):
            inside = [f"{given.rstrip('/')}/{file}" for file in ("main.py", "app.py", "api.py")]
            given = _first_there(inside, launch.directory, files) or ""
        return _reference(given or _first_there(FASTAPI_FILES, launch.directory, files))
    if name == "streamlit":
        return ()
    if name == "arq":
        return tuple(re.sub(r"\.(\w+)$", r":\1", word) for word in free[:1] if "." in word)
    if name in {"dramatiq", "gunicorn"}:
        return _reference(next((word for word in free if re.fullmatch(rf"{ATTRIBUTE}(?::.*)?", word)), ""))
    return _reference(next((word for word in free if APPLICATION.fullmatch(word)), ""))


def _reference(given: str) -> tuple[str, ...]:
    """Return a reference without the call that makes the application."""
    if given.endswith(".py"):
        return (given,)
    match = re.fullmatch(rf"({ATTRIBUTE})(?::({ATTRIBUTE})(?:\(.*\))?)?", given)
    return () if match is None else (match[1] if match[2] is None else f"{match[1]}:{match[2]}",)


def _positional(words: Sequence[str]) -> list[str]:
    found: list[str] = []
    skip = False
    for word in words:
        if not skip and not word.startswith("-"):
            found.append(word)
        skip = not skip and bool(TAKES_A_VALUE.fullmatch(word))
    return found


def _option(words: Sequence[str], names: Sequence[str]) -> str:
    for at, word in enumerate(words):
        if word in names and at + 1 < len(words):
            return words[at + 1]
        for name in names:
            if word.startswith(f"{name}=") or (len(name) == 2 and word.startswith(name) and word != name):  # noqa: PLR2004 - `-Aproj`
                return word.removeprefix(name).removeprefix("=")
    return ""


def _first_there(names: Sequence[str], directory: str, files: Files | None) -> str:
    if files is None:
        return ""
    return next((name for name in names if files.entry(posixpath.join(directory, name)) is not None), "")


def _of_file(file: str, root: str, files: Files | None) -> tuple[str, str]:
    """Return the module that a file is, and the folder to import it from: the first above that is no package."""
    path = posixpath.normpath(posixpath.join(root, file))
    folder, parts = posixpath.dirname(path), [posixpath.basename(path).removesuffix(".py")]
    while files is not None and folder != "/" and files.entry(posixpath.join(folder, "__init__.py")) is not None:
        folder, package = posixpath.split(folder)
        parts.insert(0, package)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return (".".join(parts) if all(map(str.isidentifier, parts)) else ""), folder


def _development(name: str, words: Sequence[str]) -> str:
    """Return the words by which a server says that it is for development. Source: each one's documentation."""
    free = _positional(words)
    if (name, *free[:1]) in {("flask", "run"), ("fastapi", "dev")}:
        return f"{name} {free[0]}"
    if name in {"litestar", "sanic"} and "--debug" in words:
        return f"{name} --debug"
    return f"{name} --reload" if "--reload" in words else ""
