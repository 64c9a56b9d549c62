"""Where a server's command line says that it listens: plain functions on its words."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - read, not bound
ANY_HOST = frozenset((EVERYWHERE, "::", "[::]", "*", "0", ""))
WRAPPERS = frozenset(("tini", "dumb-init", "catatonit", "exec", "--", "-g", "-s"))
RUNNERS = frozenset(("uv", "poetry", "pipenv", "pdm", "hatch"))
SUBCOMMANDS = frozenset(("flask", "fastapi", "streamlit"))
"""Programs that serve by a subcommand."""
DJANGO = frozenset(("django-admin", "manage.py"))
PYTHON = re.compile(r"python(\d+(\.\d+)?)?")


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Where a server listens."""

    program: str
    host: str
    """Empty where that is not known."""
    port: int | None
    """None where that is not known."""
    option: str = ""
    """How it is told to listen elsewhere."""

    def __str__(self) -> str:
        """Return the address."""
        return f"{self.program} on {self.host or '?'}:{self.port or '?'}"


@dataclass(frozen=True, kw_only=True)
class _Server:
    host: tuple[str, ...]
    """Its options for the host."""
    port: tuple[str, ...]
    bind: tuple[str, ...] = ()
    """Its options for both."""
    default: tuple[str, int]
    variables: tuple[str, str] = ("", "")
    """The variables for host and port."""
    elsewhere: tuple[str, ...] = ()
    """Options and variables that bring settings from elsewhere."""
    certain: bool = True
    """No file beside it changes its default."""


SERVERS: Mapping[str, _Server] = {
    "uvicorn": _Server(
        host=("--host",),
        port=("--port",),
        default=(LOOPBACK, 8000),
        variables=("UVICORN_HOST", "UVICORN_PORT"),
        elsewhere=("--uds", "--fd", "--env-file"),
    ),
    "gunicorn": _Server(
        host=(),
        port=(),
        bind=("-b", "--bind"),
        default=(LOOPBACK, 8000),
        elsewhere=("-c", "--config", "GUNICORN_CMD_ARGS", "PORT"),
        # gunicorn.conf.py in its folder is read.
        certain=False,
    ),
    "hypercorn": _Server(
        host=(), port=(), bind=("-b", "--bind"), default=(LOOPBACK, 8000), elsewhere=("-c", "--config")
    ),
    "granian": _Server(host=("--host",), port=("--port",), default=(LOOPBACK, 8000), elsewhere=("--uds",)),
    "daphne": _Server(
        host=("-b", "--bind"), port=("-p", "--port"), default=(LOOPBACK, 8000), elsewhere=("-u", "-e", "--fd")
    ),
    "flask": _Server(
        host=("-h", "--host"),
        port=("-p", "--port"),
        default=(LOOPBACK, 5000),
        variables=("FLASK_RUN_HOST", "FLASK_RUN_PORT"),
        # .flaskenv in its folder is read.
        certain=False,
    ),
    "fastapi": _Server(host=("--host",), port=("--port",), default=(EVERYWHERE, 8000), elsewhere=("--uds",)),
    "streamlit": _Server(
        host=("--server.address",), port=("--server.port",), default=(EVERYWHERE, 8501), certain=False
    ),
}


def listener(words: Sequence[str], settings: Mapping[str, str]) -> Listener | None:
    """Return where the server of a command line listens; None where no known server is started, or a shell decides.

    `settings` are the variables that it gets.
    """
    rest = _program(words)
    if not rest or any("$" in word for word in rest):
        return None
    name, *options = rest
    if name in DJANGO or name.endswith("manage.py"):
        return _runserver(options)
    server = SERVERS.get(name)
    if server is None or (name in SUBCOMMANDS and not {"run", "dev"} & set(options[:4])):
        return None
    if any(_given(options, (key,)) is not None or key in settings for key in server.elsewhere):
        return None
    return _listener(name, server, options, settings)


def _listener(name: str, server: _Server, options: Sequence[str], settings: Mapping[str, str]) -> Listener | None:
    default, usual = server.default
    if name == "fastapi" and "dev" in options[:1]:
        default = LOOPBACK
    host = _given(options, server.host) or settings.get(server.variables[0]) or ""
    port = _given(options, server.port) or settings.get(server.variables[1]) or ""
    if bound := _given(options, server.bind):
        host, _, port = bound.rpartition(":") if ":" in bound else (bound, "", "")
        host = host or EVERYWHERE
    told = bool(host or port)
    if not (server.certain or told) or "/" in host or not re.fullmatch(r"\d{0,5}", port):
        return None
    way = f"{server.host[0]} {EVERYWHERE}" if server.host else f"{server.bind[-1]} {EVERYWHERE}:{port or usual}"
    return Listener(program=name, host=host or default, port=int(port or usual), option=f"`{way}`")


def _runserver(options: Sequence[str]) -> Listener | None:
    if not options or options[0] not in {"runserver", "runserver_plus"}:
        return None
    address = next((word for word in options[1:] if not word.startswith("-")), "")
    host, _, port = address.rpartition(":")
    if port and not port.isdigit():
        return None
    shown = f"`{options[0]} {EVERYWHERE}:{port or 8000}`"
    return Listener(program=options[0], host=host or LOOPBACK, port=int(port or 8000), option=shown)


def _program(words: Sequence[str]) -> list[str]:
    """Return the words of a known server, without what only starts it; its name first, without its folder."""
    rest = list(words)
    while rest:
        name = posixpath.basename(rest[0])
        if name in WRAPPERS or re.fullmatch(r"[A-Za-z_]\w*=.*", rest[0]):
            rest = rest[1:]
        elif name in RUNNERS and "run" in rest[1:2]:
            rest = rest[2:]
            while rest and rest[0].startswith("-"):
                rest = rest[1:]
        elif PYTHON.fullmatch(name):
            rest = rest[1:]
            while rest and rest[0].startswith("-") and rest[0] != "-m":
                rest = rest[1:]
            rest = rest[1:] if rest[:1] == ["-m"] else rest
            if not rest or not (rest[0] in SERVERS or rest[0].endswith("manage.py")):
                return []
        else:
            return [name, *rest[1:]]
    return []


def _given(options: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the last value of an option; None where it is not given."""
    found = None
    for word, following in zip(options, (*options[1:], ""), strict=True):
        for name in filter(None, names):
            joined = f"{name}=" if name.startswith("--") else name
            if word == name:
                found = following
            elif word.startswith(joined) and (name.startswith("--") or not word.startswith("--")):
                found = word[len(joined) :].removeprefix("=")
    return found
