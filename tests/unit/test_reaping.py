"""Zombies below PID 1: when they are a finding, and when an init of the compose file takes care of them."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.factories import boot, configuration, facts, inside
from tests.unit.source_factories import sources

from seatrial.checks import registry
from seatrial.checks.model import Severity, Status
from seatrial.checks.verdict import judge
from seatrial.facts import ComposeModel, ComposeSource, Service
from seatrial.settings.model import Contract

CHECK = next(check for check in registry.CHECKS if check.id == "process/reaps-children")
LEAKS = boot(proc=inside(zombies=("sleep", "sh", "sleep"), more_zombies=True))


def test_a_number_that_grows_is_an_error_and_a_few_that_stay_a_warning() -> None:
    result = judge(CHECK, facts(boot=LEAKS), Contract())
    assert (result.status, result.severity) == (Status.FAIL, Severity.ERROR)
    assert result.actual.endswith("and more of them a second later: sh, sleep")
    stay = judge(CHECK, facts(boot=boot(proc=inside(zombies=("sh", "sh")))), Contract())
    assert (stay.status, stay.severity) == (Status.FAIL, Severity.WARNING)
    assert judge(CHECK, facts(boot=boot(proc=inside(zombies=("sh",)))), Contract()).status is Status.PASS


@pytest.mark.parametrize(
    ("services", "status"),
    [
        ({"web": True, "worker": True}, Status.PASS),
        ({"web": True, "worker": False}, Status.FAIL),
        ({}, Status.FAIL),
    ],
)
def test_an_init_of_the_compose_file_reaps_them(services: dict[str, bool], status: Status) -> None:
    own = tuple(Service(name=name, image="registry.test:5000/shop:2", init=init) for name, init in services.items())
    model = ComposeModel(services=(*own, Service(name="db", image="postgres:17")))
    seen = facts(
        boot=LEAKS,
        configuration=configuration(reference="registry.test:5000/shop:1"),
        sources=msgspec.structs.replace(sources(), compose=ComposeSource(path="compose.yaml", model=model)),
    )
    assert judge(CHECK, seen, Contract()).status is status
