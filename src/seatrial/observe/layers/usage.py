"""Where an image's bytes are: by instruction, distribution, system package and folder, from its layers."""

from __future__ import annotations

import posixpath
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from seatrial.facts import Hidden, StoredTwice
from seatrial.inside.probe.distributions import header
from seatrial.observe.contents import shown
from seatrial.observe.kept import APK
from seatrial.observe.layers.stacked import DEEPEST, stacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from seatrial.facts import Layers
    from seatrial.observe.layers.saved_image import SavedImage
    from seatrial.observe.layers.stacked import Stacked

LEAST_SHARE = 0.02
"""Of all bytes: a folder with less is not a row by itself."""
MERGED = ("/bin/", "/sbin/", "/lib/", "/lib64/")
"""Folders that newer systems have as links into /usr, and that lists of packages still name."""
DPKG, DISTROLESS = "/var/lib/dpkg/info/", "/var/lib/dpkg/status.d/"


class Instruction(msgspec.Struct, frozen=True, kw_only=True):
    """What an instruction's layer holds; sizes in bytes."""

    layer: int
    """From 1, the oldest."""
    instruction: str
    line: int
    """In the Dockerfile; 0 where it is not known."""
    base: bool
    files: int
    size: int
    packed: int
    """Bytes of the layer as it was read, which may be packed."""
    hidden: int
    """Of its size, what a later layer removes or writes again."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What belongs together; sizes in bytes."""

    name: str
    files: int
    size: int
    saves: int
    """What the image would lose without it: all of its copies, but those in layers of the base."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Where the bytes of an image are; rows have the largest first, instructions the oldest."""

    size: int
    """Bytes of all layers."""
    base: int
    """Of these, in layers of the base."""
    wasted: int
    """Of these, in layers above the base, and hidden by a later one."""
    instructions: tuple[Instruction, ...]
    hidden: tuple[Hidden, ...]
    """What layers above the base hide of each other."""
    twice: tuple[StoredTwice, ...]
    """What layers above the base store again with another owner or mode."""
    distributions: tuple[Row, ...]
    packages: tuple[Row, ...]
    folders: tuple[Row, ...]
    rest: tuple[Row, ...]
    """The folders again, of the files that no distribution and no system package has."""
    cut: tuple[str, ...]
    """What was left out, and why."""


def usage_of(image: SavedImage, facts: Layers) -> Usage:
    """Return where an image's bytes are; `facts` say what made its layers."""
    made = stacked(image.layers)
    base = {layer.number for layer in facts.layers if layer.base}
    hidden: dict[int, int] = {}
    for gone in (*made.gone, *made.again):
        hidden[gone.layer] = hidden.get(gone.layer, 0) + gone.size
    copies = _Copies(made, base)
    sizes = {path: size for path, size in copies.visible.items() if size}
    distributions, packages = list(_distributions(made, sizes)), list(_packages(made, sizes))
    owned = {path for _, path in (*distributions, *packages)}
    return Usage(
        size=sum(layer.size for layer in facts.layers),
        base=sum(layer.size for layer in facts.layers if layer.base),
        wasted=sum(size for number, size in hidden.items() if number not in base),
        instructions=tuple(
            Instruction(
                layer=row.number,
                instruction=row.instruction,
                line=row.line,
                base=row.base,
                files=row.files,
                size=row.size,
                packed=layer.packed,
                hidden=hidden.get(row.number, 0),
            )
            for row, layer in zip(facts.layers, image.layers, strict=True)
        ),
        hidden=tuple(row for row in facts.hidden if row.layer not in base),
        twice=facts.twice,
        distributions=copies.rows(distributions),
        packages=copies.rows(packages),
        folders=copies.rows(_folders(sizes)),
        rest=copies.rows(_folders({path: size for path, size in sizes.items() if path not in owned})),
        cut=image.cut,
    )


