"""An image's files, read by the engine from a container that was created and not started."""

from __future__ import annotations

import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import docker.errors

from seatrial.facts import FileEntry, FileKind

if TYPE_CHECKING:
    from collections.abc import Iterator


BLOCK = 512
KEPT = 4096
"""Bytes of a file's beginning that are read."""
WHOLE = 1024 * 1024
"""The most that is read of a small file such as /etc/passwd."""
LEADS_NOWHERE = ("not a directory", "too many links", "too many levels", "no such file", "file name too long")
"""What the engine says of a path that runs through a file, or in a circle."""


class EngineFiles:
    """`seatrial.observe.paths.Files` over the engine's archive API: works with no shell and no Python."""

    def __init__(self, client: docker.APIClient, container: str) -> None:
        # Any: docker-py's get_archive cannot ask for a stream that is not packed, so that a file's first
        # bytes can be read and the rest left; this uses the same private helpers that it does.
        self._client: Any = client
        self._container = container
        self._seen: dict[str, tuple[FileEntry, bytes] | None] = {}

    def entry(self, path: str) -> FileEntry | None:
        """Return what stands at a path, its last part not followed; None where nothing does."""
        found = self._look(path)
        return found[0] if found else None

    def beginning(self, path: str) -> bytes:
        """Return the first bytes of a regular file."""
        found = self._look(path)
        return found[1] if found else b""

    def text(self, path: str) -> str:
        """Return a small text file; empty where there is none."""
        found = self._look(path)
        if found is None:
            return ""
        entry, body = found
        if entry.size > KEPT:
            _, body = self._read(path, WHOLE)
        return body.decode("utf-8", errors="replace")

    @property
    def container(self) -> str:
        """The container that they are read from, by its id."""
        return self._container

    @contextmanager
    def tree(self, path: str) -> Iterator[Any]:
        """Give a folder and all below it as the engine packs it: a stream that holds a tar.

        Raises:
            docker.errors.NotFound: there is nothing of that path.
            docker.errors.APIError: the engine cannot read it.

        """
        client = self._client
        address = client._url("/containers/{0}/archive", self._container)
        answer = client._get(address, params={"path": path}, stream=True, headers={"Accept-Encoding": "identity"})
        try:
            client._raise_for_status(answer)
            yield answer.raw
        finally:
            # Closed before its end, it is the engine that stops packing.
            answer.close()

    def _look(self, path: str) -> tuple[FileEntry, bytes] | None:
        if "\0" in path:
            # A `#!` line or a binary may name anything; no file has such a name, and the engine refuses it.
            return None
        if path not in self._seen:
            try:
                self._seen[path] = self._read(path, KEPT)
            except docker.errors.NotFound:
                self._seen[path] = None
            except docker.errors.APIError as error:
                # A path that runs through a file, or a circle of links, leads nowhere either.
                if error.status_code not in {400, 500} or not _leads_nowhere(str(error.explanation)):
                    raise
                self._seen[path] = None
        return self._seen[path]

    def _read(self, path: str, limit: int) -> tuple[FileEntry, bytes]:
        with self.tree(path) as stream:
            header = _header(stream)
            size = min(header.size, limit) if header.isreg() else 0
            return _entry(header), stream.read(size) if size else b""


def _header(raw: object) -> tarfile.TarInfo:
    """Read the first member's header, whatever extended headers (long names) stand before it."""
    with tarfile.open(fileobj=raw, mode="r|", bufsize=BLOCK) as archive:  # type: ignore[call-overload]
        member = archive.next()
    if not isinstance(member, tarfile.TarInfo):
        raise TypeError("the engine sent an empty archive")
    return member


def _entry(member: tarfile.TarInfo) -> FileEntry:
    kinds = {tarfile.REGTYPE: FileKind.FILE, tarfile.DIRTYPE: FileKind.FOLDER, tarfile.SYMTYPE: FileKind.LINK}
    return FileEntry(
        kind=FileKind.FILE if member.isreg() else kinds.get(member.type, FileKind.OTHER),
        mode=member.mode,
        uid=member.uid,
        gid=member.gid,
        size=member.size,
        target=member.linkname if member.issym() else "",
    )


def _leads_nowhere(explanation: str) -> bool:
    return any(words in explanation for words in LEADS_NOWHERE)
