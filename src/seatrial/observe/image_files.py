"""An image's files, kept from an earlier reading or read from a container that is not started."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from seatrial.engine import runs
from seatrial.engine.containers import container, engine_errors
from seatrial.errors import EngineError, ImageError
from seatrial.facts import Unavailable
from seatrial.observe import index_cache
from seatrial.observe.archive import Limits
from seatrial.observe.files import EngineFiles
from seatrial.observe.index import read_index
from seatrial.observe.layers.saved_image import from_engine
from seatrial.observe.layers.stacked import layers_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from seatrial.engine.find import Engine
    from seatrial.engine.runs import Run
    from seatrial.facts import Configuration, Layers, PathRule, Sources
    from seatrial.observe.index import Index
    from seatrial.observe.layers.saved_image import SavedImage

NOT_READ = Unavailable(reason="its files were not read; `invoke up --dry-run` reads those of every image that is here")
READ_SECONDS = 60.0
MOST_READ_SECONDS = 600.0
SLOWEST = 50_000_000
"""Bytes a second that an engine packs at least."""
LEAST_BYTES = 500_000_000
"""What an image may hold beyond twice its layers' size: a file's holes are packed as zeros."""


@contextmanager
def image_files(run: Run, configuration: Configuration) -> Iterator[EngineFiles]:
    """Give the image's files, to be read without running anything."""
    plan = {
        "Image": configuration.id,
        "Entrypoint": ["/nothing"],
        "Cmd": [],
        # The engine makes a WORKDIR that is missing: here it shall be seen to be missing.
        "WorkingDir": "/",
        "HostConfig": {"NetworkMode": "none"},
    }
    with container(run, plan) as unstarted:
        yield EngineFiles(unstarted.client, unstarted.id)


def kept_index(engine: Engine, configuration: Configuration) -> Index | Unavailable:
    """Return what is kept of an image's files."""
    known = index_cache.load(engine.cache, configuration.id)
    return NOT_READ if known is None else known


def image_index(engine: Engine, configuration: Configuration) -> Index | Unavailable:
    """Return an image's files: kept ones, or read from it; nothing is started.

    Raises:
        EngineError: the engine does not answer.

    """
    kept = kept_index(engine, configuration)
    if not isinstance(kept, Unavailable):
        return kept
    with (
        engine_errors(f"reading the files of {configuration.reference}"),
        runs.running(engine, pid=os.getpid()) as run,
        image_files(run, configuration) as files,
    ):
        known = read_index(files, read_limits(configuration))
    index_cache.store(engine.cache, configuration.id, known)
    return Unavailable(reason=f"its files were not read to their end: {known.cut[0]}") if known.cut else known


def image_layers(engine: Engine, configuration: Configuration) -> SavedImage:
    """Return an image's layers: kept ones, or read from the engine's stream; nothing is started.

    Raises:
        EngineError: the engine does not answer.
        ImageError: what it sends is no saved image.

    """
    kept = index_cache.load_layers(engine.cache, configuration.id)
    if kept is None:
        with engine_errors(f"reading the layers of {configuration.reference}"):
            kept = from_engine(engine, configuration)
        index_cache.store_layers(engine.cache, configuration.id, kept)
    return kept


def read_layers(
    engine: Engine, configuration: Configuration, sources: Sources | Unavailable, rules: Iterable[PathRule]
) -> Layers | Unavailable:
    """Return what an image's layers say, with the lines of its Dockerfile where that is known."""
    try:
        saved = image_layers(engine, configuration)
    except (EngineError, ImageError) as error:
        # A disk that is full, such as the engine's as it packs the image, leaves the rest of a smoke as it is.
        return Unavailable(reason=error.what)
    chain = () if isinstance(sources, Unavailable) else sources.dockerfile.parsed.final_instructions
    return layers_of(saved, rules, chain)


def read_limits(configuration: Configuration) -> Limits:
    """Return what reading an image may take: its layers are known to hold so much; a hole in a file adds nothing."""
    return Limits(
        seconds=min(READ_SECONDS + configuration.unpacked / SLOWEST, MOST_READ_SECONDS),
        most=2 * configuration.unpacked + LEAST_BYTES,
    )
