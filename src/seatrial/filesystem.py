"""Files: errors with the path and the reason, a lock between processes, and writing whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from seatrial.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def os_errors(folder: Path) -> Iterator[None]:
    """Turn an error of the system about a file into a message with the path and the reason.

    Raises:
        EngineError: with the file, or the folder where the system names none.

    """
    try:
        yield
    except OSError as error:
        raise EngineError(
            f"cannot be used: {error.strerror or error}.",
            where=str(error.filename or folder),
            fix="Look at free space and permissions; XDG_DATA_HOME and XDG_CACHE_HOME name other folders.",
        ) from error


@contextmanager
def locked(folder: Path, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a folder; the kernel releases it when this process ends, however it ends.

    Args:
        folder: an existing folder. It is locked itself, so no lock file is left behind.
        waiting: called once when another process holds the lock.

    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def replace(file: Path, data: bytes) -> None:
    """Write a file whole or not at all, and keep its mode; a device, or what a link leads to, is written into.

    Raises:
        OSError: it cannot be written.

    """
    there = file.exists()
    if there and (file.is_symlink() or not file.is_file()):
        file.write_bytes(data)
        return
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        if there:
            shutil.copymode(file, partial)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
