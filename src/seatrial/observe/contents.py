"""What an image's file system holds: the probe walks what USER may read, the engine packs the rest.

Nothing of the image is run for the latter. The probe's script follows the same rules over a mounted file system:
tests/unit/test_walk.py holds both to one answer.
"""

from __future__ import annotations

import posixpath
import tarfile
import time
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING

import docker.errors
import msgspec

from seatrial.engine.containers import engine_errors
from seatrial.facts import Accounts, Contents, Fact, PathRule, ResolvedPath, Unavailable, Walk
from seatrial.inside.probe.walk import BEGINNING, NEVER_WALKED, TOP, Findings, LimitExceededError, compiled, shown
from seatrial.observe import paths
from seatrial.observe.files import EngineFiles, read_accounts
from seatrial.observe.path_rules import rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from seatrial.engine.runs import Run
    from seatrial.facts import Configuration, FoundPath, Probe
    from seatrial.inside.probe.walk import Above, State
    from seatrial.settings.model import Contract

MOST_PATHS = 200_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one look may take."""

    seconds: float
    most: int
    """Bytes."""
    paths: int = MOST_PATHS


WALK_SECONDS = 25.0
"""The most that the probe's walk may wait and work; of the latter half as much. It takes about a tenth of one."""
USUALLY_CLOSED = (
    "/root",
    "/etc/ssl/private",
    "/var/cache/apt/archives/partial",
    "/var/cache/ldconfig",
    "/var/lib/apt/lists/partial",
)
"""Folders that most images keep from USER: read while the probe still runs."""
DURING_PROBE = Limits(seconds=25.0, most=256_000_000)
"""For one folder that is read while the probe runs: one of those, or what the probe's tmpfs hide."""
AFTER = Limits(seconds=15.0, most=64_000_000)
"""For one more folder that the probe could not read."""
WHOLE = Limits(seconds=45.0, most=4_000_000_000)
"""For the whole file system, where no probe walks it."""
MOST_AFTER = 40
"""Folders that are read after the probe; an image of Debian has about three."""
MOST_UNREAD = 100
"""Files that the engine reads because USER cannot."""


class WalkRequest(Fact, frozen=True, kw_only=True):
    """What the probe's walk is asked."""

    rules: tuple[PathRule, ...]
    folders: tuple[str, ...] = ()
    """Those whose names are wanted."""
    root: str = "/"
    most: int = MOST_PATHS
    seconds: float = WALK_SECONDS


class EngineView(Fact, frozen=True, kw_only=True):
    """What the engine reads while the probe runs."""

    accounts: Accounts
    working_directory: ResolvedPath
    walks: dict[str, Walk]
    """By the folder."""


def walk_request(modules: Iterable[str], contract: Contract) -> WalkRequest:
    """Plan the walk: what to look for, and the folders whose names the contract gives."""
    own = {module.partition(":")[0].partition(".")[0] for module in modules}
    return WalkRequest(rules=rules(own), folders=tuple(map(posixpath.normpath, contract.files)))


def read_during_probe(
    run: Run, container: str, configuration: Configuration, contract: Contract, request: WalkRequest, *, whole: bool
) -> EngineView:
    """Read what the probe cannot, from a container that is not started, on its own connection.

    `whole` reads the whole file system: there is no interpreter to walk it.
    """
    client = run.engine.connection()
    try:
        with engine_errors(f"reading the files of {configuration.reference}"):
            files = EngineFiles(client, container)
            hidden = (*USUALLY_CLOSED, *map(posixpath.normpath, contract.tmpfs), *configuration.volumes)
            walks = {
                folder: walk_folder(files, folder, request, DURING_PROBE)
                for folder in dict.fromkeys(hidden)
                if not whole
            }
            return EngineView(
                accounts=read_accounts(*(_text(files, f"/etc/{name}") for name in ("passwd", "shadow", "group"))),
                working_directory=paths.follow(configuration.working_directory or "/", files),
                walks={"/": walk_folder(files, "/", request, WHOLE)} if whole else walks,
            )
    finally:
        client.close()


def whole_contents(
    files: EngineFiles, request: WalkRequest, engine_view: EngineView, probe: Probe | Unavailable
) -> Contents:
    """Put together what the probe and the engine saw; what neither could see stays named."""
    walk = None if isinstance(probe, Unavailable) else probe.walk
    if walk is None:
        seen = engine_view.walks.get("/") or walk_folder(files, "/", request, WHOLE)
        return merge(seen, {}, by="engine")
    # What the probe saw itself is not counted twice.
    walks = {folder: seen for folder, seen in engine_view.walks.items() if folder in walk.unreadable}
    left = [folder for folder in walk.unreadable if folder not in walks]
    walks |= {folder: walk_folder(files, folder, request, AFTER) for folder in left[:MOST_AFTER]}
    found = tuple(_settled(walk.found, request.rules, files))
    return merge(msgspec.structs.replace(walk, found=found), walks, by="probe")


def walk_folder(files: EngineFiles, folder: str, request: WalkRequest, limits: Limits) -> Walk:
    """Look at one folder as the engine packs it; at one that is not there, at nothing."""
    walker = Walker(request.rules, request.folders)
    try:
        with files.tree(folder) as stream:
            walker.read(stream, folder, limits)
    except docker.errors.NotFound:
        pass
    except docker.errors.APIError as error:
        walker.note(f"{folder}: the engine could not read it ({error.explanation})")
    return walker.result()


