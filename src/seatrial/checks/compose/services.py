"""compose/*: a service's command, health check, data and ports, held against its image."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import structs

from seatrial.checks.compose.findings import Finding, image_of, names_of, not_seen, outcome, with_files
from seatrial.checks.declaration import check
from seatrial.checks.known import (
    ANY_HOST,
    PORTS,
    DataFolder,
    Kind,
    Listener,
    data_folder,
    kind_of,
    listener,
    official_name,
)
from seatrial.checks.model import Cause, Expect, Outcome, present, skipped
from seatrial.checks.process import broken, missing
from seatrial.facts import ComposeSource, Mount, MountKind, ResolvedCommand, Service, ServiceFiles, ServiceImage
from seatrial.text import is_below

DATABASES = frozenset((Kind.POSTGRES, Kind.MYSQL, Kind.REDIS, Kind.MONGO))


@check(
    "compose/command",
    title="Its commands are programs that are there",
    follows=(Cause(check="compose/mounts", shares=r"(?:^|; )([^:;]+): the", only=r"[^;]*"),),
    why="The engine starts no container whose command is no program of its image.",
    source="Compose specification, command: it is run without a shell; execve(2)",
    example="migrate:\n  image: shop\n  command: cd /app && alembic upgrade head",
    fixed='migrate:\n  image: shop\n  working_dir: /app\n  command: ["alembic", "upgrade", "head"]',
)
def command(compose: ComposeSource) -> Outcome:
    services = [service for service in present(compose.model).services if service.own_command]
    if not services:
        return skipped(f"no service of {compose.path} has a command of its own")
    seen = with_files(compose, services)
    found = [finding for service in services for finding in _cut_off(compose, service)]
    cut = {finding.service for finding in found}
    found += [
        Finding(
            service=service.name,
            what=f"its command cannot be run: {problem.actual}",
            fix=problem.fix,
            line=service.lines.get("command") or service.lines.get("entrypoint") or service.line,
        )
        for service, files in seen
        if service.name not in cut
        and _cannot_run(files.alone)
        and (problem := _cannot_run(files.mounted))
        and not _may_be_mounted(service, files.mounted)
    ]
    expect = Expect("programs that the services' images hold")
    return outcome(compose, expect, found, names_of(seen), not_seen(compose, services))


def _may_be_mounted(service: Service, resolved: ResolvedCommand) -> bool:
    """Tell whether a command may lie in a mount whose files cannot be seen: a volume, or a bind of another machine."""
    places = resolved.searched if resolved.program is None else resolved.program.steps[:1]
    unseen = [
        mount
        for mount in service.volumes
        if mount.kind is MountKind.VOLUME or (mount.of_host and mount.host is None and not mount.missing)
    ]
    return any(mount.covers(place) for mount in unseen for place in places)


HELD_TOGETHER = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*"|`[^`]*`""", re.DOTALL)
"""What is quoted or escaped in a line of words."""


def _cut_off(compose: ComposeSource, service: Service) -> Iterator[Finding]:
    """Yield what compose drops of a command that is one text: it reads words up to the first operator of a shell."""
    for key in ("command", "entrypoint"):
        where = f"services.{service.name}.{key}"
        for value in (value for value in compose.values if (value.key, value.where) == (key, where)):
            if operator := re.search(r"[;&|<>]+", HELD_TOGETHER.sub("", value.text)):
                yield Finding(
                    service=service.name,
                    what=f"compose starts no shell for its {key}, and drops all from `{operator[0]}` on",
                    fix=f'Write `{key}: ["sh", "-c", "…"]` with the whole line in the place of the dots.',
                    line=value.line,
                )


def _cannot_run(resolved: ResolvedCommand) -> Outcome | None:
    """Return what keeps a command from being run; None also where a shell decides."""
    if not resolved.words or resolved.shell:
        return None
    # What a binary begins with is not kept of an image that is not smoked itself.
    return missing(resolved) or broken(structs.replace(resolved, unrunnable="", loader=None))


