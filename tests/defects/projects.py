"""Broken project folders: each with the file that makes it so, what must be found, and where."""

from __future__ import annotations

from dataclasses import dataclass, field

SETTINGS = """\
[tool.seatrial.apps.ship]
image = "{image}"
compose = "compose.yaml"

[tool.seatrial.apps.ship.contract]
modules = ["shipapp.web:app"]
"""
DOCKERFILE = """\
FROM python:3.13-slim AS builder
WORKDIR /app
COPY requirements.txt .
RUN --mount=type=secret,id=netrc,target=/root/.netrc \\
    python -m venv --without-pip /app/.venv && \\
    python -m pip --python /app/.venv/bin/python install --no-cache-dir --no-compile -r requirements.txt
COPY src src

FROM python:3.13-slim
COPY --from=builder /app /app
ENV PATH=/app/.venv/bin:$PATH
WORKDIR /app
USER 10001:10001
EXPOSE 8000
HEALTHCHECK CMD ["shipapp-health"]
CMD ["shipapp"]
"""
COMPOSE = """\
name: ship
services:
  web:
    image: ship
    environment:
      DATABASE_URL: postgresql://app@db/app
      PGPASSWORD: ${DB_PASSWORD:?set it in .env}
    ports:
      - 127.0.0.1:8000:8000
    depends_on:
      db:
        condition: service_healthy
    read_only: true
    cap_drop: [ALL]
    security_opt: [no-new-privileges:true]
    mem_limit: 128m
    pids_limit: 64
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: ${DB_PASSWORD:?set it in .env}
    healthcheck:
      test: ["CMD", "pg_isready"]
    read_only: true
    cap_drop: [ALL]
    security_opt: [no-new-privileges:true]
    mem_limit: 128m
    pids_limit: 64
"""
IGNORE = ".git\n**/.venv\n**/venv\n**/.env*\n**/__pycache__\n**/.*_cache\ntests\n"

SOUND: dict[str, str] = {
    "Dockerfile": DOCKERFILE,
    ".dockerignore": IGNORE,
    "compose.yaml": COMPOSE,
    ".env.example": "DB_PASSWORD=\n",
    "requirements.txt": "shipapp==1.0 \\\n    --hash=sha256:00\n",
    "src/shipapp/__init__.py": "",
    "tests/test_it.py": "",
}
"""A project that passes; its `.env` is not there, as in every fresh checkout."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A project with one fault."""

    name: str
    finds: str
    says: tuple[str, ...]
    where: str
    """`file:line`."""
    files: dict[str, str | None] = field(default_factory=dict)
    """What differs from the sound project; None where a file is not there."""
    modes: dict[str, int] = field(default_factory=dict)
    """The modes of some of these files."""
    also: set[str] = field(default_factory=set)
    contract: str = ""
    """More lines of the contract."""
    twin: dict[str, str | None] = field(default_factory=dict)
    """What differs from the sound project where that, too, is right."""
    twin_contract: str = ""


def dockerfile(old: str, new: str) -> dict[str, str | None]:
    """Return the sound Dockerfile with some lines changed."""
    assert old in DOCKERFILE
    return {"Dockerfile": DOCKERFILE.replace(old, new)}


def compose(old: str, new: str) -> dict[str, str | None]:
    """Return the sound compose file with some lines changed, once."""
    assert old in COMPOSE
    return {"compose.yaml": COMPOSE.replace(old, new, 1)}