class _Copies:
    """The bytes of each path, in all layers that hold it."""

    def __init__(self, made: Stacked, base: set[int]) -> None:
        sizes = [layer.sizes for layer in made.layers]
        self.visible = {path: sizes[number - 1].get(path, 0) for path, number in made.visible.items()}
        self._own: dict[str, int] = {}
        for path, number in made.visible.items():
            if number not in base:
                self._own[path] = self.visible[path]
        for gone in (*made.gone, *made.again):
            if gone.layer not in base:
                self._own[gone.path] = self._own.get(gone.path, 0) + gone.size

    def rows(self, owners: Iterable[tuple[str, str]]) -> tuple[Row, ...]:
        """Return a row for each owner of paths; the pairs are owner and path."""
        found: dict[str, list[int]] = {}
        for owner, path in owners:
            row = found.setdefault(owner, [0, 0, 0])
            row[0] += 1
            row[1] += self.visible[path]
            row[2] += self._own.get(path, 0)
        rows = (
            Row(name=shown(name), files=files, size=size, saves=saves) for name, (files, size, saves) in found.items()
        )
        return tuple(sorted(rows, key=lambda row: (-row.size, row.name)))


def _lists(made: Stacked) -> Iterator[tuple[str, str]]:
    """Yield the lists of files that a container sees."""
    for path, number in made.visible.items():
        text = made.layers[number - 1].lists.get(path)
        if text is not None:
            yield path, text


def _distributions(made: Stacked, sizes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield the distribution that each file belongs to."""
    exact: dict[str, str] = {}
    surely: dict[str, str] = {}
    perhaps: dict[str, str] = {}
    records = {posixpath.dirname(path): text for path, text in _lists(made) if path.endswith("/RECORD")}
    names = {
        folder: _named(made, f"{folder}/METADATA") or posixpath.basename(folder).removesuffix(".dist-info")
        for folder in records
    }
    times = Counter(names.values())
    for folder, places in records.items():
        site, name = posixpath.dirname(folder), names[folder]
        if times[name] > 1:
            # The base's pip and that of an environment are two.
            name += f" in {site}"
        for place in places.split("\n"):
            path = posixpath.normpath(posixpath.join(site, place))
            if not place.endswith("/"):
                exact[path] = name
            elif "/" in place[:-1] or place.endswith(".dist-info/"):
                surely[path] = name
            else:
                perhaps.setdefault(path, name)
    for path in sizes:
        owner = exact.get(path)
        above = posixpath.dirname(path)
        while owner is None and above != "/":
            owner = surely.get(above) or perhaps.get(above)
            above = posixpath.dirname(above)
        if owner is not None:
            yield owner, path


def _named(made: Stacked, metadata: str) -> str:
    number = made.visible.get(metadata)
    if number is None:
        return ""
    fields = header(made.layers[number - 1].index.texts.get(metadata, ""))
    return " ".join(str(fields[key]) for key in ("name", "version") if fields.get(key))


def _packages(made: Stacked, sizes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield the system package that each file belongs to; rpm keeps no list that can be read here."""
    seen: set[str] = set()
    for file, text in _lists(made):
        for name, path in _listed(file, text):
            real = f"/usr{path}" if path.startswith(MERGED) and path not in sizes else path
            if real in sizes and real not in seen:
                seen.add(real)
                yield name, real


def _listed(file: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a list, each with its package."""
    name = posixpath.basename(file)
    if file.startswith(DPKG):
        package = name.removesuffix(".list").partition(":")[0]
        yield from ((package, path) for path in text.split("\n"))
    elif file.startswith(DISTROLESS):
        rows = (line.partition("  ")[2] for line in text.split("\n"))
        yield from ((name.removesuffix(".md5sums"), f"/{path.removeprefix('./')}") for path in rows if path)
    elif file in APK:
        package = folder = ""
        for line in text.split("\n"):
            key, _, value = line.partition(":")
            if key == "P":
                package = value
            elif key == "F":
                folder = value
            elif key == "R":
                yield package, f"/{folder}/{value}".replace("//", "/")


def _folders(sizes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield the folder that each file is counted for: the deepest one above it that holds a share of all bytes."""
    least = LEAST_SHARE * sum(sizes.values())
    ends = dict.fromkeys(sizes, 0)
    left = list(sizes)
    for _ in range(DEEPEST):
        below = {path: end for path in left if (end := path.find("/", ends[path] + 1)) > 0}
        total: dict[str, int] = {}
        for path, end in below.items():
            total[path[:end]] = total.get(path[:end], 0) + sizes[path]
        left = [path for path, end in below.items() if total[path[:end]] >= least]
        ends |= {path: below[path] for path in left}
    for path, end in ends.items():
        yield path[:end] or "/", path
