"""The way to PostgreSQL: an engine that connects when it is first used, and what its failures mean."""

from http import HTTPStatus

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

from course_supporter.config import DatabaseConfig
from course_supporter.errors import Problem
from course_supporter.settings import Settings


def make_engine(settings: Settings, config: DatabaseConfig) -> Engine:
    """An engine that has not connected yet: the application starts without its database."""
    statement_timeout = int(config.statement_timeout_seconds * 1000)
    return create_engine(
        settings.sqlalchemy_url,
        pool_size=config.pool_size,
        max_overflow=config.pool_overflow,
        pool_timeout=config.pool_timeout_seconds,
        # A connection that died in the pool is replaced, and no request fails for it.
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": config.connect_timeout_seconds,
            "options": f"-c statement_timeout={statement_timeout}",
            "application_name": "course-supporter",
            # Without it, a database host that vanished holds a request for the kernel's quarter of an hour.
            "tcp_user_timeout": statement_timeout,
        },
    )


def database_problem(error: SQLAlchemyError) -> Problem:
    """What a client is told of a failure: never the statement, the host or the user."""
    if isinstance(error, ProgrammingError):
        message = "The database's tables are not what this version needs. Run the migrations."
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "database_schema", message)
    if isinstance(error, IntegrityError):
        return Problem(HTTPStatus.CONFLICT, "conflict", "The change contradicts what is stored.")
    message = "The database cannot be used at the moment."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "database_unavailable", message)
