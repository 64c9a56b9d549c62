"""Requirement strings, by the standard's own rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable


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
