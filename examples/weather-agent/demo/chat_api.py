"""The part of the chat completions API that the bot uses, tool calls included."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from demo.server import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.server import Request

Turn = dict[str, Any]
PATH = "/v1/chat/completions"


def says(text: str) -> Turn:
    """Make a turn in which the model answers."""
    return {"content": text}


def calls_tool(name: str, **arguments: object) -> Turn:
    """Make a turn in which the model asks for a tool."""
    function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {"tool_calls": [{"id": "call_1", "type": "function", "function": function}]}


def respond(request: Request, key: str, think: Callable[[Any], Turn]) -> Reply:
    """Answer a request: `think` gets its body and returns the model's turn."""
    if request.path != PATH:
        return _refused(404, "no such path")
    if request.authorization != f"Bearer {key}":
        return _refused(401, "bad key")
    if request.body.get("stream"):
        return _refused(400, "no streaming here")
    return completion(request.body["model"], think(request.body))


def completion(model: str, turn: Turn) -> Reply:
    """Wrap a turn as the service does."""
    reason = "tool_calls" if "tool_calls" in turn else "stop"
    message = {"role": "assistant", "content": None, **turn}
    return Reply(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
    )


def _refused(status: int, message: str) -> Reply:
    return Reply({"error": {"message": message, "type": "invalid_request_error"}}, status)
