"""Use: python -m demo serve | ask QUESTION | check.

`serve` answers for the three services on port 8080; `ask` writes to the bot there, and prints what
the bot says; `check` is the health check.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.error
import urllib.request
from datetime import date
from typing import NoReturn

from demo import chat_api, meteo_api
from demo.bot_api import BotApi
from demo.model import think
from demo.server import LOCAL, Reply, Request, Service

PORT = 8080
HERE = f"http://{LOCAL}:{PORT}"
CHECK_SECONDS = 2
USAGE = 2
UNASKED = ("getUpdates", "health", "ask")
"""Calls that come with and without a question."""


class Demo(Service):
    """The three services at one address, and `/ask`, by which a person writes to the bot."""

    def __init__(self, port: int, *, host: str, token: str, key: str) -> None:
        """Know one bot by its token, and one account by its key."""
        super().__init__(port, host=host)
        self._bot = BotApi(token, self.closing)
        self._key = key

    def respond(self, request: Request) -> Reply:
        """Answer by the path."""
        if request.path == "/ask":
            return self._ask(request)
        if request.path == "/health":
            return Reply({"ok": True})
        if request.path == chat_api.PATH:
            return chat_api.respond(request, self._key, think)
        if request.path.startswith("/bot"):
            return self._bot.respond(request)
        return meteo_api.respond(request, date.today())  # noqa: DTZ011 - any zone's day will do

    def _ask(self, request: Request) -> Reply:
        before = len(self.requests)
        answer = self._bot.answer(request.body["question"])
        if answer is None:
            return Reply({"error": "the service stops"}, 503)
        calls = [one.path.rpartition("/")[2] for one in self.requests[before:]]
        return Reply({"answer": answer, "calls": [one for one in calls if one not in UNASKED]})


def serve() -> None:
    """Answer until a stop signal comes."""
    # As PID 1 of a container it ignores signals that it has no handler for.
    signal.signal(signal.SIGTERM, _stop)
    demo = Demo(
        PORT,
        host="0.0.0.0",  # noqa: S104 - inside a container, on its own network
        token=os.environ["TELEGRAM_BOT_TOKEN"],
        key=os.environ["OPENAI_API_KEY"],
    )
    print(f"serving on port {PORT}", flush=True)
    demo.serve()


def ask(question: str) -> None:
    """Write to the bot, wait, print its answer, and on standard error which calls led to it."""
    body = json.dumps({"question": question}).encode()
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{HERE}/ask", data=body, headers=kind)  # noqa: S310
    with _direct().open(request) as reply:
        told = json.load(reply)
    print(f"the bot called: {', '.join(told['calls'])}", file=sys.stderr)
    print(told["answer"])


def check() -> None:
    """Fail when the server does not answer."""
    _direct().open(f"{HERE}/health", timeout=CHECK_SECONDS).close()


def _direct() -> urllib.request.OpenerDirector:
    """Return what opens addresses without any proxy: the server is this machine."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _stop(*_: object) -> NoReturn:
    raise SystemExit(0)


def main(words: list[str]) -> int:
    """Do what the words say; return the exit code."""
    try:
        if words == ["serve"]:
            serve()
        elif words == ["check"]:
            check()
        elif words[:1] == ["ask"] and words[1:]:
            ask(" ".join(words[1:]))
        else:
            print(__doc__, file=sys.stderr)
            return USAGE
    except (urllib.error.URLError, OSError) as error:
        print(f"the demo service does not answer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
