from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs.reference import FILES, PAGES, SCHEMAS, schema_text

from seatrial.checks.registry import CATALOGUE

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_what_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run `nox -s reference`"


@pytest.mark.parametrize("name", FILES)
def test_the_shipped_schemas_are_what_the_types_say(name: str) -> None:
    shipped = (SCHEMAS / name).read_text(encoding="utf-8")
    assert shipped == schema_text(FILES[name]()), "run `nox -s reference`"


def test_a_schema_file_does_not_depend_on_the_order_in_which_msgspec_writes_keywords() -> None:
    written = {"type": "object", "properties": {"b": {"type": "string", "default": ""}, "a": {}}, "anyOf": [{"x": 1}]}
    other = {"anyOf": [{"x": 1}], "properties": {"b": {"default": "", "type": "string"}, "a": {}}, "type": "object"}
    assert schema_text(written) == schema_text(other)
    # Properties keep the order of the fields that they are made from.
    assert schema_text(written).index('"b"') < schema_text(written).index('"a"')


def test_every_setting_has_a_meaning() -> None:
    rows = [line for line in PAGES["settings.md"]().splitlines() if line.startswith("| `")]
    assert len(rows) > 30
    assert [row for row in rows if row.endswith("|  |")] == []


def test_the_page_of_checks_leads_from_the_table_to_each() -> None:
    page = PAGES["checks.md"]()
    links = re.findall(r"^\| \[`(.+?)`\]\(#(.+?)\)", page, re.MULTILINE)
    headings = re.findall(r"^### (\S+)$", page, re.MULTILINE)
    assert sorted(name for name, _ in links) == sorted(headings) == sorted(check.id for check in CATALOGUE)
    # GitHub's anchors: small letters, digits, hyphens.
    assert {anchor for _, anchor in links} == {re.sub(r"[^a-z0-9-]", "", heading) for heading in headings}
