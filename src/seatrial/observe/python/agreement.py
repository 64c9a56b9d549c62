"""Puts the files' word in place of the interpreter's, and compares both where both can tell; plain functions."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import structs
from packaging.utils import canonicalize_name

from seatrial.facts import Agreement, Difference, Unavailable
from seatrial.observe.contents import shown
from seatrial.observe.index import IndexFiles
from seatrial.observe.kept import IS_PYTHON, LINKS_PYTHON, PYTHON_PROGRAM, PYTHONS_LIBRARY
from seatrial.observe.python import installed
from seatrial.observe.python.changeable import Changes
from seatrial.observe.python.finder import Finder
from seatrial.observe.python.layout import Access, layout_of, off_path_of, runs_code
from seatrial.text import is_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from seatrial.facts import Account, Accounts, Distribution, Identity, Probe
    from seatrial.facts.probe import Code, Import
    from seatrial.observe.index import Index
    from seatrial.observe.python.installed import Packages
    from seatrial.observe.python.layout import Layout
    from seatrial.observe.running.probe import ProbeRequest

MOST_ARCHIVES = 20


@dataclass(frozen=True, kw_only=True)
class Image:
    """What is known of an image without its own word."""

    index: Index
    account: Account
    accounts: Accounts
    environment: Mapping[str, str]
    """That of the probe's process."""
    directory: str
    path: str
    """PATH."""
    tmpfs: tuple[str, ...] = ()
    """Where something is mounted over the image's files."""
    command: tuple[str, ...] = ()
    """The files that its command runs."""


def settle(probe: Probe, python: str, request: ProbeRequest, image: Image) -> tuple[Probe, Agreement | Unavailable]:
    """Return the probe with the files' word wherever they tell, and where the image's word was another one.

    `python` is the interpreter that the probe was started with.
    """
    access = Access(files=IndexFiles(_seen_inside(image)), who=image.account)
    layout = layout_of(python, image.environment, image.directory, access)
    if isinstance(layout, str):
        return probe, Unavailable(reason=f"{layout}, so what it says of the image cannot be compared with the files")
    packages = installed.packages_of(layout, access)
    by_files = _by_files(probe, layout, packages, request, image, access)
    if reason := not_python(layout, access.files):
        return by_files, Unavailable(reason=f"{reason}; what {python} says is its own word")
    if image.index.cut:
        return by_files, Unavailable(reason=f"the file system was not seen whole: {image.index.cut[0]}")
    differences = (*_of_the_account(probe, image, access), *_of_the_interpreter(probe, layout, access))
    differences += (*_of_the_packages(probe, by_files, access), *_of_the_programs(probe, by_files, access))
    return by_files, Agreement(
        differences=differences,
        distributions=len(packages.distributions),
        executables=len(by_files.executables),
        start_code=runs_code(layout.path, access.files)[:20],
    )


def not_python(layout: Layout, files: IndexFiles) -> str:
    """Return what shows that another program, or another library, stands in Python's place; empty where nothing does.

    A library that the loader may take counts wherever it lies.
    """
    holding = files.index.holding
    if not PYTHON_PROGRAM(posixpath.basename(layout.real)) or IS_PYTHON in holding.get(layout.real, ()):
        return ""
    if LINKS_PYTHON not in holding.get(layout.real, ()):
        return f"{layout.real} is not Python: it neither exports Python's C interface nor links its library"
    found = 0
    for path in files.index.paths:
        if "/libpython3" in path and PYTHONS_LIBRARY(posixpath.basename(path)) and files.end(path) is not None:
            found += 1
            if IS_PYTHON not in holding.get(files.folder(path), ()):
                return f"{path} is not Python's library: it does not export Python's C interface"
    return "" if found else f"{layout.real} links Python's library, and no such library is there"


