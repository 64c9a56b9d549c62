from __future__ import annotations

import pytest

from weather_agent.settings import ConfigurationError, Settings

SECRETS = {"TELEGRAM_BOT_TOKEN": "1:t0ken", "OPENAI_API_KEY": "sk-s3cret"}


def test_the_secrets_alone_are_enough() -> None:
    settings = Settings.from_environment(SECRETS)
    assert settings.telegram_bot_token == "1:t0ken"
    assert settings.openai_api_key == "sk-s3cret"
    assert settings.language == "uk"
    assert settings.telegram_base_url == "https://api.telegram.org"


def test_every_variable_is_read() -> None:
    settings = Settings.from_environment(
        {
            **SECRETS,
            "TELEGRAM_BASE_URL": "http://telegram.test/",
            "OPENAI_BASE_URL": "http://openai.test/v1",
            "OPENAI_MODEL": "some-model",
            "OPEN_METEO_GEOCODING_URL": "http://meteo.test/search",
            "OPEN_METEO_FORECAST_URL": "http://meteo.test/forecast",
            "WEATHER_AGENT_LANGUAGE": "EN",
            "WEATHER_AGENT_LOG_LEVEL": "debug",
            "WEATHER_AGENT_HEARTBEAT_FILE": "/tmp/beat",
            "WEATHER_AGENT_POLL_SECONDS": "2",
            "WEATHER_AGENT_STALE_SECONDS": "12.5",
        }
    )
    assert settings == Settings(
        telegram_bot_token="1:t0ken",
        openai_api_key="sk-s3cret",
        telegram_base_url="http://telegram.test",
        openai_base_url="http://openai.test/v1",
        openai_model="some-model",
        geocoding_url="http://meteo.test/search",
        forecast_url="http://meteo.test/forecast",
        language="en",
        log_level="DEBUG",
        heartbeat_file="/tmp/beat",
        poll_seconds=2,
        stale_seconds=12.5,
    )


def test_an_empty_optional_variable_counts_as_not_set() -> None:
    empty = {"OPENAI_MODEL": " ", "WEATHER_AGENT_POLL_SECONDS": "", "OPENAI_BASE_URL": ""}
    assert Settings.from_environment({**SECRETS, **empty}) == Settings.from_environment(SECRETS)


def test_the_secrets_do_not_show() -> None:
    shown = repr(Settings.from_environment(SECRETS))
    assert "language" in shown
    assert "t0ken" not in shown
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEGRAM_BOT_TOKEN", "  "),
        ("OPENAI_API_KEY", ""),
        ("TELEGRAM_BASE_URL", "api.telegram.org"),
        ("OPENAI_BASE_URL", "ftp://files.test"),
        ("OPEN_METEO_GEOCODING_URL", "http://"),
        ("WEATHER_AGENT_LANGUAGE", "tlh"),
        ("WEATHER_AGENT_LOG_LEVEL", "loud"),
        ("WEATHER_AGENT_POLL_SECONDS", "0"),
        ("WEATHER_AGENT_POLL_SECONDS", "soon"),
        ("WEATHER_AGENT_STALE_SECONDS", "nan"),
        ("WEATHER_AGENT_STALE_SECONDS", "16"),
    ],
)
def test_a_wrong_value_is_refused_by_name_in_one_line(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Settings.from_environment({**SECRETS, name: value})
    assert name in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("poll", "stale"), [(10, 45.0), (1, 9.0), (50, 120.0), (10, 600.0)])
def test_an_honest_silence_is_never_called_frozen(poll: int, stale: float) -> None:
    settings = Settings(
        telegram_bot_token="t", openai_api_key="k", poll_seconds=poll, stale_seconds=stale
    )
    assert settings.longest_pause + settings.attempt_seconds < stale
