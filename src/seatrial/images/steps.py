"""The steps of a build as plain data, and which line of the Dockerfile each one is."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.dockerfile import Dockerfile, Instruction, Stage

# BuildKit's names: "[builder 3/7] RUN …", "[2/4] COPY …", "[linux/amd64 stage-1 2/3] …".
NUMBERED = re.compile(r"\[(?:(?P<stage>[^\]]*?) )?(?P<number>\d+)/(?P<total>\d+)\] (?P<text>.*)", re.DOTALL)
UNNAMED_STAGE = re.compile(r"stage-(\d+)")
LOOKUP = re.compile(
    r"\[internal\] load metadata for (?P<base>\S+)|\[context (?P<context>\S+)\] "
    r"|resolve image config for (?:docker-image://)?(?P<syntax>\S+)"
)
INSTALL = re.compile(
    r"\b(?:pip[\d.]*|uv|pipx|poetry|pdm|pipenv|conda|mamba|apt|apt-get|apk|dnf|microdnf|yum|npm|pnpm|yarn)"
    r"(?:\s+[^\s;&|]+)*?\s+(?:install|sync|add|ci)\b"
)


class StepState(StrEnum):
    """How far a step is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    CACHED = "cached"
    FAILED = "failed"
    STOPPED = "stopped"
    """Another step failed while it ran."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that BuildKit does: an instruction of the Dockerfile, or its own work around them."""

    key: str
    """BuildKit's digest of it: the same in every report of one build."""
    name: str
    """BuildKit's name for it, on one line."""
    state: StepState
    seconds: float = 0.0
    """Time that it worked, without the time that it waited for others."""
    instruction: Instruction | None = None
    """The instruction that it runs, where that is known."""
    error: str = ""

    @property
    def numbered(self) -> bool:
        """Tell whether it is an instruction of the Dockerfile, not BuildKit's own work."""
        return NUMBERED.fullmatch(self.name) is not None

    @property
    def position(self) -> str:
        """Its place, such as `builder 3/7`; empty for BuildKit's own work."""
        return self.name[1 : self.name.index("]")] if self.numbered else ""

    @property
    def text(self) -> str:
        """What it does, without its place."""
        match = NUMBERED.fullmatch(self.name)
        return match["text"] if match else self.name

    @property
    def keyword(self) -> str:
        """Its instruction's keyword, such as RUN; empty for BuildKit's own work."""
        return self.text.split(maxsplit=1)[0].upper() if self.numbered and self.text else ""

    @property
    def line(self) -> int | None:
        """The Dockerfile line that it starts on."""
        return self.instruction.line if self.instruction else None

    @property
    def looked_up(self) -> str | None:
        """The image that it asks a registry about, if that is its work."""
        match = LOOKUP.match(self.name)
        return next((one for one in match.groups() if one), None) if match else None

    @property
    def countable(self) -> bool:
        """Tell whether it counts in "7 of 9 steps came from the cache": a FROM does no work of its own."""
        return self.numbered and self.keyword != "FROM"

    @property
    def installs(self) -> bool:
        """Tell whether it runs a package installer that may fetch something.

        With the network off it can only put in place what the build itself made, such as the project's wheel.
        """
        if self.instruction and ("network", "none") in self.instruction.flags:
            return False
        script = f"{self.instruction.text}\n{self.instruction.body}" if self.instruction else self.text
        return self.keyword == "RUN" and INSTALL.search(script) is not None

    @property
    def ran(self) -> bool:
        """Tell whether its work was really done, not taken from the cache."""
        return self.state in {StepState.DONE, StepState.FAILED, StepState.STOPPED}


def installs_that_ran(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return the steps that ran a package installer instead of coming from the cache."""
    return tuple(step for step in steps if step.installs and step.ran)


def locate(names: Iterable[str], dockerfile: Dockerfile) -> dict[str, Instruction]:
    """Return which instruction each step name stands for.

    BuildKit's numbers cannot be used as they are: it counts no ENV, not every WORKDIR, and counts what a
    base's ONBUILD adds. But the order holds: within a stage, the last RUN is the last RUN.
    """
    groups: dict[tuple[int, str], dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in names:
        match = NUMBERED.fullmatch(name)
        stage = _stage(match["stage"] or "", dockerfile) if match else None
        if match and stage:
            keyword = match["text"].split(maxsplit=1)[0].upper()
            groups[stage.index, keyword][int(match["number"])].append(name)
    found: dict[str, Instruction] = {}
    for (index, keyword), numbers in groups.items():
        instructions = [one for one in dockerfile.stages[index].instructions if one.keyword == keyword]
        for number, one in zip(sorted(numbers, reverse=True), reversed(instructions), strict=False):
            found.update(dict.fromkeys(numbers[number], one))
    return found


def _stage(label: str, dockerfile: Dockerfile) -> Stage | None:
    # A build for another platform puts that platform's name before the stage's.
    name = label.rsplit(maxsplit=1)[-1] if label.split() else ""
    for stage in dockerfile.stages:
        if stage.name is not None and stage.name == name.lower():
            return stage
    unnamed = UNNAMED_STAGE.fullmatch(name)
    index = int(unnamed.group(1)) if unnamed else len(dockerfile.stages) - 1
    known = (unnamed is not None or "/" in name or not name) and 0 <= index < len(dockerfile.stages)
    return dockerfile.stages[index] if known else None
