"""packages/*: the distributions that the application really runs with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from seatrial.checks.model import Check, Level, Outcome, UndecidedError, failed, passed, probe_of, skipped
from seatrial.facts import INSTALLERS
from seatrial.requirements import closure, names_of

if TYPE_CHECKING:
    from seatrial.facts import Distribution, Facts, Probe
    from seatrial.settings.model import Contract

DEFAULT_FORBIDDEN = ("pytest", "ruff", "mypy")
SHOWN = 30


def evidence(facts: Facts, contract: Contract) -> Outcome:
    """Hold the list against what must be on it: a list of the wrong interpreter does not show it."""
    listed = _own(probe_of(facts))
    wanted = _direct(facts, contract)
    where = probe_of(facts).interpreter.executable
    if not listed and contract.dependencies != ():
        return failed(
            f"{where} lists no distribution at all",
            expected=", ".join(wanted) or "the application's direct dependencies",
            fix="Install them for the interpreter that the command runs on.",
            evidence=_unreadable(probe_of(facts)),
        )
    if not wanted and _declares_none(facts, contract):
        return passed(f"{where} lists {len(listed)} distributions; the application declares no dependency")
    if not wanted:
        return skipped("nothing is known that the list must show; set `dependencies` in the contract")
    missing = [name for name in wanted if name not in listed]
    expected = f"{len(wanted)} direct dependencies on the list: {', '.join(wanted)}"
    if missing:
        return failed(
            f"{where} lists {len(listed)} distributions, without {', '.join(missing)}",
            expected=expected,
            fix=(
                "Install them for the interpreter that the command runs on, into the environment that it uses. If it "
                "runs on another one, name that one: `interpreter` in the contract."
            ),
            evidence=(
                *_unreadable(probe_of(facts)),
                *(f"listed: {one.name} {one.version}" for one in list(listed.values())[:SHOWN]),
            ),
        )
    return passed(
        f"{where} lists {len(listed)} distributions, all {len(wanted)} direct ones among them",
        expected=expected,
    )


def forbidden(facts: Facts, contract: Contract) -> Outcome:
    """Look for what belongs to development only."""
    listed = _trusted(facts, contract)
    names = contract.forbidden
    if names is None:
        names = _development_only(facts, contract, listed)
    wanted = tuple(dict.fromkeys(canonicalize_name(name) for name in names))
    if not wanted:
        return skipped("the contract forbids nothing")
    found = [listed[name] for name in wanted if name in listed]
    expected = f"none of {', '.join(wanted)}"
    if found:
        return failed(
            ", ".join(f"{one.name} {one.version}" for one in found),
            expected=expected,
            fix=(
                "Leave them out: `uv sync --no-dev`, or a requirements file without them. If the application itself "
                "needs one, say in the contract's `forbidden` what is forbidden instead."
            ),
            evidence=tuple(f"{one.name} {one.version} in {one.location}" for one in found),
        )
    if not _shown(facts, contract):
        return skipped("none found, but the list has not shown that it is the application's; set `dependencies`")
    return passed(f"none of them among {len(listed)} distributions", expected=expected)


def no_installers(facts: Facts, contract: Contract) -> Outcome:
    """Look for installers in the environment and in the interpreter below it."""
    probe = probe_of(facts)
    allowed = {canonicalize_name(name) for name in contract.installers}
    wanted = tuple(name for name in INSTALLERS if name not in allowed)
    if not wanted:
        return skipped("the contract allows every installer")
    found = [one for one in probe.distributions if canonicalize_name(one.name) in wanted]
    programs = [one for one in probe.executables if one.path and one.name in wanted]
    expected = f"none of {', '.join(wanted)}"
    if found or programs:
        seen = [f"{one.name} {one.version} in {one.location}" for one in found]
        seen += [one.path for one in programs]
        return failed(
            ", ".join(seen),
            expected=expected,
            fix=(
                "Remove them in the final stage (`python -m pip uninstall --yes pip`), make the environment "
                "without them, or declare them in the contract's `installers`."
            ),
            evidence=tuple(seen),
        )
    if not _shown(facts, contract):
        return skipped("none found, but the list has not shown that it is the application's; set `dependencies`")
    return passed(f"none of them among {len(probe.distributions)} distributions and on PATH", expected=expected)


def _development_only(facts: Facts, contract: Contract, listed: dict[str, Distribution]) -> tuple[str, ...]:
    """Return the well-known tools and the dev group, without what the application itself brings in."""
    python = probe_of(facts).interpreter.version
    needed = closure(_declared(facts, contract), listed.values(), python)
    return (*DEFAULT_FORBIDDEN, *(name for name in facts.project.dev_group if name not in needed))


def _own(probe: Probe) -> dict[str, Distribution]:
    """Return what the application's own environment holds, by normalised name."""
    return {canonicalize_name(one.name): one for one in probe.distributions if not one.base}


