"""compose/*: values that a compose file gives its services and that are not what they look like."""

from __future__ import annotations

import re
from collections.abc import Iterator

from seatrial.checks.compose.findings import Finding, image_of, outcome
from seatrial.checks.declaration import check
from seatrial.checks.known import PORTS, Kind, kind_of
from seatrial.checks.model import Expect, Outcome, Severity, present, skipped
from seatrial.facts import ComposeModel, ComposeSource, LocalAddress, Service


@check(
    "compose/quotes",
    title="Keeps quotes out of its variables",
    why="In a list's item the quotes belong to the value: a program gets them, too.",
    source="Compose specification, environment: array syntax; YAML 1.2, plain style",
    example='environment:\n  - DATABASE_URL="postgresql://db/shop"',
    fixed="environment:\n  - DATABASE_URL=postgresql://db/shop",
)
def quotes(compose: ComposeSource) -> Outcome:
    if not compose.values:
        return skipped(f"{compose.path} is empty")
    found = [
        Finding(
            service=value.service,
            what=f"the quotes are part of the value of {value.key}",
            fix=f"Write `- {value.key}=…` without quotes, or quote the whole item.",
            line=value.line,
            severity=Severity.ERROR if value.exact else Severity.WARNING,
        )
        for value in compose.quoted
    ]
    return outcome(
        compose, Expect("no value of a list's item in quotes"), found, f"{len(compose.values)} texts checked"
    )


@check(
    "compose/interpolation",
    title="Keeps its dollar signs",
    why="Compose puts a variable's value in for `$NAME`, in env files too: a password that holds a `$` loses a part.",
    source="Compose, interpolation; Compose, syntax of env files",
    example="# .env\nDB_PASSWORD=pa$word",
    fixed="# .env\nDB_PASSWORD='pa$word'",
)
def interpolation(compose: ComposeSource) -> Outcome:
    """Look for variables that nobody sets where a `$` of the text's own was meant; no value is shown."""
    present(compose.model)
    found = [
        Finding(
            service=lost.key,
            what=f"compose takes ${lost.name} for a variable, which is not set: its value ends up without it",
            fix=f"Write the value of {lost.key} in single quotes, in which compose leaves a dollar sign alone.",
            line=lost.line,
            file=lost.file,
        )
        for lost in compose.unset
    ]
    found += [
        Finding(
            service=f"${variable.name}",
            what="compose takes it for a variable, which is not set: that part of the text is lost",
            fix=f"Write `$${variable.name}`, where the dollar sign itself is meant, or a shell of the container is to "
            f"put the value in; or set {variable.name}.",
            line=variable.line,
        )
        for variable in compose.variables
        if variable.literal and variable.name not in compose.explained
    ]
    return outcome(compose, Expect("every `$NAME` is a variable that has a value"), found, "no dollar sign is lost")


BROWSER = re.compile(
    r"PUBLIC|FRONT|ORIGIN|CORS|CALLBACK|REDIRECT|BASE_?URL|SITE|EXTERNAL|BROWSER|VITE|NEXT_|REACT|ALLOWED|CSRF|DOMAIN"
    r"|ROOT_URL|WEB_?URL|APP_URL|HOST_URL|SERVER_URL|ISSUER|LINK|TRUSTED|LOGIN|LOGOUT|OAUTH|OIDC|SAML",
    re.IGNORECASE,
)
"""Names of variables whose address a browser asks, which runs on the host."""
SCHEMES = {
    **dict.fromkeys(("postgres", "postgresql", "psql", "pgsql", "postgis"), Kind.POSTGRES),
    **dict.fromkeys(("mysql", "mariadb"), Kind.MYSQL),
    **dict.fromkeys(("redis", "rediss", "valkey"), Kind.REDIS),
    **dict.fromkeys(("mongodb", "mongo"), Kind.MONGO),
    **dict.fromkeys(("amqp", "amqps", "pyamqp", "rabbitmq"), Kind.RABBITMQ),
    **dict.fromkeys(("kafka",), Kind.KAFKA),
    **dict.fromkeys(("memcached", "memcache"), Kind.MEMCACHED),
    **dict.fromkeys(("nats",), Kind.NATS),
}
HOST_NAMES = (
    (re.compile(r"POSTGRES|^PG|PSQL", re.IGNORECASE), frozenset((Kind.POSTGRES,))),
    (re.compile(r"MYSQL|MARIADB", re.IGNORECASE), frozenset((Kind.MYSQL,))),
    (re.compile(r"REDIS|VALKEY", re.IGNORECASE), frozenset((Kind.REDIS,))),
    (re.compile(r"MONGO", re.IGNORECASE), frozenset((Kind.MONGO,))),
    (re.compile(r"RABBIT|AMQP", re.IGNORECASE), frozenset((Kind.RABBITMQ,))),
    (re.compile(r"KAFKA", re.IGNORECASE), frozenset((Kind.KAFKA,))),
    (re.compile(r"MEMCACHE", re.IGNORECASE), frozenset((Kind.MEMCACHED,))),
    (re.compile(r"ELASTIC|OPENSEARCH", re.IGNORECASE), frozenset((Kind.SEARCH,))),
    (re.compile(r"(^|_)(DB|DATABASE|SQL)_", re.IGNORECASE), frozenset((Kind.POSTGRES, Kind.MYSQL, Kind.MONGO))),
)
"""By the name of a variable that holds a host alone: what is asked there."""


