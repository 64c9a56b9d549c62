"""An image's file system as the engine packs it: every path with its mode and owner, and what checks need of a few.

It depends on the image alone, not on a contract, so that it can be kept for the image's id.
"""

from __future__ import annotations

import posixpath
import sys
from typing import TYPE_CHECKING

import docker.errors
import msgspec

from seatrial import capabilities
from seatrial.facts import FileEntry, FileKind
from seatrial.observe.archive import Archive, ArchiveError, LimitExceededError, Limits
from seatrial.observe.files import KERNEL
from seatrial.observe.kept import CONTENT, SCRIPT, beginning, held, kept_text, wanted_bytes
from seatrial.observe.paths import MAX_LINKS

if TYPE_CHECKING:
    from seatrial.observe.archive import Member, Stream
    from seatrial.observe.files import EngineFiles

MOST_TEXT = 64_000_000
"""Bytes that are kept of all files."""
MOST_READS = 200_000
"""Files whose beginning is looked at; a large environment has some thousand of a name that may hold a key."""
MOST_TOLD = 20
"""Paths that are packed twice, of which each is told."""
MOST_SECOND_NAMES = 1000
"""Files that are read by themselves, as their content stands under another name in what is packed."""
KINDS = {"f": FileKind.FILE, "d": FileKind.FOLDER, "l": FileKind.LINK, "o": FileKind.OTHER}


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One path."""

    letter: str
    """f (file), d (folder), l (link) or o (other)."""
    mode: int
    uid: int
    gid: int
    size: int = 0
    target: str = ""
    """Where a link points, as written in it."""


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was read of one image."""

    paths: dict[str, Entry]
    texts: dict[str, str] = {}
    """The beginnings of scripts, the names of accounts, and what matters of the files that describe packages."""
    holding: dict[str, tuple[str, ...]] = {}
    """Files that hold what a rule looks for: the rules, by their key."""
    capabilities: dict[str, tuple[str, ...]] = {}
    """Files that give capabilities to whoever runs them: which."""
    cut: tuple[str, ...] = ()
    """What was left out, and why: a limit was passed."""


def read_index(files: EngineFiles, limits: Limits) -> Index:
    """Read a container's file system; what was left out is said in `cut`."""
    reader = IndexReader()
    try:
        with files.tree("/") as stream:
            reader.read(stream, limits)
    except docker.errors.APIError as error:
        reader.cut.append(f"the engine could not read it ({error.explanation})")
    reader.read_second_names(files)
    return reader.index()


class IndexReader:
    """Makes an index of what is packed."""

    def __init__(self) -> None:
        self.cut: list[str] = []
        self._paths: dict[str, Entry] = {}
        self._texts: dict[str, str] = {}
        self._holding: dict[str, tuple[str, ...]] = {}
        self._capabilities: dict[str, tuple[str, ...]] = {}
        self._second_names: list[str] = []
        """Names whose content is wanted, and was packed under another name."""
        self._kept = self._reads = 0

    def read(self, stream: Stream, limits: Limits) -> None:
        """Read a tar to its end, or to a limit."""
        self.read_archive(Archive(stream, limits))

    def read_archive(self, archive: Archive) -> None:
        """Read an archive likewise."""
        try:
            for member in archive:
                self._take(member, archive)
        except LimitExceededError as limit:
            self.cut.append(f"/: {limit}")
        except ArchiveError as error:
            self.cut.append(f"/: what the engine packed could not be read to its end ({error})")

    def read_second_names(self, files: EngineFiles) -> None:
        """Read the files whose content was packed under another name, from which nothing was kept."""
        for path in self._second_names[:MOST_SECOND_NAMES]:
            try:
                self._keep(path, self._paths[path].mode, files.text(path).encode("utf-8", "surrogateescape"))
            except (LimitExceededError, docker.errors.APIError, UnicodeEncodeError) as error:
                self.cut.append(f"{path[:200]!r}: {error}")
                break
        if len(self._second_names) > MOST_SECOND_NAMES:
            self.cut.append(f"more than {MOST_SECOND_NAMES} files have two names")

    def index(self) -> Index:
        """Return what was read."""
        return Index(
            paths=self._paths,
            texts=self._texts,
            holding=self._holding,
            capabilities=self._capabilities,
            cut=tuple(self.cut),
        )

    def _take(self, member: Member, archive: Archive) -> None:
        path, letter = member.path, member.letter
        if letter not in "fh" and path.startswith(KERNEL):
            return
        if letter == "h":
            first = self._paths.get(member.target)
            size, letter = (first.size, first.letter) if first else (0, "f")
        else:
            size = member.size if letter == "f" else 0
        if path in self._paths and len(self.cut) < MOST_TOLD:
            self.cut.append(f"{path[:200]!r} is packed twice")
        target = member.target if letter == "l" else ""
        self._paths[path] = Entry(letter, member.mode, member.uid, member.gid, size, target)
        if letter != "f":
            return
        if member.capability:
            self._capabilities[path] = capabilities.of_file(member.capability)
        elif member.letter == "h" and member.target in self._capabilities:
            self._capabilities[path] = self._capabilities[member.target]
        wanted = wanted_bytes(path, member.mode)
        if not wanted:
            return
        self._reads += 1
        if self._reads > MOST_READS:
            raise LimitExceededError(f"more than {MOST_READS} files would have to be read")
        if member.letter == "h":
            self._take_second_name(path, member.mode, member.target)
        else:
            self._keep(path, member.mode, beginning(path, archive, wanted))

    def _take_second_name(self, path: str, mode: int, first: str) -> None:
        """Take over what is known by a file's first name, where that was looked at in the same way."""
        program = wanted_bytes(path, mode) == wanted_bytes(first, mode) == SCRIPT
        same = posixpath.basename(path) == posixpath.basename(first) and wanted_bytes(path, 0) == wanted_bytes(first, 0)
        same = same and wanted_bytes(path, 0) > 0 and not any(fits and fits(path) for _, _, fits, _ in CONTENT)
        # Of a first name that was not looked at, such as one in /dev, nothing is known.
        if first not in self._paths or not (program or same):
            self._second_names.append(path)
            return
        if first in self._texts:
            self._texts[path] = self._texts[first]
        if first in self._holding:
            self._holding[path] = self._holding[first]

    def _keep(self, path: str, mode: int, body: bytes) -> None:
        """Keep what matters of a file's beginning."""
        if holding := held(path, body):
            self._holding[path] = holding
        text = kept_text(path, mode, body)
        if text is not None:
            self._kept += sys.getsizeof(text)
            if self._kept > MOST_TEXT:
                raise LimitExceededError(f"more than {MOST_TEXT // 1_000_000} MB would have to be kept")
            self._texts[path] = text


