"""The demo's services: what they say by themselves, and the whole bot between them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from demo import chat_api, meteo_api
from demo.__main__ import Demo, main
from demo.model import ENGLISH, UKRAINIAN, about, city_in, think
from fakes import KEY, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import BotProcess

WINTER = date(2026, 1, 15)


@pytest.fixture
def demo() -> Iterator[Demo]:
    with Demo(0, host="127.0.0.1", token=TOKEN, key=KEY) as service:
        yield service


def start(bot: BotProcess, demo: Demo, **environment: str) -> None:
    bot.start(
        TELEGRAM_BASE_URL=demo.url,
        OPENAI_BASE_URL=f"{demo.url}/v1",
        OPEN_METEO_GEOCODING_URL=demo.url + meteo_api.SEARCH,
        OPEN_METEO_FORECAST_URL=demo.url + meteo_api.FORECAST,
        **environment,
    )


def ask(demo: Demo, question: str) -> Any:
    request = urllib.request.Request(
        f"{demo.url}/ask",
        data=json.dumps({"question": question}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as reply:
        return json.load(reply)


def test_the_bot_answers_by_the_tools_result(bot: BotProcess, demo: Demo) -> None:
    start(bot, demo)
    assert ask(demo, "/start")["answer"].startswith("Напишіть місто")
    told = ask(demo, "Що одягнути в Києві?")
    assert told["answer"].startswith("Київ: ")
    assert "Одягніть" in told["answer"]
    assert told["calls"] == [
        "sendChatAction",
        "completions",
        "search",
        "forecast",
        "completions",
        "sendMessage",
    ]
    # The temperature in the answer is the one that the forecast gave.
    warmth = meteo_api.forecast(50.45, 30.52, date.today())["current"]["temperature_2m"]  # noqa: DTZ011
    assert f", {warmth:g} °C," in told["answer"]
    assert ask(demo, "Нідеград")["answer"] == UKRAINIAN.unknown
    assert ask(demo, "Привіт, як справи?")["answer"] == UKRAINIAN.which_city


def test_the_bot_answers_in_english(bot: BotProcess, demo: Demo) -> None:
    start(bot, demo, WEATHER_AGENT_LANGUAGE="en")
    assert ask(demo, "What to wear in Kyiv?")["answer"].startswith("Kyiv: ")


@pytest.mark.parametrize(
    ("question", "city"),
    [
        ("Що одягнути в Києві?", "Київ"),
        ("львів", "Львів"),
        ("Їду до Одеси", "Одеса"),
        ("What to wear in Odesa?", "Odesa"),
        ("what to wear in Paris?", "Paris"),
        ("Нідеград?", "Нідеград"),
        ("Що одягнути?", None),
        ("?", None),
        ("", None),
    ],
)
def test_the_city_is_found(question: str, city: str | None) -> None:
    assert city_in(question) == city


def test_every_city_that_the_model_knows_is_found() -> None:
    for place in meteo_api.PLACES:
        for language, (name, country) in (("uk", place.uk), ("en", place.en)):
            assert city_in(name) == name
            (found,) = meteo_api.search(name, language)["results"]
            assert (found["name"], found["country"]) == (name, country)
    assert "results" not in meteo_api.search("Нідеград", "uk")


def test_the_weather_follows_the_season() -> None:
    winter = meteo_api.forecast(50.45, 30.52, WINTER)
    summer = meteo_api.forecast(50.45, 30.52, date(2026, 7, 15))
    south = meteo_api.forecast(-33.87, 151.21, WINTER)
    degrees = [one["current"]["temperature_2m"] for one in (winter, summer, south)]
    assert degrees[0] < 0
    assert degrees[1] > 15
    assert degrees[2] > 20
    assert winter["daily"]["time"] == ["2026-01-15", "2026-01-16", "2026-01-17"]
    assert meteo_api.SNOW in winter["daily"]["weather_code"]
    assert meteo_api.RAIN in summer["daily"]["weather_code"]


def test_the_model_says_what_to_wear() -> None:
    report = "Weather in Київ, Україна\nNow: light rain, 8 °C, feels like 5.5 °C, wind 4.5 m/s, x"
    assert about(report, UKRAINIAN) == (
        "Київ: невеликий дощ, 8 °C, відчувається як 5.5 °C, вітер 4.5 м/с."
        " Одягніть легку куртку. Візьміть парасольку."
    )
    assert about(report.replace("light rain", "fog"), ENGLISH) == (
        "Київ: fog, 8 °C, feels like 5.5 °C, wind 4.5 m/s. Wear a light jacket."
    )
    assert about("The weather service cannot be reached now.", ENGLISH) == ENGLISH.no_weather


def test_without_a_tool_the_model_calls_none() -> None:
    body = {"messages": [{"role": "user", "content": "Київ"}]}
    assert think(body) == chat_api.says(UKRAINIAN.which_city)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/bot1:wrong/getMe", 401),
        (f"/bot{TOKEN}/nosuch", 404),
        ("/v1/nosuch", 404),
        ("/v1/forecast?latitude=north", 400),
        ("/health", 200),
    ],
)
def test_what_is_not_known_is_refused(demo: Demo, path: str, status: int) -> None:
    try:
        with urllib.request.urlopen(demo.url + path, timeout=5) as reply:
            found = reply.status
    except urllib.error.HTTPError as error:
        found = error.code
        error.close()
    assert found == status


def test_a_wrong_key_or_a_stream_is_refused(demo: Demo) -> None:
    found = []
    for key, body in (("wrong", {"model": "m"}), (KEY, {"model": "m", "stream": True})):
        request = urllib.request.Request(
            demo.url + chat_api.PATH,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        found.append(refused.value.code)
        refused.value.close()
    assert found == [401, 400]


@pytest.mark.parametrize("words", [[], ["ask"], ["nosuch"], ["serve", "more"]])
def test_other_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "serve | ask QUESTION | check" in capsys.readouterr().err


def test_a_check_without_a_server_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 1
    assert "the demo service does not answer" in capsys.readouterr().err
