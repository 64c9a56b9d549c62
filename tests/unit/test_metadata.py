"""METADATA is read as the core metadata standard has it: as `importlib.metadata` and `email.parser` do."""

from __future__ import annotations

import os
import random
import sys
from contextlib import suppress
from email import message_from_string
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from seatrial.inside.probe.distributions import header, requires_text
from seatrial.observe.kept import kept_text

PLACE = "/usr/lib/python3.13/site-packages/shop-1.0.dist-info/METADATA"
FOLDERS = [*filter(None, (*sys.path, *os.environ.get("SEATRIAL_METADATA", "").split(":")))]
"""Where distributions lie that ours is compared on; a variable names more folders (site-packages)."""

FORMS = {
    "plain": "Name: shop\nVersion: 1.0\nRequires-Dist: click\nRequires-Dist: rich>=13\n\nText\n",
    "a licence with empty lines": "Name: shop\nVersion: 1.0\nLicense: BSD\n        \n        Copyright\n\t\n"
    "        Redistribution\nRequires-Dist: click\n\nText\n",
    "a continued requirement": "Name: shop\nVersion: 1.0\nRequires-Dist: click\n  ; python_version < '4'\n\n",
    "letters of any case": "name: shop\nVERSION: 1.0\nrequires-DIST: click\n",
    "a requirement in the text": "Name: shop\nVersion: 1.0\n\nRequires-Dist: click\n",
    "no end of line": "Name: shop\nVersion: 1.0\nRequires-Dist: click",
    "line ends of Windows": "Name: shop\r\nVersion: 1\r\nLicense: x\r\n   \r\n y\r\nRequires-Dist: click\r\n\r\nText",
    "line ends of old Macs": "Name: shop\rVersion: 1.0\rRequires-Dist: click\r\rText",
    "a line that is no field": "Name: shop\nVersion: 1.0\nwhat is this\nRequires-Dist: click\n",
    "a name with a blank": "Name: shop\nVersion: 1.0\nRequires Dist: rich\nRequires-Dist: click\n",
    "a blank before the colon": "Name: shop\nVersion: 1.0\nRequires-Dist : rich\nRequires-Dist: click\n",
    "a colon first": "Name: shop\nVersion: 1.0\n: odd\n  odder\nRequires-Dist: click\n",
    "a letter's first line": "From me\nName: shop\nVersion: 1.0\nFrom you\n more\nRequires-Dist: click\n",
    "a continuation first": "  odd\nName: shop\nVersion: 1.0\n",
    "a description as a field": "Name: shop\nVersion: 1.0\nDescription: A\n   |B\n\n   |C\nRequires-Dist: click\n",
    "twice": "Name: shop\nName: other\nVersion: 1.0\nVersion: 2.0\n",
    "an empty value": "Name: shop\nVersion: 1.0\nRequires-Dist:\n  click\nSummary:\nRequires-Dist: rich\n",
    "nothing": "",
    "an empty line first": "\nName: shop\n",
    "other letters": "Name: shop\nVersion: 1.0\nAuthor: Łukasz\u2028Ö\x0b\x0c\x85 x\nRequires-Dist: click\n",
}


def fields(text: str) -> tuple[str, str, list[str]]:
    """Return name, version and requirements by the standard library, blanks and folds aside."""
    said = message_from_string(text)
    name, version, *requires = (
        " ".join(str(value).split())
        for value in (said["Name"] or "", said["Version"] or "", *said.get_all("Requires-Dist", []))
    )
    return name, version, requires


def ours(text: str) -> tuple[str, str, list[str]]:
    said = header(text)
    name, version, *requires = (
        " ".join(value.split()) for value in (said.get("name", ""), said.get("version", ""), *said["requires"])
    )
    return name, version, requires


@pytest.mark.parametrize("form", FORMS)
def test_it_is_read_by_the_standards_rules(form: str) -> None:
    assert ours(FORMS[form]) == fields(FORMS[form])
    kept = kept_text(PLACE, 0o644, FORMS[form].encode())
    assert kept is not None
    assert ours(kept) == fields(FORMS[form])


def test_a_whitespace_only_line_ends_nothing() -> None:
    assert ours(FORMS["a licence with empty lines"]) == ("shop", "1.0", ["click"])


def test_any_mixture_of_lines_is_read_by_the_standards_rules() -> None:
    chance = random.Random(4)  # noqa: S311 - the same mixtures each time
    lines = sorted({line for form in FORMS.values() for line in form.splitlines()})
    for _ in range(2000):
        text = chance.choice(("\n", "\r\n")).join(chance.choices(lines, k=8))
        assert ours(text) == fields(text), repr(text)


def test_every_distribution_at_hand_is_read_as_the_standard_library_reads_it() -> None:
    folders = [Path(str(found.locate_file(""))) for found in distributions(path=FOLDERS)]
    found: dict[Path, str] = {}
    for file in {file for folder in dict.fromkeys(folders) for file in folder.glob("*.dist-info/METADATA")}:
        with suppress(OSError, UnicodeDecodeError):
            found[file] = file.read_text(encoding="utf-8")
    assert len(found) > 20
    wrong = [
        str(file)
        for file, text in found.items()
        if not ours(text) == ours(kept_text(PLACE, 0o644, text.encode()) or "") == fields(text)
    ]
    assert wrong == []


REQUIRES = """
click>=8
[redis]
redis
hiredis @ https://example.org/hiredis.zip

[:python_version < "3.9"]
zoneinfo

[tls:sys_platform == "linux" or os_name == "posix"]
pyopenssl
"""


def test_the_requirements_of_an_egg_are_those_that_the_standard_library_tells(tmp_path: Path) -> None:
    egg = tmp_path / "shop-1.0.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_text("Name: shop\nVersion: 1.0\n", encoding="utf-8")
    (egg / "requires.txt").write_text(REQUIRES, encoding="utf-8")
    (said,) = distributions(path=[str(tmp_path)])
    theirs = [Requirement(line) for line in said.requires or ()]
    assert [Requirement(line) for line in requires_text(REQUIRES)] == theirs
    assert len(theirs) == 5
    assert [str(requirement.marker or "") for requirement in theirs] == [
        "",
        'extra == "redis"',
        'extra == "redis"',
        'python_version < "3.9"',
        '(sys_platform == "linux" or os_name == "posix") and extra == "tls"',
    ]
