"""An image's files, read by the engine from a container that was created and not started."""

from __future__ import annotations

import re
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from seatrial.facts import Accounts, FileEntry, FileKind, Group, Password, User

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker


MOST_ROWS = 5000
"""Rows of one file that are kept."""


def read_accounts(passwd: str, shadow: str, group: str) -> Accounts:
    """Return the accounts of the image; of passwords only what they come to."""
    shadowed: dict[str, str] = {}
    for row in _rows(shadow):
        # As getspnam(3) does: the first row of a name counts.
        shadowed.setdefault(row[0], row[1])
    users = [
        User(name=row[0], uid=_number(row[2]), password=password(row[1], shadowed.get(row[0]))) for row in _rows(passwd)
    ]
    groups = [Group(name=row[0], gid=_number(row[2])) for row in _rows(group)]
    return Accounts(
        users=tuple(users[:MOST_ROWS]),
        groups=tuple(groups[:MOST_ROWS]),
        cut=max(len(users), len(groups)) > MOST_ROWS,
    )


def password(field: str, shadowed: str | None) -> Password:
    """Tell what an account's password comes to.

    Args:
        field: the second field of its row in /etc/passwd; `x` points to /etc/shadow.
        shadowed: that of its row in /etc/shadow; None where it has none.

    """
    if field == "x":
        # Without a row to compare with, no password is the right one.
        return Password.LOCKED if shadowed is None else password(shadowed, None)
    if not field:
        return Password.EMPTY
    # `*` and `!` begin what no hash begins with; `!` before a hash locks it: shadow(5).
    return Password.LOCKED if field.startswith(("*", "!")) else Password.SET


def _rows(text: str) -> Iterator[list[str]]:
    """Yield the rows of an account file, each with at least three fields."""
    for line in text.split("\n"):
        row = line.strip()
        # `+` and `-` begin the rows of NIS, which name no account of their own.
        if row and not row.startswith(("#", "+", "-")):
            yield [*row.split(":"), "", "", ""]


def _number(text: str) -> int:
    """Return a number as the engine reads it: what is none counts as 0."""
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else 0


BLOCK = 512
KEPT = 4096
"""Bytes of a file's beginning that are read."""
WHOLE = 1024 * 1024
"""The most that is read of a small file such as /etc/passwd."""


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
            import docker.errors

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
        client = self._client
        address = client._url("/containers/{0}/archive", self._container)
        answer = client._get(address, params={"path": path}, stream=True, headers={"Accept-Encoding": "identity"})
        try:
            client._raise_for_status(answer)
            raw = answer.raw
            header = _header(raw)
            size = min(header.size, limit) if header.isreg() else 0
            return _entry(header), raw.read(size) if size else b""
        finally:
            answer.close()


def _header(raw: object) -> tarfile.TarInfo:
    """Read the first member's header, whatever extended headers (long names) stand before it."""
    with tarfile.open(fileobj=raw, mode="r|", bufsize=BLOCK) as archive:  # type: ignore[call-overload]
        member = archive.next()
    if not isinstance(member, tarfile.TarInfo):
        raise TypeError("the engine sent an empty archive")
    return member


def _entry(member: tarfile.TarInfo) -> FileEntry:
    kind = FileKind.OTHER
    if member.isreg():
        kind = FileKind.FILE
    elif member.isdir():
        kind = FileKind.FOLDER
    elif member.issym():
        kind = FileKind.LINK
    return FileEntry(
        kind=kind,
        mode=member.mode,
        uid=member.uid,
        gid=member.gid,
        size=member.size,
        target=member.linkname if member.issym() else "",
    )


def _leads_nowhere(explanation: str) -> bool:
    return any(
        words in explanation
        for words in (
            "not a directory",
            "too many links",
            "too many levels",
            "no such file",
            "file name too long",
        )
    )
