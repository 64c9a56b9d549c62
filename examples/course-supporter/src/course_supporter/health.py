"""Liveness and readiness. A container that is alive but not ready must not be restarted for it."""

from functools import cache
from http import HTTPStatus
from pathlib import Path

import structlog
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from fastapi import APIRouter
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from course_supporter.database import database_problem
from course_supporter.errors import Problem
from course_supporter.services import ServicesDep

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/health", tags=["health"])


# On the event loop, not in a thread: it answers only while the loop turns, which is what liveness is.
@router.get("")
async def live() -> dict[str, str]:
    return {"status": "alive"}


@router.get("/ready")
def ready(services: ServicesDep) -> dict[str, str]:
    head = head_revision(services.settings.home)
    current = _current_revision(services.engine)
    if current != head:
        message = f"The database is at revision {current or 'none'}, not {head}. Run the migrations."
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "database_schema", message)
    return {"status": "ready", "revision": head}


@cache
def head_revision(home: Path) -> str:
    """The revision that this version's own migrations lead to."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(home / "migrations").replace("%", "%%"))
    head = ScriptDirectory.from_config(config).get_current_head()
    if head is None:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no_migrations", "migrations/ holds no migration.")
    return head


def _current_revision(engine: Engine) -> str | None:
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            return MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as error:
        log.warning("not ready", reason=type(error).__name__, error=str(error))
        raise database_problem(error) from error
