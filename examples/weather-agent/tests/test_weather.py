from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from langchain_core.messages import ToolMessage

from fakes import FakeOpenMeteo, Reply
from weather_agent.agent import weather_tool
from weather_agent.weather import WeatherService


def ask_tool(service: FakeOpenMeteo, **arguments: object) -> str:
    """Call the tool as the agent does, against the server; return what the model would read."""

    async def ask() -> str:
        async with httpx.AsyncClient(timeout=2) as client:
            tool = weather_tool(
                WeatherService(
                    client,
                    geocoding_url=f"{service.url}/v1/search",
                    forecast_url=f"{service.url}/v1/forecast",
                    language="uk",
                )
            )
            call = {"type": "tool_call", "id": "1", "name": "get_weather", "args": arguments}
            message = await tool.ainvoke(call)
        assert isinstance(message, ToolMessage)
        return str(message.content)

    return asyncio.run(ask())


def test_the_report_holds_the_weather(open_meteo: FakeOpenMeteo) -> None:
    assert ask_tool(open_meteo, city="Київ") == (
        "Weather in Київ, Україна\n"
        "Now: light snow, -3.4 °C, feels like -8.1 °C, wind 4.5 m/s, precipitation 0.2 mm\n"
        "2026-01-15: light snow, -7 to -2 °C, chance of precipitation 80 %, wind up to 6 m/s\n"
        "2026-01-16: overcast, -5.5 to 0.5 °C, chance of precipitation 10 %, wind up to 3 m/s\n"
        "2026-01-17: conditions unknown, ? to 1 °C, chance of precipitation 5 %,"
        " wind up to 2.5 m/s"
    )


def test_the_services_are_asked_in_turn(open_meteo: FakeOpenMeteo) -> None:
    ask_tool(open_meteo, city=" Київ ")
    search, forecast = open_meteo.requests
    assert search.path == "/v1/search"
    assert search.fields["name"] == "Київ"
    assert search.fields["language"] == "uk"
    assert forecast.path == "/v1/forecast"
    assert (forecast.fields["latitude"], forecast.fields["longitude"]) == ("50.45", "30.52")
    assert forecast.fields["wind_speed_unit"] == "ms"
    assert "apparent_temperature" in forecast.fields["current"].split(",")


def test_an_unknown_city_is_a_message(open_meteo: FakeOpenMeteo) -> None:
    open_meteo.answers.search = Reply({"generationtime_ms": 0.5})
    answer = ask_tool(open_meteo, city="Нідеград")
    assert answer == "No place called 'Нідеград' was found. Ask the user to check the name."


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_a_failing_service_is_a_message(open_meteo: FakeOpenMeteo, status: int) -> None:
    open_meteo.answers.forecast = Reply({"error": True, "reason": "no"}, status)
    assert "cannot be reached" in ask_tool(open_meteo, city="Київ")


def test_a_service_that_is_down_is_a_message() -> None:
    with FakeOpenMeteo() as gone:
        pass
    assert "cannot be reached" in ask_tool(gone, city="Київ")


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"[]", {"current": {}}, {"current": None, "daily": None}]
)
def test_a_malformed_forecast_is_a_message(open_meteo: FakeOpenMeteo, body: Any) -> None:
    open_meteo.answers.forecast = Reply(body)
    assert "makes no sense" in ask_tool(open_meteo, city="Київ")


def test_a_malformed_place_is_a_message(open_meteo: FakeOpenMeteo) -> None:
    open_meteo.answers.search = Reply({"results": [{"name": "Київ"}]})
    assert "makes no sense" in ask_tool(open_meteo, city="Київ")


def test_wrong_arguments_are_a_message(open_meteo: FakeOpenMeteo) -> None:
    assert ask_tool(open_meteo, town="Київ") == "Tool input validation error"
    assert open_meteo.requests == []
