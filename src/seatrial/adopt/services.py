"""The services that a compose file brings beside an app, and the variables by which the app finds them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from seatrial.adopt.model import Found, Project, Sure, Variable
from seatrial.adopt.proposal import made_up
from seatrial.checks.secrets import named_secret


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service that the compose file brings."""

    name: str
    image: str
    data: str
    health: Sequence[str]
    scheme: str
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""
    """What a reader of its environment should know."""


PASSWORD = "${POSTGRES_PASSWORD:?copy .env.example to .env and set POSTGRES_PASSWORD}"  # noqa: S105 - asks for one
SERVICES = {
    "postgres": Service(
        name="postgres",
        image="postgres:17",
        data="/var/lib/postgresql/data",
        health=("CMD-SHELL", 'pg_isready --quiet --host=127.0.0.1 --username="$$POSTGRES_USER"'),
        scheme="postgresql",
        port=5432,
        environment={"POSTGRES_USER": "app", "POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DB": "app"},
    ),
    "mysql": Service(
        name="mariadb",
        image="mariadb:11",
        data="/var/lib/mysql",
        health=("CMD", "healthcheck.sh", "--connect", "--innodb_initialized"),
        scheme="mysql",
        port=3306,
        environment={
            "MARIADB_USER": "app", "MARIADB_PASSWORD": PASSWORD.replace("POSTGRES", "MARIADB"),
            "MARIADB_DATABASE": "app", "MARIADB_RANDOM_ROOT_PASSWORD": "1",
        },
    ),
    "redis": Service(
        name="redis", image="redis:8", data="/data", health=("CMD", "redis-cli", "ping"), scheme="redis", port=6379
    ),
    "rabbitmq": Service(
        name="rabbitmq", image="rabbitmq:4", data="/var/lib/rabbitmq", scheme="amqp", port=5672,
        health=("CMD", "rabbitmq-diagnostics", "--quiet", "check_running"),
    ),
    "mongo": Service(
        name="mongo", image="mongo:8", data="/data/db", scheme="mongodb", port=27017,
        health=("CMD", "mongosh", "--quiet", "--eval", "db.adminCommand('ping')"),
    ),
}  # fmt: skip


def without_password(service: Service, example: str) -> Service:
    """Return PostgreSQL without a password, where an example of variables is there already and does not name it."""
    if service.scheme != "postgresql" or not example or "POSTGRES_PASSWORD" in example:
        return service
    values = {key: value for key, value in service.environment.items() if key != "POSTGRES_PASSWORD"}
    remark = "No password, as .env.example names none: nothing but the services here reaches it."
    return replace(service, environment={**values, "POSTGRES_HOST_AUTH_METHOD": "trust"}, remark=remark)


def migrate(project: Project) -> list[str]:
    """Return the command that brings the database's schema up to date; empty where there are no migrations."""
    sure = [found.value for found in project.migrations if found.sure is not Sure.GUESSED]
    return shlex.split(sure[0]) if sure else []


def environment(project: Project, services: Sequence[Service]) -> Iterator[tuple[str, str]]:
    """Yield the variables of the application: addresses of the services, and what it needs and has no value."""
    by_scheme = {service.scheme: service for service in services}
    for found in project.variables:
        variable = found.value
        name = variable.name.upper()
        service = _service_of(name, variable.default, by_scheme, services)
        if service is not None and name.endswith(("URL", "URI", "DSN", "BROKER", "BACKEND")):
            likely = variable.default if "://" in variable.default else made_up(variable, project)
            scheme = likely.partition("://")[0] if likely.startswith(service.scheme) else service.scheme
            yield variable.name, _address(scheme, service)
        elif service is not None and name.endswith("HOST"):
            yield variable.name, service.name
        elif variable.strict:
            yield variable.name, f"${{{variable.name}:?{said(found)}}}"


def said(found: Found[Variable]) -> str:
    """Return what a variable is, and where it is read, as the message of `${NAME:?message}`."""
    what = found.value.comment.rstrip(".") or found.value.type
    return re.sub(r"[{}$\\\"']", "", f"{what}, read in {found.where}" if what else f"read in {found.where}")


def example(project: Project, environment: Mapping[str, str], secrets: Iterable[str]) -> str:
    """Return an example of the variables that a compose file asks for, each with what it is; no value is a secret."""
    asked = {found.value.name: found for found in project.variables if ":?" in environment.get(found.value.name, "")}
    asked = {name: found for name, found in asked.items() if environment[name].startswith(f"${{{name}:?")}
    lines = [f"{name}=change-me\n" for name in secrets]
    for name, found in asked.items():
        value = made_up(found.value, project) if not named_secret(name) else "change-me"
        lines.append(f"# {said(found)}\n{name}={'change-me' if value == 'made-up' else value}\n")
    return "".join(lines)


def _service_of(
    name: str, default: str, by_scheme: Mapping[str, Service], services: Sequence[Service]
) -> Service | None:
    scheme = default.partition("://")[0].partition("+")[0] if "://" in default else ""
    if scheme:
        return by_scheme.get({"postgres": "postgresql", "rediss": "redis"}.get(scheme, scheme))
    marks = {
        "postgresql": ("POSTGRES", "PG", "DATABASE", "DB_", "SQLALCHEMY"),
        "mysql": ("MYSQL", "MARIADB", "DATABASE", "DB_", "SQLALCHEMY"),
        "redis": ("REDIS", "CACHE", "BROKER", "RESULT"),
        "amqp": ("RABBIT", "AMQP", "BROKER"),
        "mongodb": ("MONGO",),
    }
    return next((each for each in services if any(mark in name for mark in marks[each.scheme])), None)


def _address(scheme: str, service: Service) -> str:
    if service.scheme == "redis":
        return f"{scheme}://{service.name}:{service.port}/0"
    password = next((value for key, value in service.environment.items() if key.endswith("_PASSWORD")), "")
    if "POSTGRES_HOST_AUTH_METHOD" in service.environment:
        return f"{scheme}://app@{service.name}:{service.port}/app"
    if not password or "RANDOM" in password:
        return f"{scheme}://{service.name}:{service.port}"
    return f"{scheme}://app:{password}@{service.name}:{service.port}/app"
