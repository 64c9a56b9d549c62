"""Requirement strings, by the standard's own rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.facts.data import Distribution


def names_of(requirements: Iterable[str]) -> tuple[str, ...]:
    """Return the normalised names that requirement strings ask for; what is none is left out.

    One with a marker is left out too where the marker does not hold for this interpreter and platform.
    """
    found: list[str] = []
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate():
            found.append(canonicalize_name(requirement.name))
    return tuple(dict.fromkeys(found))


def closure(direct: Iterable[str], installed: Iterable[Distribution], python: str) -> frozenset[str]:
    """Return the names that direct dependencies bring in, by what the installed distributions themselves ask for.

    Args:
        direct: requirement strings.
        installed: what the environment holds.
        python: the version of its interpreter, for the markers.

    """
    by_name = {canonicalize_name(one.name): one for one in installed}
    environment: dict[str, str] = {
        **{key: str(value) for key, value in default_environment().items()},
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python,
    }
    seen: set[tuple[str, str]] = set()
    left = [(text, "") for text in direct]
    while left:
        text, extra = left.pop()
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({**environment, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                left += [(one, wanted) for one in (by_name[name].requires if name in by_name else ())]
    return frozenset(name for name, _ in seen)
