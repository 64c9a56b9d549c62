"""What the environment says. The only module that reads it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, HttpUrl, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from course_supporter.errors import ConfigurationError

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def _postgresql_url(value: SecretStr) -> SecretStr:
    # The message must not repeat the value: it may hold a password.
    problem = "is not a PostgreSQL URL (postgresql://USER:PASSWORD@HOST:PORT/NAME)"
    try:
        url = make_url(value.get_secret_value())
    except (ArgumentError, ValueError):
        raise ValueError(problem) from None
    if url.drivername not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise ValueError(problem)
    return value


class Settings(BaseSettings):
    """Settings from environment variables. An empty variable counts as one that is not set."""

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True, hide_input_in_errors=True)

    database_url: Annotated[SecretStr, AfterValidator(_postgresql_url)]
    openai_api_key: SecretStr | None = None
    openai_base_url: HttpUrl = HttpUrl("https://api.openai.com/v1")
    log_level: LogLevel = "INFO"
    home: Annotated[Path, Field(validation_alias="COURSE_SUPPORTER_HOME", default_factory=Path.cwd)]

    @property
    def sqlalchemy_url(self) -> URL:
        """The database's URL with psycopg 3 as its driver, whichever spelling the environment used."""
        return make_url(self.database_url.get_secret_value()).set(drivername="postgresql+psycopg")


def load_settings() -> Settings:
    """Read the environment, or raise ConfigurationError with one line that names every bad variable."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [_explain(str(item["loc"][0]), item["type"], item["msg"]) for item in error.errors()]
        raise ConfigurationError("; ".join(problems)) from None


def _explain(field: str, kind: str, message: str) -> str:
    variable = field.upper()
    if kind == "missing":
        return f"{variable} is not set or empty"
    return f"{variable} {message.removeprefix('Value error, ')}"
