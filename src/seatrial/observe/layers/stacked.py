"""What follows from an image's layers: what a container sees, what is hidden or stored twice; plain functions."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from seatrial.facts import ContentKind
from seatrial.facts.layers import Hidden, HiddenPath, ImageLayer, Layers, StoredTwice
from seatrial.facts.sources import INSTRUCTIONS
from seatrial.observe.contents import contents_of
from seatrial.observe.index import Entry, Index
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from seatrial.facts import PathRule
    from seatrial.facts.sources import Instruction
    from seatrial.observe.layers.layer import Layer
    from seatrial.observe.layers.manifests import Step
    from seatrial.observe.layers.saved_image import SavedImage

MOST_ROWS = 100
"""Rows of one kind that are kept, the largest first."""
NEARLY_ALL = 0.9
MOST_IMPLIED = 20_000_000
"""Characters of the names of folders that no layer packs."""
DEEPEST = 64
"""Folders above each other that are looked at, where bytes are counted by folder."""
LONGEST_INSTRUCTION = 300
OURS = r"\. /dev/seatrial/\w+; "
"""What a build of seatrial's puts before each RUN that is given settings; it is no part of the Dockerfile."""
NO_OPERATION = re.compile(r"(?:\|\d+ .*?)?/bin/sh -c #\(nop\)\s+(\w+)", re.DOTALL)
"""How builders before BuildKit write an instruction that runs nothing."""


class Gone(NamedTuple):
    """A path of a layer that a later one hides."""

    path: str
    entry: Entry
    size: int
    """Bytes; 0 of anything but a file, and of a file's further names."""
    layer: int
    by: int
    removed: bool


@dataclass
class Stacked:
    """Layers on top of each other, as a container sees them."""

    layers: Sequence[Layer]
    visible: dict[str, int] = field(default_factory=dict)
    """The layer that each path comes from, from 1."""
    gone: list[Gone] = field(default_factory=list)
    again: list[Gone] = field(default_factory=list)
    """Of what is gone, the files that the later layer holds with the same content, and another owner or mode."""

    def entry(self, path: str) -> Entry:
        """Return what stands at a visible path."""
        return self.layers[self.visible[path] - 1].index.paths[path]

    def hidden(self, path: str, by: int, *, removed: bool) -> Gone:
        """Return a visible path as one that a layer hides."""
        number, entry = self.visible[path], self.entry(path)
        size = 0 if entry.letter != "f" or path in self.layers[number - 1].second_names else entry.size
        return Gone(path, entry, size, number, by, removed)


def stacked(layers: Sequence[Layer]) -> Stacked:
    """Put layers on top of each other."""
    made = Stacked(layers)
    for number, layer in enumerate(layers, 1):
        _remove(made, layer, number)
        replaced = {
            f"{path}/"
            for path, entry in layer.index.paths.items()
            if entry.letter != "d" and path in made.visible and made.entry(path).letter == "d"
        }
        _empty(made, replaced, number)
        for path, entry in layer.index.paths.items():
            if path in made.visible and made.entry(path).letter != "d":
                _replace(made, path, entry, number)
            made.visible[path] = number
    return made


def _remove(made: Stacked, layer: Layer, number: int) -> None:
    """Take away what a layer removes from those below it."""
    folders = {f"{folder.rstrip('/')}/" for folder in layer.emptied}
    for path in layer.removed:
        # Not every builder packs the folders above a file.
        if path not in made.visible or made.entry(path).letter == "d":
            folders.add(f"{path}/")
        if path in made.visible:
            made.gone.append(made.hidden(path, number, removed=True))
            del made.visible[path]
    _empty(made, folders, number)


def _empty(made: Stacked, folders: set[str], number: int) -> None:
    if not folders:
        return
    lengths = {len(folder) for folder in folders}
    for path in [path for path in made.visible if _is_below(path, folders, lengths)]:
        made.gone.append(made.hidden(path, number, removed=True))
        del made.visible[path]


def _is_below(path: str, folders: set[str], lengths: set[int]) -> bool:
    # A path may have some thousand folders above it, and mostly few are asked for.
    if len(lengths) < path.count("/"):
        return any(path[:length] in folders for length in lengths)
    at = path.rfind("/")
    while at >= 0:
        if path[: at + 1] in folders:
            return True
        at = path.rfind("/", 0, at)
    return False


