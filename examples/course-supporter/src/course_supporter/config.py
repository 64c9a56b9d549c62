"""What `config/*.toml` says: one file a section, named after it."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from course_supporter.errors import ConfigurationError

Seconds = Annotated[float, Field(gt=0, le=600)]


class _Section(BaseModel):
    # A misspelt key is an error: ignored, it would leave the default in force unnoticed.
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseConfig(_Section):
    # libpq counts whole seconds, and takes anything below two as two.
    connect_timeout_seconds: Annotated[int, Field(ge=2, le=60)]
    statement_timeout_seconds: Seconds
    pool_size: Annotated[int, Field(ge=1, le=100)]
    pool_overflow: Annotated[int, Field(ge=0, le=100)]
    pool_timeout_seconds: Seconds


class CoursesConfig(_Section):
    page_size: Annotated[int, Field(ge=1)]
    max_page_size: Annotated[int, Field(ge=1, le=1000)]


class OutlineConfig(_Section):
    model: Annotated[str, Field(min_length=1)]
    prompt_version: Annotated[str, Field(pattern=r"^v[0-9]+$")]
    timeout_seconds: Seconds
    max_retries: Annotated[int, Field(ge=0, le=5)]


class Config(_Section):
    database: DatabaseConfig
    courses: CoursesConfig
    outline: OutlineConfig


def load_config(home: Path) -> Config:
    """Read `home/config`, or raise ConfigurationError with one line that names the file."""
    sections = {name: _read(home / "config" / f"{name}.toml") for name in Config.model_fields}
    try:
        return Config.model_validate(sections)
    except ValidationError as error:
        section, *keys = error.errors()[0]["loc"]
        key = ".".join(map(str, keys))
        raise ConfigurationError(f"config/{section}.toml: {key}: {error.errors()[0]['msg']}") from None


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}); COURSE_SUPPORTER_HOME must name the folder above it"
        ) from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from None
