"""What is known of images and servers that many compose files name: where they listen, their data, their checks."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from seatrial.facts import Service, ServiceImage
from seatrial.facts.image import repository


class Kind(StrEnum):
    """What an image serves."""

    POSTGRES = "PostgreSQL"
    MYSQL = "MySQL"
    REDIS = "Redis"
    MONGO = "MongoDB"
    RABBITMQ = "RabbitMQ"
    KAFKA = "Kafka"
    MEMCACHED = "memcached"
    NATS = "NATS"
    SEARCH = "Elasticsearch"


KINDS = {
    **dict.fromkeys(("postgres", "postgresql", "postgis", "pgvector", "timescaledb", "timescaledb-ha"), Kind.POSTGRES),
    **dict.fromkeys(("mysql", "mysql-server", "mariadb", "percona"), Kind.MYSQL),
    **dict.fromkeys(("redis", "valkey", "redis-stack", "redis-stack-server", "keydb", "dragonfly"), Kind.REDIS),
    **dict.fromkeys(("mongo", "mongodb", "mongodb-community-server"), Kind.MONGO),
    "rabbitmq": Kind.RABBITMQ,
    **dict.fromkeys(("kafka", "cp-kafka", "redpanda"), Kind.KAFKA),
    "memcached": Kind.MEMCACHED,
    "nats": Kind.NATS,
    **dict.fromkeys(("elasticsearch", "opensearch"), Kind.SEARCH),
}
"""By the last part of an image's name."""
PORTS = {
    Kind.POSTGRES: 5432,
    Kind.MYSQL: 3306,
    Kind.REDIS: 6379,
    Kind.MONGO: 27017,
    Kind.MEMCACHED: 11211,
    Kind.NATS: 4222,
    Kind.RABBITMQ: 5672,
    Kind.SEARCH: 9200,
}


def official_name(image: str | None) -> tuple[str, str]:
    """Return an image's name without the hub's own prefix, and its tag; `latest` where it names none."""
    full = repository(image or "")
    tag = (image or "").partition("@")[0].removeprefix(full).removeprefix(":")
    for prefix in ("docker.io/", "index.docker.io/", "library/"):
        full = full.removeprefix(prefix)
    return full, tag or "latest"


def kind_of(image: str | None) -> Kind | None:
    """Return what an image serves, by its name; None where that tells nothing."""
    return KINDS.get(official_name(image)[0].rpartition("/")[2])


@dataclass(frozen=True, kw_only=True)
class DataFolder:
    """Where a database keeps its data."""

    kind: Kind
    path: str
    volumes: tuple[str, ...]
    """The paths that its image declares as volumes: each gets an unnamed one where nothing is mounted at it."""
    why: str
    """Where that is known from."""

    @property
    def in_versions(self) -> bool:
        """Whether it is in PostgreSQL's folder of a version, whose image refuses a mount at the old folder."""
        return re.fullmatch(r"/var/lib/postgresql/\d+/docker", self.path) is not None


POSTGRES_IMAGES = frozenset(("postgres", "pgvector/pgvector", "postgis/postgis", "timescale/timescaledb"))
DATA_FOLDERS: Mapping[str, tuple[Kind, str, tuple[str, ...]]] = {
    "mysql": (Kind.MYSQL, "/var/lib/mysql", ("/var/lib/mysql",)),
    "mariadb": (Kind.MYSQL, "/var/lib/mysql", ("/var/lib/mysql",)),
    "redis": (Kind.REDIS, "/data", ("/data",)),
    "valkey/valkey": (Kind.REDIS, "/data", ("/data",)),
    "mongo": (Kind.MONGO, "/data/db", ("/data/db", "/data/configdb")),
}
"""The folders that the images' own documentation names."""
FIRST_IN_VERSIONS = 18
"""From this version on PostgreSQL's image keeps its data in a folder of the version."""
FOLDER_OPTIONS = ("--datadir", "--dbpath", "--dir", "-D", "data_directory", "--config", "-f", "--defaults-file")


def data_folder(service: Service, image: ServiceImage | None) -> DataFolder | None:
    """Return where a service's database keeps its data; None where it is no such image, or its command says."""
    name, tag = official_name(service.image)
    words = service.command or ()
    if any(word.startswith(FOLDER_OPTIONS) or ".conf" in word or "data_directory" in word for word in words):
        return None
    if name in POSTGRES_IMAGES:
        return _postgres(name, tag, service, image)
    if name not in DATA_FOLDERS:
        return None
    kind, path, volumes = DATA_FOLDERS[name]
    declared = image.volumes if image is not None and image.volumes else volumes
    return DataFolder(kind=kind, path=path, volumes=declared, why=f"{name} keeps its data in {path}")


def _postgres(name: str, tag: str, service: Service, image: ServiceImage | None) -> DataFolder | None:
    found = re.search(r"pg(\d+)", tag) or (None if name == "pgvector/pgvector" else re.match(r"(\d+)", tag))
    if found is None and image is None and name != "postgres":
        return None
    # Without a version in its tag, it is the newest.
    major = int(found[1]) if found else FIRST_IN_VERSIONS
    usual = "/var/lib/postgresql" if major >= FIRST_IN_VERSIONS else "/var/lib/postgresql/data"
    path = f"{usual}/{major}/docker" if major >= FIRST_IN_VERSIONS else usual
    why = f"PostgreSQL {found[1] if found else tag} keeps its data in {path}"
    if image is not None and (told := image.settings.get("PGDATA", "")).startswith("/"):
        path, why = told, f"{image.image} keeps its data in {told}"
    if (told := service.settings.get("PGDATA", "")).startswith("/"):
        path, why = told, f"PGDATA is {told}"
    volumes = image.volumes if image is not None and image.volumes else (usual,)
    return DataFolder(kind=Kind.POSTGRES, path=path.rstrip("/"), volumes=volumes, why=why)


WITHOUT_CHECK = frozenset(
    (
        *("postgres", "pgvector/pgvector", "postgis/postgis", "mysql", "mariadb", "redis", "valkey/valkey", "mongo"),
        *("elasticsearch", "memcached", "rabbitmq", "nats", "nginx", "traefik", "caddy", "httpd"),
        *("python", "node", "alpine"),
    )
)
"""Images that are known to have no HEALTHCHECK, where they are not here."""


def has_no_check(service: Service, image: ServiceImage | None) -> bool:
    """Tell whether a service is known to have no health check, neither of the file's nor of its image's."""
    if service.checked:
        return False
    if service.unchecked:
        return True
    return not image.checked if image is not None else official_name(service.image)[0] in WITHOUT_CHECK


TESTS = {
    Kind.POSTGRES: '["CMD-SHELL", "pg_isready -h 127.0.0.1 -U $${POSTGRES_USER:-postgres}"]',
    Kind.MYSQL: '["CMD-SHELL", "mysqladmin ping -h 127.0.0.1 --silent || mariadb-admin ping -h 127.0.0.1 --silent"]',
    Kind.REDIS: '["CMD", "redis-cli", "ping"]',
    Kind.MONGO: """["CMD", "mongosh", "--quiet", "--eval", "db.adminCommand('ping')"]""",
    Kind.RABBITMQ: '["CMD", "rabbitmq-diagnostics", "-q", "ping"]',
}
"""Health checks that the images' own programs make."""


def example_check(service: Service) -> str:
    """Return a test that suits a service's image, as the rest of a sentence; empty where none is known."""
    kind = kind_of(service.image)
    return f", such as `test: {TESTS[kind]}`" if kind in TESTS else ""


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
