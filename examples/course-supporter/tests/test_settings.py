import pytest

from course_supporter.errors import ConfigurationError
from course_supporter.settings import load_settings


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_or_empty_database_url_is_named(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is not None:
        monkeypatch.setenv("DATABASE_URL", value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert str(caught.value) == "DATABASE_URL is not set or empty"


@pytest.mark.parametrize(
    "value",
    ["mysql://u:secret-word@h/d", "secret-word", "postgresql://u:secret-word@h:port/d", "sqlite:///x"],
)
def test_another_kind_of_url_is_refused_without_repeating_it(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert str(caught.value).startswith("DATABASE_URL is not a PostgreSQL URL")
    assert "secret-word" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_usual_spelling_means_psycopg_3(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("DATABASE_URL", f"{scheme}://u:p%40ss@h:5433/d?sslmode=require")
    url = load_settings().sqlalchemy_url
    assert url.drivername == "postgresql+psycopg"
    assert (url.password, url.port, url.query["sslmode"]) == ("p@ss", 5433, "require")


def test_a_password_is_not_shown_by_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:secret-word@h/d")
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    shown = repr(load_settings())
    assert "secret-word" not in shown
    assert "secret-key" not in shown


def test_every_bad_variable_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "loud")
    monkeypatch.setenv("OPENAI_BASE_URL", "no-url")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    message = str(caught.value)
    assert all(name in message for name in ("DATABASE_URL", "LOG_LEVEL", "OPENAI_BASE_URL"))
    assert "\n" not in message
