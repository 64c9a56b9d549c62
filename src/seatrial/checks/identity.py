"""identity/*: who the image runs as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.model import (
    Check,
    Level,
    Outcome,
    failed,
    passed,
    probe_of,
    skipped,
    start_of,
)
from seatrial.facts.data import Missing

if TYPE_CHECKING:
    from seatrial.facts.data import Facts
    from seatrial.settings.model import Contract


def non_root(facts: Facts, _: Contract) -> Outcome:
    """Judge by the engine's configuration and the image's account files: the probe could be lied to."""
    user = facts.configuration.user
    uid = start_of(facts).account.uid
    shown = f"USER {user or '(none)'}"
    if uid is None:
        return failed(
            f"{shown} names no account of the image",
            expected="a user that is not uid 0",
            fix=f"Make the account in the final stage (`RUN useradd --uid 1000 {user}`), or name one by its number.",
        )
    # The probe may lie, but not against itself: root is root by either word.
    if uid == 0 or (not isinstance(facts.probe, Missing) and facts.probe.identity.uid == 0):
        return failed(
            f"{shown} is uid 0",
            expected="a user that is not uid 0",
            fix="Add `USER 1000:1000` (or your application's account) as the Dockerfile's last USER.",
        )
    return passed(f"{shown} is uid {uid}", expected="a user that is not uid 0")


def expected_user(facts: Facts, contract: Contract) -> Outcome:
    """Compare what `whoami` and `id` print with the contract."""
    if contract.user is None and contract.uid is None and contract.gid is None:
        return skipped("the contract names no user; set `user`, `uid` or `gid`")
    seen = probe_of(facts).identity
    differences = [
        f"{what} is {actual!r}, not {wanted!r}"
        for what, wanted, actual in (
            ("whoami", contract.user, seen.name),
            ("uid", contract.uid, seen.uid),
            ("gid", contract.gid, seen.gid),
        )
        if wanted is not None and wanted != actual
    ]
    expected = " ".join(
        f"{what} {wanted}"
        for what, wanted in (("user", contract.user), ("uid", contract.uid), ("gid", contract.gid))
        if wanted is not None
    )
    actual = f"{seen.name or '(no account)'}, uid {seen.uid}, gid {seen.gid}"
    if differences:
        return failed(
            actual,
            expected=expected,
            fix="Change the Dockerfile's last USER, or the account that its RUN makes, or the contract.",
            evidence=tuple(differences),
        )
    return passed(actual, expected=expected)


CHECKS = (
    Check(
        id="identity/non-root",
        title="Runs as a user that is not root",
        why="A process that is root in the container is root on the host's kernel when it breaks out.",
        source="CIS Docker Benchmark 4.1; OWASP Docker cheat sheet, rule 2",
        example='FROM python:3.13-slim\nCMD ["python", "main.py"]',
        mend='FROM python:3.13-slim\nRUN useradd --uid 10001 app\nUSER 10001:10001\nCMD ["python", "main.py"]',
        level=Level.QUICK,
        function=non_root,
    ),
    Check(
        id="identity/expected-user",
        title="Runs as the contract's user",
        why="Volumes, secrets and cluster policies are set up for one account; another one cannot read them.",
        source="the applications' plans: `whoami`",
        example='# contract: user = "app"\nUSER nobody',
        mend='# contract: user = "app"\nRUN useradd --uid 10001 app\nUSER app',
        level=Level.QUICK,
        function=expected_user,
    ),
)
