"""A sound project's sources as plain data, of which each test changes the part that it is about."""

from __future__ import annotations

from typing import Any

import msgspec

from seatrial.dockerfile import bases, parse
from seatrial.facts import (
    Account,
    BuildContext,
    ComposeModel,
    ComposeSource,
    ComposeValue,
    ComposeVariable,
    Condition,
    ContextFile,
    Dependency,
    DockerfileSource,
    FileEntry,
    FileKind,
    Lint,
    Mount,
    MountKind,
    Port,
    ResolvedCommand,
    ResolvedPath,
    Service,
    ServiceFiles,
    ServiceImage,
    Sources,
    Unavailable,
)

DOCKERFILE = """\
ARG PYTHON_VERSION=3.13
FROM python:${PYTHON_VERSION}-slim AS builder
COPY --from=ghcr.io/astral-sh/uv:0.9.5 /uv /bin/uv
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN --mount=type=secret,id=netrc,target=/root/.netrc uv sync --frozen --no-dev
COPY src src

FROM python:${PYTHON_VERSION}-slim
COPY --from=builder /app /app
ENV PATH=/app/.venv/bin:$PATH
WORKDIR /app
USER 10001:10001
EXPOSE 8000
HEALTHCHECK CMD ["python", "health.py"]
CMD ["uvicorn", "shop.api:app"]
LABEL org.opencontainers.image.title="shop"
"""


def dockerfile(text: str = DOCKERFILE, **arguments: str) -> DockerfileSource:
    parsed = parse(text)
    return DockerfileSource(path="Dockerfile", parsed=parsed, bases=bases(parsed, arguments, {}))


def context(*paths: str, **changed: Any) -> BuildContext:
    names = paths or ("pyproject.toml", "src/shop/__init__.py", "src/shop/api.py", "uv.lock")
    sound = BuildContext(
        path=".",
        ignore_file=".dockerignore",
        suggested=".dockerignore",
        files=tuple(ContextFile(path=name, size=1000) for name in names),
    )
    return msgspec.structs.replace(sound, **changed)


def service(**changed: Any) -> Service:
    sound = Service(
        name="api",
        line=3,
        lines={"image": 4, "ports": 5, "volumes": 9, "privileged": 10},
        read_only=True,
        dropped=("ALL",),
        security=("no-new-privileges:true",),
        memory=True,
        processes=True,
        ports=(Port(host_ip="127.0.0.1", published=8000, written="8000", target=8000, line=6),),
        depends_on=(Dependency(service="db", condition=Condition.HEALTHY, line=8),),
    )
    return msgspec.structs.replace(sound, **changed)


FOLDER = FileEntry(kind=FileKind.FOLDER, mode=0o755, uid=10001, gid=10001)
PROGRAM = ResolvedPath(
    steps=("/app/.venv/bin/uvicorn",), entry=FileEntry(kind=FileKind.FILE, mode=0o755, uid=0, gid=0, size=100)
)
API = service(
    own=True,
    image="shop",
    test=("CMD", "python", "health.py"),
    checked=True,
    volumes=(
        Mount(kind=MountKind.VOLUME, source="state", target="/data", line=9),
        Mount(kind=MountKind.BIND, source="/shop/settings", target="/settings", read_only=True, host=FOLDER, line=10),
    ),
)
DATABASE = Service(
    name="db",
    image="postgres:17",
    checked=True,
    test=("CMD", "pg_isready"),
    volumes=(Mount(kind=MountKind.VOLUME, source="data", target="/var/lib/postgresql/data", line=20),),
    read_only=True,
    dropped=("ALL",),
    security=("no-new-privileges:true",),
    memory=True,
    processes=True,
    line=15,
)


WORDS = ("uvicorn", "shop.api:app", "--host", "::")


def service_files(**changed: Any) -> ServiceFiles:
    command = ResolvedCommand(words=WORDS, program=PROGRAM, account=Account(uid=10001))
    sound = ServiceFiles(
        account=Account(uid=10001, gids=(10001,)),
        alone=command,
        mounted=command,
        places={"/data": ResolvedPath(steps=("/data",), entry=FOLDER)},
    )
    return msgspec.structs.replace(sound, **changed)


def service_image(**changed: Any) -> ServiceImage:
    return ServiceImage(image="shop", checked=True, words=WORDS, exposed=(8000,), files=service_files(**changed))


def compose(*services: Service, **changed: Any) -> ComposeSource:
    sound = ComposeSource(
        path="compose.yaml",
        model=ComposeModel(services=services or (API, DATABASE)),
        images={"api": service_image(), "db": Unavailable(reason="postgres:17 is not here")},
        values=(ComposeValue(key="image", where="services.api.image", text="shop", line=4),),
        variables=(ComposeVariable(name="API_TOKEN", line=7),),
        explained=frozenset({"API_TOKEN"}),
        explained_by=(".env.example",),
    )
    return msgspec.structs.replace(sound, **changed)


def sources(text: str = DOCKERFILE, **changed: Any) -> Sources:
    sound = Sources(dockerfile=dockerfile(text), lint=Lint(), context=context(), compose=compose())
    return msgspec.structs.replace(sound, **changed)
