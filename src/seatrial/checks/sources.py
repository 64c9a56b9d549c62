"""What the checks of the project's own files share: none of them applies where there is no project."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from seatrial.checks.model import CheckFunction, Outcome, UndecidedError, skipped
from seatrial.facts.data import NO_SOURCES, BuildContext, Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seatrial.dockerfile import Dockerfile, Instruction
    from seatrial.facts.data import ComposeSource, Facts, Sources
    from seatrial.settings.model import Contract

T = TypeVar("T")


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


def present(fact: T | Missing) -> T:
    """Return a fact that could be had.

    Raises:
        UndecidedError: it could not.

    """
    if isinstance(fact, Missing):
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
