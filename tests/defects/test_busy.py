"""A machine that is busy: a smoke is slow or undecided there, and never wrong."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from seatrial.checks.model import Level, Status
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from tests.defects.yard import Yard

pytestmark = pytest.mark.engine


def test_beside_two_busy_loops_and_starts_that_loop_no_verdict_is_wrong(yard: Yard) -> None:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        image = yard.image('FROM {clean}\nCMD ["python", "-c", "while True: pass"]\n')
        smoke = yard.smoke(image, Contract(modules=("shipapp.web:app",), healthy_within=5.0), Level.STANDARD)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    decided = {check.id: check.status for check in smoke.checks}
    assert decided["boot/healthy"] is Status.FAIL
    for check in ("app/imports", "probe/agrees", "packages/match-lock", "runtime/deep-recursion"):
        assert decided[check] in {Status.PASS, Status.SKIP}, check
