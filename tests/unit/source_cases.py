"""For each check of the configuration and the sources: facts that it must fail on."""

from __future__ import annotations

import msgspec
from tests.unit.factories import configuration, facts, health_command, trail
from tests.unit.source_factories import compose, context, dockerfile, service, sources

from seatrial.facts import (
    ComposeValue,
    ComposeVariable,
    Condition,
    ContextFile,
    Dependency,
    Facts,
    Lint,
    LintFinding,
    Port,
    Sources,
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
}
