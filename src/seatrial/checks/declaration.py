"""How a check is declared: a function whose parameters name the facts that it reads.

FACTS has each name once, with the level from which on it is observed. A check's level, and when it is undecided or
skipped because a fact is unavailable, follow from its parameters.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from types import ModuleType
from typing import TypeVar

from packaging.utils import canonicalize_name

from seatrial.checks.model import Cause, Check, DoesNotApplyError, Level, Outcome, Severity, present, skipped
from seatrial.facts import (
    Boot,
    Configuration,
    DeepBoots,
    Distribution,
    DoesNotApply,
    Facts,
    Probe,
    ProcInfo,
    Unavailable,
)
from seatrial.facts.probe import OPTIONAL
from seatrial.settings.model import Contract
from seatrial.text import did_you_mean

T = TypeVar("T")

ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*")
NO_COMPOSE = DoesNotApply(reason="the app has no compose file; `compose` in its settings names one")
NOT_UP = Unavailable(reason="it does not start: see boot/healthy or boot/stays-up")
NOT_OBSERVED = Unavailable(reason="it was not observed")
IS_JOB = DoesNotApply(reason="it is a job, which does its work and ends: `job` in the contract")

SAYS_USAGE = DoesNotApply(reason="its command says how to use it and ends: see boot/stays-up")
ASKS_FOR_HELP = {"--help", "-h", "--version"}
"""Words of a command with which a program starts nothing."""


class DeclarationError(Exception):
    """A check is declared wrongly."""


@dataclass(frozen=True, kw_only=True)
class _Fact:
    """A name that a check's parameter can have."""

    read: Callable[[Facts, Contract], object]
    level: Level = Level.QUICK
    told_by: tuple[Cause, ...] = ()
    """The checks whose failures say why it is missing."""
    of_a_start: bool = False
    """It comes of a start of the app, which `smoke --stack` makes among its services."""


def deciding_boot(facts: Facts) -> Boot | Unavailable:
    """Return the start to judge by: the hardened one, or the least relaxed one that succeeded.

    Where none did, the one with the fewest restrictions: no restriction is the cause of what that one shows.
    """
    boot = facts.boot
    if isinstance(boot, Unavailable) or boot.came_up:
        return boot
    least = max(facts.relaxed, key=lambda start: len(start.lifted), default=boot)
    return min((start for start in facts.relaxed if start.came_up), key=lambda start: len(start.lifted), default=least)


def _running(facts: Facts) -> Boot | Unavailable:
    boot = deciding_boot(facts)
    if isinstance(boot, Unavailable):
        return boot
    if boot.job:
        return IS_JOB
    if says_usage(boot, facts.configuration):
        return SAYS_USAGE
    return boot if boot.came_up else NOT_UP


def says_usage(boot: Boot, configuration: Configuration) -> bool:
    """Tell whether a start did no more than say how the program is used, as its command asks it to."""
    return boot.exit is not None and boot.exit.code == 0 and bool(ASKS_FOR_HELP & set(configuration.words))


def _proc(facts: Facts) -> ProcInfo | Unavailable:
    boot = _running(facts)
    return boot if isinstance(boot, Unavailable) else boot.proc


def _deep(facts: Facts) -> DeepBoots | Unavailable:
    if isinstance(facts.boot, Unavailable):
        return facts.boot
    return IS_JOB if facts.boot.job else facts.deep


def _because(*checks: str, says: str = "") -> tuple[Cause, ...]:
    return tuple(Cause(check=check, undecided=True, says=says) for check in checks)


NO_PROBE = (
    *_because("python/interpreter-resolves", "python/interpreter-reachable"),
    *_because("identity/non-root", says="names no account"),
)
NO_START = _because("boot/healthy", "boot/stays-up", "stack/healthy")


def _answer(name: str) -> Callable[[Facts, Contract], object]:
    """Return the reader of a part of the probe's answer."""

    def read(facts: Facts, _: Contract) -> object:
        probe = facts.probe
        if isinstance(probe, Unavailable):
            return probe
        part = getattr(probe, name)
        reason = probe.problems.get(name, "it gave no answer to that")
        return Unavailable(reason=f"the probe could not look: {reason}") if part is None else part

    return read


