"""A YAML text as a tree whose every part knows its line; JSON is YAML too.

Nothing is made of the values, so that no tag of a file makes anything happen: what a plain `yes` or `0644` means is
the reader's to say. Size, depth and the number of values are limited, those that an alias repeats counted each time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    import yaml


LARGEST = 2 * 1024 * 1024
"""Characters of a text that is read."""
DEEPEST = 40
"""Levels of nesting."""
MOST_NODES = 100_000
"""Values of a text: a few lines of aliases can stand for millions."""
MOST_CHARACTERS = 4_000_000
"""Characters of all values, those that an alias repeats counted each time."""
NULLS = frozenset(("", "~", "null", "Null", "NULL"))
MERGE = "<<"
ALIAS = re.compile(r"(?<![^\s,\[{:-])\*\w")
MOST_UNREAD_ALIASES = 50
JSON_TAB = re.compile(r"""("(?:\\.|[^"\\])*"|'[^']*')|\t""", re.DOTALL)
"""A tab between the parts of a JSON text, and what is quoted; PyYAML takes tabs within quotes only."""


class YamlError(Exception):
    """A text is not YAML, or exceeds a limit."""

    def __init__(self, what: str, line: int, *, column: int = 0, limit: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.line = line
        self.column = column
        """0 where it is not known."""
        self.limit = limit


class Line(int):
    """The number of a line, with the file that it is in where several are read as a whole."""

    file = ""

    def __new__(cls, number: int, file: str) -> Self:
        """Return the line of a file."""
        made = super().__new__(cls, number)
        made.file = file
        return made


def at(file: str | Path, line: int) -> str:
    """Return `FILE:LINE`, of the line's own file or else of this one; without a line (0), the file."""
    named = line.file if isinstance(line, Line) else file
    return f"{named}:{line}" if line else str(named)


@dataclass(frozen=True, kw_only=True)
class Scalar:
    """A single value."""

    text: str
    """As it is written, without its quotes."""
    line: int
    column: int
    plain: bool = False
    """Written without quotes and not as a block."""
    tag: str = ""
    """The tag that is written in front of it."""

    @property
    def is_null(self) -> bool:
        """Tell whether it stands for nothing."""
        return self.plain and not self.tag and self.text in NULLS


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    line: int
    column: int
    tag: str = ""


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """Keys and values in their order, what `<<` merges in last; a key may stand there twice."""

    pairs: tuple[tuple[Scalar, Node], ...]
    line: int
    column: int
    tag: str = ""


Node = Scalar | Sequence | Mapping


def pairs_of(node: Node | None) -> tuple[tuple[Scalar, Node], ...]:
    """Return the pairs of a mapping; none for anything else."""
    return node.pairs if isinstance(node, Mapping) else ()


def items_of(node: Node | None) -> tuple[Node, ...]:
    """Return the items of a sequence; none for anything else."""
    return node.items if isinstance(node, Sequence) else ()


def texts_of(node: Node | None) -> tuple[Scalar, ...]:
    """Return a text, or the texts of a list; none that is null."""
    listed = items_of(node) or ((node,) if node is not None else ())
    return tuple(item for item in listed if isinstance(item, Scalar) and not item.is_null)


def child(node: Node | None, key: str) -> Node | None:
    """Return what a mapping holds under a key, or None."""
    return next((value for name, value in pairs_of(node) if name.text == key), None)


def read_yaml(text: str) -> Node | None:
    """Return the one document of a text, or None where there is none.

    Raises:
        YamlError: it is no YAML, holds several documents, or is too large.

    """
    return next(iter(read_documents(text, several=False)), None)


def read_documents(text: str, *, several: bool = True, file: str = "") -> tuple[Node, ...]:
    """Return the documents of a text: what `---` divides. Their lines name a `file`, where one is given.

    Raises:
        YamlError: it is no YAML, is too large, all documents together, or holds `several` and may not.

    """
    import yaml

    if len(text) > LARGEST:
        raise YamlError(f"larger than {LARGEST} characters", 1, limit=True)
    if text.lstrip().startswith(("{", "[")):
        text = JSON_TAB.sub(lambda found: found[1] or " ", text)
    try:
        return _Composer(several=several, file=file).documents(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 0)
        raise YamlError(f"invalid YAML: {what}", line, column=column) from None
    except yaml.reader.ReaderError as error:
        what = f"the character U+{int(error.character):04X} is not allowed"
        raise YamlError(f"invalid YAML: {what}", text.count("\n", 0, error.position) + 1) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The last two: the number of a character that does not exist.
        raise YamlError(f"invalid YAML: {' '.join(str(error).split())}", 1) from None


@dataclass
class _Open:
    """A sequence or mapping whose end has not come yet."""

    event: yaml.CollectionStartEvent
    size_before: int
    characters_before: int
    nodes: list[Node] = field(default_factory=list)


class _Composer:
    """Makes the trees of the parser's events, without recursion."""

    def __init__(self, *, several: bool, file: str) -> None:
        self.several = several
        self.file = file
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[Node, int, int]] = {}
        self.size = self.characters = 0
        self.roots: list[Node] = []

    def documents(self, events: Iterator[yaml.Event]) -> tuple[Node, ...]:
        import yaml

        for event in events:
            line, _ = _place(event)
            if isinstance(event, yaml.CollectionStartEvent):
                self._grow(1, 0, line)
                if len(self.open) >= DEEPEST:
                    raise YamlError(f"nested deeper than {DEEPEST} levels", line, limit=True)
                self.open.append(_Open(event=event, size_before=self.size - 1, characters_before=self.characters))
            elif isinstance(event, yaml.CollectionEndEvent):
                done = self.open.pop()
                grown = self.size - done.size_before, self.characters - done.characters_before
                self._add(_collection(done, self._line(done.event)), done.event.anchor, *grown)
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in self.anchors:
                    raise YamlError(f"invalid YAML: undefined alias {event.anchor!r}", line)
                node, size, characters = self.anchors[event.anchor]
                self._grow(size, characters, line)
                self._add(node, None, size, characters)
            elif isinstance(event, yaml.ScalarEvent):
                self._grow(1, len(event.value), line)
                self._add(_scalar(event, self._line(event)), event.anchor, 1, len(event.value))
            elif isinstance(event, yaml.DocumentStartEvent):
                if self.roots and not self.several:
                    raise YamlError("several documents; only one is read", line)
                self.anchors.clear()
        return tuple(self.roots)

    def _line(self, event: yaml.Event) -> int:
        line, _ = _place(event)
        return Line(line, self.file) if self.file else line

    def _grow(self, size: int, characters: int, line: int) -> None:
        self.size += size
        self.characters += characters
        if self.size > MOST_NODES:
            raise YamlError(f"more than {MOST_NODES} values, aliases counted", line, limit=True)
        if self.characters > MOST_CHARACTERS:
            raise YamlError(f"more than {MOST_CHARACTERS} characters, aliases counted", line, limit=True)

    def _add(self, node: Node, anchor: str | None, size: int, characters: int) -> None:
        if anchor:
            self.anchors[anchor] = (node, size, characters)
        if self.open:
            self.open[-1].nodes.append(node)
        else:
            self.roots.append(node)


