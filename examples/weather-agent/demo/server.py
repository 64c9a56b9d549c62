"""A small HTTP server that answers from one function."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

LOCAL = "127.0.0.1"


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


class Service:
    """A server; a subclass answers. Use it as a context manager, or let `serve` run."""

    def __init__(self, port: int = 0, *, host: str = LOCAL) -> None:
        """Listen on a port; 0 takes a free one."""
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._server = _Server(self._serve, host, port)

    @property
    def url(self) -> str:
        """The server's address on this machine."""
        return f"http://{LOCAL}:{self._server.server_address[1]}"

    def serve(self) -> None:
        """Answer until the process ends."""
        self._server.serve_forever()

    def __enter__(self) -> Self:
        """Answer beside what the block does."""
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop; requests that are still held are let go."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def respond(self, request: Request) -> Reply:
        """Answer a request; called in a thread of its own for each connection."""
        raise NotImplementedError

    def _serve(self, request: Request) -> Reply:
        self.requests.append(request)
        return self.respond(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, serve: Callable[[Request], Reply], host: str, port: int) -> None:
        self.serve = serve
        super().__init__((host, port), _Handler)

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
        """Say nothing: Telegram's addresses hold the token."""

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
