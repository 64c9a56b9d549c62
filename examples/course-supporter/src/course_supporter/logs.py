"""Logs: one JSON object a line, on standard output, from this application and from the libraries alike."""

import json
import logging
import logging.config
from pathlib import Path

import structlog
from structlog.typing import Processor

from course_supporter.errors import ConfigurationError

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def json_formatter() -> logging.Formatter:
    """The formatter that `config/logging.json` names, so that uvicorn's own lines are JSON too."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )


def configure_logs(home: Path, level: str) -> None:
    """Apply `config/logging.json`, and send structlog's lines the same way."""
    path = home / "config" / "logging.json"
    try:
        logging.config.dictConfig(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be used: {error}") from None
    logging.getLogger("course_supporter").setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