@check(
    "compose/health-program",
    title="Its health checks run programs that are there",
    follows=(Cause(check="compose/mounts", shares=r"(?:^|; )([^:;]+): the", only=r"[^;]*"),),
    why="A health check whose program the image lacks fails each time: the service never becomes healthy.",
    source="Docker, HEALTHCHECK: the command runs inside the container",
    example='healthcheck:\n  test: ["CMD", "curl", "-f", "http://localhost:8000/health"]\n# and the image has no curl',
    fixed='healthcheck:\n  test: ["CMD", "python", "-c", '
    "\"import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=3)\"]",
)
def health_program(compose: ComposeSource) -> Outcome:
    services = [service for service in present(compose.model).services if service.test]
    if not services:
        return skipped(f"{compose.path} has no health check of its own")
    seen = with_files(compose, services)
    found = [
        Finding(
            service=service.name,
            what=f"the image has no {' and no '.join(files.no_health_program)}, which its health check runs",
            fix=_health_fix(service, files),
            line=service.lines.get("healthcheck.test") or service.lines.get("healthcheck") or service.line,
        )
        for service, files in seen
        if files.no_health_program
    ]
    expect = Expect("every health check's program in the image")
    return outcome(compose, expect, found, names_of(seen), not_seen(compose, services))


def _health_fix(service: Service, files: ServiceFiles) -> str:
    program = files.no_health_program[0]
    if service.test[0] == "CMD" and " " in program:
        return f'Write `test: ["CMD-SHELL", "{program}"]`: after CMD each word stands by itself.'
    address = re.search(r"https?://[^\s'\"]+", " ".join(service.test))
    if address and files.mounted.python:
        ask = f"import urllib.request as r; r.urlopen('{address[0]}', timeout=3)"
        return f'Ask with what is there: `test: ["CMD", "{files.mounted.python}", "-c", "{ask}"]`.'
    return f"Install {program} in the image, or write a test whose program it has."


@check(
    "compose/database-volume",
    title="Keeps a database's data in its volume",
    why="Data outside of the named volume stays with one container: the next one begins empty.",
    source="the images' documentation: postgres (PGDATA), mysql, mariadb, redis, mongo, where to store data",
    example="db:\n  image: postgres:18\n  volumes:\n    - data:/var/lib/postgresql/data",
    fixed="db:\n  image: postgres:18\n  volumes:\n    - data:/var/lib/postgresql",
)
def database_volume(compose: ComposeSource) -> Outcome:
    services = [service for service in present(compose.model).services if kind_of(service.image) in DATABASES]
    if not services:
        return skipped(f"{compose.path} names no database's image")
    pairs = [(service, data_folder(service, image_of(compose, service))) for service in services]
    found = [finding for service, folder in pairs if folder for finding in _beside(service, folder)]
    seen = "; ".join(folder.why for _, folder in pairs if folder) or "where they keep their data is not known"
    return outcome(compose, Expect("a volume at the folder of each database's data"), found, seen)


RELATED = {
    Kind.POSTGRES: re.compile(r"/var/lib/(postgres|pgsql)\w*(/.*)?|/(data|db|pgdata|database)(/.*)?|/bitnami/.*"),
    Kind.MYSQL: re.compile(r"/var/lib/(mysql|mariadb)\w*(/.*)?|/var/lib|/(data|db|database)(/.*)?|/bitnami/.*"),
    Kind.REDIS: re.compile(r"/var/lib/(redis|valkey)\w*(/.*)?|/(redis|valkey|db)(/.*)?|/bitnami/.*"),
    Kind.MONGO: re.compile(r"/var/lib/mongo\w*(/.*)?|/(data|db|mongo|database)|/bitnami/.*"),
}
"""Where a volume is mounted that is meant for a database's data."""


