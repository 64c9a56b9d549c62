"""Folders of an image that hold distributions, and which the application's interpreter does not look into, and why."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from seatrial.facts.probe import OffPath
from seatrial.observe.contents import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.observe.layout import Access, Layout

MOST_FOLDERS = 50
MOST_NAMES = 1000
SITE = re.compile(r"(?P<prefix>.*)/lib(?:64)?/python(?P<version>3(?:\.\d+t?)?)/(?:site|dist)-packages")


def off_path_of(layout: Layout, environment: Mapping[str, str], home: str, access: Access) -> tuple[OffPath, ...]:
    """Return the folders with distributions that are neither on the path nor the base interpreter's own."""
    files = access.files
    known = {files.folder(folder) for folder in (*layout.path, *layout.base)}
    names: dict[str, set[str]] = {}
    for path in files.index.texts:
        if path.endswith(".dist-info/METADATA"):
            folder, _, named = path.removesuffix("/METADATA").rpartition("/")
            if folder not in known:
                names.setdefault(folder, set()).add(
                    canonicalize_name(named.removesuffix(".dist-info").partition("-")[0])
                )
    found = []
    for folder in sorted(names)[:MOST_FOLDERS]:
        why, fix = _why(shown(folder), layout, environment, home, access)
        listed = tuple(map(shown, sorted(names[folder])[:MOST_NAMES]))
        found.append(OffPath(folder=shown(folder), distributions=listed, why=why, fix=fix))
    return tuple(found)


def _why(folder: str, layout: Layout, environment: Mapping[str, str], home: str, access: Access) -> tuple[str, str]:
    """Return why an interpreter does not look into a folder, and what to do about it."""
    site = SITE.fullmatch(folder)
    if site is None:
        return "sys.path does not name it", f"Put it on the path: `ENV PYTHONPATH={folder}`."
    prefix, version = site["prefix"], site["version"]
    if version not in {"3", layout.version}:
        why = f"it is for Python {version}, and the application runs on Python {layout.version}"
        return why, "Install with the interpreter that the command runs on: the same base image in every stage."
    if access.files.end(posixpath.join(prefix, "pyvenv.cfg")):
        why = f"it belongs to the environment {prefix}, and the command runs on {layout.executable}"
        return why, f'Run {prefix}/bin/python: name it in the command, or `ENV PATH="{prefix}/bin:$PATH"`.'
    if prefix.endswith("/.local"):
        return _why_of_a_user(prefix, layout, environment, home)
    if not access.lists(folder):
        return _closed(prefix, access)
    return f"it is not below {layout.prefix}", f"Put it on the path: `ENV PYTHONPATH={folder}`."


def _why_of_a_user(prefix: str, layout: Layout, environment: Mapping[str, str], home: str) -> tuple[str, str]:
    installed = "installed with --user, and"
    if layout.prefix != layout.base_prefix:
        why = f"{installed} the environment {layout.prefix} leaves such folders out"
        return why, "Install into the environment, without --user."
    if environment.get("PYTHONNOUSERSITE"):
        return f"{installed} PYTHONNOUSERSITE is set", "Leave PYTHONNOUSERSITE out of ENV."
    base = environment.get("PYTHONUSERBASE")
    looked = base or posixpath.join(home, ".local")
    if posixpath.normpath(looked) == prefix:
        why = f"{installed} USER may not read it"
        return (
            why,
            f"Let every account read it: `RUN chmod -R go=rX {prefix}`; a folder below /root is closed to others.",
        )
    says = "PYTHONUSERBASE says so" if base else f"HOME is {home}"
    why = f"{installed} Python looks for such packages in {looked}, as {says}"
    fix = f"Tell Python where they lie: `ENV PYTHONUSERBASE={prefix}`; or install into a virtual environment."
    return why, fix


def _closed(prefix: str, access: Access) -> tuple[str, str]:
    why = f"uid {access.who.uid} may not read it"
    return why, f"Let every account read it: `RUN chmod -R go=rX {prefix}`."
