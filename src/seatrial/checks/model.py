"""What a check is, what it returns, and how it says that it cannot decide."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct
from packaging.utils import canonicalize_name

from seatrial.facts import NO_SOURCES, Boot, BuildContext, Facts, Probe, ResolvedCommand, Unavailable
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.dockerfile import Dockerfile, Instruction
    from seatrial.facts import ComposeSource, Distribution, Probe, Sources


class Status(StrEnum):
    """What a check came to."""

    PASS = "pass"  # noqa: S105 - a status
    FAIL = "fail"
    ERROR = "error"
    """It could not be decided."""
    SKIP = "skip"
    """It does not apply."""
    WAIVED = "waived"


class Level(StrEnum):
    """How much a smoke does, from quick to deep; each holds the ones before it."""

    QUICK = "quick"
    STANDARD = "standard"
    DEEP = "deep"

    @property
    def rank(self) -> int:
        """Its place in the order."""
        return list(Level).index(self)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a check function answers."""

    status: Status
    expected: str = ""
    actual: str = ""
    fix: str = ""
    evidence: tuple[str, ...] = ()
    where: str = ""
    """`file:line` of what is to be changed, where that is known."""


CheckFunction = Callable[[Facts, Contract], Outcome]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One assertion of the catalogue."""

    id: str
    title: str
    why: str
    """Why it matters, in one sentence."""
    source: str
    """Where the rule comes from."""
    example: str = ""
    """What fails it, as the line or two that someone would really write."""
    mend: str = ""
    """The same lines, mended."""
    level: Level
    stack: bool = False
    """Asked by `smoke --stack`, whatever the level: it looks at the app with its services up."""
    function: CheckFunction


class Result(Struct, frozen=True, kw_only=True):
    """A check's result, as every report shows it."""

    id: str
    """The check, by its family and name: `boot/healthy`."""
    title: str
    """What the image does that passes it."""
    status: Status
    """Pass, fail, error (could not be decided), skip (does not apply) or waived (by the contract)."""
    expected: str
    """What was expected."""
    actual: str
    """What was seen; of an error, why it could not be decided; of a skip, why it does not apply."""
    why: str
    """Why it matters, in one sentence."""
    fix: str
    """What to change; of a waiver, the reason."""
    evidence: tuple[str, ...]
    """More of what was seen, line by line; outside text."""
    seconds: float
    """How long judging took; the facts were gathered before."""
    where: str = ""
    """`file:line` of what is to be changed, where that is known; the file from the project's folder."""


