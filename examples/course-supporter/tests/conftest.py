"""What the tests run against: a real PostgreSQL, a real chat completions server, real uvicorn processes."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import URL, create_engine, make_url, text
from support import HOME, ChatServer, PrivatePostgres, alembic

from course_supporter.api import create_app
from course_supporter.settings import Settings

# Nothing listens on port 1, and the host itself says so at once.
NO_DATABASE = "postgresql://nobody:secret-word@127.0.0.1:1/nowhere"

type MakeSettings = Callable[..., Settings]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own reaches a test."""
    for name in ("DATABASE_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "LOG_LEVEL", "PGPASSWORD", "PGUSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COURSE_SUPPORTER_HOME", str(HOME))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """A server on which databases may be made: TEST_DATABASE_URL's, else a private one."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg")
        return
    programs = PrivatePostgres.find_programs()
    if programs is None:
        pytest.skip("NO POSTGRESQL: set TEST_DATABASE_URL, or install PostgreSQL's server (initdb, postgres)")
    with PrivatePostgres(programs) as server:
        yield server.url


@pytest.fixture
def empty_database(postgres_server: URL) -> Iterator[URL]:
    """A new database without tables, dropped afterwards."""
    name = f"course_supporter_test_{uuid4().hex}"
    admin = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
            yield postgres_server.set(database=name)
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    finally:
        admin.dispose()


@pytest.fixture(scope="session")
def template_database(postgres_server: URL) -> Iterator[str]:
    """A database that `alembic upgrade head` made, once. Each test gets a copy."""
    name = f"course_supporter_template_{uuid4().hex}"
    admin = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        done = alembic(postgres_server.set(database=name), "upgrade", "head")
        assert done.returncode == 0, done.stderr
        yield name
        with admin.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    finally:
        admin.dispose()


@pytest.fixture
def database(postgres_server: URL, template_database: str) -> Iterator[URL]:
    """A migrated database of the test's own."""
    name = f"course_supporter_test_{uuid4().hex}"
    admin = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"'))
            yield postgres_server.set(database=name)
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    finally:
        admin.dispose()


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


@pytest.fixture
def client_for() -> Iterator[Callable[..., TestClient]]:
    """Starts the application on a database, in this process, and stops it after the test."""
    with ExitStack() as stack:

        def start(database: URL | str, **values: str | SecretStr | Path) -> TestClient:
            url = database if isinstance(database, str) else database.render_as_string(hide_password=False)
            values = {"COURSE_SUPPORTER_HOME": HOME, **values}
            settings = Settings.model_validate({"database_url": SecretStr(url), **values})
            app = create_app(lambda: settings)
            return stack.enter_context(TestClient(app, raise_server_exceptions=False))

        yield start


@pytest.fixture
def client(client_for: Callable[..., TestClient], database: URL) -> TestClient:
    return client_for(database)
