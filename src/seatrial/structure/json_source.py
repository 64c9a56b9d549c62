"""Reads JSON into a tree with lines: the standard library's own reader forgets where a key stood."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from seatrial.structure.tree import DEEPEST, Kind, Listing, Mapping, Node, Scalar, SourceError

SPACE = re.compile(r"[ \t\r\n]*")
WORD = re.compile(r"[^\s\[\]{},:\"]+")
DECODER = json.JSONDecoder()
WORDS = {
    "true": (Kind.BOOLEAN, True),
    "false": (Kind.BOOLEAN, False),
    "null": (Kind.NOTHING, None),
}


def read_json(text: str) -> Node:
    """Return a text's one value.

    Raises:
        SourceError: it is not JSON.

    """
    reader = _Reader(text=text)
    node = reader.value(0)
    reader.skip()
    if reader.at < len(text):
        raise reader.wrong("something stands behind the end of the JSON value")
    return node


@dataclass(kw_only=True)
class _Reader:
    text: str
    at: int = 0
    line: int = 1

    def wrong(self, what: str) -> SourceError:
        return SourceError(f"is not JSON: {what}", self.line)

    def skip(self) -> str:
        """Pass white space; return the character behind it, or nothing at the end."""
        space = SPACE.match(self.text, self.at)
        if space is not None:
            self.line += space.group().count("\n")
            self.at = space.end()
        return self.text[self.at : self.at + 1]

    def value(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise self.wrong("it is nested too deep")
        first = self.skip()
        if first == "{":
            return self.table(depth)
        if first == "[":
            return self.listing(depth)
        if first == '"':
            return self.string()
        return self.word()

    def table(self, depth: int) -> Mapping:
        line, pairs = self.line, []
        self.at += 1
        if self.skip() == "}":
            self.at += 1
            return Mapping(pairs=(), line=line)
        while True:
            if self.skip() != '"':
                raise self.wrong("expected a key in quotes")
            key = self.string()
            if self.skip() != ":":
                raise self.wrong("expected a colon behind a key")
            self.at += 1
            pairs.append((key, self.value(depth + 1)))
            if not self.more("}"):
                return Mapping(pairs=tuple(pairs), line=line)

    def listing(self, depth: int) -> Listing:
        line, items = self.line, []
        self.at += 1
        if self.skip() == "]":
            self.at += 1
            return Listing(items=(), line=line)
        while True:
            items.append(self.value(depth + 1))
            if not self.more("]"):
                return Listing(items=tuple(items), line=line)

    def more(self, end: str) -> bool:
        """Pass a comma and tell so, or pass the end."""
        found = self.skip()
        if found not in {",", end} or not found:
            raise self.wrong(f"expected a comma or {end}")
        self.at += 1
        return found == ","

    def string(self) -> Scalar:
        line = self.line
        try:
            value, end = DECODER.raw_decode(self.text, self.at)
        except json.JSONDecodeError as error:
            raise self.wrong(f"{error.msg[:1].lower()}{error.msg[1:]}") from None
        self.at = end
        return Scalar(kind=Kind.TEXT, text=value, value=value, line=line)

    def word(self) -> Scalar:
        found = WORD.match(self.text, self.at)
        if found is None:
            raise self.wrong("a value is missing")
        text = found.group()
        self.at = found.end()
        if text in WORDS:
            kind, value = WORDS[text]
            return Scalar(kind=kind, text=text, value=value, line=self.line)
        try:
            number = json.loads(text)
        except ValueError:
            raise self.wrong(f"{text[:40]!r} is no value") from None
        if not isinstance(number, int | float):
            raise self.wrong(f"{text[:40]!r} is no value")
        kind = Kind.INTEGER if isinstance(number, int) else Kind.NUMBER
        return Scalar(kind=kind, text=text, value=number, line=self.line)
