"""Images whose start, processes or loader lie: none passes with what it hides, and none fails for a harmless hook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.defects.lies import LIES

from seatrial.checks.model import Level, Status
from seatrial.checks.verdict import Verdict
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from tests.defects.lies import Lie
    from tests.defects.yard import Yard

    from seatrial.checks.verdict import Smoke

pytestmark = pytest.mark.engine

CORE = {"a .pth file that swallows an application's error", "a child that answers again and again"}
EACH = pytest.mark.parametrize(
    "lie",
    [pytest.param(lie, id=lie.name.replace(" ", "-"), marks=[pytest.mark.core] * (lie.name in CORE)) for lie in LIES],
)


def smoked(yard: Yard, lie: Lie, *, twin: bool) -> Smoke:
    files = lie.context(twin=twin)
    if files.get("lie.so") == b"":
        pytest.skip("NO LIBRARY LIED: this host has no C compiler")
    dockerfile = lie.dockerfile(twin=twin)
    wanted = {name: body for name, body in files.items() if name in dockerfile}
    modules = ("broken",) if lie.hides.finds == "app/imports" else ("shipapp.web:app",)
    return yard.smoke(
        yard.image(dockerfile, wanted), Contract(modules=modules, bytecode=(), fail_on="note"), Level.QUICK
    )


@EACH
def test_none_passes_with_what_it_hides(yard: Yard, lie: Lie) -> None:
    smoke = smoked(yard, lie, twin=False)
    bad = {check.id: check.actual for check in smoke.checks if check.status in {Status.FAIL, Status.ERROR}}
    assert {lie.hides.finds, "probe/agrees"} & set(bad), bad
    assert smoke.verdict is not Verdict.PASS
    assert smoke.seconds < 60


@EACH
def test_its_twin_passes(yard: Yard, lie: Lie) -> None:
    smoke = smoked(yard, lie, twin=True)
    bad = [(check.id, check.actual) for check in smoke.checks if check.status in {Status.FAIL, Status.ERROR}]
    assert bad == []


def test_there_are_enough() -> None:
    assert len(LIES) >= 20
    assert len({lie.name for lie in LIES}) == len(LIES)
    assert {lie.hides.finds for lie in LIES} >= {
        *("files/setuid", "secrets/files", "tools/remote-access", "tools/build", "files/leftovers"),
        *("files/world-writable", "packages/forbidden", "app/imports"),
    }
