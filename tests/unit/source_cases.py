"""For each check of the configuration and the sources: facts that it must fail on."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace
from tests.unit.factories import configuration, facts, health_command, trail
from tests.unit.source_factories import (
    API,
    DATABASE,
    compose,
    context,
    dockerfile,
    service,
    service_files,
    service_image,
    sources,
)

from seatrial.facts import (
    ComposeValue,
    ComposeVariable,
    Condition,
    ContextFile,
    Dependency,
    Facts,
    FileEntry,
    FileKind,
    Lint,
    LintFinding,
    LocalAddress,
    Mount,
    MountKind,
    Port,
    QuotedValue,
    Sources,
    UnsetVariable,
)


def with_sources(**changed: object) -> Facts:
    sound = sources()
    replaced: Sources = msgspec.structs.replace(sound, **changed)
    return facts(sources=replaced)


FAILING: dict[str, Facts] = {
    "identity/numeric-user": facts(configuration=configuration(user="app")),
    "process/exec-form": facts(configuration=configuration(command=("/bin/sh", "-c", "uvicorn shop.api:app"))),
    "health/command-exists": facts(
        health_command=health_command(script=trail("/app/health.py", missing="/app/health.py"))
    ),
    "config/volumes": facts(configuration=configuration(volumes=("/etc",))),
    "config/labels": facts(configuration=configuration(labels={})),
    "secrets/history": facts(configuration=configuration(history=("ARG INDEX_TOKEN=s3cr3tvalue",))),
    "dockerfile/lint": with_sources(
        lint=Lint(findings=(LintFinding(rule="DL3025", level="warning", line=15, message="Use arguments JSON"),))
    ),
    "dockerfile/base-pinned": with_sources(dockerfile=dockerfile("FROM python:latest\n")),
    "dockerfile/dependencies-first": with_sources(
        dockerfile=dockerfile("FROM python:3.13-slim\nCOPY . .\nRUN pip install -r requirements.txt\n")
    ),
    "dockerfile/locked-install": with_sources(
        dockerfile=dockerfile("FROM python:3.13-slim\nRUN pip install fastapi\n")
    ),
    "dockerfile/secret-mounts": with_sources(
        dockerfile=dockerfile("FROM python:3.13-slim\nARG INDEX_TOKEN\nCOPY .netrc /root/\n")
    ),
    "context/ignored": with_sources(context=context("main.py", ".env")),
    "context/size": with_sources(context=context(files=(ContextFile(path="dump.sql", size=60_000_000),))),
    "compose/hardening": with_sources(compose=compose(service(privileged=True))),
    "compose/ports": with_sources(
        compose=compose(service(ports=(Port(host_ip="", published=5432, written="5432", target=5432, line=6),)))
    ),
    "compose/secrets": with_sources(
        compose=compose(
            values=(ComposeValue(key="POSTGRES_PASSWORD", where="services.db.environment", text="hunter2", line=9),)
        )
    ),
    "compose/dependencies": with_sources(
        compose=compose(service(depends_on=(Dependency(service="db", condition=Condition.STARTED, line=8),)))
    ),
    "compose/environment": with_sources(compose=compose(variables=(ComposeVariable(name="LOST", line=7),))),
    "compose/other-images": with_sources(compose=compose(API, replace(DATABASE, memory=False))),
    "compose/engine-socket": with_sources(
        compose=compose(
            service(volumes=(Mount(kind=MountKind.BIND, source="/run/docker.sock", target="/run/docker.sock", line=9),))
        )
    ),
    "compose/mounts": with_sources(
        compose=compose(
            replace(API, volumes=(Mount(kind=MountKind.BIND, source="/shop", target="/app", line=9),)),
            images={"api": service_image(mounted=replace(service_files().alone, program=None))},
        )
    ),
    "compose/volumes": with_sources(
        compose=compose(API, images={"api": service_image(places={"/data": trail("/data", missing="/data")})})
    ),
    "compose/readable": with_sources(
        compose=compose(
            replace(
                API,
                volumes=(
                    Mount(
                        kind=MountKind.SECRET,
                        source="/shop/token",
                        target="/run/secrets/token",
                        host=FileEntry(kind=FileKind.FILE, mode=0o600, uid=1000, gid=1000, size=9),
                        line=9,
                    ),
                ),
            )
        )
    ),
    "compose/quotes": with_sources(
        compose=compose(quoted=(QuotedValue(service="api", key="DATABASE_URL", line=7, exact=True),))
    ),
    "compose/interpolation": with_sources(
        compose=compose(unset=(UnsetVariable(name="word", key="DB_PASSWORD", file=".env", line=2),))
    ),
    "compose/addresses": with_sources(
        compose=compose(local=(LocalAddress(service="api", key="DATABASE_URL", scheme="postgresql", line=7),))
    ),
    "compose/command": with_sources(
        compose=compose(
            replace(API, command=("alembic", "upgrade", "head")),
            images={
                "api": service_image(
                    alone=replace(service_files().alone, program=None),
                    mounted=replace(service_files().alone, program=None),
                )
            },
        )
    ),
    "compose/health-program": with_sources(
        compose=compose(API, images={"api": service_image(no_health_program=("curl",))})
    ),
    "compose/database-volume": with_sources(compose=compose(API, replace(DATABASE, image="postgres:18"))),
    "compose/published-ports": with_sources(
        compose=compose(replace(API, ports=(Port(host_ip="127.0.0.1", published=80, written="80", target=80, line=6),)))
    ),
}
