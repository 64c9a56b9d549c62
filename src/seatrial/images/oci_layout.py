"""Images of the engine saved as OCI layouts, for a builder that does not see the engine's images."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, cast

from seatrial.engine.find import Engine
from seatrial.errors import BuildError, EngineError
from seatrial.observe.layers.compression import Chunks
from seatrial.observe.layers.saved_image import SAVE_TIMEOUT
from seatrial.text import plain_line

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
INDEX = "index.json"


def save_images(engine: Engine, images: Iterable[str], folder: Path) -> dict[str, str]:
    """Save each image once, in its own folder; return the value of `--build-context` for each.

    Raises:
        BuildError: buildx cannot be given the folder's path.
        EngineError: the engine is too old to save images as OCI layouts, or sends something else.
        OSError: the folder cannot be written.
        docker.errors.APIError: the engine refuses.
    """
    saved: dict[str, str] = {}
    for number, image in enumerate(dict.fromkeys(images)):
        inner = folder / f"image-{number}"
        inner.mkdir()
        saved[image] = save_image(engine, image, inner)
    return saved


def save_image(engine: Engine, image: str, folder: Path) -> str:
    """Save one image into a folder; see `save_images`."""
    if {":", "@"} & set(str(folder)):
        # buildx splits PATH:TAG@DIGEST there.
        raise BuildError(
            "an image cannot be passed to a builder from a folder whose path holds ':' or '@'.",
            where=str(folder),
            fix="Point TMPDIR to another folder.",
        )
    with closing(engine.connection(SAVE_TIMEOUT)) as api:
        unpack(api.get_image(image), folder, engine=str(engine))
    return f"oci-layout://{folder}@{digest(folder, engine=str(engine))}"


def unpack(chunks: Iterator[bytes], folder: Path, *, engine: str) -> None:
    """Unpack an archive that comes in chunks."""
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", Chunks(chunks)), mode="r|", bufsize=1 << 20) as archive:
            archive.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise EngineError(
            f"the engine sent an image that cannot be unpacked: {plain_line(str(error))}.",
            where=engine,
            fix="Build again; if it still fails, load the image into the engine again.",
        ) from error


def digest(folder: Path, *, engine: str) -> str:
    """Return the digest of the one image in an OCI layout."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        found = str(index["manifests"][0]["digest"])
    except FileNotFoundError:
        raise EngineError(
            "other builders need images in the form that Docker 25 or later saves.",
            where=engine,
            fix="Update Docker, or build with the engine's own builder.",
        ) from None
    except (ValueError, LookupError, TypeError) as error:
        raise EngineError(f"the engine saved an image without a readable {INDEX}.", where=engine) from error
    if DIGEST.fullmatch(found) is None:
        raise EngineError(f"the engine saved an image whose {INDEX} names no digest.", where=engine)
    return found
