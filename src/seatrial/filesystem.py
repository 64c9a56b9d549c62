"""Files: reading with a limit, errors with the path and the reason, a lock between processes, writing whole."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from seatrial.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


def is_file(path: Path) -> bool:
    """Tell whether a path is a regular file, or a link to one; of a name that no file can have, it is none.

    pathlib raises an OSError where a name is too long, or a folder may not be entered.
    """
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Tell the same of a folder."""
    return os.path.isdir(path)  # noqa: PTH112


def exists(path: Path) -> bool:
    """Tell the same of whatever a path leads to."""
    return os.path.exists(path)  # noqa: PTH110


def read_bytes(file: Path, most: int) -> bytes:
    """Return what a file holds, which is at most so many bytes.

    A pipe or a device would be waited for, or never end: only a regular file is read.

    Raises:
        OSError: it cannot be read, is larger, or is no regular file.

    """
    # Without O_NONBLOCK the opening of a pipe waits for a writer.
    handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as opened:  # noqa: PTH123 - of a handle
        if stat.S_ISDIR(mode := os.fstat(handle).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(file))
        content = opened.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most / 1024**2:g} MiB", str(file))
    return content


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


def replace_all(files: Mapping[Path, bytes]) -> None:
    """Write files, all of them whole or none, and keep their modes.

    Raises:
        OSError: one cannot be written; all are as they were.

    """
    partials: dict[Path, Path] = {}
    written: list[tuple[Path, bytes | None]] = []
    try:
        for file, data in files.items():
            partials[file] = file.with_name(f".{file.name}.{os.getpid()}")
            partials[file].write_bytes(data)
            if file.exists():
                shutil.copymode(file, partials[file])
        for file, partial in partials.items():
            before = file.read_bytes() if file.exists() else None
            partial.replace(file)
            written.append((file, before))
    except BaseException:
        for file, before in written:
            if before is None:
                file.unlink()
            else:
                file.write_bytes(before)
        raise
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
