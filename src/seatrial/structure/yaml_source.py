"""Reads YAML into a tree with lines, its plain values understood as container-structure-test's own reader does.

That reader is Go's yaml.v2: YAML 1.1, and a little of 1.2. PyYAML finds the structure; what a plain value means is
decided here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seatrial.structure.tree import DEEPEST, Kind, Listing, Mapping, Node, Scalar, SourceError, Value

if TYPE_CHECKING:
    import yaml

MOST_NODES = 100_000
"""Values of one file, each alias counted as often as it is used: a few lines of aliases can stand for millions."""

TRUE = frozenset(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"))
FALSE = frozenset(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"))
NOTHING = frozenset(("", "~", "null", "Null", "NULL"))
INTEGER = re.compile(r"[-+]?(0b_*[01][01_]*|0o?_*[0-7][0-7_]*|0x_*[0-9a-fA-F][0-9a-fA-F_]*|0|[1-9][0-9_]*)\Z")
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
LONGEST_NUMBER = 40
TAG = "tag:yaml.org,2002:"
MERGE = "<<"


def read_yaml(text: str) -> Node:
    """Return a text's one document.

    Raises:
        SourceError: it is not YAML, or stands for too much.

    """
    import yaml

    loader = None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_node() if loader.check_node() else None
        more = loader.check_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise SourceError(f"is not YAML: {what}", mark.line + 1 if mark else 1) from None
    except yaml.YAMLError as error:
        raise SourceError(f"is not YAML: {' '.join(str(error).split())}", 1) from None
    except RecursionError:
        raise SourceError("is not read: it is nested too deep", 1) from None
    finally:
        if loader is not None:
            loader.dispose()
    if more:
        raise SourceError("holds several documents; only one is read", 1)
    if root is None:
        return Scalar(kind=Kind.NOTHING, text="", value=None, line=1)
    return _Walk().node(root, 0)


class _Walk:
    def __init__(self) -> None:
        self.left = MOST_NODES

    def node(self, node: yaml.Node, depth: int) -> Node:
        import yaml

        line = node.start_mark.line + 1
        self.left -= 1
        if self.left < 0:
            raise SourceError(f"stands for more than {MOST_NODES} values, aliases counted", line)
        if depth > DEEPEST:
            raise SourceError("is not read: it is nested too deep", line)
        if isinstance(node, yaml.ScalarNode):
            return scalar(node.value, line, plain=node.style is None, tag=node.tag)
        if isinstance(node, yaml.SequenceNode):
            return Listing(items=tuple(self.node(item, depth + 1) for item in node.value), line=line)
        if isinstance(node, yaml.MappingNode):
            return Mapping(pairs=tuple(self.pairs(node, depth)), line=line)
        raise SourceError("is not read: YAML of no known kind", line)

    def pairs(self, node: yaml.MappingNode, depth: int) -> list[tuple[Scalar, Node]]:
        """Return a table's keys and values; those that it merges in (`<<`) give way to its own."""
        own: list[tuple[Scalar, Node]] = []
        merged: list[tuple[Scalar, Node]] = []
        for key, value in node.value:
            made = self.node(key, depth + 1)
            if not isinstance(made, Scalar):
                raise SourceError("a key must be text", made.line)
            if made.text == MERGE and key.style is None:
                merged += self.merged(self.node(value, depth + 1))
            else:
                own.append((made, self.node(value, depth + 1)))
        said = {key.text for key, _ in own}
        for key, value in merged:
            if key.text not in said:
                said.add(key.text)
                own.append((key, value))
        return own

    @staticmethod
    def merged(node: Node) -> list[tuple[Scalar, Node]]:
        tables = node.items if isinstance(node, Listing) else (node,)
        pairs: list[tuple[Scalar, Node]] = []
        for table in tables:
            if not isinstance(table, Mapping):
                raise SourceError("what is merged (`<<`) must be a table", node.line)
            pairs += table.pairs
        return pairs


def scalar(text: str, line: int, *, plain: bool, tag: str = "") -> Scalar:
    """Return what a scalar means; `tag` counts where one is written out, as PyYAML resolves plain ones by itself."""
    kind: Kind = Kind.TEXT
    value: Value = text
    if tag and not tag.startswith(TAG):
        kind = Kind.UNKNOWN
    elif plain:
        kind, value = _meaning(text)
    return Scalar(kind=kind, text=text, value=value, line=line)


def _meaning(text: str) -> tuple[Kind, Value]:
    if text in NOTHING:
        return Kind.NOTHING, None
    if text in TRUE or text in FALSE:
        return Kind.BOOLEAN, text in TRUE
    if len(text) <= LONGEST_NUMBER and INTEGER.match(text):
        return Kind.INTEGER, _integer(text)
    if len(text) <= LONGEST_NUMBER and NUMBER.match(text):
        return Kind.NUMBER, float(text)
    return Kind.TEXT, text


def _integer(text: str) -> int:
    """Return a number as Go reads one whose base is told by its beginning: `0644` and `0o644` are octal."""
    digits = text.lstrip("+-").replace("_", "").lower()
    sign = -1 if text.startswith("-") else 1
    for start, base in (("0x", 16), ("0b", 2), ("0o", 8)):
        if digits.startswith(start):
            return sign * int(digits[2:], base)
    return sign * int(digits, 8 if digits.startswith("0") and len(digits) > 1 else 10)
