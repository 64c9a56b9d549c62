import socket
import time
from collections.abc import Callable

from conftest import NO_DATABASE
from fastapi.testclient import TestClient
from sqlalchemy import URL, create_engine, inspect, make_url, text
from support import alembic


def tables(database: URL) -> set[str]:
    engine = create_engine(database)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_migrations_run_up_and_down_again(empty_database: URL) -> None:
    up = alembic(empty_database, "upgrade", "head")
    assert up.returncode == 0, up.stderr
    assert "Running upgrade 0001 -> 0002" in up.stdout
    assert tables(empty_database) == {"alembic_version", "courses", "outlines"}
    assert alembic(empty_database, "downgrade", "-1").returncode == 0
    assert tables(empty_database) == {"alembic_version", "courses"}
    assert alembic(empty_database, "downgrade", "base").returncode == 0
    assert tables(empty_database) == {"alembic_version"}
    assert alembic(empty_database, "upgrade", "head").returncode == 0
    assert "outlines" in tables(empty_database)


def test_the_models_ask_for_exactly_what_the_migrations_make(database: URL) -> None:
    check = alembic(database, "check")
    assert check.returncode == 0, check.stdout + check.stderr
    assert "No new upgrade operations detected" in check.stdout


def test_without_a_database_the_migration_ends_with_one_line() -> None:
    done = alembic(make_url(NO_DATABASE), "upgrade", "head")
    assert done.returncode == 1
    assert done.stderr.startswith("course-supporter: the database cannot be used: connection")
    assert len(done.stderr.splitlines()) == 1
    assert "secret-word" not in done.stdout + done.stderr


def test_without_its_variable_the_migration_ends_with_one_line() -> None:
    done = alembic(None, "upgrade", "head")
    assert (done.returncode, done.stderr) == (1, "course-supporter: DATABASE_URL is not set or empty\n")


def test_ready_means_migrated_to_the_head(client_for: Callable[..., TestClient], empty_database: URL) -> None:
    client = client_for(empty_database)
    assert client.get("/health").json() == {"status": "alive"}
    before = client.get("/health/ready")
    assert before.status_code == 503
    message = "The database is at revision none, not 0002. Run the migrations."
    assert before.json() == {"error": "database_schema", "message": message}
    assert alembic(empty_database, "upgrade", "0001").returncode == 0
    assert "is at revision 0001, not 0002" in client.get("/health/ready").json()["message"]
    assert alembic(empty_database, "upgrade", "head").returncode == 0
    after = client.get("/health/ready")
    assert (after.status_code, after.json()) == (200, {"status": "ready", "revision": "0002"})


def test_connections_that_the_database_cut_are_replaced(
    client_for: Callable[..., TestClient], database: URL
) -> None:
    client = client_for(database)
    assert client.get("/courses").status_code == 200
    engine = create_engine(database)
    with engine.connect() as connection:
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        others = "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        number = connection.scalar(text(f"{cut} {others}"))
    engine.dispose()
    assert number
    assert client.get("/courses").status_code == 200


def test_not_ready_without_a_database(client_for: Callable[..., TestClient]) -> None:
    answer = client_for(NO_DATABASE).get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["error"] == "database_unavailable"


def test_a_database_host_that_never_answers_is_given_up_in_seconds(
    client_for: Callable[..., TestClient],
) -> None:
    # The kernel takes the connection; nobody ever speaks on it.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = client_for(f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/d")
        started = time.monotonic()
        answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["error"]) == (503, "database_unavailable")
    assert time.monotonic() - started < 8
