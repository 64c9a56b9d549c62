"""Each defect is found by its check, with its cause, and nothing else fails; its clean twin passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.defects.catalogue import DEFECTS
from tests.defects.defect import each

from seatrial.checks import registry
from seatrial.checks.model import Level, Status
from seatrial.reports.groups import findings
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from tests.defects.defect import Defect
    from tests.defects.yard import Yard

    from seatrial.checks.model import Result
    from seatrial.checks.verdict import Smoke

pytestmark = pytest.mark.engine


def contract_of(values: dict[str, Any]) -> Contract:
    return Contract(**{"modules": ("shipapp.web:app",), **values})


def level_of(defect: Defect) -> Level:
    """Return the least that shows a defect and all that follows from it: a static one needs no start."""
    levels = {check.id: check.level for check in registry.CHECKS}
    named = (levels[text] for text in (defect.finds, *defect.also, *defect.undecided))
    return max(named, key=lambda level: level.rank)


def of_status(smoke: Smoke, status: Status) -> set[str]:
    return {check.id for check in smoke.checks if check.status is status}


def told(results: list[Result]) -> str:
    return "\n".join(
        "\n".join((result.id, result.actual, result.expected, result.fix, *result.evidence)) for result in results
    )


@each("defect", DEFECTS)
def test_it_is_found_and_nothing_else_is(yard: Yard, defect: Defect) -> None:
    files = {name: body for name, body in defect.files.items() if name in defect.dockerfile}
    smoke = yard.smoke(
        yard.image(defect.dockerfile, files), contract_of(defect.contract), level_of(defect), defect.facts()
    )
    bad = [check for check in smoke.checks if check.status in {Status.FAIL, Status.ERROR}]
    assert of_status(smoke, Status.FAIL) == {defect.finds, *defect.also}, told(bad)
    assert of_status(smoke, Status.ERROR) == defect.undecided, told(bad)
    finding = told([result for result in bad if result.id == defect.finds])
    assert all(words in finding for words in defect.says), finding
    assert all(result.actual and result.why for result in bad)
    assert all(result.fix for result in bad if result.status is Status.FAIL)
    # One cause is one finding, whatever follows from it.
    told_first = [finding for finding in findings(smoke) if finding.results[0].status is not Status.WAIVED]
    assert len(told_first) == 1, [finding.names for finding in told_first]


@pytest.mark.parametrize("defect", DEFECTS, ids=[defect.name.replace(" ", "-") for defect in DEFECTS])
def test_its_clean_twin_passes(yard: Yard, defect: Defect) -> None:
    values = defect.contract if defect.twin_contract is None else defect.twin_contract
    files = {name: body for name, body in defect.files.items() if name in defect.twin}
    smoke = yard.smoke(yard.image(defect.twin, files), contract_of(values), level_of(defect), defect.facts())
    bad = [check for check in smoke.checks if check.status in {Status.FAIL, Status.ERROR}]
    assert not bad, told(bad)
    assert next(check for check in smoke.checks if check.id == defect.finds).status in {Status.PASS, Status.SKIP}
