"""compose/*: what the compose file itself gives its services, and what it needs from a checkout."""

from __future__ import annotations

import re
from collections.abc import Iterator

from seatrial.checks.compose.findings import Finding, image_of, on, outcome, place
from seatrial.checks.declaration import check
from seatrial.checks.known import example_check, has_no_check
from seatrial.checks.model import Expect, Outcome, Severity, present, skipped
from seatrial.checks.secrets import PLACEHOLDER, PUBLIC, SECRET_VALUE, entropy, secret
from seatrial.facts import ComposeSource, Condition, MountKind, Service
from seatrial.settings.model import Contract

SOCKET = re.compile(r"/(docker|podman|containerd)\.sock$|^/var/run/?$|^/run/?$|^/$")
MADE_BY_CHANCE = 3.5
"""Bits a character: a password that nobody made up has as many, or more."""
ANYTHING = {"none", "null", "true", "false"}


@check(
    "compose/hardening",
    title="Gives its services no more than they need",
    severity=Severity.WARNING,
    why="A service that was broken into can do on the host what its container may do.",
    source="CIS Docker Benchmark 5.4, 5.5, 5.10, 5.11, 5.13, 5.26, 5.29, 5.32; OWASP Docker cheat sheet",
    example="services:\n  api:\n    image: shop\n    privileged: true",
    fixed="services:\n  api:\n    image: shop\n    read_only: true\n    cap_drop: [ALL]\n"
    "    security_opt: [no-new-privileges:true]\n    mem_limit: 512m\n    pids_limit: 128",
)
def hardening(compose: ComposeSource, contract: Contract) -> Outcome:
    """Judge the project's own services, and of others what gives them a part of the host."""
    services = present(compose.model).services
    expect = Expect(
        "every service: no privileges, no namespace of the host; those of the project: cap_drop ALL, read_only, "
        "no-new-privileges, limits of memory and processes"
    )
    if not services:
        return skipped(f"{compose.path} declares no service")
    any_own = _any_own(compose)
    found = [
        (service, what, service.lines.get(key) or service.line, fix, service.own or key in _of_the_host(service))
        for service in services
        for key, what, fix in _weaknesses(service, contract)
        if service.own or not any_own or key in _of_the_host(service)
    ]
    found.sort(key=lambda row: not row[-1])
    excepted = _excepted(contract)
    if found:
        service, _, line, fix, _ = found[0]
        return expect.failed(
            [f"{service.name}: {what}" for service, what, *_ in found],
            fix=f"Write {fix} into the service {service.name}; `compose-exceptions` leaves one out, with a reason.",
            evidence=(*(f"{place(compose, at)} {service.name}: {what}" for service, what, at, *_ in found), *excepted),
            where=place(compose, line),
            severity=None if any(own_or_grave for *_, own_or_grave in found) else Severity.NOTE,
        )
    return expect.passed(", ".join(service.name for service in services), evidence=excepted)


def _of_the_host(service: Service) -> set[str]:
    """Return the keys by which a service gets a part of the host, which is as grave for anybody's image."""
    return {"privileged", *service.host_namespaces}


def _any_own(compose: ComposeSource) -> bool:
    """Tell whether a service runs an image of the project: without, nobody knows which are other people's."""
    return any(service.own for service in present(compose.model).services)


def _excepted(contract: Contract) -> tuple[str, ...]:
    return tuple(f"{key}: {reason}" for key, reason in contract.compose_exceptions.items())


@check(
    "compose/other-images",
    title="Limits other people's images, too",
    why="A database that was broken into can do on the host what its container may do.",
    source="CIS Docker Benchmark 5.4, 5.5, 5.10, 5.11, 5.13, 5.26, 5.29, 5.32; OWASP Docker cheat sheet",
    severity=Severity.NOTE,
    example="services:\n  cache:\n    image: redis:8",
    fixed="services:\n  cache:\n    image: redis:8\n    read_only: true\n    cap_drop: [ALL]\n"
    "    security_opt: [no-new-privileges:true]\n    mem_limit: 256m\n    pids_limit: 64",
)
def other_images(compose: ComposeSource, contract: Contract) -> Outcome:
    """Name each service once: what suits an image is its makers' to say."""
    services = [service for service in present(compose.model).services if not service.own and _any_own(compose)]
    if not services:
        return skipped(f"{compose.path} names no image but the project's own")
    # What gives a service a part of the host is as grave for anybody's image: compose/hardening.
    lacking = {
        service.name: [row for row in _weaknesses(service, contract) if row[0] not in _of_the_host(service)]
        for service in services
    }
    found = [(service, lacking[service.name]) for service in services if lacking[service.name]]
    expect = Expect("limits for other people's images, as far as they allow them")
    if found:
        service, rows = found[0]
        return expect.failed(
            "; ".join(f"{service.name}: {', '.join(what for _, what, _ in rows)}" for service, rows in found),
            items=[f"{service.name}: {what}" for service, rows in found for _, what, _ in rows],
            fix=f"Try {', '.join(fix for _, _, fix in rows)} in the service {service.name}, as far as its image allows "
            "it; `compose-exceptions` leaves one out, with a reason.",
            evidence=_excepted(contract),
            where=place(compose, service.line),
        )
    return expect.passed(", ".join(service.name for service in services), evidence=_excepted(contract))


