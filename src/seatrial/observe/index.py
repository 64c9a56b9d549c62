"""An image's file system as the engine packs it: every path with its mode and owner, and what checks need of a few.

It depends on the image alone, not on a contract, so that it can be kept for the image's id. Nothing secret is kept:
of a file that may hold a key, only whether it does.
"""

from __future__ import annotations

import codecs
import posixpath
import re
import sys
from typing import TYPE_CHECKING

import docker.errors
import msgspec

from seatrial import capabilities
from seatrial.facts import FileEntry, FileKind
from seatrial.inside.probe.distributions import header
from seatrial.observe.archive import Archive, ArchiveError, LimitExceededError, Limits
from seatrial.observe.files import KERNEL
from seatrial.observe.path_rules import KEY_FILES, content_rules
from seatrial.observe.paths import MAX_LINKS

if TYPE_CHECKING:
    from seatrial.observe.archive import Member, Stream
    from seatrial.observe.files import EngineFiles

BEGINNING = 65536
"""Bytes of a file's beginning in which a rule's `content` is looked for."""
KEY_FILE = 1024 * 1024
"""The same for a private key, which may stand behind a chain of certificates."""
SCRIPT = 4096
"""Bytes of a script's beginning that are kept: two lines that hold one path each."""
LIBRARY = 1024 * 1024
"""Bytes of Python's program or library in which its names are looked for first, and usually stand."""
MOST_LIBRARY = 100 * 1024 * 1024
METADATA = 4 * 1024 * 1024
"""Bytes of a distribution's file that are read; its header is kept, and it has a few hundred."""
DATABASE = 16 * 1024 * 1024
"""The same of a package manager's database, of which the names and versions are kept; 400 packages have 0.4 MB."""
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


EMPTY = Index(paths={})


def content_key(kind: str, about: str, name: str) -> str:
    """Return what names a rule in an index."""
    return f"{kind}\n{about}\n{name}"


CONTENT = tuple(
    (
        content_key(rule.kind, rule.about, rule.name),
        re.compile(rule.name, re.DOTALL).fullmatch,
        re.compile(rule.path, re.DOTALL).fullmatch if rule.path else None,
        re.compile(rule.content.encode(), re.DOTALL).search,
    )
    for rule in content_rules()
)
ANY_NAME = re.compile("|".join(f"(?:{rule.name})" for rule in content_rules()), re.DOTALL).fullmatch
KEY_NAME = re.compile(KEY_FILES, re.DOTALL).fullmatch
OF_A_DISTRIBUTION = re.compile(
    r".*\.dist-info/(?:METADATA|RECORD|entry_points\.txt|direct_url\.json)"
    r"|.*\.egg-info(?:/(?:PKG-INFO|requires\.txt|entry_points\.txt))?"
    r"|.*\.egg/EGG-INFO/(?:PKG-INFO|requires\.txt|entry_points\.txt)"
    r"|.*-packages/[^/]+\.pth|.*/pyvenv\.cfg",
    re.DOTALL,
).fullmatch
ACCOUNTS = frozenset(("/etc/passwd", "/etc/group"))
RELEASE = ("/etc/os-release", "/usr/lib/os-release")
"""Source: os-release(5); the first counts."""
DPKG, APK = "/var/lib/dpkg/status", "/lib/apk/db/installed"
DPKG_FOLDER = "/var/lib/dpkg/status.d/"
"""Distroless images have a file for each package there, beside one of checksums."""
FIELDS = {
    "dpkg": re.compile(rb"^(?:(?:Package|Version|Architecture|Source|Status): [^\r\n]{1,300})?$", re.MULTILINE),
    "apk": re.compile(rb"^(?:[PVAo]:[^\r\n]{1,300})?$", re.MULTILINE),
}
"""Of the package managers' databases, the lines that are kept."""
PROGRAM = re.compile(r".*/bin/[^/]+", re.DOTALL).fullmatch
PYTHON_PROGRAM = re.compile(r"python(?:3(?:\.\d{1,3}t?)?)?").fullmatch
PYTHONS_LIBRARY = re.compile(r"libpython3\.\d{1,3}[a-z]*\.so(?:\.[\d.]+)?").fullmatch
SITE_MODULE = re.compile(r".*/lib(?:64)?/python3\.\d{1,3}t?/site\.py", re.DOTALL).fullmatch
PUTS_LOCAL_FIRST = re.compile(rb"PREFIXES\.insert\(0, ['\"]/usr/local['\"]\)").search
LOCAL_FIRST = "/usr/local comes first"
"""In `Index.holding`, what Red Hat's and SUSE's `site` does: what pip installs there lies in /usr/local."""
EXPORTED = re.compile(rb"\0(_?Py[A-Z_]\w+)(?=\0)")
LEAST_EXPORTED = 500
"""Names of Python's C interface that a Python exports at least: extension modules use them. 3.8 has 1,500 of them."""
IS_PYTHON, LINKS_PYTHON = "exports Python's C interface", "links Python's library"
"""What a Python's program, or its library, holds in `Index.holding`; nothing else of that name does."""
TOP_IN_RECORD = re.compile(rb"^([^/,\r\n]{1,200})(/__init__\.py)?,", re.MULTILINE)
FOLDER_IN_RECORD = re.compile(rb"^([^/,\r\n]{1,200})/", re.MULTILINE)
MODULES = (b".py", b".pyc", b".so", b".pth")
MOST_RECORDED = 50


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
            self._keep(path, member.mode, _beginning(path, archive, wanted))

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


