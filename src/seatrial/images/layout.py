"""An engine's image as an OCI layout, for a builder that does not see the engine's images."""

from __future__ import annotations

import io
import json
import re
import tarfile
from contextlib import closing
from typing import TYPE_CHECKING

from seatrial.errors import BuildError, EngineError
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer

    from seatrial.engine.find import Engine

SAVED_WITHIN = 600
"""Seconds until the engine sends an image's next bytes: before the first, it gathers all of it on its disk."""
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
INDEX = "index.json"


def named_context(engine: Engine, reference: str, folder: Path) -> str:
    """Save an image of the engine into a folder; return the value of `--build-context` that means it.

    Raises:
        BuildError: the folder's path cannot be named so.
        EngineError: the engine is too old to save images as OCI layouts, or sends something else.
        OSError: the folder cannot be written.
        docker.errors.APIError: the engine refuses.

    """
    if {":", "@"} & set(str(folder)):
        # buildx splits PATH:TAG@DIGEST there.
        raise BuildError(
            "a builder cannot be handed an image from a folder whose path holds ':' or '@'.",
            where=str(folder),
            fix="Point TMPDIR to another folder.",
        )
    with closing(engine.connection(SAVED_WITHIN)) as api:
        unpack(api.get_image(reference), folder, engine=str(engine))
    return f"oci-layout://{folder}@{digest(folder, engine=str(engine))}"


def unpack(parts: Iterator[bytes], folder: Path, *, engine: str) -> None:
    """Unpack an archive that comes in parts.

    Raises:
        EngineError: it is damaged, or would write elsewhere.
        OSError: the folder cannot be written.

    """
    try:
        with tarfile.open(fileobj=io.BufferedReader(_Parts(parts), 1 << 20), mode="r|") as archive:
            archive.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise EngineError(
            f"the engine sent an image that cannot be unpacked: {plain_line(str(error))}.",
            where=engine,
            fix="Build once more; if it happens again, load the image anew.",
        ) from error


def digest(folder: Path, *, engine: str) -> str:
    """Return the digest of the one image in an OCI layout.

    Raises:
        EngineError: it is none, as what engines before Docker 25 save.

    """
    try:
        said = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        found = str(said["manifests"][0]["digest"])
    except FileNotFoundError:
        raise EngineError(
            "this engine saves images in a form that other builders do not take; Docker 25 or later does not.",
            where=engine,
            fix="Update Docker, or build with the engine's own builder.",
        ) from None
    except (ValueError, LookupError, TypeError) as error:
        raise EngineError(f"the engine saved an image without a readable {INDEX}.", where=engine) from error
    if DIGEST.fullmatch(found) is None:
        raise EngineError(f"the engine saved an image whose {INDEX} names no digest.", where=engine)
    return found


class _Parts(io.RawIOBase):
    """Reads from parts of any size as from one file."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        super().__init__()
        self._parts = parts
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = part
        taken = self._rest[: len(view)]
        view[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)