def _unreadable(probe: Probe) -> tuple[str, ...]:
    """Return the metadata that cannot be read, such as links whose target stayed behind."""
    return tuple(f"cannot be read: {one.location}: {one.problem}" for one in probe.broken_distributions[:SHOWN])


def _trusted(facts: Facts, contract: Contract) -> dict[str, Distribution]:
    """Return the list, once it has shown that it is the application's.

    Raises:
        UndecidedError: it has not: what a wrong list does not hold proves nothing.

    """
    listed = _own(probe_of(facts))
    if "distributions" in probe_of(facts).truncated:
        raise UndecidedError(f"the list was cut after {len(listed)} distributions")
    missing = [name for name in _direct(facts, contract) if name not in listed]
    if missing or (not listed and not _declares_none(facts, contract)):
        raise UndecidedError("the package list is not the application's; packages/evidence tells why")
    return listed


def _shown(facts: Facts, contract: Contract) -> bool:
    """Tell whether the list has shown what only the application's own list can show."""
    return bool(_direct(facts, contract)) or _declares_none(facts, contract)


def _declares_none(facts: Facts, contract: Contract) -> bool:
    """Tell whether the application says that it has no dependencies: then any list may be its own."""
    return contract.dependencies == () or (contract.dependencies is None and facts.project.dependencies == ())


def _direct(facts: Facts, contract: Contract) -> tuple[str, ...]:
    """Return the direct dependencies: the contract's, or the project's own."""
    return names_of(_declared(facts, contract), probe_of(facts).interpreter.version)


def _declared(facts: Facts, contract: Contract) -> tuple[str, ...]:
    """Return them as requirement strings."""
    declared = contract.dependencies if contract.dependencies is not None else facts.project.dependencies
    return declared or ()


CHECKS = (
    Check(
        id="packages/evidence",
        title="Lists the application's own packages",
        why="A package list of another interpreter cannot fail, and so proves nothing.",
        source="HIST: `pip list` listed the base image's interpreter, one package, and passed",
        example=(
            "COPY --from=builder /app/.venv /app/.venv\n"
            "# the base's python, which knows none of the packages\n"
            'CMD ["python", "main.py"]'
        ),
        mend='COPY --from=builder /app/.venv /app/.venv\nENV PATH=/app/.venv/bin:$PATH\nCMD ["python", "main.py"]',
        level=Level.QUICK,
        function=evidence,
    ),
    Check(
        id="packages/forbidden",
        title="Holds no development packages",
        why="Test and lint tools make the image larger and give an intruder more to work with.",
        source="the applications' plans: no pytest, ruff, mypy",
        example="RUN uv sync --frozen",
        mend="RUN uv sync --frozen --no-dev",
        level=Level.QUICK,
        function=forbidden,
    ),
    Check(
        id="packages/no-installers",
        title="Holds no package installers",
        why="An installer lets whoever gets in fetch and run what they like.",
        source="uv's Docker guide; the applications' plans: no pip in the final image",
        example="FROM python:3.13-slim\nCOPY --from=builder /app /app",
        mend="FROM python:3.13-slim\nRUN python -m pip uninstall --yes pip\nCOPY --from=builder /app /app",
        level=Level.QUICK,
        function=no_installers,
    ),
)