def _beginning(path: str, archive: Archive, wanted: int) -> bytes:
    body, name = archive.beginning(wanted), posixpath.basename(path)
    if (PYTHON_PROGRAM(name) or PYTHONS_LIBRARY(name)) and not pythons(body):
        # Tools that edit or optimise a binary move its names to its end.
        body += archive.beginning(MOST_LIBRARY)
    return body


def database(path: str) -> str:
    """Return whose database of packages a file is: dpkg or apk; empty for other files."""
    if path == DPKG or (path.startswith(DPKG_FOLDER) and not path.endswith(".md5sums")):
        return "dpkg"
    return "apk" if path == APK else ""


def wanted_bytes(path: str, mode: int) -> int:
    """Return how many bytes of a file's beginning are to be looked at."""
    if OF_A_DISTRIBUTION(path) or database(path):
        return METADATA if OF_A_DISTRIBUTION(path) else DATABASE
    name = path.rpartition("/")[2]
    if ANY_NAME(name):
        return KEY_FILE if KEY_NAME(name) else BEGINNING
    if path in ACCOUNTS or path in RELEASE or (name == "site.py" and SITE_MODULE(path)):
        return BEGINNING
    if name.startswith("libpython3") and PYTHONS_LIBRARY(name):
        return LIBRARY
    if mode & 0o111 and PROGRAM(path):
        return LIBRARY if PYTHON_PROGRAM(name) else SCRIPT
    return 0


def held(path: str, body: bytes) -> tuple[str, ...]:
    """Return the rules whose content a file holds, by their key; no path is excepted here."""
    name = path.rpartition("/")[2]
    if not ANY_NAME(name):
        if PYTHON_PROGRAM(name) or PYTHONS_LIBRARY(name):
            return pythons(body)
        return (LOCAL_FIRST,) if SITE_MODULE(path) and PUTS_LOCAL_FIRST(body) else ()
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        body = body.replace(b"\0", b"")
    beginning = body[:KEY_FILE] if KEY_NAME(name) else body[:BEGINNING]
    return tuple(
        key
        for key, fits_name, fits_path, search in CONTENT
        if fits_name(name) and (fits_path is None or fits_path(path)) and search(beginning)
    )


def pythons(body: bytes) -> tuple[str, ...]:
    """Return what a binary is to Python: Python itself, or a program that links it."""
    if not body.startswith(b"\x7fELF"):
        return ()
    if len(set(EXPORTED.findall(body))) >= LEAST_EXPORTED:
        return (IS_PYTHON,)
    return (LINKS_PYTHON,) if b"\0libpython3" in body else ()


def kept_text(path: str, mode: int, body: bytes) -> str | None:
    """Return what is kept of a file; None where nothing is."""
    if OF_A_DISTRIBUTION(path):
        return _kept_of_distribution(path.rpartition("/")[2], body)
    if path in ACCOUNTS or path in RELEASE:
        return body.decode("utf-8", "replace")
    if manager := database(path):
        # Of each entry the lines that are read, and the empty ones between entries.
        return b"\n".join(FIELDS[manager].findall(body)).decode("utf-8", "replace")
    if body.startswith(b"#!") and mode & 0o111 and PROGRAM(path):
        return body[:SCRIPT].decode("utf-8", "replace")
    return None


def _kept_of_distribution(name: str, body: bytes) -> str:
    if name == "RECORD":
        return "\n".join(name.decode("utf-8", "replace") for name in recorded(body))
    text = body.decode("utf-8", "replace")
    if name not in {"METADATA", "PKG-INFO"} and not name.endswith(".egg-info"):
        return text.replace("\r\n", "\n")[:BEGINNING]
    # A header may hold a whole licence: of its fields, those that are asked for.
    fields = header(text)
    rows = [("Name", fields.get("name")), ("Version", fields.get("version"))]
    rows += [("Requires-Dist", requirement) for requirement in fields["requires"]]
    return "\n".join(f"{key}: {value}" for key, value in rows if value)


def recorded(record: bytes) -> list[bytes]:
    """Return where a RECORD has code: packages (`shop`), modules (`six.py`), or parts of a namespace (`google/x/`)."""
    tops = dict.fromkeys(TOP_IN_RECORD.findall(record))
    packages = [name for name, package in tops if package][:MOST_RECORDED]
    modules = [name for name, package in tops if not package and name.endswith(MODULES)][:MOST_RECORDED]
    folders = []
    for name in list(dict.fromkeys(() if packages else FOLDER_IN_RECORD.findall(record)))[:MOST_RECORDED]:
        within = rb"^(%s/(?:(?!__pycache__/)[^/,\r\n]+/)*)[^/,\r\n]+\.(?:pyc?|so)," % re.escape(name)
        if not name.endswith((b"..", b"__pycache__", b"-info")) and (first := re.search(within, record, re.MULTILINE)):
            folders.append(first[1])
    return [*packages, *modules, *folders]


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
