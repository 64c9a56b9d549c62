"""What is installed in an image, and what its account may do with it, by the image's files; plain functions."""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import structs
from packaging.utils import canonicalize_name

from seatrial.facts import BrokenDistribution, Distribution, Executable, InstalledScript, PathAccess, PathPython
from seatrial.inside.probe.base import named_for_env, shebang
from seatrial.inside.probe.distributions import EGG_INFO, MOST_REQUIREMENTS, header, requires_text, script_names
from seatrial.observe.contents import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from seatrial.observe.index import Entry, IndexFiles
    from seatrial.observe.python.layout import Access, Layout


MOST_DISTRIBUTIONS = 5000
MOST_BROKEN = 200
MOST_SCRIPTS = 2000


@dataclass(frozen=True, kw_only=True)
class Packages:
    """The distributions of an environment and of the interpreter below it."""

    distributions: tuple[Distribution, ...] = ()
    broken: tuple[BrokenDistribution, ...] = ()
    complete: bool = True


def packages_of(layout: Layout, access: Access) -> Packages:
    """Return the distributions whose metadata lies in an interpreter's folders; of two of one name, the first."""
    found: list[Distribution] = []
    broken: list[BrokenDistribution] = []
    recorded = Recorded(access.files)
    for folders, base in ((layout.path, False), (layout.base, True)):
        first: dict[str, tuple[int, str]] = {}
        for folder, metadata in _metadata(folders, access):
            if len(found) >= MOST_DISTRIBUTIONS:
                return Packages(distributions=tuple(found), broken=tuple(broken[:MOST_BROKEN]), complete=False)
            row = _distribution(folder, metadata, access, base=base)
            if isinstance(row, BrokenDistribution):
                broken.append(row)
                continue
            at, before = first.setdefault(canonicalize_name(row.name), (len(found), metadata))
            if at == len(found):
                why = "" if base or row.editable else recorded.without_code(folder, metadata)
                found.append(structs.replace(row, without_code=why) if why else row)
            elif found[at].version != row.version and recorded.shadows(found[at].location, before, folder, metadata):
                here, there = shown(found[at].location), shown(folder)
                why = f"its code is that of {row.version} in {there}; in {here} there is none"
                found[at] = structs.replace(found[at], without_code=why)
    return Packages(distributions=tuple(found), broken=tuple(broken[:MOST_BROKEN]), complete=len(broken) <= MOST_BROKEN)


def _metadata(folders: Iterable[str], access: Access) -> Iterator[tuple[str, str]]:
    """Yield the folders, each with the names of the metadata in it."""
    for folder in folders:
        for name in access.files.names(folder):
            if name.endswith((".dist-info", ".egg-info")) or (name == EGG_INFO and folder.endswith(".egg")):
                yield folder, name


def _distribution(folder: str, name: str, access: Access, *, base: bool) -> Distribution | BrokenDistribution:
    files, path = access.files, posixpath.join(folder, name)
    metadata, entry = path, files.end(path)
    if entry is not None and entry.letter == "d":
        metadata = posixpath.join(path, "METADATA" if name.endswith(".dist-info") else "PKG-INFO")
    if not access.reads(metadata):
        problem = "USER may not read it" if files.end(metadata) else f"{metadata} is not there"
        return BrokenDistribution(location=path, problem=problem)
    fields = header(files.text(metadata))
    if not fields.get("name") or not fields.get("version"):
        return BrokenDistribution(location=path, problem="it has no name or no version")
    requires = fields["requires"] or requires_text(files.text(posixpath.join(path, "requires.txt")))
    editable, origin = _origin(files.text(posixpath.join(path, "direct_url.json")))
    held = files.text(posixpath.join(path, "RECORD")).split("\n") if origin else []
    return Distribution(
        name=fields["name"],
        version=fields["version"],
        location=folder,
        requires=tuple(requires[:MOST_REQUIREMENTS]),
        scripts=tuple(script_names(files.text(posixpath.join(path, "entry_points.txt")))),
        base=base,
        editable=editable,
        origin=origin,
        packages=tuple(sorted(name for name in held if name.isidentifier())),
    )


