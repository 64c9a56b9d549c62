"""What an image's layers hold: which instruction made each, what a later one hides, what is stored twice."""

from __future__ import annotations

from seatrial.facts.base import Fact, Unavailable
from seatrial.facts.image import FoundPath

NO_LAYERS = Unavailable(reason="its layers were not read: level deep reads them")


class ImageLayer(Fact, frozen=True, kw_only=True):
    """One layer."""

    number: int
    """From 1, the oldest."""
    instruction: str
    """The instruction that made it, as the history has it, on one line; empty where the history does not say."""
    line: int = 0
    """The instruction's line in the Dockerfile; 0 where it is not known."""
    base: bool = False
    """It is one of the base image's."""
    files: int = 0
    size: int = 0
    """Bytes of its files."""


class Hidden(Fact, frozen=True, kw_only=True):
    """Files of a layer that a later one hides; their bytes stay in the image."""

    layer: int
    by: int
    removed: bool
    """The later layer removes them; else it holds files of the same names."""
    folder: str
    """The folder that holds nearly all of their bytes, or the file."""
    files: int
    size: int


class StoredTwice(Fact, frozen=True, kw_only=True):
    """Files that a layer holds again with the same content, and another owner or mode."""

    layer: int
    before: tuple[int, ...]
    """The layers that held them before."""
    folder: str
    files: int
    size: int
    owner: bool
    """The owner or the group differs."""
    mode: bool
    """The mode differs."""


class HiddenPath(Fact, frozen=True, kw_only=True):
    """A path that fits a rule, in a layer that a later one hides it from."""

    found: FoundPath
    layer: int
    by: int
    removed: bool


class Layers(Fact, frozen=True, kw_only=True):
    """The layers of an image, the oldest first."""

    layers: tuple[ImageLayer, ...]
    hidden: tuple[Hidden, ...] = ()
    """The largest first, those that are stored twice left out."""
    twice: tuple[StoredTwice, ...] = ()
    """The largest first; those of the base are left out."""
    secrets: tuple[HiddenPath, ...] = ()
    """Secrets that no container of the image shows."""
    brought: dict[str, int] = {}
    """The layer that each path comes from."""
    cut: tuple[str, ...] = ()
    """What was left out, and why: a limit was passed, or an archive is damaged."""

    def layer(self, number: int) -> ImageLayer:
        """Return a layer by its number."""
        return self.layers[number - 1]

    def maker(self, path: str) -> ImageLayer | None:
        """Return the layer that a path comes from; of a folder, the one from which most of its files come."""
        below = f"{path.rstrip('/')}/"
        counts: dict[int, int] = {}
        for other, number in self.brought.items():
            if other.startswith(below):
                counts[number] = counts.get(number, 0) + 1
        found = max(counts, key=counts.__getitem__) if counts else self.brought.get(path)
        return None if found is None else self.layer(found)
