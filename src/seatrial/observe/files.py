"""An image's files, read by the engine from a container that was created and not started; its accounts."""

from __future__ import annotations

import posixpath
import re
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import docker.errors

from seatrial.errors import ImageError
from seatrial.facts import Account, Accounts, FileEntry, FileKind, Group, Password, User, VolumeFolder
from seatrial.observe import paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from seatrial.facts import Configuration
    from seatrial.observe.paths import Files


KERNEL = ("/proc/", "/sys/", "/dev/")
"""The kernel's own file systems: what an image holds there is mounted over."""
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
        self.container = container
        """The container that they are read from, by its id."""
        self.index: Files | None = None
        """What was read of the image, where that is all of it: the engine is not asked again what stands where."""
        self._seen: dict[str, tuple[FileEntry, bytes] | None] = {}

    def entry(self, path: str) -> FileEntry | None:
        """Return what stands at a path, its last part not followed; None where nothing does."""
        if self.index is not None and not path.startswith(KERNEL):
            return self.index.entry(path)
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

    @contextmanager
    def tree(self, path: str) -> Iterator[Any]:
        """Give a folder and all below it as the engine packs it: a stream that holds a tar.

        Raises:
            docker.errors.NotFound: there is nothing of that path.
            docker.errors.APIError: the engine cannot read it.

        """
        client = self._client
        address = client._url("/containers/{0}/archive", self.container)
        answer = client._get(address, params={"path": path}, stream=True, headers={"Accept-Encoding": "identity"})
        try:
            client._raise_for_status(answer)
            yield answer.raw
        finally:
            # Closed before its end, it is the engine that stops packing.
            answer.close()

    def is_empty(self, path: str) -> bool:
        """Tell whether a folder holds nothing."""
        with self.tree(path) as stream, tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK) as archive:
            return archive.next() is None or archive.next() is None

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
                if error.status_code not in {400, 500} or not leads_nowhere(str(error.explanation)):
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


MOST_VOLUMES = 32
"""Volumes of an image that are looked into."""


def empty_volumes(configuration: Configuration, files: EngineFiles) -> dict[str, VolumeFolder]:
    """Return those of an image's volumes that hold nothing in it, each with its folder's owner and mode."""
    found: dict[str, VolumeFolder] = {}
    for path in configuration.volumes[:MOST_VOLUMES]:
        entry = files.entry(path)
        if entry is None:
            found[path] = VolumeFolder()
        elif entry.kind is FileKind.FOLDER and files.is_empty(path):
            found[path] = VolumeFolder(mode=entry.mode, uid=entry.uid, gid=entry.gid)
    return found


TEMPORARY = {"/tmp", "/var/tmp", "/run"}  # noqa: S108 - paths inside the image
"""Folders of every base, which a tmpfs replaces for all accounts: they need not be looked up."""


def own_folders(tmpfs: Iterable[str]) -> list[str]:
    """Return the paths of a contract's tmpfs that may be folders of the image's own."""
    return [path for path in tmpfs if posixpath.normpath(path) not in TEMPORARY]


def maps_users(client: docker.APIClient) -> bool:
    """Tell whether an engine maps the users of containers to others: who owns a folder is another number there."""
    return "name=userns" in (client.info().get("SecurityOptions") or ())


def tmpfs_folders(tmpfs: Iterable[str], files: EngineFiles) -> dict[str, VolumeFolder]:
    """Return those of a contract's tmpfs whose folders are in the image, each with its owner and mode."""
    entries = {path: files.entry(path) for path in own_folders(tmpfs)[:MOST_VOLUMES]}
    return {
        path: VolumeFolder(mode=entry.mode, uid=entry.uid, gid=entry.gid)
        for path, entry in entries.items()
        if entry is not None and entry.kind is FileKind.FOLDER
    }


def leads_nowhere(explanation: str) -> bool:
    """Tell whether an engine's error is about the path: one through a file, or a circle of links."""
    return any(words in explanation for words in LEADS_NOWHERE)


MOST_ROWS = 5000
"""Rows of one file that are kept."""


