"""An image's files as the engine's archive API gives them, read by container-structure-test's own rules.

The tool asks for a path's archive and takes the first member that bears the path's last name. The engine follows every
link on the way but the last; contents are read through a link by the target's text, as if that were a path from the
root.
"""

from __future__ import annotations

import posixpath
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from seatrial.facts import FileKind
from seatrial.observe.files import EngineFiles
from seatrial.structure.judge import Content, FileStat, Licences, Refusal, Unknown

if TYPE_CHECKING:
    import docker
    import docker.errors

LARGEST = 64 * 1024 * 1024
"""Bytes of a file that is read."""
MOST_MEMBERS = 200_000
"""Members of one archive that are looked at."""
MOST_LINKS = 40
LEADS_NOWHERE = ("not a directory", "too many levels", "too many links", "file name too long", "no such file")
"""What an engine says, with an error of its own, of a path that runs through a file or a circle of links."""
EXEMPT = "libgnutls30"
"""The package whose licence text the tool does not read."""
DEBIAN_LICENCES = "/usr/share/doc"
KINDS = {
    tarfile.DIRTYPE: FileKind.FOLDER,
    tarfile.REGTYPE: FileKind.FILE,
    tarfile.AREGTYPE: FileKind.FILE,
    tarfile.LNKTYPE: FileKind.FILE,
    tarfile.SYMTYPE: FileKind.LINK,
}

Members = Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]


class _StoppedError(Exception):
    """A path cannot be read."""

    def __init__(self, answer: Refusal | Unknown) -> None:
        super().__init__(answer.reason)
        self.answer = answer


class Archive:
    """The files of a container that was made, and never started."""

    def __init__(self, client: docker.APIClient, container: str) -> None:
        self._files = EngineFiles(client, container)

    def stat(self, path: str) -> FileStat | Refusal | Unknown:
        """Return what is at a path."""
        try:
            with self._members(path) as members:
                for member, _ in members:
                    if member.type in KINDS and _is_named(member, path):
                        kind, mode = KINDS[member.type], stat.S_IMODE(member.mode)
                        return FileStat(kind=kind, mode=mode, uid=member.uid, gid=member.gid)
        except _StoppedError as stopped:
            return stopped.answer
        return _absent(path)

    def contents(self, path: str) -> Content:
        """Return what a file holds."""
        asked = path
        try:
            for _ in range(MOST_LINKS):
                with self._members(path) as members:
                    found = _contents(path, members)
                if not isinstance(found, str):
                    return found
                path = found
        except _StoppedError as stopped:
            return stopped.answer
        return Refusal(reason=f"{asked} is a circle of links")

    def licences(self) -> Licences | Refusal | Unknown:
        """Return the licence texts of Debian's packages."""
        try:
            with self._members(DEBIAN_LICENCES) as members:
                parts = [member.name.strip("/").split("/") for member, _ in members if member.isdir()]
        except _StoppedError as stopped:
            return stopped.answer
        packages = [path[1] for path in parts if len(path) == 2 and path[1] != EXEMPT]  # noqa: PLR2004 - doc/PACKAGE
        paths = [f"{DEBIAN_LICENCES}/{package}/copyright" for package in packages]
        return tuple((path, self.contents(path)) for path in paths)

    @contextmanager
    def _members(self, path: str) -> Iterator[Members]:
        """Give the members of a path's archive as they come; closed half read, the engine sends no more."""
        import docker.errors

        try:
            with self._files.tree(path) as stream, tarfile.open(fileobj=stream, mode="r|", bufsize=512) as archive:
                yield _limited(path, archive)
        except docker.errors.APIError as error:
            raise _StoppedError(_refusal(path, error)) from error


def _limited(path: str, archive: tarfile.TarFile) -> Members:
    for number, member in enumerate(archive):
        if number >= MOST_MEMBERS:
            raise _StoppedError(Unknown(reason=f"{path} has more than {MOST_MEMBERS} files below it"))
        yield member, archive


def _refusal(path: str, error: docker.errors.APIError) -> Refusal | Unknown:
    """Tell a path that leads nowhere from an engine that cannot say: the latter must not pass as an absent file."""
    said = str(error.explanation or error)
    if error.status_code == 404:  # noqa: PLR2004 - HTTP not found
        return Refusal(reason=f"{path} is not in the image")
    if error.status_code == 400 or any(words in said for words in LEADS_NOWHERE):  # noqa: PLR2004 - HTTP bad request
        return Refusal(reason=f"{path} leads nowhere: {said}")
    return Unknown(reason=f"the engine refused {path}: {said}")


def _absent(path: str) -> Refusal:
    return Refusal(reason=f"{path} is not in the image, or is a device or a pipe")


def _contents(path: str, members: Members) -> Content | str:
    """Return what the member that bears the path's name holds, or the target of the first link before it."""
    for member, archive in members:
        if member.issym():
            return member.linkname
        if not _is_named(member, path):
            continue
        if member.isdir():
            return Refusal(reason=f"{path} is a directory")
        if member.isreg() and member.size > LARGEST:
            return Unknown(reason=f"{path} has {member.size} bytes; {LARGEST} are read")
        if member.isreg() and (source := archive.extractfile(member)):
            return source.read()
    return _absent(path)


def _is_named(member: tarfile.TarInfo, path: str) -> bool:
    # tarfile takes the slash off a folder's name: nothing is left of the root's.
    name = posixpath.normpath(member.name) if member.name else "/"
    return name == (posixpath.basename(path.rstrip("/")) or ("/" if path else "."))
