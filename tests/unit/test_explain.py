"""Every check explains itself, on the screen and to whoever misspells it."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from seatrial.checks.registry import CHECKS
from seatrial.reports.console import print_catalogue, print_check
from seatrial.reports.groups import family_of
from seatrial.reports.sarif import markdown_help, text_help
from seatrial.text import nearest

if TYPE_CHECKING:
    from seatrial.checks.model import Check


def shown(width: int = 200, *, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, markup=False)


def printed(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@pytest.mark.parametrize("check", CHECKS, ids=lambda entry: entry.id)
def test_every_check_says_what_why_whence_what_fails_it_and_what_fixes_it(check: Check) -> None:
    told = {name: getattr(check, name).strip() for name in ("title", "why", "source", "example", "fixed")}
    assert [name for name, text in told.items() if not text] == []
    assert re.fullmatch(r"[^\n]+\.", told["why"]), "one line that ends with a full stop"
    assert not re.search(r"[.!?] [A-Z]", told["why"]), "one sentence"
    assert not told["title"].endswith(".")
    assert "\n" not in told["title"] + told["source"]
    assert told["example"] != told["fixed"]


@pytest.mark.parametrize("check", CHECKS, ids=lambda entry: entry.id)
def test_an_explanation_holds_all_of_it(check: Check) -> None:
    screen = shown()
    print_check(check, screen)
    text = printed(screen)
    for part in (check.id, check.title, check.why, check.source, check.level.value, f'waive = {{ "{check.id}" = '):
        assert part in text
    for line in (*check.example.strip("\n").splitlines(), *check.fixed.strip("\n").splitlines()):
        assert f"    {line.rstrip()}" in text
    for help_text in (text_help(check), markdown_help(check)):
        assert check.why in help_text
        assert check.source in help_text
        assert check.fixed.strip("\n") in help_text


@pytest.mark.parametrize("width", [40, 60])
def test_a_narrow_terminal_is_enough(width: int) -> None:
    screen = shown(width, terminal=True)
    print_catalogue(CHECKS, screen)
    rules = [line for line in printed(screen).splitlines() if not line.startswith(" ")]
    assert max(map(len, rules)) <= width
    screen = shown(width, terminal=True)
    print_check(CHECKS[0], screen)
    head = printed(screen).split("\n\n")[0]
    assert max(len(line.rstrip()) for line in head.splitlines()) <= width


def test_the_list_has_each_check_once_below_its_family() -> None:
    screen = shown()
    print_catalogue(CHECKS, screen)
    families: dict[str, list[str]] = {}
    for line in printed(screen).splitlines():
        if line.startswith("  "):
            families[list(families)[-1]].append(line.split()[0])
        elif line and not line[0].isdigit():
            families[line] = []
    assert all(family_of(name) == family for family, names in families.items() for name in names)
    assert sorted(name for names in families.values() for name in names) == sorted(check.id for check in CHECKS)
    assert printed(screen).splitlines()[-1].startswith(f"{len(CHECKS)} checks.")


KNOWN = ("boot/healthy", "health/declared", "identity/non-root", "packages/forbidden")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("boot/helthy", "Did you mean 'boot/healthy'?"),
        ("non-root", "Did you mean 'identity/non-root'?"),
        ("boot", "Did you mean 'boot/healthy'?"),
        ("declard", "Did you mean 'health/declared'?"),
        ("xyzzy", "There is no similar name."),
        ("", "There is no similar name."),
    ],
)
def test_the_nearest_names(name: str, said: str) -> None:
    assert nearest(name, KNOWN) == said


def test_several_near_names_are_all_said() -> None:
    assert nearest("app/import", ("app/imports", "app/imported")) == "Did you mean 'app/imports' or 'app/imported'?"