def _origin(record: str) -> tuple[str, str]:
    """Return the project of an editable install, and the local file or folder that an install came from: PEP 610."""
    try:
        read = json.loads(record or "{}")
        url = str(read.get("url", ""))[:500]
        editable = bool(read.get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError, RecursionError):
        return "", ""
    return (url or "unknown") if editable else "", url if url.startswith("file:") else ""


def scripts_of(layout: Layout, path: str, directory: str, access: Access) -> tuple[InstalledScript, ...]:
    """Return the scripts beside an interpreter, each with whether its `#!` interpreter is there."""
    found: list[InstalledScript] = []
    files = access.files
    for folder in dict.fromkeys(layout.scripts):
        for name in files.names(folder):
            file = posixpath.join(folder, name)
            entry = files.end(file)
            named = shebang(files.beginning(file)) if entry is not None and entry.letter == "f" else None
            if named is None or len(found) >= MOST_SCRIPTS:
                continue
            target = named_for_env(*named) or named[1]
            there = program(target, path, directory, access) != ""
            found.append(InstalledScript(path=file, interpreter=target[:500], found=there))
    return tuple(found)


def program(name: str, path: str, directory: str, access: Access) -> str:
    """Return the file that a name means for the account, by PATH unless it holds a slash; empty where none does."""
    for folder in ["."] if "/" in name else path.split(":"):
        candidate = posixpath.normpath(posixpath.join(directory, folder or ".", name))
        entry = access.reaches(candidate)
        if entry is not None and entry.letter == "f" and _executes(entry, access):
            return candidate
    return ""


def _executes(entry: Entry, access: Access) -> bool:
    return access.permits(entry, 0o1)


def executables_of(names: Iterable[str], path: str, directory: str, access: Access) -> tuple[Executable, ...]:
    """Return what PATH finds for names."""
    return tuple(Executable(name=name, path=program(name, path, directory, access)) for name in names)


def pythons_of(path: str, directory: str, access: Access) -> tuple[PathPython, ...]:
    """Return what PATH finds for `python` and `python3`."""
    found = []
    for name in ("python", "python3"):
        file = program(name, path, directory, access)
        above = posixpath.dirname(posixpath.dirname(file))
        inside = file and access.files.end(posixpath.join(above, "pyvenv.cfg"))
        real = access.files.folder(file) if file else ""
        found.append(PathPython(name=name, path=file, real=real, environment=above if inside else ""))
    return tuple(found)


def home_python(layout: Layout, access: Access) -> str:
    """Return the interpreter in the home that pyvenv.cfg records, links followed; empty where none is there."""
    home = layout.settings.get("home", "") if layout.prefix != layout.base_prefix else ""
    names = (posixpath.basename(layout.real), f"python{layout.version}", "python3", "python")
    for name in names if home else ():
        entry = access.files.end(posixpath.join(home, name))
        if entry is not None and entry.letter == "f":
            return access.files.folder(posixpath.join(home, name))
    return ""


def linked_folders(layout: Layout, access: Access) -> tuple[str, ...]:
    """Return the files by which installers link a source folder into the environment."""
    found = [
        posixpath.join(folder, name)
        for folder in layout.path
        for name in access.files.names(folder)
        if name.endswith(".egg-link") or (name.startswith("__editable__") and name.endswith(".pth"))
    ]
    return tuple(found[:50])


def own_packages_of(root: str, environment: Mapping[str, str], access: Access) -> tuple[str, ...]:
    """Return the packages in the folders that the command and PYTHONPATH put on the path: the application's own."""
    found = [
        name
        for folder in (root, *environment.get("PYTHONPATH", "").split(":"))
        for name in (access.files.names(folder)[:1000] if folder else ())
        if name.isidentifier() and access.files.end(posixpath.join(folder, name, "__init__.py"))
    ]
    return tuple(found[:50])


