"""Compose files that cannot work with their images: each is told before anything starts."""

from __future__ import annotations

from tests.defects.projects import COMPOSE, Broken, compose

IMAGE = "seatrial-test/projects"
"""The project's image as its compose file names it, so that its files are looked at."""
VOLUME = "volumes:\n  state:\n"
SECRET = "secrets:\n  token:\n    file: token.txt\n"


def web(*lines: str, top: str = "", old: str = "", new: str = "") -> dict[str, str | None]:
    """Return the sound compose file whose service `web` runs the project's image, with some more lines behind that."""
    more = "".join(f"    {line}\n" for line in lines)
    assert old in COMPOSE
    text = COMPOSE.replace("    image: ship\n", f"    image: {IMAGE}\n{more}").replace(old, new, 1)
    return {"compose.yaml": text + top}


def health(test: str) -> dict[str, str | None]:
    """Return the sound compose file whose service `web` has a health check of its own."""
    return web("healthcheck:", f"  test: {test}")


def database(image: str, target: str) -> dict[str, str | None]:
    """Return the sound compose file with another database's image, and its volume at a path."""
    text = COMPOSE.replace("image: postgres:17\n", f"image: {image}\n    volumes:\n      - state:{target}\n")
    return {"compose.yaml": text + VOLUME}


TEST = '    healthcheck:\n      test: ["CMD", "pg_isready"]\n'
ENVIRONMENT = "      DATABASE_URL: postgresql://app@db/app\n      PGPASSWORD: ${DB_PASSWORD:?set it in .env}\n"
AS_LIST = "      - DATABASE_URL={0}postgresql://app@db/app{0}\n      - PGPASSWORD=${{DB_PASSWORD:?set it in .env}}\n"
SERVE = "command: python -m uvicorn shipapp.web:app --host {} --port 8000"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - text of a file

