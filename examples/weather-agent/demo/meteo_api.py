"""The part of Open-Meteo that the bot uses, for a few cities, with weather that is made up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from demo.server import Reply

if TYPE_CHECKING:
    from demo.server import Request

SEARCH = "/v1/search"
FORECAST = "/v1/forecast"
CLOUDY, RAIN, SNOW = 2, 61, 71
WARMEST_DAY = 200  # in the middle of July, north of the equator


@dataclass(frozen=True)
class Place:
    """A city. `stem` begins its name in every grammatical case, in lower case."""

    stem: str
    uk: tuple[str, str]
    en: tuple[str, str]
    latitude: float
    longitude: float


PLACES = (
    Place("ки[єї]в", ("Київ", "Україна"), ("Kyiv", "Ukraine"), 50.45, 30.52),
    Place("льв[іо]в", ("Львів", "Україна"), ("Lviv", "Ukraine"), 49.84, 24.02),
    Place("одес", ("Одеса", "Україна"), ("Odesa", "Ukraine"), 46.48, 30.73),
    Place("харк[іо]в", ("Харків", "Україна"), ("Kharkiv", "Ukraine"), 49.98, 36.25),
    Place("дніпр", ("Дніпро", "Україна"), ("Dnipro", "Ukraine"), 48.45, 34.98),
    Place("ужгород", ("Ужгород", "Україна"), ("Uzhhorod", "Ukraine"), 48.62, 22.29),
    Place("варшав", ("Варшава", "Польща"), ("Warsaw", "Poland"), 52.23, 21.01),
    Place("лондон", ("Лондон", "Велика Британія"), ("London", "United Kingdom"), 51.51, -0.13),
    Place("сідне", ("Сідней", "Австралія"), ("Sydney", "Australia"), -33.87, 151.21),
)


def respond(request: Request, today: date) -> Reply:
    """Answer a search for a city, or a question for its forecast."""
    if request.path == SEARCH:
        return Reply(search(request.fields.get("name", ""), request.fields.get("language", "en")))
    if request.path == FORECAST:
        try:
            latitude, longitude = (
                float(request.fields[name]) for name in ("latitude", "longitude")
            )
        except (KeyError, ValueError):
            return Reply({"error": True, "reason": "latitude and longitude are numbers"}, 400)
        return Reply(forecast(latitude, longitude, today))
    return Reply({"error": True, "reason": "no such path"}, 404)


def search(name: str, language: str) -> dict[str, Any]:
    """Find a city by its name; `results` is left out when there is none, as the service does."""
    for place in PLACES:
        if name.strip().casefold() in (place.uk[0].casefold(), place.en[0].casefold()):
            shown, country = place.uk if language == "uk" else place.en
            found = {"latitude": place.latitude, "longitude": place.longitude}
            return {"results": [{"name": shown, "country": country, **found}]}
    return {"generationtime_ms": 0.1}


def forecast(latitude: float, longitude: float, today: date) -> dict[str, Any]:
    """Make up weather for three days: it follows the season, and is the same all day long."""
    days = [today + timedelta(days=number) for number in range(3)]
    warmth = [_warmth(latitude, day) for day in days]
    wet = [(day.toordinal() + round(latitude + longitude)) % 3 == 0 for day in days]
    codes = [_code(degrees, rain) for degrees, rain in zip(warmth, wet, strict=True)]
    return {
        "current": {
            "time": f"{today}T12:00",
            "temperature_2m": warmth[0],
            "apparent_temperature": round(warmth[0] - 2.5, 1),
            "precipitation": 0.4 if wet[0] else 0.0,
            "weather_code": codes[0],
            "wind_speed_10m": 4.5,
        },
        "daily": {
            "time": [str(day) for day in days],
            "weather_code": codes,
            "temperature_2m_min": [round(degrees - 4, 1) for degrees in warmth],
            "temperature_2m_max": [round(degrees + 3, 1) for degrees in warmth],
            "precipitation_probability_max": [80 if rain else 10 for rain in wet],
            "wind_speed_10m_max": [6.0, 5.0, 7.5],
        },
    }


def _warmth(latitude: float, day: date) -> float:
    # Kyiv: 21 in July, -5 in January.
    season = math.cos(2 * math.pi * (day.timetuple().tm_yday - WARMEST_DAY) / 365)
    return round(33 - 0.5 * abs(latitude) + 0.26 * latitude * season, 1)


def _code(degrees: float, wet: bool) -> int:  # noqa: FBT001 - one of two
    if not wet:
        return CLOUDY
    return SNOW if degrees < 0 else RAIN
