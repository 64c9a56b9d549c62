"""Requirement strings and locks, resolved by the standard's own rules for an image's interpreter."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Literal

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName, default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from seatrial.facts import Distribution, Probe
from seatrial.facts.sources import LockedPackage, LockFile

MACHINES = {"arm64": "aarch64", "AMD64": "x86_64"}
EXTRA = re.compile(r"""(?<![\w.])extra\s*(==|!=)\s*(['"])(.*?)\2|(['"])([^'"]*?)\4\s*(==|!=)\s*extra\b""")
"""A comparison with `extra`. Poetry names the project's extras so; uv writes those that exclude one another, and
groups, as `extra-LENGTH-PROJECT-NAME` and `group-LENGTH-PROJECT-NAME`."""
MINOR = re.compile(r"\d+\.\d+").fullmatch
"""A version of Python of which no more is known."""
YES, NO = "python_version >= '0'", "python_version < '0'"


class UnclearMarkerError(Exception):
    """A marker asks for more of the Python's version than is known."""

    def __init__(self, marker: str, python: str) -> None:
        super().__init__(marker)
        self.reason = f"the marker `{marker}` holds for some releases of Python {python}, and no file says which it is"
        self.evidence = ()


def names_of(requirements: Iterable[str], python: str | None = None) -> tuple[str, ...]:
    """Return the normalised names that requirement strings ask for; what is none is left out.

    One whose marker does not hold on Linux with that version of Python is left out too. Without a version,
    markers do not count: the name may be asked for somewhere.
    """
    parsed = [requirement for text in requirements if (requirement := parse(text))]
    environment = None if python is None else marker_environment(python)
    meant = (item for item in parsed if environment is None or holds(item, environment))
    return tuple(dict.fromkeys(canonicalize_name(item.name) for item in meant))


@lru_cache(maxsize=4096)  # several checks look at the same ones
def parse(text: str) -> Requirement | None:
    """Return a requirement, shared and not to be changed; None where the text is none: it may come from an image."""
    try:
        return Requirement(text)
    except (InvalidRequirement, RecursionError):
        return None


def holds(requirement: Requirement, environment: Mapping[str, str]) -> bool:
    """Tell whether a requirement's marker holds; one that compares what cannot be compared does not.

    Raises:
        UnclearMarkerError: it holds for some releases of the Python only, and no more is known.

    """
    try:
        return requirement.marker is None or _evaluate(requirement.marker, environment, {}, "metadata")
    except (UndefinedComparison, UndefinedEnvironmentName):
        return False


def _evaluate(
    marker: Marker,
    environment: Mapping[str, str],
    sets: Mapping[str, frozenset[str]],
    context: Literal["lock_file", "metadata"],
) -> bool:
    full = environment["python_full_version"]
    if not MINOR(full):
        return marker.evaluate({**environment, **sets}, context=context)
    found = {
        marker.evaluate(
            {**environment, "python_full_version": version, "implementation_version": version, **sets}, context=context
        )
        for version in (f"{full}.0", f"{full}.999")
    }
    if len(found) > 1:
        raise UnclearMarkerError(str(marker), full)
    return found.pop()


def marker_environment(python: str) -> dict[str, str]:
    """Return what markers are judged by in an image: Linux and its interpreter's version, not the host's."""
    return {
        **{key: str(value) for key, value in default_environment().items()},
        "os_name": "posix",
        # An image runs on the host's processor, which Linux calls by another name than macOS and Windows do.
        "platform_machine": MACHINES.get(platform.machine(), platform.machine()),
        "sys_platform": "linux",
        "platform_system": "Linux",
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python,
        "extra": "",
    }


def closure(direct: Iterable[str], installed: Iterable[Distribution], python: str) -> frozenset[str]:
    """Return the names that direct dependencies bring in, by what the installed distributions themselves ask for."""
    by_name = {canonicalize_name(distribution.name): distribution for distribution in installed}
    environment = marker_environment(python)
    seen: set[tuple[str, str]] = set()
    left = [(text, "") for text in direct]
    while left:
        text, extra = left.pop()
        requirement = parse(text)
        if requirement is None or not holds(requirement, {**environment, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                left += [(require, wanted) for require in (by_name[name].requires if name in by_name else ())]
    return frozenset(name for name, _ in seen)


def image_environment(probe: Probe) -> dict[str, str]:
    """Return what markers are judged by in an image: everything from its own interpreter."""
    environment, seen = marker_environment(probe.interpreter.version), probe.environment
    if seen is not None:
        environment["implementation_name"] = seen.implementation or environment["implementation_name"]
        environment["platform_machine"] = seen.machine or environment["platform_machine"]
    environment["platform_python_implementation"] = probe.interpreter.implementation
    environment["implementation_version"] = probe.interpreter.version
    return environment


def resolve(lock: LockFile, environment: Mapping[str, str], chosen: Iterable[str]) -> dict[str, LockedPackage]:
    """Return what a lock has installed, by name, with the chosen extras and groups (normalised)."""
    active = frozenset(chosen) | frozenset(lock.defaults)
    by_name: dict[str, list[LockedPackage]] = {}
    for package in lock.packages:
        by_name.setdefault(package.name, []).append(package)
    found: dict[str, LockedPackage] = {}
    seen: set[tuple[str, str, str]] = set()
    left = [root for root in lock.roots if not root.only or active & set(root.only)]
    while left:
        want = left.pop()
        if not marker_holds(want.marker, environment, active, lock.project):
            continue
        rows = [package for package in by_name.get(want.name, ()) if want.version in {"", package.version}]
        meant = [package for package in rows if marker_holds(package.marker, environment, active, lock.project)] or rows
        if not meant:
            continue
        row = meant[0]
        found[row.name] = row
        for part in ("", *want.extras):
            if (row.name, row.version, part) not in seen:
                seen.add((row.name, row.version, part))
                left += row.extras.get(part, ()) if part else row.wants
    return found


def marker_holds(text: str, environment: Mapping[str, str], active: frozenset[str], project: str) -> bool:
    """Tell whether a lock's marker holds; one that cannot be read or compared does not.

    Raises:
        UnclearMarkerError: it holds for some releases of the Python only, and no more is known.

    """
    if not text:
        return True
    prefixes = (f"extra-{len(project)}-{project}-", f"group-{len(project)}-{project}-")

    def decided(match: re.Match[str]) -> str:
        operator, name = match[1] or match[6], match[3] or match[5] or ""
        bare = next((name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix)), name)
        return YES if (bare in active) == (operator == "==") else NO

    sets = {"extras": active, "dependency_groups": active}
    try:
        return _evaluate(Marker(EXTRA.sub(decided, text)), environment, sets, "lock_file")
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, RecursionError):
        return False