class IndexFiles:
    """`seatrial.observe.paths.Files` over an index."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._folders: dict[str, str] = {"/": "/"}
        self._names: dict[str, list[str]] | None = None

    def entry(self, path: str) -> FileEntry | None:
        """Return what stands at a path, its last part not followed; None where nothing does."""
        found = self.found(path)
        if found is None:
            return None
        return FileEntry(
            kind=KINDS[found.letter],
            mode=found.mode,
            uid=found.uid,
            gid=found.gid,
            size=found.size,
            target=found.target,
        )

    def found(self, path: str) -> Entry | None:
        """Return the index's entry of a path, whose folders may be links."""
        return self.index.paths.get(path) or self.index.paths.get(self.place(path))

    def place(self, path: str) -> str:
        """Return where a path is, its folders followed and its last part not."""
        folder, _, name = path.rstrip("/").rpartition("/")
        return f"{self.folder(folder or '/').rstrip('/')}/{name}"

    def folder(self, path: str) -> str:
        """Return where a folder is, every link followed; the path itself where it is not there."""
        return self._real(path, MAX_LINKS)

    def _real(self, path: str, links: int) -> str:
        known = self._folders.get(path)
        if known is not None:
            return known
        here = "/"
        rest = [part for part in path.split("/") if part and part != "."]
        rest.reverse()
        while rest:
            part = rest.pop()
            if part == "..":
                here = posixpath.dirname(here)
                continue
            step = f"{here.rstrip('/')}/{part}"
            entry = self.index.paths.get(step)
            if entry is not None and entry.letter == "l" and links > 0:
                links -= 1
                if entry.target.startswith("/"):
                    here = "/"
                rest += reversed([piece for piece in entry.target.split("/") if piece and piece != "."])
            else:
                here = step
        self._folders[path] = here
        return here

    def end(self, path: str) -> Entry | None:
        """Return what a path leads to, every link followed; None where nothing is there."""
        entry = self.index.paths.get(path)
        return entry if entry is not None and entry.letter != "l" else self.index.paths.get(self.folder(path))

    def beginning(self, path: str) -> bytes:
        """Return the first bytes of a script in a bin folder; of other files nothing is kept."""
        return self.text(path).encode()

    def text(self, path: str) -> str:
        """Return what was kept of a file; empty where nothing was."""
        return self.index.texts.get(path) or self.index.texts.get(self.folder(path), "")

    def names(self, folder: str) -> list[str]:
        """Return the sorted names in a folder, which may be a link; none where there is no such folder."""
        if self._names is None:
            self._names = {}
            for path in self.index.paths:
                above, _, name = path.rpartition("/")
                if name:
                    self._names.setdefault(above or "/", []).append(name)
        return sorted(self._names.get(self.folder(folder), ()))
