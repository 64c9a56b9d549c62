"""A YAML or JSON text as a tree whose every part knows its line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DEEPEST = 24
"""Levels of nesting; the schema has five."""


class Kind(StrEnum):
    """What a scalar is."""

    TEXT = "text"
    INTEGER = "a whole number"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    NOTHING = "nothing"
    UNKNOWN = "a value with a type of its own"


Value = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class Scalar:
    """One value."""

    kind: Kind
    text: str
    """As it is written, without its quotes."""
    value: Value
    line: int


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A list."""

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """A table, in the order of its text; a key may stand there twice."""

    pairs: tuple[tuple[Scalar, Node], ...]
    line: int


Node = Scalar | Listing | Mapping


class SourceError(Exception):
    """A text is not what it should be."""

    def __init__(self, what: str, line: int, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.line = line
