"""Runs the migrations with the application's own settings, so the two cannot disagree on the database."""

import logging
import sys
from typing import NoReturn

from alembic import context
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from course_supporter.config import load_config
from course_supporter.database import make_engine
from course_supporter.errors import ConfigurationError
from course_supporter.logs import configure_logs
from course_supporter.models import Base
from course_supporter.settings import load_settings

# Any number will do, as long as every version of this application uses the same one.
MIGRATION_LOCK = 7_305_118_401


def migrate() -> None:
    settings = load_settings()
    configure_logs(settings.home, settings.log_level)
    # Here and not in config/logging.json: the readiness check uses the same part of Alembic, silently.
    logging.getLogger("alembic.runtime.migration").setLevel("INFO")
    engine = make_engine(settings, load_config(settings.home).database)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            # Two deploy jobs at once: the second waits for the first, then finds nothing to do. Neither
            # that wait nor a migration of a large table ends with the statement timeout of a request.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            context.run_migrations()
    engine.dispose()


def stop(reason: object) -> NoReturn:
    sys.exit(f"course-supporter: {reason}")


if context.is_offline_mode():
    stop("migrations need a database; SQL scripts (--sql) are not supported")
try:
    migrate()
except ConfigurationError as error:
    stop(error)
except OperationalError as error:
    # psycopg's own words name host, port and user, never the password.
    stop(f"the database cannot be used: {' '.join(str(error.orig).split())}")