COMPOSE_PROJECTS = (
    Broken(
        name="a bind that hides the environment",
        files={**web("volumes:", "  - ./work:/app:ro"), "work/main.py": ""},
        finds="compose/mounts",
        says=("at /app lies over its program /app/.venv/bin/shipapp, which is hidden", "`- /app/.venv`"),
        where="compose.yaml:6",
        twin={**web("volumes:", "  - ./work:/app:ro", "  - /app/.venv"), "work/main.py": ""},
    ),
    Broken(
        name="an environment of the host in the place of the image's",
        files={
            **web("volumes:", "  - ./work:/app:ro"),
            "work/.venv/bin/shipapp": "#!/home/somebody/ship/.venv/bin/python\n",
            "work/.venv/pyvenv.cfg": "home = /usr/bin\n",
        },
        modes={"work/.venv/bin/shipapp": 0o755},
        finds="compose/mounts",
        says=("/app/.venv/bin/shipapp", "#!/home/somebody/ship/.venv/bin/python", "that is not in the container"),
        where="compose.yaml:6",
        twin=web("volumes:", "  - ./src:/app/src:ro"),
    ),
    Broken(
        name="a tmpfs over the program",
        files=web("tmpfs: [/app]"),
        finds="compose/mounts",
        says=("the tmpfs at /app lies over its program /app/.venv/bin/shipapp", "is hidden"),
        where="compose.yaml:5",
        twin=web("tmpfs: [/app/cache]"),
    ),
    Broken(
        name="a volume that takes nothing over from the image",
        files=web(
            "volumes:",
            "  - type: volume",
            "    source: state",
            "    target: /app/.venv",
            "    volume: {nocopy: true}",
            top=VOLUME,
        ),
        finds="compose/mounts",
        says=("the volume state at /app/.venv lies over its program",),
        where="compose.yaml:8",
        twin=web("volumes:", "  - state:/app/.venv:ro", top=VOLUME),
    ),
    Broken(
        name="a volume where the image has no folder",
        files=web("volumes:", "  - state:/state", top=VOLUME),
        finds="compose/volumes",
        says=(
            "the volume state at /state belongs to root",
            "the user app cannot write",
            "install -d -o 10001 -g 10001",
        ),
        where="compose.yaml:6",
        twin=web("volumes:", "  - state:/tmp", top=VOLUME),
    ),
    Broken(
        name="a secret that only its owner may read",
        files={**web("secrets: [token]", top=SECRET), "token.txt": "s3cret"},
        modes={"token.txt": 0o600},
        finds="compose/readable",
        says=("the user app may not read /run/secrets/token", "has mode 0600", "chmod 0444"),
        where="compose.yaml:5",
        twin={**web("secrets: [token]", top=SECRET), "token.txt": "s3cret"},
    ),
    Broken(
        name="quotes within a list's item",
        files=web(old=ENVIRONMENT, new=AS_LIST.format('"')),
        finds="compose/quotes",
        says=("the quotes are part of the value of DATABASE_URL",),
        where="compose.yaml:6",
        twin=web(old=ENVIRONMENT, new=AS_LIST.format("")),
    ),
    Broken(
        name="a password with a dollar sign",
        files={".env": "# mine\nDB_PASSWORD=pa$word\n"},
        finds="compose/interpolation",
        says=("DB_PASSWORD", "takes $word for a variable", "in single quotes"),
        where=".env:2",
        twin={".env": "# mine\nDB_PASSWORD='pa$word'\n"},
    ),
    Broken(
        name="localhost for another service",
        files=compose("postgresql://app@db/app", "postgresql://app@localhost:5432/app"),
        finds="compose/addresses",
        says=("DATABASE_URL has the address of its own container", "Write `db:5432` in the place of `localhost:5432`"),
        where="compose.yaml:6",
        twin=compose("postgresql://app@db/app", "postgresql://app@db:5432/app"),
    ),
    Broken(
        name="a command that compose cuts off",
        files=web("command: shipapp-migrate && shipapp"),
        finds="compose/command",
        says=("compose starts no shell for its command, and drops all from `&&` on", '`command: ["sh", "-c", "…"]`'),
        where="compose.yaml:5",
        twin=web('command: ["sh", "-c", "shipapp-migrate && shipapp"]'),
    ),
    Broken(
        name="a command that the image lacks",
        files=web('command: ["alembic", "upgrade", "head"]'),
        finds="compose/command",
        says=("its command cannot be run: no program 'alembic' in any folder of PATH", "Install alembic"),
        where="compose.yaml:5",
        twin=web('command: ["shipapp-migrate"]'),
    ),
    Broken(
        name="a health check with a program that the image lacks",
        files=health('["CMD", "curl", "-f", "http://127.0.0.1:8000/health"]'),
        finds="compose/health-program",
        says=("the image has no curl", "/app/.venv/bin/python", "r.urlopen('http://127.0.0.1:8000/health'"),
        where="compose.yaml:6",
        twin=health('["CMD-SHELL", "curl -f http://127.0.0.1:8000/ || shipapp-health || exit 1"]'),
    ),
    Broken(
        name="a database whose volume is not where its data is",
        files=database("postgres:18", "/var/lib/postgresql/data"),
        finds="compose/database-volume",
        says=("/var/lib/postgresql/18/docker", "refuses to start", "Mount it at /var/lib/postgresql."),
        where="compose.yaml:21",
        twin=database("postgres:18", "/var/lib/postgresql"),
    ),
    Broken(
        name="a database whose data goes into a volume without a name",
        files=database("postgres:17", "/var/lib/postgresql"),
        finds="compose/database-volume",
        says=("PostgreSQL 17 keeps its data in /var/lib/postgresql/data", "a volume without a name"),
        where="compose.yaml:21",
        twin=database("postgres:17", "/var/lib/postgresql/data"),
    ),
    Broken(
        name="a published port that nothing listens on",
        files=web(SERVE.format(EVERYWHERE), old="127.0.0.1:8000:8000", new="127.0.0.1:8080:8080"),
        finds="compose/published-ports",
        says=("port 8080 is published, and uvicorn listens on 8000", "`127.0.0.1:8080:8000`"),
        where="compose.yaml:10",
        twin=web(SERVE.format(EVERYWHERE)),
    ),
    Broken(
        name="a published port of a server that listens for its own container",
        files=web(SERVE.format("127.0.0.1")),
        finds="compose/published-ports",
        says=("uvicorn listens on 127.0.0.1 alone", "`--host 0.0.0.0`"),
        where="compose.yaml:5",
        twin=web(SERVE.format(EVERYWHERE)),
    ),
    Broken(
        name="a wait for a service without a health check",
        files=compose(TEST, ""),
        finds="compose/dependencies",
        says=("it waits until db is healthy, and db has no health check", "pg_isready"),
        where="compose.yaml:11",
        twin=compose("condition: service_healthy", "condition: service_healthy"),
    ),
    Broken(
        name="a database without a limit beside the project's own image",
        files=web(old=f"{TEST}    read_only: true\n", new=TEST),
        finds="compose/other-images",
        says=("db: its root can be written", "Try `read_only: true`"),
        where="compose.yaml:18",
        twin=web(old=f"{TEST}    read_only: true\n", new=TEST),
        twin_contract='compose-exceptions = { "db.read_only" = "its extensions write beside themselves" }',
    ),
)
