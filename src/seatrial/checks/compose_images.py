"""What is known of images that many compose files use: what they are, where they listen, their data, their checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from seatrial.facts import Service, ServiceImage


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


NAMES = {
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
    name = (image or "").partition("@")[0]
    head, separator, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    full = f"{head}{separator}{last}"
    for prefix in ("docker.io/", "index.docker.io/", "library/"):
        full = full.removeprefix(prefix)
    return full, tag or "latest"


def kind_of(image: str | None) -> Kind | None:
    """Return what an image serves, by its name; None where that tells nothing."""
    return NAMES.get(official_name(image)[0].rpartition("/")[2])


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
OTHERS: Mapping[str, tuple[Kind, str, tuple[str, ...]]] = {
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
    if name not in OTHERS:
        return None
    kind, path, volumes = OTHERS[name]
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