@check(
    "compose/engine-socket",
    title="Hands no service the engine's socket",
    why="Whoever speaks to the engine is root on its host: `:ro` changes nothing about that.",
    source="CIS Docker Benchmark 5.32; OWASP Docker cheat sheet, rule 1",
    severity=Severity.WARNING,
    example="volumes:\n  - /var/run/docker.sock:/var/run/docker.sock:ro",
    fixed="# no socket; what must ask the engine gets a proxy that passes on what it needs and nothing else",
)
def engine_socket(compose: ComposeSource, contract: Contract) -> Outcome:
    services = present(compose.model).services
    if not services:
        return skipped(f"{compose.path} declares no service")
    found = [
        Finding(
            service=service.name,
            what=f"it mounts {mount.source} of the host, by which it is root there",
            fix="Take it out; where it is needed, put a proxy in between that lets only some requests through, or give "
            f'the reason: compose-exceptions = {{ "{service.name}.volumes" = "…" }}.',
            line=mount.line or service.lines.get("volumes") or service.line,
            severity=Severity.WARNING,
        )
        for service in services
        for mount in service.volumes
        if mount.kind is MountKind.BIND
        and SOCKET.search(mount.source)
        and not {service.name, f"{service.name}.volumes"} & contract.compose_exceptions.keys()
    ]
    return outcome(compose, Expect("no service with the engine's socket"), found, f"{len(services)} services checked")


def _weaknesses(service: Service, contract: Contract) -> Iterator[tuple[str, str, str]]:
    """Yield what is too much or missing, and is not excepted: its key, what was seen, and what to write."""
    for key, what, fix in _all_weaknesses(service):
        if not {service.name, f"{service.name}.{key}"} & contract.compose_exceptions.keys():
            yield key, what, fix


def _all_weaknesses(service: Service) -> Iterator[tuple[str, str, str]]:
    if service.privileged:
        yield "privileged", "it is privileged", "no `privileged`"
    for key in service.host_namespaces:
        yield key, f"`{key}: host` gives it a namespace of the host", f"no `{key}: host`"
    held = any(re.fullmatch(r"no-new-privileges(?:[:=]true)?", option) for option in service.security)
    required = (
        ("cap_drop", "it does not drop all capabilities", "`cap_drop: [ALL]`", "ALL" in service.dropped),
        ("read_only", "its root can be written", "`read_only: true`", service.read_only),
        ("security_opt", "it may gain new privileges", "`security_opt: [no-new-privileges:true]`", held),
        ("mem_limit", "it has no memory limit", "`mem_limit: 512m`", service.memory),
        ("pids_limit", "it has no limit of processes", "`pids_limit: 128`", service.processes),
    )
    yield from ((key, what, fix) for key, what, fix, there in required if not there)


@check(
    "compose/ports",
    title="Publishes on an interface that it names",
    severity=Severity.WARNING,
    why="Without one, a port is open to every network of the host, past the rules of its firewall.",
    source="CIS Docker Benchmark 5.14",
    example='ports:\n  - "5432:5432"',
    fixed='ports:\n  - "127.0.0.1:5432:5432"',
)
def ports(compose: ComposeSource) -> Outcome:
    services = present(compose.model).services
    expect = Expect("every published port names its interface")
    published = [(service, port) for service in services for port in service.ports]
    bare = [(service, port) for service, port in published if not port.host_ip]
    if not published:
        return skipped(f"{compose.path} publishes no port")
    if bare:
        first = bare[0][1]
        return expect.failed(
            [f"{seen.name}: {port.written or '(any)'}:{port.target} on every interface" for seen, port in bare],
            fix=f"Write `127.0.0.1:{first.written or first.target}:{first.target}`; where all are meant, `0.0.0.0:…`.",
            where=place(compose, first.line),
        )
    seen = (f"{service.name}: {port.host_ip}:{port.written or '(any)'}" for service, port in published)
    return expect.passed(", ".join(seen))


@check(
    "compose/secrets",
    title="Keeps secrets out of its compose file",
    severity=Severity.ERROR,
    why="The file is in version control, and everyone who can read the repository reads the secret.",
    source="OWASP Docker cheat sheet, use Docker secrets",
    example="environment:\n  POSTGRES_PASSWORD: hunter2",
    fixed="environment:\n  POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set it in .env}",
)
def secrets(compose: ComposeSource, contract: Contract) -> Outcome:
    """Judge each text of the file by its key and its form; a found value is never shown."""
    expect = Expect("no secret in the file: variables bring them")
    allowed = PUBLIC | set(contract.declared_secrets)
    found = [
        (value, why)
        for value in compose.values
        if value.key not in allowed and (why := secret(value.key, value.text)) and value.text.lower() not in ANYTHING
    ]
    if not compose.values:
        return skipped(f"{compose.path} is empty")
    if found:
        first = found[0][0]
        name = re.sub(r"\W", "_", first.key).upper() or "NAME"
        return expect.failed(
            [f"{on(value.line)}{value.where} ({why})" for value, why in found],
            fix=f"Write `${{{name}:?set it in .env}}` there, put the value into .env, and change the secret.",
            where=place(compose, first.line),
            severity=None if any(_is_real(value.text) for value, _ in found) else Severity.WARNING,
        )
    return expect.passed(f"{len(compose.values)} texts checked")


