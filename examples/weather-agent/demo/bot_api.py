"""The part of the Telegram Bot API that the bot uses: https://core.telegram.org/bots/api."""

from __future__ import annotations

import threading
import time
from itertools import count
from typing import TYPE_CHECKING, Any

from demo.server import Reply

if TYPE_CHECKING:
    from demo.server import Request

CHAT = {"id": 7, "type": "private", "first_name": "Olena"}
USER = {"id": 7, "is_bot": False, "first_name": "Olena"}
BOT = {"id": 1, "is_bot": True, "first_name": "Weather", "username": "weather_bot"}
TICK = 0.1


class BotApi:
    """Delivers the messages put into it until they are confirmed, and keeps what the bot sends."""

    def __init__(self, token: str, closing: threading.Event) -> None:
        """Know one bot by its token; a request that is held ends soon after `closing` is set."""
        self.token = token  # the one that is valid now
        self.updates: list[dict[str, Any]] = []
        self.sent: list[str] = []
        self._closing = closing
        self._changed = threading.Condition()
        self._ids = count(1)

    def write(self, text: str) -> None:
        """Let the user write to the bot."""
        number = next(self._ids)
        command = [{"type": "bot_command", "offset": 0, "length": len(text.split(maxsplit=1)[0])}]
        message = {
            **_message(number, text),
            "from": USER,
            "entities": command if text.startswith("/") else [],
        }
        with self._changed:
            self.updates.append({"update_id": number, "message": message})
            self._changed.notify_all()

    def answer(self, text: str) -> str | None:
        """Let the user write, and wait for what the bot sends next; None when the server closes."""
        with self._changed:
            before = len(self.sent)
        self.write(text)
        with self._changed:
            while len(self.sent) == before and not self._closing.is_set():
                self._changed.wait(TICK)
            return self.sent[before] if len(self.sent) > before else None

    def respond(self, request: Request) -> Reply:
        """Answer a call of a method: `/botTOKEN/METHOD`."""
        prefix, _, method = request.path.rpartition("/")
        if prefix != f"/bot{self.token}":
            return _refused(401, "Unauthorized")
        result: Any
        if method == "getMe":
            result = BOT
        elif method == "getUpdates":
            result = self._wait(request)
        elif method in ("deleteWebhook", "sendChatAction"):
            result = True
        elif method == "sendMessage":
            result = self._keep(request.fields.get("text", ""))
        else:
            return _refused(404, "Not Found")
        return Reply({"ok": True, "result": result})

    def _keep(self, text: str) -> dict[str, Any]:
        with self._changed:
            self.sent.append(text)
            self._changed.notify_all()
        return {**_message(next(self._ids), text), "from": BOT}

    def _wait(self, request: Request) -> list[dict[str, Any]]:
        offset = int(request.fields.get("offset", 0))
        end = time.monotonic() + float(request.fields.get("timeout", 0))
        with self._changed:
            self.updates = [one for one in self.updates if one["update_id"] >= offset]
            while not self.updates and not self._closing.is_set():
                if time.monotonic() >= end:
                    break
                self._changed.wait(TICK)
            return list(self.updates)


def _message(number: int, text: str) -> dict[str, Any]:
    return {"message_id": number, "date": int(time.time()), "chat": CHAT, "text": text}


def _refused(code: int, description: str) -> Reply:
    return Reply({"ok": False, "error_code": code, "description": description}, code)
