"""Reads a project's lock file: uv.lock, pylock.toml (PEP 751), poetry.lock, pdm.lock, or exact requirements.

Each gives the same data: what is asked for, when, and which version is locked. Which of it applies to an
image is decided later, by its own interpreter: `seatrial.requirements`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import structs
from packaging.utils import canonicalize_name

from seatrial.errors import SettingsError
from seatrial.facts.base import Unavailable
from seatrial.facts.sources import LockedPackage, LockFile, LockRequirement
from seatrial.filesystem import read_bytes
from seatrial.observe.project.selection import NOTHING
from seatrial.requirements import parse
from seatrial.settings.read import parse_toml, read_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from packaging.requirements import Requirement

    from seatrial.observe.project.selection import Chosen


Table = dict[str, Any]

DEVELOPMENT = {"dev"}
"""Groups that a tool installs by default, and an image does not get."""

BULK = re.compile(r"^(?:(?:wheels|files) = \[\n(?: +\{.*\n)*\]|sdist = \{.*\})\n", re.MULTILINE)
"""The lists of files with their addresses and hashes, as the tools write them."""

MOST_INCLUDES = 20
LARGEST = 16 * 1024 * 1024
"""Bytes of a lock."""
LARGEST_REQUIREMENTS = 1024 * 1024
LOCAL_SOURCES = ("editable", "virtual", "directory")


def read_lock(
    context: Path, name: str, chosen: Chosen = NOTHING, defaults: tuple[str, ...] = ()
) -> LockFile | Unavailable | None:
    """Return the lock of the project of that name (which may be empty) in a build context; None where there is none.

    `chosen` is what the Dockerfile's own commands install, `defaults` the groups that the tool installs unless told
    otherwise.

    Raises:
        SettingsError: the file cannot be read, lies outside of the context, or is not a lock file.

    """
    if chosen.requirements:
        files = ", ".join(chosen.requirements)
        if chosen.lock:
            return Unavailable(reason=f"the Dockerfile installs from {chosen.lock} and from {files}")
        try:
            pinned = _pinned(context, chosen.requirements, canonicalize_name(name), chosen.constraints)
        except SettingsError as error:
            # What the build puts beside them may be somewhere else in the context.
            return Unavailable(reason=f"{files} cannot be followed: {error}")
        return _with_choice(pinned, chosen, ())
    if not chosen.main:
        return Unavailable(reason="the Dockerfile installs groups alone, not the project's own dependencies")
    lock = _lock(context, chosen.package or name, chosen.lock)
    return _with_choice(lock, chosen, defaults)


def _with_choice(
    lock: LockFile | Unavailable | None, chosen: Chosen, defaults: tuple[str, ...]
) -> LockFile | Unavailable | None:
    if not isinstance(lock, LockFile):
        return lock
    named = chosen.names(lock.names, lock.names, defaults if lock.file == chosen.lock else ())
    return structs.replace(lock, chosen=tuple(name for name in named if name in lock.names), beside=chosen.beside)


def _lock(context: Path, name: str, wanted: str) -> LockFile | Unavailable | None:
    readers: Mapping[str, Callable[[Table, str, str], LockFile | Unavailable]] = {
        "uv.lock": _uv,
        "pylock.toml": _pylock,
        "poetry.lock": _poetry,
        "pdm.lock": _pdm,
    }
    for file, reader in readers.items():
        path = context / file
        if wanted not in {"", file}:
            continue
        if path.is_file():
            require_inside(path, context)
            try:
                return reader(_without_files(path), file, canonicalize_name(name))
            except (AttributeError, TypeError, KeyError, ValueError) as error:
                raise SettingsError(
                    f"malformed lock file: {type(error).__name__}: {error}.",
                    where=str(path),
                    fix="Lock the project again.",
                ) from error
    there = not wanted and (context / "requirements.txt").is_file()
    return _pinned(context, ("requirements.txt",), canonicalize_name(name)) if there else None


def _without_files(file: Path) -> Table:
    """Read a lock without its lists of files: they are nine tenths of it, and TOML is slow to read (50 ms)."""
    try:
        return parse_toml(BULK.sub("", read_bytes(file, LARGEST).decode("utf-8")))
    except (OSError, ValueError, RecursionError):
        # Whole, it may still be TOML; if not, this says why.
        return read_toml(file, LARGEST)


def _texts(values: object) -> tuple[str, ...]:
    if values is None:
        return ()
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"expected a list of texts, not {values!r}")
    return tuple(values)


def _names(values: object) -> tuple[str, ...]:
    return tuple(canonicalize_name(value) for value in _texts(values))


def _requirement(row: Table, **more: Any) -> LockRequirement:
    """Return the requirement of a row; `more` are further fields, or better ones."""
    known = {"version": str(row.get("version", "")), "marker": row.get("marker", "")}
    return LockRequirement(name=canonicalize_name(row["name"]), **{**known, **more})


def _package(row: Table, **more: Any) -> LockedPackage:
    return LockedPackage(name=canonicalize_name(row["name"]), version=str(row.get("version", "")), **more)


# --- uv.lock: a graph, walked from the project itself ---------------------------------------------------------


def _uv(document: Table, file: str, name: str) -> LockFile | Unavailable:
    rows: list[Table] = document["package"]
    projects = [row for row in rows if any(kind in row["source"] for kind in LOCAL_SOURCES)]
    own = next((row for row in projects if canonicalize_name(row["name"]) == name), None) or next(
        (row for row in projects if "." in row["source"].values()), None
    )
    if own is None:
        return Unavailable(reason=f"{file} holds no project to begin with")
    roots = list(_uv_wants(own.get("dependencies", ())))
    optional: Table = own.get("optional-dependencies", {})
    groups: Table = own.get("dev-dependencies", {})
    # The groups of a workspace whose root is no project itself: they are installed with any of its members.
    shared: Table = document.get("manifest", {}).get("dependency-groups", {})
    for key, wants in (*optional.items(), *groups.items(), *shared.items()):
        roots += _uv_wants(wants, only=(canonicalize_name(key),))
    return LockFile(
        file=file,
        project=canonicalize_name(own["name"]),
        roots=tuple(roots),
        packages=tuple(_uv_package(row) for row in rows),
        names=tuple(dict.fromkeys(canonicalize_name(key) for key in (*optional, *groups, *shared))),
    )


def _uv_package(row: Table) -> LockedPackage:
    return _package(
        row,
        local=any(kind in row["source"] for kind in LOCAL_SOURCES),
        marker=" or ".join(f"({marker})" for marker in _texts(row.get("resolution-markers"))),
        wants=tuple(_uv_wants(row.get("dependencies", ()))),
        extras={
            canonicalize_name(key): tuple(_uv_wants(wants))
            for key, wants in row.get("optional-dependencies", {}).items()
        },
    )


def _uv_wants(rows: list[Table], only: tuple[str, ...] = ()) -> Iterator[LockRequirement]:
    return (_requirement(row, extras=_names(row.get("extra")), only=only) for row in rows)


# --- the flat ones: every package says itself when it is wanted ------------------------------------------------


def _pylock(document: Table, file: str, name: str) -> LockFile:
    rows: list[Table] = document["packages"]
    groups = _names(document.get("dependency-groups"))
    return LockFile(
        file=file,
        project=name,
        roots=tuple(_requirement(row) for row in rows),
        packages=tuple(_package(row, local="directory" in row) for row in rows),
        names=(*_names(document.get("extras")), *groups),
        defaults=tuple(group for group in _names(document.get("default-groups")) if group not in DEVELOPMENT),
    )


def _poetry(document: Table, file: str, name: str) -> LockFile | Unavailable:
    rows: list[Table] = document["package"]
    if not all("groups" in row for row in rows):
        return Unavailable(reason=f"{file} does not say which groups want a package; lock it with Poetry 2 or later")
    extras: Table = document.get("extras", {})
    roots: list[LockRequirement] = []
    for row in rows:
        markers = row.get("markers", "")
        for group in _names(row["groups"]):
            marker = markers.get(group, "") if isinstance(markers, dict) else markers
            only = () if group == "main" else (group,)
            roots.append(_requirement(row, version=row["version"], marker=str(marker), only=only))
    groups = {canonicalize_name(group) for row in rows for group in row["groups"]} - {"main"}
    return LockFile(
        file=file,
        project=name,
        roots=tuple(roots),
        packages=tuple(_package(row, local=row.get("source", {}).get("type") == "directory") for row in rows),
        names=(*map(canonicalize_name, extras), *sorted(groups)),
    )


def _pdm(document: Table, file: str, name: str) -> LockFile | Unavailable:
    rows: list[Table] = document["package"]
    if not all("groups" in row for row in rows):
        return Unavailable(reason=f"{file} does not say which groups want a package; lock it with `inherit_metadata`")
    wanted = [_names(row["groups"]) for row in rows]
    roots = [
        _requirement(row, only=() if "default" in groups else groups) for row, groups in zip(rows, wanted, strict=True)
    ]
    known = _names(document.get("metadata", {}).get("groups"))
    return LockFile(
        file=file,
        project=name,
        roots=tuple(roots),
        packages=tuple(_package(row, local="path" in row) for row in rows),
        names=tuple(group for group in known if group != "default"),
    )


# --- requirements.txt, where it is exact ---------------------------------------------------------------------


def _pinned(
    context: Path, files: tuple[str, ...], name: str, constraints: tuple[str, ...] = ()
) -> LockFile | Unavailable:
    """Return requirement files of a context as a lock, where they and the constraint files name exact versions."""
    shown = ", ".join(files)
    held = {
        canonicalize_name(requirement.name): version
        for file in constraints
        for text in requirement_lines(context / file, folder=context)
        if (requirement := parse(text)) and (version := _exact(requirement))
    }
    roots: list[LockRequirement] = []
    for text in (text for file in files for text in requirement_lines(context / file, folder=context)):
        requirement = parse(text)
        if requirement is None:
            return Unavailable(reason=f"{shown} is not a lock file: `{text}` names no distribution and version")
        key = canonicalize_name(requirement.name)
        exact = _exact(requirement) or held.get(key, "")
        if not exact and not requirement.url:
            return Unavailable(reason=f"{shown} is not a lock file: `{text}` is not an exact version")
        marker, extras = str(requirement.marker or ""), tuple(sorted(map(canonicalize_name, requirement.extras)))
        roots.append(LockRequirement(name=key, version=exact, marker=marker, extras=extras))
    if not roots:
        return Unavailable(reason=f"{shown} names no distribution")
    packages = {(root.name, root.version): LockedPackage(name=root.name, version=root.version) for root in roots}
    return LockFile(file=shown, project=name, whole=False, roots=tuple(roots), packages=tuple(packages.values()))


def _exact(requirement: Requirement) -> str:
    """Return the version that a requirement names alone; empty where it names none."""
    clauses = [clause for clause in requirement.specifier if clause.operator in {"==", "==="}]
    return next((clause.version for clause in clauses if "*" not in clause.version), "")


def require_inside(file: Path, context: Path) -> None:
    """Raise a SettingsError where a file leads out of a build context: a build does not see it."""
    if not file.resolve().is_relative_to(context.resolve()):
        raise SettingsError(f"leads out of the build context {context}.", where=str(file), fix="Keep it inside.")


def requirement_lines(file: Path, seen: frozenset[Path] = frozenset(), *, folder: Path | None = None) -> list[str]:
    """Return the requirements of a file and of those that it includes with -r; options and comments are none.

    A build sees nothing outside of its context (`folder`, by default the file's own): neither is it read here.

    Raises:
        SettingsError: one of them cannot be read, or lies outside.

    """
    context = folder or file.parent
    # The rules are those of pip's requirements file format: a comment begins behind a blank or at the line's begin.
    if file in seen or len(seen) > MOST_INCLUDES:
        return []
    require_inside(file, context)
    try:
        text = read_bytes(file, LARGEST_REQUIREMENTS).decode("utf-8")
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}.", where=str(file)) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"cannot be read: {error}.", where=str(file)) from error
    lines = text.replace("\r\n", "\n").replace("\\\n", " ").splitlines()
    found: list[str] = []
    for line in lines:
        bare = re.sub(r"(^|\s)#.*", "", line).partition(" --")[0].strip()
        include = re.match(r"(?:-r|--requirement)[ =]?\s*(\S+)", bare)
        if include:
            found += requirement_lines(file.parent / include.group(1), seen | {file}, folder=context)
        elif bare and not bare.startswith("-"):
            found.append(bare)
    return found