def check_aliases(text: str) -> None:
    """Check the aliases of a text that `read_yaml` does not take and another reader may; nothing is built of it.

    It may hold several documents, and end in an error.

    Raises:
        YamlError: its aliases stand for more than the limits allow, or the text after an error has many of them.
    """
    import yaml

    try:
        for line, depth, size, characters in _growth(yaml.parse(text[:LARGEST], Loader=yaml.SafeLoader)):
            if size > MOST_NODES or characters > MOST_CHARACTERS or depth > DEEPEST:
                raise YamlError("too many or too deep values, aliases counted", line, limit=True)
    except (yaml.YAMLError, ValueError, OverflowError):
        if len(ALIAS.findall(text)) > MOST_UNREAD_ALIASES:
            raise YamlError("not readable, and full of aliases", 1, limit=True) from None


def _growth(events: Iterator[yaml.Event]) -> Iterator[tuple[int, int, int, int]]:
    """Yield after each event its line, how deep it is, and how many values and characters there were, aliases too."""
    import yaml

    anchors: dict[str, tuple[int, int]] = {}
    opened: list[tuple[str | None, int, int]] = []
    size = characters = 0
    for event in events:
        anchor = getattr(event, "anchor", None)
        before = anchor, size, characters
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append(before)
            size += 1
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            before = opened.pop()
        elif isinstance(event, yaml.ScalarEvent):
            size, characters = size + 1, characters + len(event.value)
        elif isinstance(event, yaml.AliasEvent):
            more, longer = anchors.get(anchor or "", (1, 0))
            size, characters, before = size + more, characters + longer, (None, 0, 0)
        name, size_before, characters_before = before
        if name:
            anchors[name] = size - size_before, characters - characters_before
        yield _place(event)[0], len(opened), size, characters


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _scalar(event: yaml.ScalarEvent, line: int) -> Scalar:
    _, column = _place(event)
    tag = "" if event.tag in (None, "!") else str(event.tag)
    plain = event.style is None and event.tag != "!"
    return Scalar(text=event.value, line=line, column=column, plain=plain, tag=tag)


def _collection(done: _Open, line: int) -> Sequence | Mapping:
    import yaml

    _, column = _place(done.event)
    tag = str(done.event.tag or "")
    if isinstance(done.event, yaml.SequenceStartEvent):
        return Sequence(items=tuple(done.nodes), line=line, column=column, tag=tag)
    pairs = _merged(list(zip(done.nodes[::2], done.nodes[1::2], strict=True)))
    return Mapping(pairs=tuple(pairs), line=line, column=column, tag=tag)


def _merged(pairs: list[tuple[Node, Node]]) -> list[tuple[Scalar, Node]]:
    """Return a mapping's pairs; those that `<<` merges in give way to its own, and later ones to earlier ones."""
    own: list[tuple[Scalar, Node]] = []
    merged: list[tuple[Scalar, Node]] = []
    for key, value in pairs:
        if not isinstance(key, Scalar):
            raise YamlError("a key must be text", key.line)
        if key.text != MERGE or not key.plain:
            own.append((key, value))
            continue
        for source in value.items if isinstance(value, Sequence) else (value,):
            if not isinstance(source, Mapping):
                raise YamlError("what is merged (`<<`) must be a mapping", source.line)
            merged += source.pairs
    names = {key.text for key, _ in own}
    for key, value in merged:
        if key.text not in names:
            names.add(key.text)
            own.append((key, value))
    return own