@check(
    "compose/addresses",
    title="Reaches other services by their names",
    why="`localhost` in a container is that container: another service is not there.",
    source="Compose, networking in Compose",
    example="environment:\n  DATABASE_URL: postgresql://app@localhost:5432/app",
    fixed="environment:\n  DATABASE_URL: postgresql://app@db:5432/app",
)
def addresses(compose: ComposeSource) -> Outcome:
    model = present(compose.model)
    if not model.services:
        return skipped(f"{compose.path} declares no service")
    services = {service.name: service for service in model.services}
    found = [
        finding
        for address in compose.local
        for finding in _of_another(compose, model, services[address.service], address)
    ]
    return outcome(
        compose, Expect("another service's address has its name"), found, f"{len(services)} services checked"
    )


def _of_another(
    compose: ComposeSource, model: ComposeModel, service: Service, address: LocalAddress
) -> Iterator[Finding]:
    """Yield that a service's own address was meant for another service; nothing where it may be its own."""
    if service.network_mode == "host" or (address.port is not None and address.port in _own_ports(compose, service)):
        return
    others = [other for other in model.services if other is not service and not _together(service, other)]
    kinds, certain = _meant(address), True
    if kinds:
        if kind_of(service.image) in kinds:
            return
        target = next((other for other in others if kind_of(other.image) in kinds), None)
        if target is None:
            return
    else:
        # An address of the web may be for a browser, which runs on the host.
        certain = False
        if address.port is None or BROWSER.search(address.key) or address.scheme not in {"http", "https"}:
            return
        target = next((other for other in others if address.port in _own_ports(compose, other)), None)
        if target is None or not _asks(service):
            return
    port = f":{_target_port(target, address.port)}" if address.port else ""
    yield Finding(
        service=service.name,
        what=f"{address.key} has the address of its own container, and {target.name} is another service",
        fix=f"Write `{target.name}{port}` in the place of `localhost{f':{address.port}' if address.port else ''}`.",
        line=address.line,
        severity=Severity.ERROR if certain else Severity.WARNING,
    )


def _meant(address: LocalAddress) -> frozenset[Kind]:
    """Return what is asked at an address, by its scheme or the name of its variable."""
    if address.scheme:
        kind = SCHEMES.get(address.scheme.partition("+")[0])
        return frozenset((kind,)) if kind else frozenset()
    return next((kinds for name, kinds in HOST_NAMES if name.search(address.key)), frozenset())


def _own_ports(compose: ComposeSource, service: Service) -> frozenset[int]:
    image = image_of(compose, service)
    kind = kind_of(service.image)
    known = (PORTS[kind],) if kind in PORTS else ()
    return frozenset((*(port.target for port in service.ports), *(image.exposed if image else ()), *known))


def _target_port(target: Service, port: int | None) -> int | None:
    """Return the port inside of a service that is published under a number, or the number itself."""
    return next((each.target for each in target.ports if each.published == port), port)


def _asks(service: Service) -> bool:
    """Tell whether a service is the project's own code, and publishes no port: no browser gets its answers."""
    return service.own and not service.ports


def _together(service: Service, other: Service) -> bool:
    """Tell whether two services share one network namespace."""

    def home(each: Service) -> str:
        name = each.network_mode.removeprefix("service:")
        return name if name != each.network_mode else each.name

    return home(service) == home(other)
