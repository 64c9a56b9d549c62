"""A small web application that behaves: answers at /health, and leaves when it is asked to."""

import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

HOST = ""
"""All of the container's addresses."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def app() -> None:
    """What a server would be told to import."""


def leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    signal.signal(signal.SIGTERM, leave)
    serve()


def serve() -> None:
    server = ThreadingHTTPServer((HOST, 8000), Handler)
    sys.stdout.write("listening\n")
    server.serve_forever()


if __name__ == "__main__":
    main()
