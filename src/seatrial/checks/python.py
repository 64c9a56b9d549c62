"""python/*: the interpreter that the application runs on, and the scripts that name one."""

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

if TYPE_CHECKING:
    from seatrial.facts.data import Facts
    from seatrial.settings.model import Contract

SHOWN = 20


def interpreter_resolves(facts: Facts, _: Contract) -> Outcome:
    """Follow the interpreter's links to a file, by the engine, not by the image's own word."""
    start = start_of(facts)
    expected = "every link of the interpreter's chain leads to a file in the image"
    if not start.python or start.python_trail is None:
        return failed(
            "no Python interpreter: none behind the command, on PATH, or in the usual places",
            expected=expected,
            fix="Base the final stage on a Python image, or put the interpreter's folder on PATH.",
        )
    trail = start.python_trail
    if trail.entry is None:
        return failed(
            f"{trail}: {trail.gap}",
            expected=expected,
            fix=(
                "A virtual environment links to the interpreter that made it. Make it with the interpreter of "
                "the final stage's base, at the same path, or copy that interpreter too."
            ),
            evidence=(start.python_why,),
        )
    return passed(str(trail), expected=expected, evidence=(start.python_why,))


def version(facts: Facts, contract: Contract) -> Outcome:
    """Compare the running interpreter's version with the contract's."""
    if contract.python is None:
        return skipped("the contract names no Python version; set `python`")
    seen = probe_of(facts).interpreter
    if seen.version.split(".")[:2] != contract.python.split("."):
        return failed(
            f"{seen.executable} is Python {seen.version}",
            expected=f"Python {contract.python}",
            fix="Change the base image's tag, or the contract's `python`.",
        )
    return passed(f"{seen.executable} is Python {seen.version}", expected=f"Python {contract.python}")


def script_interpreters(facts: Facts, _: Contract) -> Outcome:
    """Look at every script beside the interpreter, not only at the one that the command starts."""
    scripts = probe_of(facts).scripts
    broken = [one for one in scripts if not one.found]
    expected = "every script's `#!` line names an interpreter that is there"
    if broken:
        return failed(
            f"{len(broken)} of {len(scripts)} scripts name an interpreter that is not there: "
            f"{broken[0].path} names {broken[0].interpreter}",
            expected=expected,
            fix="Make the environment at the path that it runs at, or install its scripts anew in the final stage.",
            evidence=tuple(f"{one.path}: #!{one.interpreter}" for one in broken[:SHOWN]),
        )
    if not scripts:
        return skipped("there is no script beside the interpreter")
    return passed(f"{len(scripts)} scripts looked at", expected=expected)


CHECKS = (
    Check(
        id="python/interpreter-resolves",
        title="Its interpreter is there",
        why="A virtual environment whose interpreter stayed in the builder looks whole and runs nothing.",
        source="uv's Docker guide; HIST: a linked environment whose target stayed behind",
        example=(
            "FROM debian:stable-slim AS builder\n"
            "# uv fetches an interpreter into /root, and the environment links to it\n"
            "RUN uv sync --frozen --project /app\n"
            "FROM debian:stable-slim\n"
            "COPY --from=builder /app /app"
        ),
        mend=(
            "FROM python:3.13-slim AS builder\n"
            "ENV UV_PYTHON_DOWNLOADS=never\n"
            "RUN uv sync --frozen --project /app\n"
            "FROM python:3.13-slim\n"
            "COPY --from=builder /app /app"
        ),
        level=Level.QUICK,
        function=interpreter_resolves,
    ),
    Check(
        id="python/version",
        title="Runs the declared Python version",
        why="Dependencies were locked and tests run for one version; another one may not import them.",
        source="the applications' plans",
        example='# contract: python = "3.13"\nFROM python:3.12-slim',
        mend='# contract: python = "3.13"\nFROM python:3.13-slim',
        level=Level.QUICK,
        function=version,
    ),
    Check(
        id="python/script-interpreters",
        title="Every script's interpreter is there",
        why="The next command that a deploy job runs (alembic, celery) breaks the same way as the first.",
        source="HIST: alembic, run by the deploy job, named the builder's interpreter",
        example=(
            "COPY --from=builder /build/.venv /app/.venv\n"
            "# starts, but /app/.venv/bin/alembic does not\n"
            'CMD ["/app/.venv/bin/python", "-m", "uvicorn", "shop.api:app"]'
        ),
        mend=(
            "# made at /app/.venv in the builder too\n"
            "COPY --from=builder /app/.venv /app/.venv\n"
            'CMD ["/app/.venv/bin/python", "-m", "uvicorn", "shop.api:app"]'
        ),
        level=Level.QUICK,
        function=script_interpreters,
    ),
)