def declared_dependencies(facts: Facts, contract: Contract) -> tuple[str, ...] | None:
    """Return the requirements that the contract declares, or else the project; None where neither does."""
    return contract.dependencies if contract.dependencies is not None else facts.project.dependencies


def _installed(facts: Facts, contract: Contract) -> dict[str, Distribution] | Unavailable:
    probe = _by_files(facts)
    if isinstance(probe, Unavailable):
        return probe
    if "distributions" in probe.truncated:
        return Unavailable(reason=f"the package list was cut after {len(probe.distributions)} distributions")
    own = own_distributions(probe)
    if not own and declared_dependencies(facts, contract):
        return Unavailable(reason="the package list is empty; see packages/evidence")
    return own


def _by_files(facts: Facts) -> Probe | Unavailable:
    """Return what the image's files tell of what a probe tells: of an archive, that is all there is."""
    return facts.by_files if facts.by_files is not None else facts.probe


def own_distributions(probe: Probe) -> dict[str, Distribution]:
    """Return what the application's own environment holds, by normalised name."""
    return {canonicalize_name(found.name): found for found in probe.distributions if not found.base}


def _source(name: str) -> Callable[[Facts, Contract], object]:
    """Return the reader of a part of the project's files; of those, only the compose file may be missing."""

    def read(facts: Facts, _: Contract) -> object:
        if isinstance(facts.sources, Unavailable):
            return facts.sources
        part = getattr(facts.sources, name)
        return NO_COMPOSE if part is None else part

    return read


def _started_without_services(facts: Facts) -> bool:
    """Tell whether it was started alone, though its project has a compose file that starts something beside it."""
    compose = None if isinstance(facts.sources, Unavailable) else facts.sources.compose
    if compose is None or not isinstance(facts.stack, Unavailable):
        return False
    model = compose if isinstance(compose, Unavailable) else compose.model
    return isinstance(model, Unavailable) or len(model.services) > 1


def _plain(read: Callable[[Facts], object]) -> Callable[[Facts, Contract], object]:
    return lambda facts, _: read(facts)


def _start(read: Callable[[Facts], object], level: Level = Level.STANDARD) -> _Fact:
    return _Fact(read=_plain(read), level=level, told_by=NO_START, of_a_start=True)


FACTS: Mapping[str, _Fact] = {
    "contract": _Fact(read=lambda _, contract: contract),
    # Of the image, from the engine: its configuration, what its command leads to, its files; and the probe's answer.
    **{name: _Fact(read=_plain(attrgetter(name))) for name in ("configuration", "command", "health_command")},
    **{name: _Fact(read=_plain(attrgetter(name))) for name in ("working_directory", "contents", "accounts")},
    **{name: _Fact(read=_plain(attrgetter(name))) for name in ("own_code", "inventory", "today")},
    **{name: _Fact(read=_plain(attrgetter(name)), told_by=NO_PROBE) for name in ("probe", "agreement")},
    # Each part of that answer that it may lack.
    **{name: _Fact(read=_answer(name), told_by=NO_PROBE) for name in OPTIONAL},
    "by_files": _Fact(read=_plain(_by_files), told_by=NO_PROBE),
    "code": _Fact(read=_answer("code"), told_by=(*NO_PROBE, *_because("app/imports"))),
    "installed": _Fact(read=_installed, told_by=(*NO_PROBE, *_because("packages/evidence"))),
    "dependencies": _Fact(read=declared_dependencies, told_by=_because("packages/evidence")),
    # Of the project's files.
    **{name: _Fact(read=_plain(attrgetter(name))) for name in ("project", "sources")},
    **{name: _Fact(read=_source(name)) for name in ("dockerfile", "lint", "context", "compose")},
    "services_left_out": _Fact(read=_plain(_started_without_services)),
    # From starts of the app.
    "boot": _start(deciding_boot),
    "running": _start(_running),
    "proc": _start(_proc),
    "hardened": _start(attrgetter("boot")),
    "relaxed": _start(attrgetter("relaxed")),
    "deep": _start(_deep, Level.DEEP),
    "layers": _Fact(read=_plain(attrgetter("layers")), level=Level.DEEP),
    "override": _Fact(read=_plain(attrgetter("override")), level=Level.DEEP),
    "stack": _Fact(read=_plain(attrgetter("stack")), level=Level.DEEP, told_by=_because("stack/healthy")),
}
"""The names that a check's parameters can have."""


