"""Reads what is installed in an image from its files; plain functions."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from seatrial.facts import InstalledDistribution, Inventory, Release, SystemPackage, Unavailable
from seatrial.observe.contents import shown
from seatrial.observe.kept import RELEASE, database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seatrial.observe.index import Index

RPM = ("/var/lib/rpm/", "/usr/lib/sysimage/rpm/")
DEBIANS = {"11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky"}
MOST_PACKAGES = 20_000
LONGEST = 200
"""Characters of a field."""
CUDA = "-packages/nvidia/"
"""Where NVIDIA's distributions put their libraries, in every site-packages."""
STANDARD_LIBRARY = re.compile(r"/(?:[^/]+/)*python(3\.\d{1,3})t?/site\.py")
METADATA = re.compile(r"(/.*\.(?:dist-info|egg-info|egg/EGG-INFO))(?:/(?:METADATA|PKG-INFO))?", re.DOTALL)


def inventory_of(index: Index) -> Inventory | Unavailable:
    """Return what is installed in an image whose files were all seen."""
    texts = index.texts
    if index.cut:
        return Unavailable(reason=f"the file system was not seen whole: {index.cut[0]}")
    packages = {(found.name, found.version, found.architecture): found for found in _packages(texts)}
    if len(packages) > MOST_PACKAGES:
        return Unavailable(reason=f"it has more than {MOST_PACKAGES} system packages")
    pythons = {match[1] for path in index.paths if (match := STANDARD_LIBRARY.fullmatch(path))}
    return Inventory(
        release=next((_release(texts[path]) for path in RELEASE if path in texts), None),
        pythons=tuple(sorted(pythons, key=lambda version: int(version.partition(".")[2]))),
        distributions=_distributions(texts),
        cuda=sum(entry.size for path, entry in index.paths.items() if CUDA in path and entry.letter == "f"),
        packages=tuple(packages[key] for key in sorted(packages)),
        manager=_manager(index),
    )


def _manager(index: Index) -> str:
    found = next((manager for path in index.texts if (manager := database(path))), "")
    return found or ("rpm" if any(path.startswith(RPM) for path in index.paths) else "")


def _release(text: str) -> Release:
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            try:
                values[key.strip()] = " ".join(shlex.split(value))[:LONGEST]
            except ValueError:
                values[key.strip()] = value.strip("\"'")[:LONGEST]
    # Source: os-release(5): without an ID, it is `linux`.
    return Release(
        id=values.get("ID") or "linux",
        version=values.get("VERSION_ID", ""),
        codename=values.get("VERSION_CODENAME") or _codename(values),
        title=values.get("PRETTY_NAME", ""),
    )


def _codename(values: Mapping[str, str]) -> str:
    """Return the codename of a Debian that does not name it by itself, as that of distroless images."""
    if values.get("ID") != "debian":
        return ""
    in_brackets = re.search(r"\(([a-z]+)\)", values.get("VERSION", ""))
    return in_brackets[1] if in_brackets else DEBIANS.get(values.get("VERSION_ID", ""), "")


def _packages(texts: Mapping[str, str]) -> Iterator[SystemPackage]:
    read = {"dpkg": _of_dpkg, "apk": _of_apk}
    for path in sorted(texts):
        if manager := database(path):
            yield from filter(None, map(read[manager], texts[path].split("\n\n")))


def _of_dpkg(entry: str) -> SystemPackage | None:
    fields = dict(line.split(": ", 1) for line in entry.split("\n") if ": " in line)
    # What was removed, and left its configuration, is not installed; distroless files have no status.
    installed = fields.get("Status", "install ok installed").endswith(" installed")
    if not installed or "Package" not in fields or "Version" not in fields:
        return None
    source, _, rest = fields.get("Source", "").partition(" ")
    return SystemPackage(
        name=fields["Package"][:LONGEST],
        version=fields["Version"][:LONGEST],
        architecture=fields.get("Architecture", "")[:LONGEST],
        source="" if source == fields["Package"] else source[:LONGEST],
        source_version=rest.strip("()")[:LONGEST],
    )


def _of_apk(entry: str) -> SystemPackage | None:
    fields = dict(line.split(":", 1) for line in entry.split("\n") if ":" in line)
    if not fields.get("P") or not fields.get("V"):
        return None
    return SystemPackage(
        name=fields["P"][:LONGEST],
        version=fields["V"][:LONGEST],
        architecture=fields.get("A", "")[:LONGEST],
        source="" if fields.get("o", "") == fields["P"] else fields.get("o", "")[:LONGEST],
    )


def _distributions(texts: Mapping[str, str]) -> tuple[InstalledDistribution, ...]:
    found: dict[tuple[str, str], list[str]] = {}
    names: dict[tuple[str, str], str] = {}
    for path in sorted(texts):
        match = METADATA.fullmatch(path)
        if match is None:
            continue
        fields = dict(line.split(": ", 1) for line in texts[path].split("\n")[:2] if ": " in line)
        name, version = fields.get("Name", "")[:LONGEST], fields.get("Version", "")[:LONGEST]
        if name and version:
            key = (canonicalize_name(name), version)
            names.setdefault(key, name)
            found.setdefault(key, []).append(shown(match[1]))
    return tuple(
        InstalledDistribution(name=names[key], version=key[1], locations=tuple(found[key])) for key in sorted(found)
    )
