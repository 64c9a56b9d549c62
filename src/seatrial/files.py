"""Trouble with files, told as an error of ours."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from seatrial.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Turn a file that cannot be made, written, read or run into a message.

    Raises:
        EngineError: with the file, and what the system says about it.

    """
    try:
        yield
    except OSError as error:
        raise EngineError(
            f"cannot be used: {error.strerror or error}.",
            where=str(error.filename or folder),
            fix="Look at free space and permissions; XDG_DATA_HOME and XDG_CACHE_HOME name other folders.",
        ) from error