def _by_files(
    probe: Probe, layout: Layout, packages: Packages, request: ProbeRequest, image: Image, access: Access
) -> Probe:
    """Return the probe with the files' word in place of the image's."""
    programs = (image.path, image.directory, access)
    finder = Finder(layout, request.import_root, access)
    said = {place.path: place for place in probe.places}
    cut = {"distributions"} if not packages.complete or image.index.cut else set()
    interpreter = structs.replace(
        probe.interpreter,
        executable=layout.executable,
        version=_version(probe.interpreter.version, layout.version),
        prefix=layout.prefix,
        base_prefix=layout.base_prefix,
        path=layout.path,
        settings=dict(layout.settings),
        archives=tuple(map(shown, layout.archives[:MOST_ARCHIVES])),
        off_path=off_path_of(
            layout,
            image.environment,
            posixpath.normpath(image.environment.get("HOME") or image.account.home or "/"),
            access,
        ),
    )
    environment = probe.environment and structs.replace(
        probe.environment,
        real=layout.real,
        home_python=installed.home_python(layout, access),
        pythons=installed.pythons_of(*programs),
        linked=installed.linked_folders(layout, access),
    )
    code = None if probe.code is None else tuple(_code(probe.code, layout, finder, request, image, access))
    return structs.replace(
        probe,
        identity=_identity(probe, image),
        interpreter=interpreter,
        distributions=packages.distributions,
        broken_distributions=packages.broken,
        scripts=installed.scripts_of(layout, *programs),
        executables=installed.executables_of(request.executables, *programs),
        # What is mounted has its modes from the engine: only a process in it can tell.
        places=tuple(
            said[path]
            if path in said and any(is_below(path, posixpath.normpath(top)) for top in image.tmpfs)
            else installed.place_of(path, access)
            for path in request.places
        ),
        own_packages=installed.own_packages_of(request.import_root, image.environment, access),
        environment=environment,
        code=code,
        imports=tuple(_as_it_runs(row, request, finder) for row in probe.imports),
        truncated=(*(part for part in probe.truncated if part not in {"distributions", "scripts"}), *cut),
    )


def _code(
    rows: Iterable[Code], layout: Layout, finder: Finder, request: ProbeRequest, image: Image, access: Access
) -> Iterator[Code]:
    """Yield what the account may change of the application's code, and of what that runs on."""
    changes = Changes(access)
    for row in rows:
        there = finder.find(row.name, finder.folders).paths or ((row.origin,) if row.origin else ())
        yield changes.of_package(row.name, there)
    if request.script:
        yield changes.of_package(posixpath.basename(request.script), [request.script])
    yield from changes.of_environment(layout, image.command, request.import_root)


def _as_it_runs(row: Import, request: ProbeRequest, finder: Finder) -> Import:
    """Return how an import went; that of a package which cannot be run, and is to be, as one that failed."""
    why = finder.not_executable(row.name) if row.ok and row.name == request.runs else ""
    return structs.replace(row, ok=False, error=why) if why else row


def _seen_inside(image: Image) -> Index:
    """Return the index without what a tmpfs hides from a process."""
    hidden = tuple(f"{posixpath.normpath(folder).rstrip('/')}/" for folder in image.tmpfs)
    if not any(path.startswith(hidden) for path in image.index.paths):
        return image.index
    return structs.replace(
        image.index, paths={path: entry for path, entry in image.index.paths.items() if not path.startswith(hidden)}
    )


def _identity(probe: Probe, image: Image) -> Identity:
    if image.account.uid is None:
        return probe.identity
    gid = next(iter(image.account.gids), probe.identity.gid)
    return structs.replace(probe.identity, uid=image.account.uid, gid=gid)


def _version(said: str, library: str) -> str:
    """Return the version that was said, where its library is of that version; the library's otherwise."""
    return said if ".".join(said.split(".")[:2]) == library.rstrip("t") else library.rstrip("t")


def _difference(what: str, files: str, said: str) -> Difference:
    return Difference(what=shown(what)[:200], files=shown(files)[:300], said=shown(said)[:300])


