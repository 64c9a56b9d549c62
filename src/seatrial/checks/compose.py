"""compose/*: what the compose file gives its services, and what it needs from a checkout."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from seatrial.checks.declaration import check, checks_of
from seatrial.checks.model import Expect, Outcome, Result, Severity, present, skipped
from seatrial.checks.secrets import PUBLIC, SECRET_VALUE, entropy, secret
from seatrial.checks.verdict import judge
from seatrial.facts import ComposeSource, Configuration, Service, Unavailable
from seatrial.settings.model import Contract

SOCKET = re.compile(r"/(docker|podman|containerd)\.sock$|^/var/run/?$|^/run/?$|^/$")
HEALTHY, COMPLETED = "service_healthy", "service_completed_successfully"
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
def hardening(compose: ComposeSource, configuration: Configuration | Unavailable, contract: Contract) -> Outcome:
    """Judge every service; what the app's own lacks matters more than what somebody else's image lacks."""
    services = present(compose.model).services
    own = "" if isinstance(configuration, Unavailable) else _repository(configuration.reference)
    expect = Expect(
        "every service: no privileges, no namespace or socket of the host; cap_drop ALL, read_only, "
        "no-new-privileges, limits of memory and processes"
    )
    if not services:
        return skipped(f"{compose.path} declares no service")
    found = [
        (
            service,
            what,
            service.lines.get(key) or service.line,
            fix,
            _is_own(service, own) or key in _of_the_host(service),
        )
        for service in services
        for key, what, fix in _weaknesses(service)
        if not {service.name, f"{service.name}.{key}"} & contract.compose_exceptions.keys()
    ]
    found.sort(key=lambda row: not row[-1])
    excepted = tuple(f"{key}: {reason}" for key, reason in contract.compose_exceptions.items())
    if found:
        service, _, line, fix, _ = found[0]
        return expect.failed(
            "; ".join(f"{service.name}: {what}" for service, what, *_ in found),
            fix=f"Write {fix} into the service {service.name}; `compose-exceptions` leaves one out, with a reason.",
            evidence=(*(f"{compose.path}:{at} {service.name}: {what}" for service, what, at, *_ in found), *excepted),
            where=f"{compose.path}:{line}",
            severity=None if any(own_or_grave for *_, own_or_grave in found) else Severity.NOTE,
        )
    return expect.passed(", ".join(service.name for service in services), evidence=excepted)


def _of_the_host(service: Service) -> set[str]:
    """Return the keys by which a service gets a part of the host, which is as grave for anybody's image."""
    return {"privileged", "volumes", *service.host_namespaces}


def _is_own(service: Service, image: str) -> bool:
    """Tell whether a service is built from the project, or runs the app's image."""
    return service.built or (service.image is not None and _repository(service.image) == image)


def _repository(image: str) -> str:
    return re.sub(r"(@.*|:[^/:]*)$", "", image)


def _weaknesses(service: Service) -> Iterator[tuple[str, str, str]]:
    """Yield what is too much or missing: its key, what was seen, and what to write."""
    if service.privileged:
        yield "privileged", "it is privileged", "no `privileged`"
    for key in service.host_namespaces:
        yield key, f"`{key}: host` gives it a namespace of the host", f"no `{key}: host`"
    for source in service.mounts:
        if SOCKET.search(source):
            yield "volumes", f"it mounts {source} of the host", f"no volume {source}"
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
            "; ".join(
                f"{seen.name}: {port.written or '(any)'}:{port.target} on every interface" for seen, port in bare
            ),
            fix=f"Write `127.0.0.1:{first.written or first.target}:{first.target}`; where all are meant, `0.0.0.0:…`.",
            where=f"{compose.path}:{first.line}",
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
            "; ".join(f"line {value.line}: {value.where} ({why})" for value, why in found),
            fix=f"Write `${{{name}:?set it in .env}}` there, put the value into .env, and change the secret.",
            where=f"{compose.path}:{first.line}",
            severity=None if any(_is_real(value.text) for value, _ in found) else Severity.WARNING,
        )
    return expect.passed(f"{len(compose.values)} texts checked")


def _is_real(text: str) -> bool:
    """Tell a secret that opens something from a password that a first start on one's own machine gets: `postgres`."""
    return any(SECRET_VALUE.match(word) or entropy(word) >= MADE_BY_CHANCE for word in re.split(r"[:/@]", text))


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
    services = present(compose.model).services
    expect = Expect(f"depends_on with {HEALTHY} or {COMPLETED}")
    waits = [(service, wait) for service in services for wait in service.depends_on]
    early = [(service, wait) for service, wait in waits if wait.condition not in {HEALTHY, COMPLETED}]
    if not waits:
        return skipped(f"no service of {compose.path} depends on another one")
    if early:
        first = early[0][1]
        return expect.failed(
            "; ".join(f"{service.name} waits for the start of {wait.service} alone" for service, wait in early),
            fix=f"Write `depends_on: {{{first.service}: {{condition: {HEALTHY}}}}}`; for a job, {COMPLETED}.",
            where=f"{compose.path}:{first.line}",
        )
    shown = ", ".join(f"{service.name}: {wait.service} {wait.condition}" for service, wait in waits)
    return expect.passed(shown)


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
    unexplained = [variable for variable in compose.variables if variable.name not in compose.explained]
    unknown = [(variable.line, f"variable {variable.name}") for variable in unexplained]
    by_example = [file for file in compose.files if not file.there and file.example]
    evidence = [f"{file.path} is not there; {file.example} explains it" for file in by_example]
    if compose.variables and ".env" not in compose.explained_by and compose.explained_by:
        evidence.append(f".env is not there; {compose.explained_by[0]} explains it")
    if lost or unknown:
        line, what = (lost + unknown)[0]
        name = what.rpartition(" ")[2]
        fix = f"Write `{name}=` into .env.example beside the compose file, or give it a default: `${{{name}:-…}}`."
        if lost:
            fix = f"Add {name}.example beside it, or make the file optional (`required: false`)."
        return expect.failed(
            "; ".join(f"line {at}: {problem} is neither there nor explained" for at, problem in lost + unknown),
            fix=fix,
            evidence=tuple(evidence),
            where=f"{compose.path}:{line}",
            severity=None if lost else Severity.NOTE,
        )
    if not compose.files and not compose.variables:
        return expect.passed(f"{compose.path} needs no env file and no variable")
    return expect.passed(
        ", ".join([*(file.path for file in compose.files), *(variable.name for variable in compose.variables)]),
        evidence=tuple(evidence),
    )


def judge_compose(compose: ComposeSource | Unavailable, contract: Contract) -> tuple[Result, ...]:
    """Return the results of the compose/* checks, waivers among them, where nothing but the file was read."""
    return tuple(judge(check, {"compose": compose}, contract) for check in checks_of(sys.modules[__name__]))
