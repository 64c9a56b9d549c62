"""The `.env` beside a compose file: there, or to be copied from its example."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import StackError
from seatrial.stack.example import example_beside
from seatrial.stack.finding import unready
from seatrial.stack.variables import missing_env

if TYPE_CHECKING:
    from collections.abc import Callable

OWNER_ONLY = 0o600
"""Secrets are written into this file: nobody else may read it."""


def env_file(compose: Path, *, create: bool, say: Callable[[str], None]) -> Path | None:
    """Return the `.env` beside a compose file, or None where neither it nor an example is there.

    Args:
        compose: the compose file.
        create: copy the example when the file is missing; values are never invented.
        say: told of the copy.

    Raises:
        StackError: it is missing and its example is there, or the copy cannot be written.

    """
    file = compose.parent / ".env"
    if file.exists():
        return file
    example = example_beside(compose)
    if example is None:
        return None
    if not create:
        raise unready([missing_env(file, example)])
    _copy(example, file)
    say(f"Copied {example.name} to {file}. Fill in your own values where it asks for them.")
    return file


def example_to_copy(compose: Path) -> Path | None:
    """Return the example that a missing `.env` can be copied from; None where there is nothing to copy."""
    return None if (compose.parent / ".env").exists() else example_beside(compose)


def _copy(example: Path, file: Path) -> None:
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".env.")
        beside = Path(name)
        try:
            with os.fdopen(handle, "wb") as sink:
                sink.write(example.read_bytes())
            beside.chmod(OWNER_ONLY)
            # A link, unlike a rename, never replaces a file that somebody wrote in the meantime.
            file.hardlink_to(beside)
        finally:
            beside.unlink()
    except OSError as error:
        raise StackError(
            f"the example env file could not be copied: {error.strerror}.",
            where=str(file),
            fix=f"Copy it yourself: `cp {example} {file}`.",
        ) from error
