"""The demo's servers, made to say what a test wants, over real HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from demo import chat_api
from demo.bot_api import BotApi
from demo.chat_api import calls_tool, says
from demo.server import Reply, Request, Service

__all__ = [
    "KEY",
    "TOKEN",
    "FakeOpenAI",
    "FakeOpenMeteo",
    "FakeTelegram",
    "Reply",
    "calls_tool",
    "says",
]

TOKEN = "123456:test-token"
KEY = "sk-test-key"


class FakeTelegram(Service):
    """One bot's Telegram."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.api = BotApi(TOKEN, self.closing)

    def write(self, text: str) -> None:
        """Let a user write to the bot."""
        self.api.write(text)

    def calls(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.path.endswith(f"/{method}")]

    def sent(self) -> list[str]:
        return self.api.sent

    def unconfirmed(self) -> list[dict[str, Any]]:
        return self.api.updates

    def respond(self, request: Request) -> Reply:
        return self.api.respond(request)


class FakeOpenAI(Service):
    """A chat model that says, turn by turn, what it was given to say."""

    def __init__(self, *turns: dict[str, Any] | int) -> None:
        super().__init__()
        self._turns = list(turns)

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def respond(self, request: Request) -> Reply:
        turn = self._turns.pop(0) if len(self._turns) > 1 else self._turns[0]
        if isinstance(turn, int):
            return Reply({"error": {"message": "out of order", "type": "test"}}, turn)
        return chat_api.respond(request, KEY, lambda _: turn)

    def asked(self) -> list[list[dict[str, Any]]]:
        """Return the messages of each request."""
        return [request.body["messages"] for request in self.requests]


@dataclass
class _Answers:
    search: Reply
    forecast: Reply = field(default_factory=lambda: Reply(FakeOpenMeteo.FORECAST))


class FakeOpenMeteo(Service):
    """Knows one city, Kyiv, unless a test puts other replies in."""

    PLACE: ClassVar[dict[str, Any]] = {
        "name": "Київ",
        "country": "Україна",
        "latitude": 50.45,
        "longitude": 30.52,
    }
    FORECAST: ClassVar[dict[str, Any]] = {
        "current": {
            "time": "2026-01-15T12:00",
            "temperature_2m": -3.4,
            "apparent_temperature": -8.1,
            "precipitation": 0.2,
            "weather_code": 71,
            "wind_speed_10m": 4.5,
        },
        "daily": {
            "time": ["2026-01-15", "2026-01-16", "2026-01-17"],
            "weather_code": [71, 3, None],
            "temperature_2m_min": [-7.0, -5.5, None],
            "temperature_2m_max": [-2.0, 0.5, 1],
            "precipitation_probability_max": [80, 10, 5],
            "wind_speed_10m_max": [6.0, 3.0, 2.5],
        },
    }

    def __init__(self) -> None:
        super().__init__()
        self.answers = _Answers(search=Reply({"results": [self.PLACE]}))

    def respond(self, request: Request) -> Reply:
        if request.path == "/v1/search":
            return self.answers.search
        if request.path == "/v1/forecast":
            return self.answers.forecast
        return Reply({"error": True, "reason": "no such path"}, 404)