def check(
    identity: str,
    *,
    title: str,
    severity: Severity = Severity.ERROR,
    demanded_by: tuple[str, ...] = (),
    follows: tuple[str | Cause, ...] = (),
    why: str,
    source: str,
    example: str = "",
    fixed: str = "",
) -> Callable[[Callable[..., Outcome]], Check]:
    """Make a check of a function; its parameters name the facts that it reads.

    A fact that could not be observed makes the check undecided before the function is called. A parameter whose
    annotation names `Unavailable` gets that one instead. `docs/own-checks.md` lists the names.

    Args:
        identity: the check's id: its family, a slash and its name.
        title: what the image does that passes it: `Runs as a user that is not root`.
        severity: how much its findings matter, where they say no other: error, warning or note.
        demanded_by: keys of the contract; where it sets one of them, a finding is an error.
        follows: the checks whose failure explains that it fails or is undecided: it is no finding of its own then.
        why: why it matters, in one sentence.
        source: where the rule comes from.
        example: what fails it, as the line or two that someone would really write.
        fixed: the same lines, fixed.

    Raises:
        DeclarationError: the id has no family, a parameter names no fact, or `demanded_by` no key of the contract.

    """

    def made(function: Callable[..., Outcome]) -> Check:
        _require_valid(identity, demanded_by)
        parameters = _parameters(function)
        facts = {name: FACTS[name] for name, _ in parameters}
        causes = (cause if isinstance(cause, Cause) else Cause(check=cause) for cause in follows)
        told = chain.from_iterable(fact.told_by for fact in facts.values())
        return Check(
            id=identity,
            title=title,
            severity=Severity(severity),
            demanded_by=demanded_by,
            follows=tuple(dict.fromkeys((*causes, *told))),
            why=why,
            source=source,
            example=example,
            fixed=fixed,
            level=max((fact.level for fact in facts.values()), key=lambda level: level.rank, default=Level.QUICK),
            stack="stack" in facts,
            among_services=any(fact.of_a_start for fact in facts.values()),
            parameters=parameters,
            function=function,
        )

    return made


def _require_valid(identity: str, demanded_by: Collection[str]) -> None:
    if not ID.fullmatch(identity):
        raise DeclarationError(
            f"{identity!r} is not a valid check id. Write FAMILY/NAME in lower case: `shop/has-licence`."
        )
    if unknown := [key for key in demanded_by if key not in Contract.__struct_fields__]:
        raise DeclarationError(f"{identity}: the contract has no key {unknown[0]!r}.")


def checks_of(module: ModuleType) -> tuple[Check, ...]:
    """Return the checks that a module declares, in its order."""
    return tuple(value for value in vars(module).values() if isinstance(value, Check))


def _parameters(function: Callable[..., Outcome]) -> tuple[tuple[str, bool], ...]:
    if sys.version_info >= (3, 14):
        import annotationlib

        signature = inspect.signature(function, annotation_format=annotationlib.Format.STRING)
    else:
        signature = inspect.signature(function)
    found = []
    for name, parameter in signature.parameters.items():
        if name not in FACTS:
            raise DeclarationError(f"{function.__name__}: no fact is called {name!r}. {did_you_mean(name, FACTS)}")
        found.append((name, "Unavailable" in str(parameter.annotation)))
    return tuple(found)


def ask(check: Check, facts: Facts | Mapping[str, object], contract: Contract) -> Outcome:
    """Call a check with the facts that it reads, of an image or by name; a missing one leaves it undecided."""
    arguments: dict[str, object] = {}
    try:
        for name, takes_unavailable in check.parameters:
            if isinstance(facts, Facts):
                value = FACTS[name].read(facts, contract)
            else:
                value = contract if name == "contract" else facts.get(name, NOT_OBSERVED)
            arguments[name] = value if takes_unavailable else present(value)
        return check.function(**arguments)
    except DoesNotApplyError as missing:
        return skipped(missing.reason)
