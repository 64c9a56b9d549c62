"""The application. Importing this module reads no environment and opens nothing; starting it does."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from course_supporter import __version__, courses, health
from course_supporter.database import database_problem
from course_supporter.errors import ConfigurationError, Problem
from course_supporter.logs import configure_logs
from course_supporter.request_log import RequestLog
from course_supporter.services import Services, make_services
from course_supporter.settings import Settings, load_settings

log = structlog.get_logger(__name__)

# uvicorn's own exit status for an application that cannot start: a parent of workers that sees it stops
# too. Any other status makes it start a new worker at once, again and again.
UVICORN_STARTUP_FAILURE = 3


def start(settings: Settings) -> Services:
    configure_logs(settings.home, settings.log_level)
    return make_services(settings)


def _start_or_exit(settings: Callable[[], Settings]) -> Services:
    try:
        return start(settings())
    except ConfigurationError as error:
        sys.stderr.write(f"course-supporter: {error}\n")
        sys.stderr.flush()
        # An exception from here reaches the log as a traceback of forty lines. Nothing is open yet.
        os._exit(UVICORN_STARTUP_FAILURE)


def create_app(settings: Callable[[], Settings] = load_settings) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = _start_or_exit(settings)
        app.state.services = services
        log.info("started", version=app.version, prompt_version=services.config.outline.prompt_version)
        try:
            yield
        finally:
            await services.outliner.close()
            services.engine.dispose()
            log.info("stopped")

    app = FastAPI(title="Course Supporter", version=__version__, lifespan=lifespan)
    app.add_middleware(RequestLog)
    app.include_router(health.router)
    app.include_router(courses.router)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(SQLAlchemyError, _on_database_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_defect)
    return app


def _answer(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": code, "message": message}, status_code=status)


def _on_problem(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class alone
    return _answer(error.status, error.code, error.message)


def _on_database_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SQLAlchemyError)  # noqa: S101 - registered for this class alone
    log.error("database failed", reason=type(error).__name__, error=str(error))
    return _on_problem(request, database_problem(error))


def _on_invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    # FastAPI's own answer repeats the input, and fails with status 500 where that is not valid Unicode.
    problems = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
    message = "; ".join(problems).encode("ascii", "backslashreplace").decode()
    return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", message)


def _on_http_exception(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    response = _answer(error.status_code, HTTPStatus(error.status_code).name.lower(), str(error.detail))
    response.headers.update(error.headers or {})
    return response


def _on_defect(_request: Request, _error: Exception) -> JSONResponse:
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong here.")


app = create_app()