def merge(first: Walk, others: Mapping[str, Walk], *, by: str) -> Contents:
    """Add what other walks saw to a first one; what one of them read is not unreadable any more."""
    walks = (first, *others.values())
    found: dict[tuple[str, str, str], FoundPath] = {}
    counts: dict[str, int] = {}
    folders: dict[str, tuple[str, ...]] = {}
    for walk in walks:
        for row in walk.found:
            key = (row.kind, row.path, row.about)
            known = found.get(key)
            # A folder of which each saw a part: the summary is the sum. A file that both saw is one file.
            found[key] = (
                msgspec.structs.replace(row, files=row.files + known.files, size=row.size + known.size)
                if known and row.files and known.files
                else known or row
            )
        for kind, count in walk.counts.items():
            counts[kind] = counts.get(kind, 0) + count
        folders |= walk.folders
    return Contents(
        by="engine" if by == "engine" else "probe",
        paths=sum(walk.paths for walk in walks),
        found=tuple(found.values()),
        counts=counts,
        folders=folders,
        unreadable=tuple(folder for folder in first.unreadable if folder not in others),
        cut=tuple(reason for walk in walks for reason in walk.cut),
    )


def _settled(found: Iterable[FoundPath], by: Iterable[PathRule], files: EngineFiles) -> Iterable[FoundPath]:
    """Read the files whose content decides and that USER cannot read; what is still unread stays so."""
    wanted = [compiled(msgspec.to_builtins(rule)) for rule in by if rule.content]
    reads = 0
    for row in found:
        reads += row.unread
        if not row.unread or reads > MOST_UNREAD or shown(row.path) != row.path or "\\" in row.path:
            yield row
            continue
        text = files.text(row.path)
        name = posixpath.basename(row.path)
        rules_of = (rule for rule in wanted if (rule["kind"], rule["about"]) == (row.kind, row.about))
        if any(rule["name"](name) and rule["content"](text) for rule in rules_of):
            yield msgspec.structs.replace(row, unread=False)


def _text(files: EngineFiles, path: str) -> str:
    """Return a small file that may be a link; of a pipe, a device or nothing no text."""
    trail = paths.follow(path, files)
    return files.text(trail.end) if trail.is_file else ""


class Bounded:
    """A stream that ends with `LimitExceededError` when it gave too much, or took too long."""

    def __init__(self, raw: IO[bytes], limits: Limits) -> None:
        self._raw = raw
        self._left = limits.most
        self._limits = limits
        self._end = time.monotonic() + limits.seconds

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        if time.monotonic() > self._end:
            raise LimitExceededError(f"it was read for {self._limits.seconds:g} s")
        part = self._raw.read(size)
        self._left -= len(part)
        if self._left < 0:
            raise LimitExceededError(f"{self._limits.most // 1_000_000} MB of it were read")
        return part


class Walker:
    """Reads packed folders."""

    def __init__(self, rules: Iterable[PathRule], folders: Iterable[str] = ()) -> None:
        self._seen = Findings(map(msgspec.to_builtins, rules), folders, MOST_PATHS)
        self._above: dict[str, Above] = {}

    def read(self, stream: IO[bytes], folder: str, limits: Limits) -> None:
        """Look at everything in a folder of the image as the engine packs it: the tar's first member is the folder."""
        self._seen.most = limits.paths
        try:
            self._begin(folder)
            with tarfile.open(fileobj=Bounded(stream, limits), mode="r|", bufsize=BEGINNING) as archive:  # type: ignore[call-overload]
                for path, member in _members(archive, folder):
                    self._look(path, member, archive)
        except LimitExceededError as limit:
            self.note(f"{folder}: {limit}")
        except tarfile.TarError as error:
            self.note(f"{folder}: what the engine packed could not be read to its end ({error})")

    def note(self, reason: str) -> None:
        """Note what was left out, and why."""
        self._seen.cut.append(reason)

    def result(self) -> Walk:
        """Return what was seen."""
        return msgspec.convert(self._seen.result(), Walk)

    def _begin(self, folder: str) -> None:
        """Work out what folders above this one say of it, by their names: their modes are not seen here."""
        self._above["/"] = TOP
        parts = [part for part in folder.split("/") if part]
        for count in range(1, len(parts)):
            path = "/" + "/".join(parts[:count])
            self._above[path] = self._seen.tell(path, "d", (0, 0, 0, 0), self._above[posixpath.dirname(path)], None)

    def _look(self, path: str, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        parent = posixpath.dirname(path)
        self._seen.count(parent if path != "/" else "", posixpath.basename(path))
        letter, state = _letter(member), _state(member)
        above = self._above.get(parent, TOP)
        below = self._seen.tell(path, letter, state, above, partial(self._beginning, archive, member))
        if letter == "d":
            self._above[path] = below
            if path in self._seen.folders:
                self._seen.listed.setdefault(path, [])

    def _beginning(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
        """Return a file's first bytes, as text of one letter a byte; of a second name of a file nothing."""
        self._seen.count_read()
        content = archive.extractfile(member) if member.isreg() else None
        return content.read(BEGINNING).decode("latin-1") if content else ""


def _letter(member: tarfile.TarInfo) -> str:
    if member.isdir():
        return "d"
    if member.issym():
        return "l"
    return "f" if member.isreg() or member.islnk() else "o"


def _state(member: tarfile.TarInfo) -> State:
    return (0, 0, 0, 0) if member.issym() else (member.mode, member.size, member.uid, member.gid)


def _members(archive: tarfile.TarFile, folder: str) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Yield the members with their paths in the image; the kernel's own file systems are left out."""
    base = posixpath.dirname(folder)
    while (member := archive.next()) is not None:
        # A stream is not gone back in: what was seen need not be kept.
        archive.members = []  # type: ignore[attr-defined]
        path = posixpath.normpath(f"{base}/{member.name}")
        path = f"/{path.lstrip('/')}"
        if not path.startswith(tuple(f"{folder}/" for folder in NEVER_WALKED)):
            yield path, member
