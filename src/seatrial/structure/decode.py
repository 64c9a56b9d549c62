"""Turns a tree into the types of the model; what does not fit is an error with its line."""

from __future__ import annotations

import types
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from seatrial.structure.expressions import problem_of
from seatrial.structure.model import EXPRESSION, FILLED, FileExistenceTest, Placed, RunOptions
from seatrial.structure.tree import Kind, Listing, Mapping, Node, Scalar, SourceError
from seatrial.suggest import did_you_mean

T = TypeVar("T")


class Dialect(StrEnum):
    """How container-structure-test reads a file, which depends on its ending."""

    YAML = "yaml"
    JSON = "json"


JSON_DEFAULTS: dict[type, dict[str, Any]] = {FileExistenceTest: {"should_exist": False, "uid": 0, "gid": 0}}
"""What a field that a JSON file leaves out means, where it is not what the same field means in YAML."""
JSON_NAMES: dict[type, dict[str, str]] = {RunOptions: {"allocate_tty": "tty"}}
"""Names that the tool knows in JSON only."""
JSON_IGNORED: dict[type, frozenset[str]] = {RunOptions: frozenset(("allocatetty",))}
"""Fields of the schema that the tool overlooks in JSON."""


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """Reads one file's tree."""

    dialect: Dialect

    def decode(self, node: Node, kind: type[T], what: str) -> T:
        """Return a tree as a type.

        Raises:
            SourceError: it is not one.

        """
        made: T = self._decode(node, kind, what)
        return made

    def _decode(self, node: Node, kind: Any, what: str) -> Any:  # noqa: PLR0911 - one for each kind of type
        origin = get_origin(kind)
        if origin is Annotated:
            return self._marked(node, kind, what)
        if origin is Literal:
            return self._choice(node, get_args(kind), what)
        if origin in {Union, types.UnionType}:
            return None if _is_nothing(node) else self._decode(node, get_args(kind)[0], what)
        if origin is tuple:
            return self._listing(node, get_args(kind)[0], what)
        if kind is str:
            return self._text(node, what)
        if kind is int:
            return self._number(node, what)
        if kind is bool:
            return self._boolean(node, what)
        return self._table(node, kind, what)

    def _table(self, node: Node, kind: Any, what: str) -> Any:
        if not isinstance(node, Mapping):
            raise SourceError(f"{what} must be a table", node.line)
        fields = {self._name(kind, one): one for one in msgspec.structs.fields(kind) if one.name != "line"}
        given: dict[str, Any] = dict(JSON_DEFAULTS.get(kind, {})) if self.dialect is Dialect.JSON else {}
        said: set[str] = set()
        for key, value in node.pairs:
            field = fields.get(self._folded(key.text))
            if field is None and self._overlooked(kind, key.text):
                continue
            if field is None:
                known = [str(one.encode_name) for one in fields.values()]
                raise SourceError(f"{what} has no field {key.text!r}", key.line, did_you_mean(key.text, known))
            if field.name in said:
                raise SourceError(f"{what} has the field {key.text!r} twice", key.line)
            said.add(field.name)
            if not _is_nothing(value):
                given[field.name] = self._decode(value, field.type, field.encode_name)
        for field in fields.values():
            if field.required and field.name not in given:
                raise SourceError(f"{what} lacks {field.encode_name!r}", node.line)
        return kind(**given, **({"line": node.line} if issubclass(kind, Placed) else {}))

    def _name(self, kind: Any, field: msgspec.structs.FieldInfo) -> str:
        if self.dialect is Dialect.YAML:
            return field.encode_name
        return JSON_NAMES.get(kind, {}).get(field.name, field.encode_name).lower()

    def _overlooked(self, kind: Any, name: str) -> bool:
        return self.dialect is Dialect.JSON and name.lower() in JSON_IGNORED.get(kind, ())

    def _folded(self, name: str) -> str:
        return name if self.dialect is Dialect.YAML else name.lower()

    def _listing(self, node: Node, kind: Any, what: str) -> tuple[Any, ...]:
        if _is_nothing(node):
            return ()
        if not isinstance(node, Listing):
            raise SourceError(f"{what} must be a list", node.line)
        made = tuple(self._decode(item, kind, what) for item in node.items)
        if what in {"setup", "teardown"} and () in made:
            raise SourceError(f"{what} holds an empty command", node.line)
        return made

    def _marked(self, node: Node, kind: Any, what: str) -> str:
        text = self._text(node, what)
        mark = get_args(kind)[1]
        if mark is FILLED and not text:
            raise SourceError(f"{what} must not be empty", node.line)
        if mark is EXPRESSION and (problem := problem_of(text)):
            raise SourceError(f"{what} holds no regular expression: {text[:80]!r}: {problem}", node.line)
        return text

    def _choice(self, node: Node, choices: tuple[str, ...], what: str) -> str:
        text = self._text(node, what)
        if text not in choices:
            named = ", ".join(one for one in choices if one)
            raise SourceError(f"{what} must be one of {named}, and is {text[:80]!r}", node.line)
        return text

    def _text(self, node: Node, what: str) -> str:
        if not isinstance(node, Scalar) or node.kind is Kind.UNKNOWN:
            raise SourceError(f"{what} must be text", node.line)
        if node.kind is Kind.NOTHING:
            return ""
        if self.dialect is Dialect.JSON and node.kind is not Kind.TEXT:
            raise SourceError(f"{what} must be text in quotes, and is {node.text[:80]}", node.line)
        # In YAML a number or yes is text too where text is wanted, as it is written: `value: 3.10`.
        if "\0" in node.text:
            raise SourceError(f"{what} holds a zero byte", node.line)
        return node.text

    def _number(self, node: Node, what: str) -> int:
        if isinstance(node, Scalar) and not isinstance(node.value, bool):
            if isinstance(node.value, int):
                return node.value
            if self.dialect is Dialect.YAML and isinstance(node.value, float) and node.value.is_integer():
                return int(node.value)
        raise SourceError(f"{what} must be a whole number", node.line)

    def _boolean(self, node: Node, what: str) -> bool:
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        raise SourceError(f"{what} must be true or false", node.line)


def _is_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and node.kind is Kind.NOTHING
