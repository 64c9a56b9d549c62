"""The whole bot as a process, between three services that it reaches over HTTP."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from conftest import until
from fakes import KEY, TOKEN, FakeOpenAI, FakeOpenMeteo, FakeTelegram, calls_tool, says

if TYPE_CHECKING:
    import subprocess

    from conftest import BotProcess

QUESTION = "Що одягнути в Києві?"
ANSWER = "У Києві легкий сніг і −3 °C. Одягніть теплу куртку, шапку та рукавички."


def start(
    bot: BotProcess, telegram: FakeTelegram, model: FakeOpenAI, weather: FakeOpenMeteo
) -> subprocess.Popen[str]:
    return bot.start(
        TELEGRAM_BASE_URL=telegram.url,
        OPENAI_BASE_URL=model.base_url,
        # Where a secret would show first.
        WEATHER_AGENT_LOG_LEVEL="DEBUG",
        OPEN_METEO_GEOCODING_URL=f"{weather.url}/v1/search",
        OPEN_METEO_FORECAST_URL=f"{weather.url}/v1/forecast",
    )


def test_a_question_gets_an_answer(
    bot: BotProcess, telegram: FakeTelegram, open_meteo: FakeOpenMeteo
) -> None:
    with FakeOpenAI(calls_tool("get_weather", city="Київ"), says(ANSWER)) as model:
        telegram.write(QUESTION)
        process = start(bot, telegram, model, open_meteo)
        until(telegram.sent, "an answer")
        # Another message goes to the same agent.
        telegram.write("А у Львові?")
        until(lambda: len(telegram.sent()) == 2, "a second answer")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=5)
    assert telegram.sent() == [ANSWER, ANSWER]
    assert telegram.calls("sendMessage")[0].fields["chat_id"] == "7"
    assert model.asked()[0][1]["content"] == QUESTION
    assert "light snow, -3.4 °C" in model.asked()[1][-1]["content"]
    assert open_meteo.requests[0].fields["name"] == "Київ"
    assert process.returncode == 0
    assert telegram.unconfirmed() == []
    assert "agent ready" in log
    assert TOKEN not in log
    assert KEY not in log
    assert "Traceback" not in log


def test_a_command_is_answered_without_the_model(
    bot: BotProcess, telegram: FakeTelegram, open_meteo: FakeOpenMeteo
) -> None:
    with FakeOpenAI(500) as model:
        telegram.write("/start")
        start(bot, telegram, model, open_meteo)
        until(telegram.sent, "a welcome")
    assert telegram.sent() == [
        "Напишіть місто або запитання, а я підкажу, що одягнути. Наприклад: Київ"
    ]
    assert model.requests == []


def test_a_failing_model_is_an_apology_and_the_bot_goes_on(
    bot: BotProcess, telegram: FakeTelegram, open_meteo: FakeOpenMeteo
) -> None:
    with FakeOpenAI(401, says(ANSWER)) as model:
        telegram.write(QUESTION)
        process = start(bot, telegram, model, open_meteo)
        until(telegram.sent, "an apology")
        telegram.write(QUESTION)
        until(lambda: len(telegram.sent()) == 2, "an answer")
        assert process.poll() is None
    assert telegram.sent() == [
        "Не вдалося підготувати відповідь. Спробуйте, будь ласка, ще раз за хвилину.",
        ANSWER,
    ]


def test_a_long_answer_is_sent_in_parts(
    bot: BotProcess, telegram: FakeTelegram, open_meteo: FakeOpenMeteo
) -> None:
    with FakeOpenAI(says("ш" * 5000)) as model:
        telegram.write(QUESTION)
        start(bot, telegram, model, open_meteo)
        until(lambda: len(telegram.sent()) == 2, "two parts")
    assert [len(part) for part in telegram.sent()] == [4096, 904]
