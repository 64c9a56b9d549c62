"""Reads an env file as the tool's own library (godotenv) does: quotes, comments, `export`, `$NAME` of earlier lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seatrial.structure.tree import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

SPACE = " \t\v\f\r\x85\xa0"
BETWEEN = re.compile(r"(?:\s|#[^\n]*)*")
KEY = re.compile(rf"(?:export[{SPACE}]+)?(?P<key>[A-Za-z0-9_.]*)[{SPACE}]*[=:]")
COMMENT = re.compile(rf"(?<=[{SPACE}])#.*\Z", re.DOTALL)
REFERENCE = re.compile(r"(\\)?(\$)(\()?\{?([A-Z0-9_]+)?\}?")
ESCAPED = {r"\n": "\n", r"\r": "\r"}


def read_dotenv(text: str) -> dict[str, str]:
    """Return a file's variables.

    Raises:
        SourceError: it is no env file.

    """
    text = text.replace("\r\n", "\n")
    found: dict[str, str] = {}
    at = 0
    while True:
        between = BETWEEN.match(text, at)
        at = between.end() if between else at
        if at >= len(text):
            return found
        key = KEY.match(text, at)
        if key is None:
            raise SourceError("is no env file: a line is no NAME=value", text.count("\n", 0, at) + 1)
        value, at = _value(text, key.end(), found)
        found[key["key"]] = value


def _value(text: str, at: int, known: Mapping[str, str]) -> tuple[str, int]:
    while text[at : at + 1] and text[at] in SPACE:
        at += 1
    quote = text[at : at + 1]
    if quote and quote in "'\"":
        end = at + 1
        while end < len(text) and not (text[end] == quote and text[end - 1] != "\\"):
            end += 1
        if end >= len(text):
            raise SourceError("is no env file: a quoted value never ends", text.count("\n", 0, at) + 1)
        value = text[at:end].strip(quote)
        return (_expanded(_unescaped(value), known) if quote == '"' else value), end + 1
    end = next((place for place in range(at, len(text)) if text[place] in "\n\r"), len(text))
    return _expanded(COMMENT.sub("", text[at:end]).strip(SPACE), known), end


def _unescaped(value: str) -> str:
    value = re.sub(r"\\.", lambda found: ESCAPED.get(found.group(), found.group()), value)
    return re.sub(r"\\([^$])", r"\1", value)


def _expanded(value: str, known: Mapping[str, str]) -> str:
    def replaced(found: re.Match[str]) -> str:
        if found[1] or found[3]:
            return found[0][1:]
        return known.get(found[4], "") if found[4] else found[0]

    return REFERENCE.sub(replaced, value)