def _of_the_account(probe: Probe, image: Image, access: Access) -> Iterator[Difference]:
    account, said = image.account, probe.identity
    if account.uid is None:
        return
    if said.uid != account.uid:
        yield _difference("the uid of USER", str(account.uid), str(said.uid))
        return
    if account.gids and said.gid != account.gids[0]:
        yield _difference("the gid of USER", str(account.gids[0]), str(said.gid))
    elif {said.gid, *said.groups} != {*account.gids, said.gid}:
        wanted, told = sorted(account.gids), sorted({said.gid, *said.groups})
        yield _difference("the groups of USER", ", ".join(map(str, wanted)), ", ".join(map(str, told)))
    names = [user.name for user in image.accounts.users if user.uid == account.uid]
    # An account that may not read the file has no name for itself.
    hidden = access.files.end("/etc/passwd") is not None and not access.reads("/etc/passwd")
    if names and said.name not in names and not image.accounts.cut and not hidden:
        yield _difference("the name of USER", " or ".join(names[:3]), said.name or "none")


def _of_the_interpreter(probe: Probe, layout: Layout, access: Access) -> Iterator[Difference]:
    said = probe.interpreter
    version = ".".join(said.version.split(".")[:2])
    if version != layout.version.rstrip("t"):
        yield _difference("the version of Python", layout.version, said.version)
    if layout.own_library and access.files.folder(layout.own_library) != access.files.folder(layout.library):
        # Whoever chooses the standard library chooses what every import does: both starts would tell the same.
        yield _difference(
            "the standard library", f"{layout.own_library} lies beside {layout.real}", f"it runs on {layout.library}"
        )
    for what, here, there in (
        ("sys.prefix", layout.prefix, said.prefix),
        ("sys.base_prefix", layout.base_prefix, said.base_prefix),
    ):
        if access.files.folder(here) != _place(there, access):
            yield _difference(what, here, there)
    wanted = {access.files.folder(folder): folder for folder in layout.path}
    told = {_place(folder, access) for folder in said.path}
    for place, folder in wanted.items():
        if place not in told and _is_site(folder, access):
            yield _difference("sys.path", f"{folder} is on it", "it is not")
    for folder in dict.fromkeys(said.path):
        if _place(folder, access) not in wanted and _is_site(folder, access):
            yield _difference("sys.path", f"neither PYTHONPATH nor a .pth file puts {folder} on it", "it is on it")


def _is_site(folder: str, access: Access) -> bool:
    """Tell whether packages are installed in a folder."""
    return access.lists(_place(folder, access)) and any(
        name.endswith((".dist-info", ".egg-info")) for name in access.files.names(_place(folder, access))
    )


def _place(path: str, access: Access) -> str:
    return access.files.folder(posixpath.normpath(path)) if path.startswith("/") and "\0" not in path else path


def _of_the_packages(said: Probe, files: Probe, access: Access) -> Iterator[Difference]:
    if "distributions" in (*said.truncated, *files.truncated):
        return
    here, there = _by_name(files.distributions), _by_name(said.distributions)
    for key in sorted(here.keys() | there.keys()):
        ours, theirs = here.get(key), there.get(key)
        if ours is None or theirs is None or ours.version != theirs.version:
            yield _difference(key[0], _installed(ours), _installed(theirs))
        elif _place(ours.location, access) != _place(theirs.location, access):
            yield _difference(f"{key[0]} {ours.version}", f"in {ours.location}", f"in {theirs.location}")


def _by_name(distributions: tuple[Distribution, ...]) -> dict[tuple[str, bool], Distribution]:
    return {(canonicalize_name(found.name), found.base): found for found in distributions}


def _installed(found: Distribution | None) -> str:
    return f"{found.version} in {found.location}" if found else "not installed"


def _of_the_programs(said: Probe, files: Probe, access: Access) -> Iterator[Difference]:
    there = {program.name: program.path for program in said.executables}
    for program in files.executables:
        told = there.get(program.name, "")
        if _place(program.path, access) != _place(told, access):
            yield _difference(f"the program {program.name}", program.path or "not on PATH", told or "not on PATH")
