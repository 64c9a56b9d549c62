"""An image's files as the engine's archive API gives them, read with the tool's own rules.

`container-structure-test` asks for a path's archive and takes the first member that bears the path's last name. The
engine follows every link on the way but the last; contents are read through a link by the target's text, as if that
were a path from the root.
"""

from __future__ import annotations

import posixpath
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from seatrial.facts import FileKind
from seatrial.structure.seen import Contents, Cut, Refused, Stat

if TYPE_CHECKING:
    import docker
    import docker.errors

LARGEST = 64 * 1024 * 1024
"""Bytes of a file that is read."""
MOST_MEMBERS = 200_000
"""Members of one archive that are looked at."""
MOST_LINKS = 40
NOWHERE = ("not a directory", "too many levels", "too many links", "file name too long", "no such file")
"""What an engine says, with an error of its own, of a path that runs through a file or a circle of links."""
NOT_THERE = "is not in the image, or is a device or a pipe"
LICENCE = "copyright"
EXEMPT = frozenset(("libgnutls30",))
"""Packages whose licence text the tool does not read."""
DEBIAN_LICENCES = "/usr/share/doc"


Members = Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]


class Archive:
    """The files of a container that was made, and never started."""

    def __init__(self, client: docker.APIClient, container: str) -> None:
        # Any: docker-py's get_archive hands out a stream that cannot be closed half read.
        self._client: Any = client
        self._container = container

    def stat(self, path: str) -> Stat | Refused | Cut:
        """Return what stands at a path."""
        with self._members(path) as members:
            if isinstance(members, Refused | Cut):
                return members
            wanted = _last(path)
            for number, (member, _) in enumerate(members):
                if number >= MOST_MEMBERS:
                    return Cut(reason=f"{path} has more than {MOST_MEMBERS} files below it")
                if member.type in KINDS and _clean(member.name) == wanted:
                    return Stat(kind=KINDS[member.type], mode=stat.S_IMODE(member.mode), uid=member.uid, gid=member.gid)
        return Refused(reason=f"{path} {NOT_THERE}")

    def contents(self, path: str, links: int = 0) -> Contents | Refused | Cut:
        """Return what a file holds."""
        with self._members(path) as members:
            found = members if isinstance(members, Refused | Cut) else _first_contents(path, members)
        if not isinstance(found, str):
            return found
        if links >= MOST_LINKS:
            return Refused(reason=f"{path} is a circle of links")
        return self.contents(found, links + 1)

    def licences(self) -> tuple[tuple[str, Contents | Refused | Cut], ...] | Refused | Cut:
        """Return the licence texts of Debian's packages, by their path."""
        folders: list[str] = []
        texts: dict[str, Contents | Refused | Cut] = {}
        with self._members(DEBIAN_LICENCES) as members:
            if isinstance(members, Refused | Cut):
                return members
            for number, (member, archive) in enumerate(members):
                if number >= MOST_MEMBERS:
                    return Cut(reason=f"{DEBIAN_LICENCES} has more than {MOST_MEMBERS} files")
                parts = member.name.strip("/").split("/")
                if len(parts) == 2 and member.isdir():  # noqa: PLR2004 - doc/PACKAGE
                    folders.append(parts[1])
                elif len(parts) == 3 and parts[2] == LICENCE and member.isreg() and not member.islnk():  # noqa: PLR2004
                    texts[parts[1]] = _body(archive, member, "/".join(parts))
        rows: list[tuple[str, Contents | Refused | Cut]] = []
        for folder in folders:
            if folder not in EXEMPT:
                path = f"{DEBIAN_LICENCES}/{folder}/{LICENCE}"
                # A link, or a second name of a file, is asked for by itself.
                rows.append((path, texts.get(folder) or self.contents(path)))
        return tuple(rows)

    @contextmanager
    def _members(self, path: str) -> Iterator[Members | Refused | Cut]:
        """Give the members of a path's archive as they come; closed half read, the engine sends no more."""
        import docker.errors

        client = self._client
        address = client._url("/containers/{0}/archive", self._container)
        answer = client._get(address, params={"path": path}, stream=True, headers={"Accept-Encoding": "identity"})
        try:
            try:
                client._raise_for_status(answer)
            except docker.errors.APIError as error:
                yield _refusal(path, error)
                return
            with tarfile.open(fileobj=answer.raw, mode="r|", bufsize=512) as archive:
                yield ((member, archive) for member in archive)
        finally:
            answer.close()


KINDS = {
    tarfile.DIRTYPE: FileKind.FOLDER,
    tarfile.REGTYPE: FileKind.FILE,
    tarfile.AREGTYPE: FileKind.FILE,
    tarfile.LNKTYPE: FileKind.FILE,
    tarfile.SYMTYPE: FileKind.LINK,
}


def _refusal(path: str, error: docker.errors.APIError) -> Refused | Cut:
    """Tell a path that leads nowhere from an engine that cannot say: the latter must not pass as an absent file."""
    said = str(error.explanation or error)
    if error.status_code == 404:  # noqa: PLR2004 - HTTP not found
        return Refused(reason=f"{path} is not in the image")
    if error.status_code == 400 or any(words in said for words in NOWHERE):  # noqa: PLR2004 - HTTP bad request
        return Refused(reason=f"{path} leads nowhere: {said}")
    return Cut(reason=f"the engine refused {path}: {said}")


def _first_contents(path: str, members: Members) -> Contents | Refused | Cut | str:
    """Return what the member that bears the path's name holds, or the target of the first link before it."""
    wanted = _last(path)
    for number, (member, archive) in enumerate(members):
        if number >= MOST_MEMBERS:
            return Cut(reason=f"{path} has more than {MOST_MEMBERS} files below it")
        if member.issym():
            return member.linkname
        if _clean(member.name) == wanted and member.isdir():
            return Refused(reason=f"{path} is a directory")
        if _clean(member.name) == wanted and member.isreg():
            return _body(archive, member, path)
    return Refused(reason=f"{path} {NOT_THERE}")


def _last(path: str) -> str:
    return posixpath.basename(path.rstrip("/")) or ("/" if path else ".")


def _clean(name: str) -> str:
    # tarfile takes the slash off a folder's name: nothing is left of the root's.
    return posixpath.normpath(name) if name else "/"


def _body(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> Contents | Cut:
    if member.size > LARGEST:
        return Cut(reason=f"{path} has {member.size} bytes; {LARGEST} are read")
    source = archive.extractfile(member)
    return Contents(body=source.read() if source is not None else b"")
