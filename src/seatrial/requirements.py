"""Requirement strings, by the standard's own rules."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from functools import lru_cache

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName, default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from seatrial.facts import Distribution

MACHINES = {"arm64": "aarch64", "AMD64": "x86_64"}


def names_of(requirements: Iterable[str], python: str | None = None) -> tuple[str, ...]:
    """Return the normalised names that requirement strings ask for; what is none is left out.

    One whose marker does not hold on Linux with that version of Python is left out too. Without a version,
    markers do not count: the name may be asked for somewhere.
    """
    parsed = [requirement for text in requirements if (requirement := parse(text))]
    environment = None if python is None else marker_environment(python)
    return tuple(
        dict.fromkeys(
            canonicalize_name(item.name) for item in parsed if environment is None or holds(item, environment)
        )
    )


@lru_cache(maxsize=4096)  # several checks look at the same ones
def parse(text: str) -> Requirement | None:
    """Return a requirement, shared and not to be changed; None where the text is none: it may come from an image."""
    try:
        return Requirement(text)
    except (InvalidRequirement, RecursionError):
        return None


def holds(requirement: Requirement, environment: Mapping[str, str]) -> bool:
    """Tell whether a requirement's marker holds; one that compares what cannot be compared does not."""
    try:
        return requirement.marker is None or requirement.marker.evaluate(dict(environment))
    except (UndefinedComparison, UndefinedEnvironmentName):
        return False


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
    """Return the names that direct dependencies bring in, by what the installed distributions themselves ask for.

    Args:
        direct: requirement strings.
        installed: what the environment holds.
        python: the version of its interpreter, for the markers.

    """
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