def read_account(configuration: Configuration, files: Files) -> Account:
    """Return the account that USER names.

    Raises:
        ImageError: an account file is a pipe or a device: the engine would read it at a start, and wait for ever.

    """
    texts: list[str] = []
    for path in ("/etc/passwd", "/etc/group"):
        # Some builders (Nix among them) make links of them.
        trail = paths.follow(path, files)
        if trail.entry is not None and trail.entry.kind is FileKind.OTHER:
            raise ImageError(
                f"its {trail} is not a regular file; reading it would block, so nothing was started.",
                where=configuration.reference,
                fix=f"Make {trail.end} a plain file.",
            )
        texts.append(files.text(trail.end))
    return account_of(configuration.user, *texts)


def account_of(user: str, passwd: str, group: str) -> Account:
    """Return the account that a USER instruction names, as the engine reads it from the image's files.

    The rules are those of moby's user package: a number is a uid, whatever account has it for a name; rows may be
    short and have blanks around them, and what is not a number counts as 0; the first row that fits is taken.
    """
    who, _, group_name = user.partition(":")
    rows, groups = _rows(passwd), _rows(group)
    wanted = who or "0"
    by_number = _number(wanted)
    if by_number is None:
        row = next((row for row in rows if row[0] == wanted), None)
        uid = _kernels(_field(row[2])) if row else None
    else:
        row = next((row for row in rows if _field(row[2]) == by_number), None)
        uid = by_number
    name = row[0] if row else ""
    gids: list[int] = []
    if group_name:
        named = next((row[2] for row in groups if row[0] == group_name), group_name)
        gids = [number for number in [_number(named)] if number is not None]
    elif row:
        gids = [number for number in [_kernels(_field(row[3]))] if number is not None]
    elif uid is not None:
        gids = [0]
    # With a group in USER, the engine gives the process that group alone.
    more = [_number(members[2]) for members in groups if name and not group_name and name in members[3].split(",")]
    gids += [number for number in more if number is not None and number not in gids]
    return Account(name=name, uid=uid, gids=tuple(gids), home=(row[5] or "/") if row else "/")


def read_accounts(passwd: str, shadow: str, group: str) -> Accounts:
    """Return the accounts of the image; of passwords only whether they are empty, set or locked."""
    shadowed: dict[str, str] = {}
    for row in _own_rows(shadow):
        # As getspnam(3) does: the first row of a name counts.
        shadowed.setdefault(row[0], row[1])
    users = [
        User(name=row[0], uid=_number(row[2]) or 0, password=password(row[1], shadowed.get(row[0])))
        for row in _own_rows(passwd)
    ]
    groups = [Group(name=row[0], gid=_number(row[2]) or 0) for row in _own_rows(group)]
    return Accounts(
        users=tuple(users[:MOST_ROWS]),
        groups=tuple(groups[:MOST_ROWS]),
        cut=max(len(users), len(groups)) > MOST_ROWS,
    )


def password(field: str, shadowed: str | None) -> Password:
    """Tell whether an account's password is empty, set or locked, by the second fields of its rows.

    `field` is that in /etc/passwd, where `x` points to /etc/shadow; `shadowed` is that there, None without a row.
    """
    if field == "x":
        # Without a row to compare with, no password is the right one.
        return Password.LOCKED if shadowed is None else password(shadowed, None)
    if not field:
        return Password.EMPTY
    # `*` and `!` begin what no hash begins with; `!` before a hash locks it: shadow(5).
    return Password.LOCKED if field.startswith(("*", "!")) else Password.SET


def _rows(text: str) -> list[list[str]]:
    """Return the rows of an account file, each with at least seven fields."""
    lines = (line.strip() for line in text.split("\n"))
    return [[*line.split(":"), *[""] * 7] for line in lines if line]


def _own_rows(text: str) -> list[list[str]]:
    """Return the rows without comments and those of NIS: `+` and `-` begin rows that name no account of their own."""
    return [row for row in _rows(text) if not row[0].startswith(("#", "+", "-"))]


BITS = 0xFFFF_FFFF
"""The kernel's account numbers have 32 bits; of a larger one in a file, the engine gives a process the low ones."""


def _field(text: str) -> int | None:
    """Return a number of an account file as the engine reads it: what is none counts as 0, one of 64 bits as none."""
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        return 0
    # More digits than these are out of range, and Python turns only so many into a number.
    value = int(text[:40])
    return value if abs(value) < 2**63 else None


def _kernels(number: int | None) -> int | None:
    return None if number is None else number & BITS


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else None
