"""What a lock has installed in an image: its packages, resolved by markers for the image's own interpreter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName

from seatrial.facts import Probe
from seatrial.facts.sources import LockedPackage, LockFile
from seatrial.requirements import marker_environment

EXTRA = re.compile(r"""(?<![\w.])extra\s*(==|!=)\s*(['"])(.*?)\2|(['"])([^'"]*?)\4\s*(==|!=)\s*extra\b""")
"""A comparison with `extra`. Poetry names the project's extras so; uv writes those that exclude one another, and
groups, as `extra-LENGTH-PROJECT-NAME` and `group-LENGTH-PROJECT-NAME`."""
YES, NO = "python_version >= '0'", "python_version < '0'"


def image_environment(probe: Probe) -> dict[str, str]:
    """Return what markers are judged by in an image: everything from its own interpreter."""
    version = probe.interpreter.version
    environment = marker_environment(version)
    seen = probe.environment
    if seen is not None:
        environment["implementation_name"] = seen.implementation or environment["implementation_name"]
        environment["platform_machine"] = seen.machine or environment["platform_machine"]
    return {
        **environment,
        "platform_python_implementation": probe.interpreter.implementation,
        "implementation_version": version,
    }


def resolve(lock: LockFile, environment: Mapping[str, str], chosen: Iterable[str]) -> dict[str, LockedPackage]:
    """Return what a lock has installed, by name.

    Args:
        lock: the lock.
        environment: what markers are judged by.
        chosen: the project's extras and groups that the image gets, normalised.

    """
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
    """Tell whether a lock's marker holds; one that cannot be read or compared does not."""
    if not text:
        return True
    prefixes = (f"extra-{len(project)}-{project}-", f"group-{len(project)}-{project}-")

    def decided(match: re.Match[str]) -> str:
        operator, name = match[1] or match[6], match[3] or match[5] or ""
        bare = next((name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix)), name)
        return YES if (bare in active) == (operator == "==") else NO

    sets = {"extras": active, "dependency_groups": active}
    try:
        return Marker(EXTRA.sub(decided, text)).evaluate({**environment, **sets}, context="lock_file")
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, RecursionError):
        return False
