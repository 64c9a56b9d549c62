"""In place of the chat model: finds the city, calls the tool, and speaks of the tool's result."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from demo.chat_api import Turn, calls_tool, says
from demo.meteo_api import PLACES

# "in Kyiv", «у Києві»: a word with a capital letter behind one of these is a place.
BEHIND = re.compile(r"\b(?:в|у|до|для|in|for|at|to)\s+([^\W\d_][\w'’-]*)", re.IGNORECASE)
PLACE = re.compile(r"^Weather in (?P<place>[^,\n]+)", re.MULTILINE)
NOW = re.compile(
    r"^Now: (?P<sky>[^,]+), (?P<warmth>\S+) °C, feels like (?P<feels>\S+) °C,"
    r" wind (?P<wind>\S+) m/s",
    re.MULTILINE,
)
WARMEST = math.inf


@dataclass(frozen=True)
class Words:
    """What it says in one language. `clothes` go from cold to warm, each up to a temperature."""

    which_city: str
    unknown: str
    no_weather: str
    answer: str
    clothes: tuple[tuple[float, str], ...]
    sky: dict[str, str]
    umbrella: str


UKRAINIAN = Words(
    which_city="У якому місті? Напишіть, будь ласка, його назву.",
    unknown="Такого міста не знайшлося. Перевірте, будь ласка, назву.",
    no_weather="Погоду зараз не вдалося дізнатися. Спробуйте, будь ласка, пізніше.",
    answer=(
        "{place}: {sky}, {warmth} °C, відчувається як {feels} °C, вітер {wind} м/с."
        " Одягніть {clothes}."
    ),
    clothes=(
        (-5, "зимову куртку, шапку й рукавички"),
        (5, "теплу куртку й шапку"),
        (13, "легку куртку"),
        (20, "светр"),
        (WARMEST, "легкий одяг"),
    ),
    sky={
        "light snow": "легкий сніг",
        "light rain": "невеликий дощ",
        "partly cloudy": "мінлива хмарність",
    },
    umbrella=" Візьміть парасольку.",
)
ENGLISH = Words(
    which_city="In which city? Please write its name.",
    unknown="No such city was found. Please check the name.",
    no_weather="The weather cannot be had now. Please try again later.",
    answer="{place}: {sky}, {warmth} °C, feels like {feels} °C, wind {wind} m/s. Wear {clothes}.",
    clothes=(
        (-5, "a winter coat, a hat and gloves"),
        (5, "a warm jacket and a hat"),
        (13, "a light jacket"),
        (20, "a sweater"),
        (WARMEST, "light clothes"),
    ),
    sky={},
    umbrella=" Take an umbrella.",
)


def think(body: Any) -> Turn:
    """Return the model's next turn, from the body of a request."""
    messages = body["messages"]
    words = ENGLISH if "Answer in English" in _text(messages[0]) else UKRAINIAN
    if messages[-1]["role"] == "tool":
        return says(about(_text(messages[-1]), words))
    city = city_in(_text(messages[-1]))
    tools = body.get("tools")
    if city is None or not tools:
        return says(words.which_city)
    return calls_tool(tools[0]["function"]["name"], city=city)


def city_in(question: str) -> str | None:
    """Return the city that a question is about, in the nominative case where it is a known one."""
    for place in PLACES:
        for pattern, name in ((place.stem, place.uk[0]), (place.en[0], place.en[0])):
            if re.search(rf"\b{pattern}", question, re.IGNORECASE):
                return name
    named = [match[1] for match in BEHIND.finditer(question) if match[1][0].isupper()]
    words = question.split()
    if not named and len(words) == 1:
        named = [words[0].strip("?!.,")]
    return next((name for name in named if name), None)


def about(report: str, words: Words) -> str:
    """Say what the tool's report means for what to wear."""
    place, now = PLACE.search(report), NOW.search(report)
    if place is None or now is None:
        return words.unknown if report.startswith("No place called") else words.no_weather
    clothes = next(what for limit, what in words.clothes if float(now["feels"]) <= limit)
    answer = words.answer.format(
        place=place["place"],
        sky=words.sky.get(now["sky"], now["sky"]),
        warmth=now["warmth"],
        feels=now["feels"],
        wind=now["wind"],
        clothes=clothes,
    )
    return answer + (words.umbrella if now["sky"].endswith("rain") else "")


def _text(message: dict[str, Any]) -> str:
    return str(message.get("content") or "")