def _replace(made: Stacked, path: str, entry: Entry, number: int) -> None:
    old = made.entry(path)
    gone = made.hidden(path, number, removed=False)
    digest = made.layers[number - 1].digests.get(path)
    same = entry.letter == "f" and digest is not None and digest == made.layers[gone.layer - 1].digests.get(path)
    differs = (entry.mode, entry.uid, entry.gid) != (old.mode, old.uid, old.gid)
    (made.again if same and old.size == entry.size and differs else made.gone).append(gone)


def merged(made: Stacked) -> Index:
    """Return the index of what a container sees, as the engine's own packing of it gives."""
    layers = [Index(paths={}), *(layer.index for layer in made.layers)]
    visible = made.visible.items()
    paths = {path: layers[number].paths[path] for path, number in visible}
    implied = _implied(paths)
    return Index(
        paths=paths if implied is None else dict(sorted({**implied, **paths}.items())),
        texts={path: text for path, number in visible if (text := layers[number].texts.get(path)) is not None},
        holding={path: keys for path, number in visible if (keys := layers[number].holding.get(path))},
        capabilities={path: given for path, number in visible if (given := layers[number].capabilities.get(path))},
        cut=(
            *(why for layer in made.layers for why in layer.index.cut),
            *_unread(made.layers),
            *(() if implied is not None else ("more folders that no layer packs than can be kept",)),
        ),
    )


def _unread(layers: Iterable[Layer]) -> Iterator[str]:
    """Yield, of each layer, that files were not looked at under a name for which their content decides."""
    for layer in layers:
        if layer.unread:
            more = f"; {len(layer.unread) - 1} more" if len(layer.unread) > 1 else ""
            yield f"{layer.unread[0][:200]!r} is one more name of another file, and was not looked at{more}"


def _implied(paths: Mapping[str, Entry]) -> dict[str, Entry] | None:
    """Return the folders that an engine makes as no layer packs them; None where they are too many."""
    folder = Entry("d", 0o755, 0, 0)
    implied = {"/": folder}
    left = MOST_IMPLIED
    for path in paths:
        above = posixpath.dirname(path)
        while above not in paths and above not in implied:
            implied[above] = folder
            left -= len(above)
            above = posixpath.dirname(above)
        if left < 0:
            return None
    return implied


def main_folder(sizes: Mapping[str, int]) -> str:
    """Return the folder below which nearly all bytes of some files lie; of a single file, that file."""
    if len(sizes) == 1:
        return next(iter(sizes))
    folder, total = "", sum(sizes.values()) or 1
    for _ in range(DEEPEST):
        below: dict[str, int] = {}
        for path, size in sizes.items():
            if path.startswith(f"{folder}/") and "/" in path[len(folder) + 1 :]:
                name = path[len(folder) + 1 :].partition("/")[0]
                below[name] = below.get(name, 0) + size
        largest = max(below, key=below.__getitem__, default="")
        if not largest or below[largest] < NEARLY_ALL * total:
            break
        folder = f"{folder}/{largest}"
    return folder or "/"


def hidden_rows(gone: Iterable[Gone]) -> tuple[Hidden, ...]:
    """Return what is hidden, for each pair of layers, the largest first."""
    groups: dict[tuple[int, int, bool], dict[str, int]] = {}
    for row in gone:
        if row.size:
            groups.setdefault((row.layer, row.by, row.removed), {})[row.path] = row.size
    rows = (
        Hidden(
            layer=layer,
            by=by,
            removed=removed,
            folder=main_folder(sizes),
            files=len(sizes),
            size=sum(sizes.values()),
        )
        for (layer, by, removed), sizes in groups.items()
    )
    return tuple(sorted(rows, key=lambda row: -row.size)[:MOST_ROWS])


def twice_rows(made: Stacked, base: int) -> tuple[StoredTwice, ...]:
    """Return what layers above the base store again with another owner or mode, the largest first."""
    groups: dict[int, list[Gone]] = {}
    for row in made.again:
        if row.by > base:
            groups.setdefault(row.by, []).append(row)
    rows = []
    for number, again in groups.items():
        now = made.layers[number - 1].index.paths
        rows.append(
            StoredTwice(
                layer=number,
                before=tuple(sorted({row.layer for row in again})),
                folder=main_folder({row.path: row.size for row in again}),
                files=len(again),
                size=sum(row.size for row in again),
                owner=any((row.entry.uid, row.entry.gid) != (now[row.path].uid, now[row.path].gid) for row in again),
                mode=any(row.entry.mode != now[row.path].mode for row in again),
            )
        )
    return tuple(sorted(rows, key=lambda row: -row.size)[:MOST_ROWS])


