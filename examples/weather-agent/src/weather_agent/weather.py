"""The weather of a city, from Open-Meteo, as text for the model."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - pydantic reads the annotations at run time
from typing import TYPE_CHECKING, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

# The WMO codes that Open-Meteo uses: https://open-meteo.com/en/docs (table at the page's end).
CONDITIONS = {
    0: "clear sky",
    1: "mainly clear",
    2: "partly cloudy",
    3: "overcast",
    45: "fog",
    48: "freezing fog",
    51: "light drizzle",
    53: "drizzle",
    55: "dense drizzle",
    56: "light freezing drizzle",
    57: "freezing drizzle",
    61: "light rain",
    63: "rain",
    65: "heavy rain",
    66: "light freezing rain",
    67: "freezing rain",
    71: "light snow",
    73: "snow",
    75: "heavy snow",
    77: "snow grains",
    80: "light rain showers",
    81: "rain showers",
    82: "violent rain showers",
    85: "light snow showers",
    86: "heavy snow showers",
    95: "thunderstorm",
    96: "thunderstorm with light hail",
    99: "thunderstorm with heavy hail",
}
FORECAST_DAYS = 3


class WeatherError(Exception):
    """The weather could not be had. The message is meant for the model."""


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Place(_Reply):
    name: str
    country: str = ""
    latitude: float
    longitude: float


class _Places(_Reply):
    results: list[_Place] = []  # left out altogether when nothing was found


class _Now(_Reply):
    temperature_2m: float
    apparent_temperature: float
    precipitation: float
    weather_code: int
    wind_speed_10m: float


class _Days(_Reply):
    time: list[date]
    weather_code: list[int | None]
    temperature_2m_min: list[float | None]
    temperature_2m_max: list[float | None]
    precipitation_probability_max: list[float | None]
    wind_speed_10m_max: list[float | None]


class _Forecast(_Reply):
    current: _Now
    daily: _Days


_AnyReply = TypeVar("_AnyReply", bound=_Reply)


class WeatherService:
    """Asks Open-Meteo: first where the city is, then what the weather is there."""

    def __init__(
        self, client: httpx.AsyncClient, *, geocoding_url: str, forecast_url: str, language: str
    ) -> None:
        """Use `client` for every call; `language` is the language of the cities' names."""
        self._client = client
        self._geocoding_url = geocoding_url
        self._forecast_url = forecast_url
        self._language = language

    async def report(self, city: str) -> str:
        """Return the weather now and for three days; raises WeatherError when it cannot."""
        place = await self._find(city)
        forecast = await self._ask(
            self._forecast_url,
            {
                "latitude": place.latitude,
                "longitude": place.longitude,
                "current": ",".join(_Now.model_fields),
                "daily": ",".join(name for name in _Days.model_fields if name != "time"),
                "forecast_days": FORECAST_DAYS,
                "timezone": "auto",
                "wind_speed_unit": "ms",
            },
            _Forecast,
        )
        where = ", ".join(filter(None, (place.name, place.country)))
        return "\n".join([f"Weather in {where}", _now(forecast.current), *_days(forecast.daily)])

    async def _find(self, city: str) -> _Place:
        found = await self._ask(
            self._geocoding_url,
            {"name": city.strip(), "count": 1, "language": self._language, "format": "json"},
            _Places,
        )
        if not found.results:
            message = f"No place called {city!r} was found. Ask the user to check the name."
            raise WeatherError(message)
        return found.results[0]

    async def _ask(
        self, url: str, query: Mapping[str, str | float], reply: type[_AnyReply]
    ) -> _AnyReply:
        try:
            response = await self._client.get(url, params=query)
            response.raise_for_status()
            return reply.model_validate_json(response.content)
        except httpx.HTTPError as error:
            message = "The weather service cannot be reached now. Suggest to try again later."
            raise WeatherError(message) from error
        except ValidationError as error:
            message = "The weather service sent a reply that makes no sense. Suggest to try later."
            raise WeatherError(message) from error


def _now(now: _Now) -> str:
    return (
        f"Now: {_condition(now.weather_code)}, {now.temperature_2m:g} °C,"
        f" feels like {now.apparent_temperature:g} °C, wind {now.wind_speed_10m:g} m/s,"
        f" precipitation {now.precipitation:g} mm"
    )


def _days(days: _Days) -> list[str]:
    # Without strict: a day that lacks a value in one list is left out, and the rest is shown.
    rows = zip(
        days.time,
        days.weather_code,
        days.temperature_2m_min,
        days.temperature_2m_max,
        days.precipitation_probability_max,
        days.wind_speed_10m_max,
        strict=False,
    )
    return [
        f"{day}: {_condition(code)}, {_value(low)} to {_value(high)} °C,"
        f" chance of precipitation {_value(chance)} %, wind up to {_value(wind)} m/s"
        for day, code, low, high, chance, wind in rows
    ]


def _condition(code: int | None) -> str:
    return "conditions unknown" if code is None else CONDITIONS.get(code, f"WMO code {code}")


def _value(number: float | None) -> str:
    return "?" if number is None else f"{number:g}"
