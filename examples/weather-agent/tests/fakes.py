"""Small local servers that speak the needed part of each service, over real HTTP."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

TOKEN = "123456:test-token"
KEY = "sk-test-key"


@dataclass(frozen=True)
class Request:
    """One request as the server saw it: query and form fields are in `fields`."""

    path: str
    fields: dict[str, str]
    body: Any
    authorization: str


@dataclass(frozen=True)
class Reply:
    """What to answer; a `bytes` body goes out as it is."""

    body: Any
    status: int = 200


class FakeService:
    """A server on a free local port; a subclass answers. Use it as a context manager."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._server = _Server(self._serve, port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def respond(self, request: Request) -> Reply:
        raise NotImplementedError

    def _serve(self, request: Request) -> Reply:
        self.requests.append(request)
        return self.respond(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, serve: Callable[[Request], Reply], port: int) -> None:
        self.serve = serve
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that stop in the middle of a long poll are expected."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it overrides
        """Keep the test output clean."""

    def _answer(self, sent: bytes | None) -> None:
        parts = urlsplit(self.path)
        fields = dict(parse_qsl(parts.query))
        body = None
        if sent and self.headers.get_content_type() == "application/json":
            body = json.loads(sent)
        elif sent:
            fields.update(parse_qsl(sent.decode()))
        authorization = self.headers.get("Authorization", "")
        reply = self.server.serve(Request(parts.path, fields, body, authorization))
        raw = isinstance(reply.body, bytes)
        content = reply.body if raw else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "text/plain" if raw else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class FakeTelegram(FakeService):
    """Delivers the messages put into it until they are confirmed, and keeps what is sent."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.token = TOKEN  # the one that is valid now
        self._changed = threading.Condition()
        self._updates: list[dict[str, Any]] = []
        self._ids = iter(range(1, 1000))

    def write(self, text: str) -> None:
        """Let a user write to the bot."""
        number = next(self._ids)
        chat = {"id": 7, "type": "private", "first_name": "Olena"}
        sender = {"id": 7, "is_bot": False, "first_name": "Olena"}
        command = [{"type": "bot_command", "offset": 0, "length": len(text)}]
        message = {
            "message_id": number,
            "date": 1_700_000_000,
            "chat": chat,
            "from": sender,
            "text": text,
            "entities": command if text.startswith("/") else [],
        }
        with self._changed:
            self._updates.append({"update_id": number, "message": message})
            self._changed.notify_all()

    def calls(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.path.endswith(f"/{method}")]

    def sent(self) -> list[str]:
        return [request.fields["text"] for request in self.calls("sendMessage")]

    def unconfirmed(self) -> list[dict[str, Any]]:
        return self._updates

    def respond(self, request: Request) -> Reply:
        prefix, _, method = request.path.rpartition("/")
        if prefix != f"/bot{self.token}":
            return Reply({"ok": False, "error_code": 401, "description": "Unauthorized"}, 401)
        result: Any
        if method == "getMe":
            result = {"id": 1, "is_bot": True, "first_name": "Weather", "username": "weather_bot"}
        elif method == "getUpdates":
            result = self._wait(request)
        elif method in ("deleteWebhook", "sendChatAction"):
            result = True
        elif method == "sendMessage":
            chat = {"id": 7, "type": "private", "first_name": "Olena"}
            result = {"message_id": 1, "date": 1_700_000_000, "chat": chat, "text": "sent"}
        else:
            return Reply({"ok": False, "error_code": 404, "description": "Not Found"}, 404)
        return Reply({"ok": True, "result": result})

    def _wait(self, request: Request) -> list[dict[str, Any]]:
        offset = int(request.fields.get("offset", 0))
        end = time.monotonic() + float(request.fields.get("timeout", 0))
        with self._changed:
            self._updates = [u for u in self._updates if u["update_id"] >= offset]
            while not self._updates and not self.closing.is_set():
                if time.monotonic() >= end:
                    break
                self._changed.wait(0.1)
            return list(self._updates)


class FakeOpenAI(FakeService):
    """A chat model that says, turn by turn, what it was given to say."""

    def __init__(self, *turns: dict[str, Any] | int) -> None:
        super().__init__()
        self._turns = list(turns)

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def respond(self, request: Request) -> Reply:
        if request.path != "/v1/chat/completions":
            return Reply({"error": {"message": "no such path"}}, 404)
        if request.authorization != f"Bearer {KEY}":
            return Reply({"error": {"message": "bad key"}}, 401)
        turn = self._turns.pop(0) if len(self._turns) > 1 else self._turns[0]
        if isinstance(turn, int):
            return Reply({"error": {"message": "out of order", "type": "test"}}, turn)
        reason = "tool_calls" if "tool_calls" in turn else "stop"
        message = {"role": "assistant", "content": None, **turn}
        return Reply(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1_700_000_000,
                "model": request.body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": reason}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
        )

    def asked(self) -> list[list[dict[str, Any]]]:
        """Return the messages of each request."""
        return [request.body["messages"] for request in self.requests]


def says(text: str) -> dict[str, Any]:
    """Make a turn in which the model answers."""
    return {"content": text}


def calls_tool(name: str, **arguments: object) -> dict[str, Any]:
    """Make a turn in which the model asks for a tool."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"tool_calls": [{"id": "call_1", "type": "function", "function": function}]}


@dataclass
class _Answers:
    search: Reply
    forecast: Reply = field(default_factory=lambda: Reply(FakeOpenMeteo.FORECAST))


class FakeOpenMeteo(FakeService):
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