PROJECTS = (
    Broken(
        name="a shell line that leaves its folder",
        files=dockerfile("COPY src src\n", "COPY src src\nRUN cd /app && true\n"),
        finds="dockerfile/lint",
        says=("DL3003", "WORKDIR"),
        where="Dockerfile:8",
        contract='lint-level = "style"',
        twin=dockerfile("COPY src src\n", "COPY src src\nRUN cd /app && true\n"),
        twin_contract='lint-level = "style"\nlint-ignore = { DL3003 = "the folder matters to one command only" }',
    ),
    Broken(
        name="a base without a version",
        files=dockerfile("FROM python:3.13-slim AS", "FROM python:latest AS"),
        finds="dockerfile/base-pinned",
        also={"dockerfile/lint"},
        says=("python:latest has the tag latest, which is not a version tag", "Write `python:VERSION`"),
        where="Dockerfile:1",
    ),
    Broken(
        name="uv of whatever version",
        files=dockerfile(
            "WORKDIR /app\nCOPY req", "COPY --from=ghcr.io/astral-sh/uv /uv /bin/uv\nWORKDIR /app\nCOPY req"
        ),
        finds="dockerfile/base-pinned",
        also={"dockerfile/lint"},
        says=("ghcr.io/astral-sh/uv has no tag",),
        where="Dockerfile:2",
        twin=dockerfile(
            "WORKDIR /app\nCOPY req", "COPY --from=ghcr.io/astral-sh/uv:0.9.5 /uv /bin/uv\nWORKDIR /app\nCOPY req"
        ),
    ),
    Broken(
        name="the source before the dependencies",
        files=dockerfile("COPY requirements.txt .\n", "COPY . .\n"),
        finds="dockerfile/dependencies-first",
        says=("line 3 copies . before line 4 runs",),
        where="Dockerfile:3",
    ),
    Broken(
        name="requirements without versions",
        files={"requirements.txt": "# direct\nshipapp\n"},
        finds="dockerfile/locked-install",
        says=("requirements.txt:2: shipapp",),
        where="requirements.txt:2",
        twin={"requirements.txt": "# direct\nshipapp==1.0\n"},
    ),
    Broken(
        name="a package by its name alone",
        files=dockerfile("COPY src src\n", "RUN pip install --no-cache-dir fastapi\nCOPY src src\n"),
        finds="dockerfile/locked-install",
        also={"dockerfile/lint"},
        says=("line 7: fastapi", "fastapi==VERSION"),
        where="Dockerfile:7",
        twin=dockerfile("COPY src src\n", "RUN pip install --no-cache-dir fastapi==0.115.6\nCOPY src src\n"),
    ),
    Broken(
        name="a token as an argument",
        files=dockerfile("WORKDIR /app\nCOPY req", "ARG INDEX_TOKEN\nWORKDIR /app\nCOPY req"),
        finds="dockerfile/secret-mounts",
        also={"dockerfile/lint"},
        says=("line 2: ARG INDEX_TOKEN is for a secret",),
        where="Dockerfile:2",
    ),
    Broken(
        name="credentials copied into a layer",
        files=dockerfile("COPY src src\n", "COPY .netrc /root/.netrc\nCOPY src src\n"),
        finds="dockerfile/secret-mounts",
        says=("line 7: COPY .netrc puts it into a layer",),
        where="Dockerfile:7",
    ),
    Broken(
        name="no ignore file",
        files={".dockerignore": None},
        finds="context/ignored",
        says=("there is no .dockerignore", "`tests`", "`**/.env*`"),
        where=".dockerignore:1",
    ),
    Broken(
        name="an ignore file that forgets .env",
        files={".dockerignore": IGNORE.replace("**/.env*\n", ""), ".env": "DB_PASSWORD=hunter2\n"},
        finds="context/ignored",
        says=("the build sees .env", "Write into .dockerignore: `**/.env*`"),
        where=".dockerignore:1",
        twin={".env": "DB_PASSWORD=hunter2\n"},
    ),
    Broken(
        name="a dump in the context",
        files={"dump.sql": "x" * 2_000_000},
        finds="context/size",
        says=("the largest is dump.sql",),
        where=".dockerignore:1",
        contract='max-context = "1 MB"',
        twin={"dump.sql": "x" * 2_000_000, ".dockerignore": f"{IGNORE}*.sql\n"},
        twin_contract='max-context = "1 MB"',
    ),
    Broken(
        name="a privileged service",
        files=compose("    image: ship\n", "    image: ship\n    privileged: true\n    network_mode: host\n"),
        finds="compose/hardening",
        says=("web: it is privileged", "`network_mode: host`"),
        where="compose.yaml:5",
    ),
    Broken(
        name="the engine's socket",
        files=compose(
            "    image: ship\n", "    image: ship\n    volumes:\n      - /var/run/docker.sock:/docker.sock\n"
        ),
        finds="compose/engine-socket",
        says=("it mounts /var/run/docker.sock of the host",),
        where="compose.yaml:6",
    ),
    Broken(
        name="a database that may write its root",
        files=compose(
            '      test: ["CMD", "pg_isready"]\n    read_only: true\n', '      test: ["CMD", "pg_isready"]\n'
        ),
        finds="compose/hardening",
        says=("db: its root can be written", "`read_only: true`"),
        where="compose.yaml:18",
        twin=compose('      test: ["CMD", "pg_isready"]\n    read_only: true\n', '      test: ["CMD", "pg_isready"]\n'),
        twin_contract='compose-exceptions = { "db.read_only" = "its extensions write beside themselves" }',
    ),
    Broken(
        name="a port on every interface",
        files=compose("      - 127.0.0.1:8000:8000\n", '      - "8000:8000"\n'),
        finds="compose/ports",
        says=("web: 8000:8000 on every interface", "`127.0.0.1:8000:8000`"),
        where="compose.yaml:9",
        twin=compose("      - 127.0.0.1:8000:8000\n", "      - 0.0.0.0:8000:8000\n"),
    ),
    Broken(
        name="a password in the compose file",
        files=compose("postgresql://app@db/app", "postgresql://app:hunter2@db/app"),
        finds="compose/secrets",
        says=("line 6: services.web.environment.DATABASE_URL (its value has a secret's form)",),
        where="compose.yaml:6",
    ),
    Broken(
        name="a password as a variable's default",
        files=compose("PGPASSWORD: ${DB_PASSWORD:?set it in .env}", "PGPASSWORD: ${DB_PASSWORD:-hunter2}"),
        finds="compose/secrets",
        says=("line 7: services.web.environment.PGPASSWORD",),
        where="compose.yaml:7",
    ),
    Broken(
        name="a service that waits for a start alone",
        files=compose("      db:\n        condition: service_healthy\n", "      - db\n"),
        finds="compose/dependencies",
        says=("web: it waits for the start of db alone", "{db: {condition: service_healthy}}"),
        where="compose.yaml:11",
    ),
    Broken(
        name="a variable that nothing explains",
        files={".env.example": "# nothing yet\nOTHER=\n"},
        finds="compose/environment",
        says=("line 7: variable DB_PASSWORD is neither there nor explained", "Write `DB_PASSWORD=` into .env.example"),
        where="compose.yaml:7",
        twin={".env.example": None, ".env": "DB_PASSWORD=mine\n"},
    ),
    Broken(
        name="an env file that is nowhere",
        files=compose("    image: ship\n", "    image: ship\n    env_file: web.env\n"),
        finds="compose/environment",
        says=("line 5: env file web.env is neither there nor explained",),
        where="compose.yaml:5",
        twin={
            **compose("    image: ship\n", "    image: ship\n    env_file: web.env\n"),
            "web.env": "A=1\n",
        },
    ),
    Broken(
        name="templates that the wheel leaves out",
        files={"src/shipapp/templates/home.html": "<h1>ship</h1>\n"},
        finds="app/package-data",
        says=("/app/.venv/lib/python3.13/site-packages/shipapp lacks src/shipapp/templates", "package-data"),
        where="pyproject.toml:1",
        twin={"src/shipapp/tests/home.html": "<h1>ship</h1>\n", "src/shipapp/README.md": "Ship\n"},
    ),
)
