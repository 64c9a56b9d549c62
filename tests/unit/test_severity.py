"""How much a finding matters: the catalogue's word, the finding's own, and the contract's."""

from __future__ import annotations

import pytest

from seatrial.checks import check, failed
from seatrial.checks.declaration import DeclarationError
from seatrial.checks.model import Check, Outcome, Severity, UndecidedError
from seatrial.checks.registry import CATALOGUE
from seatrial.checks.verdict import judge
from seatrial.settings.model import Contract


def demanding(severity: Severity | None = None, *, undecided: bool = False) -> Check:
    """Return a check that the contract's `forbidden` makes an error, and that fails or is undecided."""

    @check(
        "shop/tidy",
        title="Is tidy",
        severity=Severity.NOTE,
        demanded_by=("forbidden",),
        why="Because.",
        source="https://example.org",
    )
    def tidy() -> Outcome:
        if undecided:
            raise UndecidedError("nobody knows")
        return failed("untidy", expected="tidy", fix="Tidy up.", severity=severity)

    return tidy


def test_the_gravest_comes_first_and_counts_wherever_lighter_ones_do() -> None:
    assert [severity.value for severity in Severity] == ["error", "warning", "note"]
    assert [Severity.WARNING.counts(fail_on) for fail_on in Severity] == [False, True, True]


@pytest.mark.parametrize("undecided", [False, True])
def test_what_the_contract_asks_for_is_an_error(*, undecided: bool) -> None:
    asked = demanding(undecided=undecided)
    assert judge(asked, {}, Contract()).severity is Severity.NOTE
    assert judge(asked, {}, Contract(forbidden=("pytest",))).severity is Severity.ERROR


def test_a_finding_says_its_own_severity() -> None:
    assert judge(demanding(Severity.WARNING), {}, Contract(forbidden=("pytest",))).severity is Severity.WARNING


def test_a_check_of_a_users_own_is_an_error_unless_it_says_so() -> None:
    @check("shop/plain", title="Plain", why="Because.", source="https://example.org")
    def plain() -> Outcome:
        return failed("not", expected="plain", fix="Do.")

    assert plain.severity is Severity.ERROR


def test_a_demand_is_a_key_of_the_contract() -> None:
    declare = check("shop/x", title="X", demanded_by=("forbid",), why="Because.", source="https://example.org")
    with pytest.raises(DeclarationError, match="no key 'forbid'"):
        declare(lambda: failed("", expected="", fix=""))


@pytest.mark.parametrize(
    ("severity", "checks"),
    [
        (Severity.ERROR, ("process/command-resolves", "boot/healthy", "app/imports", "secrets/files", "stack/healthy")),
        (Severity.WARNING, ("identity/non-root", "health/declared", "process/exec-form", "app/code-read-only")),
        (Severity.WARNING, ("dockerfile/locked-install", "compose/hardening", "boot/read-only")),
        (Severity.NOTE, ("config/labels", "identity/numeric-user", "network/exposed-ports", "bytecode/dependencies")),
        (Severity.NOTE, ("packages/no-installers", "dockerfile/lint")),
    ],
)
def test_the_catalogue_keeps_to_the_definitions(severity: Severity, checks: tuple[str, ...]) -> None:
    known = {check.id: check.severity for check in CATALOGUE}
    assert {known[name] for name in checks} == {severity}