def _beside(service: Service, folder: DataFolder) -> Iterator[Finding]:
    """Yield that a service's volume is not where its database keeps its data."""
    kept = [mount for mount in service.volumes if mount.kind in {MountKind.VOLUME, MountKind.BIND}]
    meant = [mount for mount in kept if mount.source and RELATED[folder.kind].fullmatch(mount.target)]
    over = max((mount for mount in service.volumes if mount.covers(folder.path)), key=_depth, default=None)
    declared = max((path for path in folder.volumes if is_below(folder.path, path)), key=len, default="")
    old = next((mount for mount in kept if mount.target == "/var/lib/postgresql/data"), None)
    if folder.in_versions and old is not None:
        what, mount = "and its image refuses to start with that mount", old
    elif not meant or (over is not None and len(over.target) >= len(declared)):
        return
    elif declared:
        mount, what = meant[0], "so the data goes into a volume without a name, which no later container gets"
    else:
        mount, what = meant[0], "so the data goes into the container, and is gone with it"
    right = declared or folder.path
    yield Finding(
        service=service.name,
        what=f"the {mount.kind.value} at {mount.target} is not where its data is: {folder.why}, {what}",
        fix=f"Mount it at {right}. Data that a database has made elsewhere does not move by itself: dump it first "
        "where it is needed.",
        line=mount.line,
    )


def _depth(mount: Mount) -> int:
    return len(mount.target)


@check(
    "compose/published-ports",
    title="Publishes ports that something listens on",
    why="A published port that nothing listens on takes connections and ends them: it looks like a broken application.",
    source="Compose specification, ports: the container's port",
    example='command: uvicorn shop.api:app --host 0.0.0.0 --port 8000\nports:\n  - "127.0.0.1:8080:8080"',
    fixed='command: uvicorn shop.api:app --host 0.0.0.0 --port 8000\nports:\n  - "127.0.0.1:8080:8000"',
)
def published_ports(compose: ComposeSource) -> Outcome:
    services = [
        service for service in present(compose.model).services if service.ports and service.network_mode != "host"
    ]
    if not services:
        return skipped(f"{compose.path} publishes no port")
    pairs = [(service, _listens(service, image_of(compose, service))) for service in services]
    found = [finding for service, listens in pairs if listens for finding in _unanswered(service, listens)]
    seen = ", ".join(f"{service.name}: {listens}" for service, listens in pairs if listens)
    return outcome(
        compose, Expect("a server on every published port"), found, seen or "no command says where it listens"
    )


def _listens(service: Service, image: ServiceImage | None) -> Listener | None:
    """Return where a service listens, as far as its command or image makes that certain."""
    words = image.words if image is not None else service.command or ()
    if words and (found := listener(words, image.settings if image is not None else service.settings)):
        return found
    kind = kind_of(service.image)
    name = official_name(service.image)[0]
    plain = not service.own_command and not {"PGPORT", "MYSQL_TCP_PORT"} & service.settings.keys()
    if kind in DATABASES and kind in PORTS and plain and name in {"postgres", "mysql", "mariadb", "redis", "mongo"}:
        return Listener(program=name, host="0.0.0.0", port=PORTS[kind])  # noqa: S104 - read, not bound
    return None


def _unanswered(service: Service, listens: Listener) -> Iterator[Finding]:
    targets = {port.target: port for port in service.ports if port.protocol == "tcp"}
    if not targets:
        return
    if listens.port is not None and listens.port not in targets:
        port = next(iter(targets.values()))
        yield Finding(
            service=service.name,
            what=f"port {port.target} is published, and {listens.program} listens on {listens.port}",
            fix=f"Publish the port that it listens on: `{_published(service, port.target)}:{listens.port}`.",
            line=port.line,
        )
    elif listens.host and listens.host not in ANY_HOST and listens.port in targets:
        port = targets[listens.port]
        yield Finding(
            service=service.name,
            what=f"port {port.target} is published, and {listens.program} listens on {listens.host} alone, which "
            "nobody outside of its container reaches",
            fix=f"Let it listen on 0.0.0.0: {listens.option}.",
            line=service.lines.get("command") or port.line,
        )


def _published(service: Service, target: int) -> str:
    port = next(port for port in service.ports if port.target == target)
    return f"{port.host_ip or '127.0.0.1'}:{port.written or target}"
