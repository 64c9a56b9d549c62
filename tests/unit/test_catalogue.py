"""The catalogue of defects: each check has one, and a plain `nox` tries one of each family."""

from __future__ import annotations

from tests.defects.catalogue import DEFECTS
from tests.defects.compose_projects import COMPOSE_PROJECTS
from tests.defects.defect import core
from tests.defects.projects import PROJECTS
from tests.unit.test_stack_checks import FAILURES

from seatrial.checks import registry


def test_every_check_has_a_defect() -> None:
    # Those of a stack: recorded runs here, and broken stacks in tests/engine/test_stack_smoke.py.
    of_stacks = {check for check, _, _ in FAILURES}
    found = {defect.finds for defect in (*DEFECTS, *PROJECTS, *COMPOSE_PROJECTS)}
    assert {check.id for check in registry.CATALOGUE} <= found | of_stacks


def test_a_plain_nox_tries_twenty_families_at_least() -> None:
    families = {check.id.partition("/")[0] for check in registry.CHECKS}
    chosen = [
        defect for defect in (*DEFECTS, *PROJECTS, *COMPOSE_PROJECTS) if defect.name in core(DEFECTS) | core(PROJECTS)
    ]
    assert {defect.finds.partition("/")[0] for defect in chosen} == families
    assert len(chosen) >= 20
