"""Smokes as data: what the reports are tried on."""

from __future__ import annotations

from typing import Any

from tests.unit.factories import configuration, distribution, facts, probe

from seatrial.checks import registry
from seatrial.checks.model import Result, Severity, Status
from seatrial.checks.verdict import Smoke, Verdict, smoke_of, summed_up
from seatrial.facts import Facts, Import
from seatrial.settings.model import Contract

HOSTILE = "\x1b[2Jgone \x1b]0;title\x07[bold red]markup[/] :smile: \u202eright\x9b1m ]]> & <b> \uffff"
SHOWN = "gone [bold red]markup[/] :smile: right ]]> & <b>"
"""What a report may show of it."""

NASTY = (
    HOSTILE,
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "</pre></details></style></title>-->",
    "| a | b |\n# heading\n```\n<details>\n[x](javascript:alert(1))",
    "::error::forged\n##[error]forged\nPASS  shop:latest: 60 pass, in 0.1 s",
    "bytes that are no UTF-8: \udcff\udcfe \ud800",
    "x" * 1_000_000,
    "\n" * 10_000,
    "",
)
"""What an image may say where a report shows it."""


def result(status: Status, check: str = "app/imports", text: str = "seen", **changed: Any) -> Result:
    told: dict[str, Any] = {
        "id": check,
        "title": "The application imports",
        "status": status,
        "expected": f"expected {text}",
        "actual": text,
        "why": "Because.",
        "fix": f"Waived: {text}" if status is Status.WAIVED else f"fix {text}",
        "evidence": (f"evidence {text}", "second"),
        "seconds": 0.001,
    }
    return Result(**(told | changed))


def smoke(*results: Result, verdict: Verdict = Verdict.FAIL, image: str = "shop:latest", **more: Any) -> Smoke:
    known: dict[str, Any] = {
        **summed_up(results, Severity.ERROR),
        "verdict": verdict,
        "id": "sha256:" + "ab" * 32,
        "seconds": 2.5,
        "level": "standard",
        "timings": {"probe": 0.4, "boot": 2.1},
    }
    return Smoke(image=image, **(known | more))


def every_status() -> Smoke:
    """Return a smoke with one check of each status."""
    names = ("identity/non-root", "app/imports", "process/graceful-stop", "boot/stays-up", "health/declared")
    return smoke(*(result(status, name) for status, name in zip(Status, names, strict=True)))


def matrix() -> list[Smoke]:
    """Return the smokes of two apps on two Pythons; one pair is missing, one fails."""
    passing = result(Status.PASS)
    return [
        smoke(passing, verdict=Verdict.PASS, image="shop:3.13", app="shop", python="3.13"),
        smoke(result(Status.FAIL), image="shop:3.9", app="shop", python="3.9"),
        smoke(passing, verdict=Verdict.PASS, image="bot:3.13", app="bot", python="3.13"),
    ]


def judged(said: str = HOSTILE) -> tuple[Smoke, Facts]:
    """Judge an image that says this wherever it can: its name, its packages, the traceback of its import."""
    broken = Import(name="shop", ok=False, seconds=0.1, error=said, traceback=said)
    seen = facts(
        configuration=configuration(reference=f"shop:{said}", environment={said or "A": said}),
        probe=probe(imports=(broken,), distributions=(distribution(said, said), distribution("b", "1.0.0"))),
        seconds={"probe": 0.4, "boot": 2.1},
    )
    contract = Contract(dependencies=(), waive={"health/declared": "a platform asks itself"})
    return smoke_of(seen, contract, registry.CHECKS, seconds=2.5, app="shop", level="deep"), seen