def _is_real(text: str) -> bool:
    """Tell a secret that opens something from a password that a first start on one's own machine gets: `postgres`."""
    # Of an address, its host and path say nothing about the password.
    words = re.split(r"[:/@?&=]", re.sub(r"\w+://[^/\s:@]*:([^/\s]*)@[^\s?,]*", r"\1", text))
    return any(
        SECRET_VALUE.match(word) or (entropy(word) >= MADE_BY_CHANCE and not PLACEHOLDER.search(word)) for word in words
    )


@check(
    "compose/dependencies",
    title="Waits until what it needs is ready",
    severity=Severity.WARNING,
    why="A database that has only been started does not answer yet: the first start fails on a slow day.",
    source="Compose, control startup order",
    example="depends_on:\n  - db",
    fixed="depends_on:\n  db:\n    condition: service_healthy",
)
def dependencies(compose: ComposeSource) -> Outcome:
    """Look for what is not waited for, and for what is waited for in vain: without a check, nothing gets healthy."""
    services = {service.name: service for service in present(compose.model).services}
    waits = [(service, wait) for service in services.values() for wait in service.depends_on]
    if not waits:
        return skipped(f"no service of {compose.path} depends on another one")
    found: list[Finding] = []
    for service, wait in waits:
        other = services.get(wait.service)
        if wait.condition is Condition.HEALTHY and other is not None and has_no_check(other, image_of(compose, other)):
            what = f"it waits until {other.name} is healthy, and {other.name} has no health check"
            fix = f"Give {other.name} a `healthcheck`{example_check(other)}, or wait for service_started."
            found.append(Finding(service=service.name, what=what, fix=fix, line=wait.line))
        elif wait.condition not in {Condition.HEALTHY, Condition.COMPLETED}:
            job = "for a job, service_completed_successfully"
            fix = f"Write `depends_on: {{{wait.service}: {{condition: service_healthy}}}}`; {job}."
            what = f"it waits for the start of {wait.service} alone"
            found.append(Finding(service=service.name, what=what, fix=fix, line=wait.line, severity=Severity.WARNING))
    shown = ", ".join(f"{service.name}: {wait.service} {wait.condition}" for service, wait in waits)
    return outcome(
        compose,
        Expect("depends_on with service_healthy or service_completed_successfully, of what has a health check"),
        found,
        shown,
    )


@check(
    "compose/environment",
    title="Every variable is set or documented",
    severity=Severity.WARNING,
    why="A checkout whose variables are not explained starts on its author's machine only.",
    source="the Twelve-Factor App, III; Compose, set environment variables with an .env file",
    example="environment:\n  API_TOKEN: ${API_TOKEN}\n# and no .env.example that names API_TOKEN",
    fixed="# .env.example, beside the compose file\nAPI_TOKEN=",
)
def environment(compose: ComposeSource) -> Outcome:
    """Look for env files and variables that nothing in the project sets or explains.

    A `.env` is each person's own, and no checkout brings it: where it is missing, its example beside the compose file
    stands for it. The project is at fault only where it does not say what to write there. `invoke up` wants the file.
    """
    expect = Expect("every env file and variable is there, or explained by an example beside the compose file")
    lost = [
        (file.line, f"env file {file.path}")
        for file in compose.files
        if not (file.there or file.optional or file.example)
    ]
    # A dollar sign that may be the text's own: compose/interpolation names it.
    unknown = [
        (variable.line, f"variable {variable.name}")
        for variable in compose.variables
        if not variable.literal and variable.name not in compose.explained
    ]
    by_example = [file for file in compose.files if not file.there and file.example]
    evidence = [f"{file.path} is not there; {file.example} explains it" for file in by_example]
    if compose.variables and compose.explained_by[:1] and compose.explained_by[0].startswith((".env.", "env.")):
        evidence.append(f".env is not there; {compose.explained_by[0]} explains it")
    if lost or unknown:
        line, what = (lost + unknown)[0]
        name = what.rpartition(" ")[2]
        fix = f"Write `{name}=` into .env.example beside the compose file, or give it a default: `${{{name}:-…}}`."
        if lost:
            fix = f"Add {name}.example beside it, or make the file optional (`required: false`)."
        return expect.failed(
            [f"{on(line)}{problem} is neither there nor explained" for line, problem in lost + unknown],
            fix=fix,
            evidence=tuple(evidence),
            where=place(compose, line),
            severity=None if lost else Severity.NOTE,
        )
    if not compose.files and not compose.variables:
        return expect.passed(f"{compose.path} needs no env file and no variable")
    return expect.passed(
        ", ".join([*(file.path for file in compose.files), *(variable.name for variable in compose.variables)]),
        evidence=tuple(evidence),
    )
