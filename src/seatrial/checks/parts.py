"""A part of the probe's answer, and whether the package list is worth judging by."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from packaging.utils import canonicalize_name

from seatrial.checks.model import UndecidedError, probe_of

if TYPE_CHECKING:
    from seatrial.facts.data import Distribution, Facts, Probe
    from seatrial.settings.model import Contract

T = TypeVar("T")


def had(value: T | None, probe: Probe, name: str) -> T:
    """Return a part of the probe's answer.

    Raises:
        UndecidedError: the probe could not have it.

    """
    if value is None:
        raise UndecidedError(f"the probe could not look: {probe.problems.get(name, 'it gave no answer to that')}")
    return value


def installed(facts: Facts, contract: Contract) -> dict[str, Distribution]:
    """Return what the application's own environment holds, by normalised name.

    Raises:
        UndecidedError: the list was cut, or is empty though the application has dependencies.

    """
    probe = probe_of(facts)
    if "distributions" in probe.truncated:
        raise UndecidedError(f"the package list was cut after {len(probe.distributions)} distributions")
    listed: dict[str, Distribution] = {canonicalize_name(one.name): one for one in probe.distributions if not one.base}
    declared = contract.dependencies if contract.dependencies is not None else facts.project.dependencies
    if not listed and declared:
        raise UndecidedError("the package list is empty; packages/evidence tells why")
    return listed
