"""The image that all defects start from passes; else no failure below would mean anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.checks.model import Status
from seatrial.checks.verdict import Verdict
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from tests.defects.yard import Yard

pytestmark = [pytest.mark.engine, pytest.mark.core]


def test_the_clean_image_passes_every_check(yard: Yard) -> None:
    contract = Contract(
        user="app",
        uid=10001,
        gid=10001,
        python="3.13",
        modules=("shipapp.web:app",),
        dependencies=("shipapp",),
        executables=("shipapp-migrate",),
        writable_paths=("/tmp/x",),
        max_unpacked="250 MB",
        files={"/app": (".venv",)},
        fail_on="note",
    )
    smoke = yard.smoke(yard.bases["clean"], contract)
    # What reads the project's own sources has none here; tests/defects/test_projects.py gives it some.
    sources = ("compose/", "context/", "dockerfile/")
    skipped = {check.id for check in smoke.checks if check.status is Status.SKIP and not check.id.startswith(sources)}
    assert smoke.verdict is Verdict.PASS, [
        check for check in smoke.checks if check.status in {Status.FAIL, Status.ERROR}
    ]
    # It has no lock, and its contract asks for no bytecode of the standard library.
    not_asked = {"packages/match-lock", "bytecode/standard-library"}
    # Its code never asks for HOME, and its sources are not given.
    not_asked |= {"app/home", "app/package-data"}
    assert skipped == {"boot/stays-up", "boot/answers", "runtime/worker-heartbeat", *not_asked}
    assert all(check.actual for check in smoke.checks)
