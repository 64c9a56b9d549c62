"""Which line of the Dockerfile a finding about the image belongs to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seatrial.facts.data import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.dockerfile import Dockerfile, Instruction
    from seatrial.facts.data import Facts

STARTING = ("CMD", "ENTRYPOINT")
INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "identity": ("USER",),
    "accounts": ("RUN",),
    "process/graceful-stop": ("STOPSIGNAL", *STARTING),
    "process": STARTING,
    "boot": STARTING,
    "health": ("HEALTHCHECK",),
    "network": ("EXPOSE", *STARTING),
    "python/environment-first": ("ENV",),
    "system": ("ENV",),
    "secrets/environment": ("ENV",),
    "secrets/history": ("ARG", "ENV"),
    "config/workdir": ("WORKDIR",),
    "config/volumes": ("VOLUME",),
    "config/labels": ("LABEL",),
}
"""By check or family: the instructions to change, the likeliest first; for any other, the final stage's FROM."""
NOT_OF_THE_IMAGE = {"dockerfile", "context", "compose", "stack"}
"""Families that name their own lines, or are about more than the image."""


def place(check: str, seen: str, facts: Facts) -> str:
    """Return `file:line` of the instruction that a finding belongs to; empty where no Dockerfile is known.

    Args:
        check: the check's id.
        seen: what it saw: of several instructions, the one that says a word of it is meant.
        facts: the image's facts.

    """
    family = check.partition("/")[0]
    if isinstance(facts.sources, Missing) or family in NOT_OF_THE_IMAGE:
        return ""
    source = facts.sources.dockerfile
    if not source.parsed.stages:
        return ""
    chain = list(_last_first(source.parsed))
    for keyword in INSTRUCTIONS.get(check, INSTRUCTIONS.get(family, ())):
        written = [one for one in chain if one.keyword == keyword]
        if written:
            return f"{source.path}:{_meant(written, seen).line}"
    return f"{source.path}:{source.parsed.stages[-1].instructions[0].line}"


def _meant(written: list[Instruction], seen: str) -> Instruction:
    """Return the last instruction that speaks of what was seen; the last of all where none does."""
    word = next((one for one in re.findall(r"[\w./-]{3,}", seen) if any(one in each.text for each in written)), None)
    return next((one for one in written if word and word in one.text), written[0])


def _last_first(dockerfile: Dockerfile) -> Iterator[Instruction]:
    """Yield what makes the image, the last instruction first: its stage, then the stages that it begins with."""
    stage = dockerfile.stages[-1]
    while True:
        yield from reversed(stage.instructions)
        before = [one for one in dockerfile.stages[: stage.index] if one.name and one.name == stage.base.lower()]
        if not before:
            return
        stage = before[-1]
