from __future__ import annotations

import asyncio

import openai
import pytest

from fakes import KEY, TOKEN, FakeOpenAI, FakeOpenMeteo, Reply, calls_tool, says
from weather_agent.agent import AgentError, build_agent
from weather_agent.settings import Language, Settings


def answer(
    question: str, model: FakeOpenAI, weather: FakeOpenMeteo, language: Language = "uk"
) -> str:
    settings = Settings(
        telegram_bot_token=TOKEN,
        openai_api_key=KEY,
        openai_base_url=model.base_url,
        openai_model="test-model",
        geocoding_url=f"{weather.url}/v1/search",
        forecast_url=f"{weather.url}/v1/forecast",
        language=language,
    )
    return asyncio.run(build_agent(settings).answer(question))


def test_the_weather_reaches_the_model(open_meteo: FakeOpenMeteo) -> None:
    with FakeOpenAI(calls_tool("get_weather", city="Київ"), says("Шапка!")) as model:
        assert answer("Київ", model, open_meteo) == "Шапка!"
    first, second = model.asked()
    assert [message["role"] for message in first] == ["system", "user"]
    assert "Answer in Ukrainian" in first[0]["content"]
    assert first[1]["content"] == "Київ"
    assert second[-1]["role"] == "tool"
    assert second[-1]["tool_call_id"] == "call_1"
    assert "light snow, -3.4 °C" in second[-1]["content"]


def test_the_model_is_told_of_the_tool(open_meteo: FakeOpenMeteo) -> None:
    with FakeOpenAI(says("Яке місто?")) as model:
        answer("Привіт", model, open_meteo)
    body = model.requests[0].body
    assert body["model"] == "test-model"
    assert [tool["function"]["name"] for tool in body["tools"]] == ["get_weather"]
    assert body["tools"][0]["function"]["parameters"]["required"] == ["city"]
    assert open_meteo.requests == []


def test_the_language_is_a_setting(open_meteo: FakeOpenMeteo) -> None:
    with FakeOpenAI(calls_tool("get_weather", city="Kyiv"), says("A hat!")) as model:
        answer("Kyiv", model, open_meteo, language="en")
    assert "Answer in English" in model.asked()[0][0]["content"]
    assert open_meteo.requests[0].fields["language"] == "en"


def test_trouble_with_the_weather_is_the_models_to_explain(open_meteo: FakeOpenMeteo) -> None:
    open_meteo.answers.search = Reply(b"<html>", 502)
    with FakeOpenAI(calls_tool("get_weather", city="Київ"), says("Пізніше.")) as model:
        assert answer("Київ", model, open_meteo) == "Пізніше."
    assert "cannot be reached" in model.asked()[1][-1]["content"]


def test_an_invented_tool_is_answered(open_meteo: FakeOpenMeteo) -> None:
    with FakeOpenAI(calls_tool("get_tides"), says("Гаразд.")) as model:
        assert answer("Одеса", model, open_meteo) == "Гаразд."
    assert model.asked()[1][-1]["content"] == "There is no tool 'get_tides'."


def test_a_model_that_never_answers_is_stopped(open_meteo: FakeOpenMeteo) -> None:
    with (
        FakeOpenAI(calls_tool("get_weather", city="Київ")) as model,
        pytest.raises(AgentError, match="no answer in 5 steps"),
    ):
        answer("Київ", model, open_meteo)
    assert len(model.requests) == 5


def test_an_empty_answer_is_an_error(open_meteo: FakeOpenMeteo) -> None:
    with FakeOpenAI(says("  ")) as model, pytest.raises(AgentError, match="empty"):
        answer("Київ", model, open_meteo)


def test_a_short_failure_of_the_model_is_retried(open_meteo: FakeOpenMeteo) -> None:
    with FakeOpenAI(500, says("Тепло.")) as model:
        assert answer("Київ", model, open_meteo) == "Тепло."
    assert len(model.requests) == 2


def test_a_refused_key_is_an_error(open_meteo: FakeOpenMeteo) -> None:
    with FakeOpenAI(401) as model, pytest.raises(openai.AuthenticationError):
        answer("Київ", model, open_meteo)
