"""bytecode/*: what a read-only image must hold already, as it can write none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.model import Check, Level, Outcome, UndecidedError, failed, had, passed, probe_of, skipped

if TYPE_CHECKING:
    from seatrial.facts import Facts
    from seatrial.facts.probe import Bytecode
    from seatrial.settings.model import Contract

VALID = "bytecode of this Python, with its source's time and size, or hash, or unchecked"


def dependencies(facts: Facts, contract: Contract) -> Outcome:
    """Judge the bytecode of everything in the environment's site folders."""
    if "dependencies" not in contract.bytecode:
        return skipped("the contract's `bytecode` does not name the dependencies")
    probe = probe_of(facts)
    seen = had(probe.bytecode, probe, "bytecode")
    expected = f"every source file of the dependencies has valid bytecode: {VALID}"
    if not seen.sources:
        return skipped("there is no source file of a dependency")
    return _wrong(
        seen,
        expected,
        fix=(
            "Compile in the stage that installs: `ENV UV_COMPILE_BYTECODE=1` for uv; pip does so unless told "
            "--no-compile; or `RUN python -m compileall -q --invalidation-mode unchecked-hash` on the environment, as "
            "the last step that touches its files. Or leave it out of the contract's `bytecode`."
        ),
    ) or passed(f"{seen.sources} source files have it", expected=expected)


def standard_library(facts: Facts, contract: Contract) -> Outcome:
    """Judge the bytecode of those modules of the standard library that the application's imports loaded."""
    if "standard-library" not in contract.bytecode:
        return skipped(
            "the contract's `bytecode` does not name the standard library: official base images hold none, on purpose"
        )
    probe = probe_of(facts)
    seen = had(probe.standard_bytecode, probe, "standard_bytecode")
    if not probe.imports:
        return skipped("neither the contract nor the command names a module; set `modules`")
    if not seen.sources:
        raise UndecidedError("the imports loaded no module of the standard library from a file")
    expected = f"every standard-library module that the application loads has valid bytecode: {VALID}"
    return _wrong(
        seen,
        expected,
        fix="Add to the final stage: `RUN python -m compileall -q \"$(python -c 'import os; print(os.path.dirname("
        "os.__file__))')\"`.",
    ) or passed(f"the {seen.sources} modules that were loaded have it", expected=expected)


def _wrong(seen: Bytecode, expected: str, *, fix: str) -> Outcome | None:
    """Return the failure; None where all is valid.

    Raises:
        UndecidedError: nothing is wrong so far, but not everything was looked at.

    """
    parts = []
    if seen.missing_count:
        parts.append(f"{seen.missing_count} of {seen.sources} have none: {', '.join(seen.missing[:3])}")
    if seen.stale_count:
        first = seen.stale[0]
        parts.append(
            f"{seen.stale_count} of {seen.sources} have some that is not valid: {first.source}: {first.problem}"
        )
    if parts:
        return failed(
            "; ".join(parts),
            expected=expected,
            fix=fix,
            evidence=(
                *(f"{path}: none" for path in seen.missing),
                *(f"{one.source}: {one.problem}" for one in seen.stale),
            ),
        )
    if not seen.complete:
        raise UndecidedError(
            f"{seen.sources} were looked at, and those are not all: too many files, or an import that ended early"
        )
    return None


CHECKS = (
    Check(
        id="bytecode/dependencies",
        title="Its dependencies are compiled",
        why="A container that may not write compiles every module anew at each start, which takes seconds.",
        source="uv's Docker guide, compiling bytecode; hynek.me, Production-ready Python Docker containers; PEP 552",
        example="RUN uv sync --frozen --no-dev",
        mend="ENV UV_COMPILE_BYTECODE=1\nRUN uv sync --frozen --no-dev",
        level=Level.QUICK,
        function=dependencies,
    ),
    Check(
        id="bytecode/standard-library",
        title="The standard library is compiled",
        why="Official images hold none of it, and a read-only container cannot make any: each start compiles it anew.",
        source="uv's Docker guide, compiling bytecode: the standard library; docker-library/python's Dockerfiles",
        example='bytecode = ["dependencies", "standard-library"]  # and nothing in the Dockerfile',
        mend="RUN python -m compileall -q /usr/local/lib/python3.13",
        level=Level.QUICK,
        function=standard_library,
    ),
)
