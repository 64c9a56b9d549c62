"""Values that look like secrets, and stand in no report."""

from __future__ import annotations

import base64

import pytest
from tests.unit.samples import result, smoke

from seatrial.checks.model import Status
from seatrial.reports.write import FORMATS, render
from seatrial.smoke.masking import masked, variables_of


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("API_TOKEN", "tR8sVq0wLzE4", "tR8sVq0wLzE4"),
        ("DATABASE_URL", "postgresql://shop:hunter2-and-more@db/shop", "hunter2-and-more"),
        ("SESSION_SECRET", "p4ss word/with+signs", "p4ss%20word%2Fwith%2Bsigns"),
        ("API_TOKEN", "tR8sVq0wLzE4", base64.b64encode(b"tR8sVq0wLzE4").decode()),
    ],
)
def test_no_form_of_report_shows_a_value_that_looks_like_a_secret(name: str, value: str, shown: str) -> None:
    line = f"connecting with {shown} failed"
    told = smoke(result(Status.FAIL, actual=line, fix=line, evidence=("first", line)))
    assert shown in render([told], next(iter(FORMATS)))
    for form in FORMATS:
        text = render([masked(told, [(name, value)])], form)
        assert shown not in text, form
        assert "connecting with *** failed" in text, form


@pytest.mark.parametrize(
    ("name", "value"),
    [("POSTGRES_PASSWORD", "postgres"), ("LOG_LEVEL", "information"), ("SECRET_KEY", "only-for-tests"), ("TOKEN", "")],
)
def test_a_word_that_keeps_nothing_secret_stays(name: str, value: str) -> None:
    told = smoke(result(Status.FAIL, actual=f"postgres: information on {value}"))
    assert masked(told, [(name, value)]) == told


def test_the_variables_of_all_services_are_read() -> None:
    document = {"services": {"api": {"environment": {"A": "1", "B": None}}, "db": {"environment": None}, "x": {}}}
    assert list(variables_of(document)) == [("A", "1"), ("B", "")]
