"""Everything that can be set, read from the environment in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args
from urllib.parse import urlsplit

from weather_agent import liveness

if TYPE_CHECKING:
    from collections.abc import Mapping

Language = Literal["uk", "en"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

REQUIRED = ("TELEGRAM_BOT_TOKEN", "OPENAI_API_KEY")
# What an attempt may take on top of Telegram's own waiting: connecting, TLS, the reply itself.
NETWORK_SECONDS = 5.0
# Pauses that may not grow to this would be impolite to a service in trouble.
LEAST_ROOM_FOR_PAUSE = 2.0
LONGEST_PAUSE = 30.0
# A tenth of the allowed silence is kept free: exact sums would turn unhealthy by milliseconds.
NOT_USED_UP = 0.9


class ConfigurationError(Exception):
    """The environment is not right. The message is one line that names the variable."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The bot's configuration. Times are in seconds. `repr` shows neither secret."""

    telegram_bot_token: str = field(repr=False)
    openai_api_key: str = field(repr=False)
    telegram_base_url: str = "https://api.telegram.org"
    openai_base_url: str = "https://api.openai.com/v1"
    openai_model: str = "gpt-4o-mini"
    geocoding_url: str = "https://geocoding-api.open-meteo.com/v1/search"
    forecast_url: str = "https://api.open-meteo.com/v1/forecast"
    language: Language = "uk"
    log_level: LogLevel = "INFO"
    heartbeat_file: str = liveness.DEFAULT_FILE
    poll_seconds: int = 10
    stale_seconds: float = liveness.DEFAULT_STALE_SECONDS

    def __post_init__(self) -> None:
        """Refuse times with which a healthy bot would be called frozen."""
        if self._room_for_pause < LEAST_ROOM_FOR_PAUSE:
            least = math.ceil((self.attempt_seconds + LEAST_ROOM_FOR_PAUSE) / NOT_USED_UP)
            message = (
                f"{liveness.STALE_VARIABLE} must be at least {least}"
                f" when WEATHER_AGENT_POLL_SECONDS is {self.poll_seconds}"
            )
            raise ConfigurationError(message)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read and check the variables; an empty one counts as not set.

        Raises ConfigurationError, whose message names the variable and never shows a secret.
        """
        given = {name: value.strip() for name, value in environment.items() if value.strip()}
        missing = [name for name in REQUIRED if name not in given]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            names = " and ".join(missing)
            message = f"{names} {verb} missing or empty; set it in the environment or in .env"
            raise ConfigurationError(message)
        return cls(
            telegram_bot_token=given["TELEGRAM_BOT_TOKEN"],
            openai_api_key=given["OPENAI_API_KEY"],
            telegram_base_url=_url(given, "TELEGRAM_BASE_URL", cls.telegram_base_url),
            openai_base_url=_url(given, "OPENAI_BASE_URL", cls.openai_base_url),
            openai_model=given.get("OPENAI_MODEL", cls.openai_model),
            geocoding_url=_url(given, "OPEN_METEO_GEOCODING_URL", cls.geocoding_url),
            forecast_url=_url(given, "OPEN_METEO_FORECAST_URL", cls.forecast_url),
            language=_language(given),
            log_level=_log_level(given),
            heartbeat_file=given.get(liveness.FILE_VARIABLE, cls.heartbeat_file),
            poll_seconds=int(_seconds(given, "WEATHER_AGENT_POLL_SECONDS", cls.poll_seconds, 1)),
            stale_seconds=_seconds(given, liveness.STALE_VARIABLE, cls.stale_seconds, 1),
        )

    @property
    def attempt_seconds(self) -> float:
        """How long one attempt to reach Telegram may take before it counts as failed."""
        return self.poll_seconds + NETWORK_SECONDS

    @property
    def longest_pause(self) -> float:
        """The longest wait between two attempts.

        A beat comes at the end of each attempt, so the longest honest silence is one pause and
        one attempt. Together they stay below `stale_seconds`: retrying is never called frozen.
        """
        return min(LONGEST_PAUSE, self._room_for_pause)

    @property
    def _room_for_pause(self) -> float:
        return round(self.stale_seconds * NOT_USED_UP - self.attempt_seconds, 3)


def _url(given: Mapping[str, str], name: str, default: str) -> str:
    url = given.get(name, default).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = f"{name} is not an http or https address: {url!r}"
        raise ConfigurationError(message)
    return url


def _seconds(given: Mapping[str, str], name: str, default: float, least: float) -> float:
    text = given.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= least):
        message = f"{name} must be a number of seconds, {least:g} or more: {text!r}"
        raise ConfigurationError(message)
    return value


def _language(given: Mapping[str, str]) -> Language:
    text = given.get("WEATHER_AGENT_LANGUAGE", Settings.language).lower()
    for language in _LANGUAGES:
        if text == language:
            return language
    message = f"WEATHER_AGENT_LANGUAGE must be one of {', '.join(_LANGUAGES)}: {text!r}"
    raise ConfigurationError(message)


def _log_level(given: Mapping[str, str]) -> LogLevel:
    text = given.get("WEATHER_AGENT_LOG_LEVEL", Settings.log_level).upper()
    for level in _LOG_LEVELS:
        if text == level:
            return level
    message = f"WEATHER_AGENT_LOG_LEVEL must be one of {', '.join(_LOG_LEVELS)}: {text!r}"
    raise ConfigurationError(message)


_LANGUAGES: tuple[Language, ...] = get_args(Language)
_LOG_LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