def hidden_secrets(made: Stacked, rules: Iterable[PathRule]) -> tuple[HiddenPath, ...]:
    """Return the paths of hidden files that fit the rules of secrets, but those that still stand there."""
    asked = [rule for rule in rules if rule.kind is ContentKind.SECRET]
    found: list[HiddenPath] = []
    groups: dict[int, list[Gone]] = {}
    for row in (*made.gone, *made.again):
        groups.setdefault(row.layer, []).append(row)
    for number, rows in groups.items():
        layer = made.layers[number - 1]
        by_path = {row.path: row for row in rows if not _still_there(made, row)}
        index = Index(
            paths={path: row.entry for path, row in by_path.items()},
            holding={path: keys for path, keys in layer.index.holding.items() if path in by_path},
        )
        found += [
            HiddenPath(found=path, layer=number, by=gone.by, removed=gone.removed)
            for path in contents_of(index, asked).found
            if (gone := by_path.get(path.path))
        ]
    return tuple(found[:MOST_ROWS])


def _still_there(made: Stacked, row: Gone) -> bool:
    now = made.visible.get(row.path)
    before = made.layers[row.layer - 1].digests.get(row.path)
    return now is not None and made.layers[now - 1].digests.get(row.path) == before


def keyword(created_by: str) -> str:
    """Return which instruction a line of history was; a line that a builder before BuildKit ran was a RUN."""
    if match := NO_OPERATION.match(created_by):
        return match[1].upper()
    first = created_by.split(maxsplit=1)[:1]
    return first[0] if first and first[0] in INSTRUCTIONS else "RUN"


def lines_of(steps: Sequence[Step], chain: Sequence[Instruction]) -> dict[int, int]:
    """Return the line of each step of a history that a Dockerfile's instructions made; none where they do not fit.

    The instructions are the last steps, each of them one; before them are those of the base.
    """
    written = [step for step in chain if step.keyword != "FROM"]
    first = len(steps) - len(written)
    if first < 0 or not written:
        return {}
    if any(keyword(step.created_by) != made.keyword for step, made in zip(steps[first:], written, strict=True)):
        return {}
    return {first + number: made.line for number, made in enumerate(written)}


def base_steps(steps: Sequence[Step], lines: Mapping[int, int]) -> int:
    """Return how many steps of a history are the base's.

    Where no Dockerfile tells, the base ends with the last CMD before the last layer: an image sets it at its end.
    """
    if lines:
        return min(lines)
    last = max((number for number, step in enumerate(steps) if not step.empty_layer), default=0)
    return max((number + 1 for number, step in enumerate(steps[:last]) if keyword(step.created_by) == "CMD"), default=0)


def layers_of(image: SavedImage, rules: Iterable[PathRule], chain: Sequence[Instruction] = ()) -> Layers:
    """Return what an image's layers say; `chain` are the instructions of its Dockerfile, where that is known."""
    steps = image.description.history or []
    lines = lines_of(steps, chain)
    own_from = base_steps(steps, lines)
    made_by = [number for number, step in enumerate(steps) if not step.empty_layer]
    if len(made_by) != len(image.layers):
        # A history that was squashed, or never written.
        made_by = []
    rows = []
    for number, layer in enumerate(image.layers, 1):
        step = made_by[number - 1] if made_by else None
        sizes = layer.sizes
        rows.append(
            ImageLayer(
                number=number,
                instruction="" if step is None else shown_step(steps[step].created_by),
                line=0 if step is None else lines.get(step, 0),
                base=step is not None and step < own_from,
                files=len(sizes),
                size=sum(sizes.values()),
            )
        )
    made = stacked(image.layers)
    return Layers(
        layers=tuple(rows),
        hidden=hidden_rows(made.gone),
        twice=twice_rows(made, sum(row.base for row in rows)),
        secrets=hidden_secrets(made, rules),
        brought=made.visible,
        cut=(*image.cut, *_unread(image.layers)),
    )


def shown_step(created_by: str) -> str:
    """Return a line of history as its instruction, on one line: without the shell and the build arguments."""
    text = re.sub(rf"^(?:RUN )?(?:\|\d+ .*?)?/bin/sh -c (?:#\(nop\)\s+)?(?:{OURS})?", "", created_by, flags=re.DOTALL)
    if text != created_by and keyword(created_by) == "RUN":
        text = f"RUN {text}"
    return plain_line(text.removesuffix("# buildkit").strip())[:LONGEST_INSTRUCTION]
