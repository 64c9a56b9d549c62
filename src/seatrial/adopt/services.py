"""The services that a compose file brings beside an app, and the variables by which the app finds them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from seatrial.adopt.known import NAMES, SCHEMES
from seatrial.adopt.model import Found, Project, Sure, Variable
from seatrial.adopt.proposal import made_up
from seatrial.checks.secrets import named_secret
from seatrial.compose.variables import ASSIGNED


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
    user: str | None = None
    password: str | None = None
    """As the application gives it; empty for none, None where that is not known. So with `user`, `database`."""
    database: str | None = None
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
        user="app", password=PASSWORD, database="app",
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
        user="app", password=PASSWORD.replace("POSTGRES", "MARIADB"), database="app",
    ),
    "redis": Service(
        name="redis", image="redis:8", data="/data", health=("CMD", "redis-cli", "ping"), scheme="redis", port=6379,
        password="", database="0",
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
PARTS = {
    re.compile(r"(?:HOST(?:NAME)?|_SERVER)$"): "name",
    re.compile(r"(?:^|_|PG|DB|SQL)PORT$"): "port",
    re.compile(r"(?:USER(?:NAME)?|_LOGIN)$"): "user",
    re.compile(r"(?:PASS(?:WORD|WD)?|_PWD)$"): "password",
    re.compile(r"(?:(?:DB|DATABASE|SQL|POSTGRES|PG|MONGO)_?NAME|(?:^|_|PG)(?:DB|DATABASE))$"): "database",
}
"""What of a service a variable says, by the end of its name."""


def without_password(service: Service, example: str) -> Service:
    """Return PostgreSQL without a password, where an example of variables is there already and does not name it."""
    if service.scheme != "postgresql" or not example or "POSTGRES_PASSWORD" in example:
        return service
    values = {key: value for key, value in service.environment.items() if key != "POSTGRES_PASSWORD"}
    remark = "No password, as .env.example names none: nothing but the services here reaches it."
    return replace(service, password=None, environment={**values, "POSTGRES_HOST_AUTH_METHOD": "trust"}, remark=remark)


def migrate(project: Project) -> list[str]:
    """Return the command that brings the database's schema up to date; empty where there are no migrations."""
    sure = [found.value for found in project.migrations if found.sure is not Sure.GUESSED]
    return shlex.split(sure[0]) if sure else []


def named_in(example: str) -> set[str]:
    """Return the variables that an example of variables gives a value."""
    found = filter(None, map(ASSIGNED.match, example.splitlines()))
    return {each["name"] for each in found if each["value"].strip("\"' \t") and not each[0].lstrip().startswith("#")}


def environment(project: Project, services: Sequence[Service], example: str) -> Iterator[tuple[str, str]]:
    """Yield the variables of the application: what leads to the services, and what it needs and has no value.

    `example` is the text of the example of variables that is there already.
    """
    for found in project.variables:
        variable = found.value
        name = variable.name.upper()
        service = _service_of(name, variable.default, services)
        part = next((part for pattern, part in PARTS.items() if pattern.search(name)), "")
        value = getattr(service, part) if service is not None and part else None
        if service is not None and name.endswith(("URL", "URI", "DSN", "BROKER", "BACKEND")):
            likely = variable.default if "://" in variable.default else made_up(variable, project)
            scheme = likely.partition("://")[0] if likely.startswith(service.scheme) else service.scheme
            yield variable.name, _address(scheme, service)
        elif value is not None and (variable.read or part == "name"):
            yield variable.name, str(value)
        elif variable.strict:
            lacks = bool(example) and variable.name not in named_in(example)
            first = f"copy .env.example to .env and set {variable.name}, " if lacks else ""
            yield variable.name, f"${{{variable.name}:?{first}{said(found)}}}"


def said(found: Found[Variable]) -> str:
    """Return what a variable is, and where it is read, as the message of `${NAME:?message}`."""
    what = found.value.comment.rstrip(".") or found.value.type
    return re.sub(r"[{}$\\\"']", "", f"{what}, read in {found.where}" if what else f"read in {found.where}")


def example(project: Project, environment: Mapping[str, str], secrets: Iterable[str]) -> str:
    """Return an example of the variables that a compose file asks for, each with what it is; no value is a secret."""
    asked = {found.value.name: found for found in project.variables if ":?" in environment.get(found.value.name, "")}
    secrets = tuple(secrets)
    asked = {
        name: found
        for name, found in asked.items()
        if environment[name].startswith(f"${{{name}:?") and name not in secrets
    }
    lines = [f"{name}=change-me\n" for name in secrets]
    for name, found in asked.items():
        value = made_up(found.value, project) if not named_secret(name) else "change-me"
        lines.append(f"# {said(found)}\n{name}={'change-me' if value == 'made-up' else value}\n")
    return "".join(lines)


def _service_of(name: str, default: str, services: Sequence[Service]) -> Service | None:
    """Return the service that a variable is about, by the scheme of its default or by its name."""
    scheme = default.partition("://")[0].partition("+")[0] if "://" in default else ""
    if scheme:
        return next((each for each in services if SCHEMES[each.scheme] == SCHEMES.get(scheme)), None)
    return next((each for each in services if NAMES[SCHEMES[each.scheme]].search(name)), None)


def _address(scheme: str, service: Service) -> str:
    if service.scheme == "redis":
        return f"{scheme}://{service.name}:{service.port}/0"
    password = next((value for key, value in service.environment.items() if key.endswith("_PASSWORD")), "")
    if "POSTGRES_HOST_AUTH_METHOD" in service.environment:
        return f"{scheme}://app@{service.name}:{service.port}/app"
    if not password or "RANDOM" in password:
        return f"{scheme}://{service.name}:{service.port}"
    return f"{scheme}://app:{password}@{service.name}:{service.port}/app"