class UndecidedError(Exception):
    """A check cannot tell, for want of a fact."""

    def __init__(self, reason: str, *evidence: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.evidence = tuple(line for line in evidence if line)


def passed(actual: str, *, expected: str = "", evidence: tuple[str, ...] = ()) -> Outcome:
    """Return a pass; `actual` says what was seen, as no pass goes without evidence."""
    return Outcome(status=Status.PASS, expected=expected, actual=actual, evidence=evidence)


def failed(actual: str, *, expected: str, fix: str, evidence: tuple[str, ...] = (), where: str = "") -> Outcome:
    """Return a failure: what was expected, what was seen, what to change, and at which `file:line`."""
    return Outcome(status=Status.FAIL, expected=expected, actual=actual, fix=fix, evidence=evidence, where=where)


def skipped(reason: str) -> Outcome:
    """Return that the check does not apply, and why."""
    return Outcome(status=Status.SKIP, actual=reason)


def probe_of(facts: Facts) -> Probe:
    """Return what the probe said.

    Raises:
        UndecidedError: it could say nothing.

    """
    if isinstance(facts.probe, Unavailable):
        raise UndecidedError(facts.probe.reason, facts.probe.detail)
    return facts.probe


def boot_of(facts: Facts) -> Boot:
    """Return the boot.

    Raises:
        UndecidedError: there was none.

    """
    if isinstance(facts.boot, Unavailable):
        raise UndecidedError(facts.boot.reason, facts.boot.detail)
    return facts.boot


def deciding_boot(facts: Facts) -> Boot:
    """Return the start to judge by: the hardened one, unless only its restrictions were in the way.

    Raises:
        UndecidedError: there was none.

    """
    boot = boot_of(facts)
    if boot.came_up:
        return boot
    return min((one for one in facts.relaxed if one.came_up), key=lambda one: len(one.lifted), default=boot)


def start_of(facts: Facts) -> ResolvedCommand:
    """Return what the image's command comes down to.

    Raises:
        UndecidedError: it could not be followed.

    """
    if isinstance(facts.command, Unavailable):
        raise UndecidedError(facts.command.reason, facts.command.detail)
    return facts.command


T = TypeVar("T")


def had(value: T | None, probe: Probe, name: str) -> T:
    """Return a part of the probe's answer.

    Raises:
        UndecidedError: the probe could not have it.

    """
    if value is None:
        raise UndecidedError(f"the probe could not look: {probe.problems.get(name, 'it gave no answer to that')}")
    return value


def installed(facts: Facts, contract: Contract) -> dict[str, Distribution]:
    """Return what the application's own environment holds, by normalised name.

    Raises:
        UndecidedError: the list was cut, or is empty though the application has dependencies.

    """
    probe = probe_of(facts)
    if "distributions" in probe.truncated:
        raise UndecidedError(f"the package list was cut after {len(probe.distributions)} distributions")
    listed: dict[str, Distribution] = {canonicalize_name(one.name): one for one in probe.distributions if not one.base}
    declared = contract.dependencies if contract.dependencies is not None else facts.project.dependencies
    if not listed and declared:
        raise UndecidedError("the package list is empty; packages/evidence tells why")
    return listed


def of_sources(function: Callable[[Sources, Contract], Outcome]) -> CheckFunction:
    """Make a check of one that looks at the sources alone."""

    def check(facts: Facts, contract: Contract) -> Outcome:
        if facts.sources == NO_SOURCES:
            return skipped(NO_SOURCES.reason)
        return function(present(facts.sources), contract)

    return check


def of_context(function: Callable[[BuildContext, Contract], Outcome]) -> CheckFunction:
    """Make a check of one that looks at the build context alone."""
    return of_sources(lambda sources, contract: function(present(sources.context), contract))


def of_compose(function: Callable[[ComposeSource, Contract], Outcome]) -> CheckFunction:
    """Make a check of one that looks at the compose file alone."""

    def check(sources: Sources, contract: Contract) -> Outcome:
        if sources.compose is None:
            return skipped("the app has no compose file; `compose` in its settings names one")
        return function(present(sources.compose), contract)

    return of_sources(check)


def present(fact: T | Unavailable) -> T:
    """Return a fact that could be had.

    Raises:
        UndecidedError: it could not.

    """
    if isinstance(fact, Unavailable):
        raise UndecidedError(fact.reason, fact.detail)
    return fact


def all_instructions(dockerfile: Dockerfile) -> list[Instruction]:
    """Return the instructions of all stages."""
    return [one for stage in dockerfile.stages for one in stage.instructions]


def from_context(instruction: Instruction) -> Iterator[str]:
    """Yield what an instruction takes from the context: COPY and ADD, and a RUN's bind mounts."""
    if instruction.keyword in {"COPY", "ADD"} and not any(name == "from" for name, _ in instruction.flags):
        yield from _copied(instruction)
    elif instruction.keyword == "RUN":
        for name, value in instruction.flags:
            parts = dict(part.partition("=")[::2] for part in value.split(","))
            if name == "mount" and parts.get("type", "bind") == "bind" and "from" not in parts:
                yield parts.get("source") or parts.get("src") or "."


def _copied(instruction: Instruction) -> list[str]:
    text = " ".join(instruction.words)
    words = list(instruction.words)
    if text.startswith("["):
        try:
            words = [str(word) for word in json.loads(text)]
        except ValueError:
            return []
    return [word for word in words[:-1] if not word.startswith("<<")]