def place_of(path: str, access: Access) -> PathAccess:
    """Return whether the account could write at a path, if the root were writable."""
    nearest = path
    while nearest != "/" and access.files.end(nearest) is None:
        nearest = posixpath.dirname(nearest)
    entry = access.files.end(nearest)
    if entry is None:
        return PathAccess(path=path, exists=False, writable=False, nearest=nearest, owner="", mode="")
    folder = entry.letter == "d"
    allowed = access.who.uid == 0 or access.permits(entry, 0o3 if folder else 0o2)
    return PathAccess(
        path=path,
        exists=nearest == path,
        writable=allowed and (folder or nearest == path),
        nearest=nearest,
        owner=f"{entry.uid}:{entry.gid}",
        mode=f"{entry.mode:04o}",
    )


OF_THE_SYSTEM = ("/usr/lib/python3", "/usr/lib64/python3")
"""Debian's and Red Hat's package managers leave RECORD out."""
MODULE = (".py", ".pyc", ".so")
SHOWN = 3


class Recorded:
    """What the RECORD files of an image's distributions name, held against what lies beside them.

    Source: Python packaging user guide, Recording installed projects: RECORD lists every file, and may be left out by
    a system's package manager.
    """

    def __init__(self, files: IndexFiles) -> None:
        self._files = files
        self._stems: dict[str, frozenset[str]] = {}
        self._unclaimed: dict[str, bool] = {}
        self._filled: dict[str, bool] = {}

    def without_code(self, folder: str, metadata: str) -> str:
        """Return why the metadata in a folder stands for no code; empty where some is there, or none is needed."""
        if names := self._names(folder, metadata):
            if any(self._is_there(folder, name) for name in names):
                return ""
            return f"its RECORD names {', '.join(map(shown, names[:SHOWN]))}, and none of that lies in {shown(folder)}"
        has_record = self._files.end(posixpath.join(folder, metadata, "RECORD")) is not None
        if has_record or folder.startswith(OF_THE_SYSTEM) or self._holds_unclaimed(folder):
            # What holds no code has a RECORD of its metadata alone: a package of requirements, of data, of types.
            return ""
        return f"it has no RECORD, and {shown(folder)} holds no code but that of other distributions"

    def shadows(self, folder: str, metadata: str, other_folder: str, other_metadata: str) -> bool:
        """Tell whether metadata that names no code stands before that of the same distribution, and its code."""
        if folder == other_folder or self._names(folder, metadata):
            return False
        names = self._names(other_folder, other_metadata)
        here = any(self._is_there(folder, name) for name in names)
        return not here and any(self._is_there(other_folder, name) for name in names)

    def _names(self, folder: str, metadata: str) -> list[str]:
        text = self._files.text(posixpath.join(folder, metadata, "RECORD"))
        return [name for name in text.split("\n") if name]

    def _is_there(self, folder: str, name: str) -> bool:
        # An installer may leave a module's source out, or make one file of a package.
        return self._is_filled(posixpath.join(folder, name)) or name.partition(".")[0] in self._modules(folder)

    def _is_filled(self, path: str) -> bool:
        """Tell whether it is a folder that holds anything; thousands of links may lead to one that holds very much."""
        place = self._files.folder(path)
        if place not in self._filled:
            self._filled[place] = bool(self._files.names(place))
        return self._filled[place]

    def _modules(self, folder: str) -> frozenset[str]:
        """Return the names of the single files in a folder that may be code, up to their first dot."""
        if folder not in self._stems:
            names = self._files.names(folder)
            files = (name for name in names if name.endswith((*MODULE, ".pth")))
            self._stems[folder] = frozenset(name.partition(".")[0] for name in files)
        return self._stems[folder]

    def _holds_unclaimed(self, folder: str) -> bool:
        """Tell whether a folder holds code that no RECORD in it names."""
        if folder not in self._unclaimed:
            every = self._files.names(folder)
            claimed = {
                name.partition("/")[0].partition(".")[0]
                for metadata in every
                if metadata.endswith(".dist-info")
                for name in self._names(folder, metadata)
            }
            packages = (
                name for name in every if name.isidentifier() and self._files.names(posixpath.join(folder, name))
            )
            code = {*packages, *(name.partition(".")[0] for name in every if name.endswith(MODULE))}
            self._unclaimed[folder] = bool(code - claimed - {"__pycache__"})
        return self._unclaimed[folder]
