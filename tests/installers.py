"""Tells which steps of a build ran a package installer: a second build of the same source runs none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seatrial.images.progress import StepState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.images.progress import Step

INSTALL = re.compile(
    r"\b(?:pip[\d.]*|uv|pipx|poetry|pdm|pipenv|conda|mamba|apt|apt-get|apk|dnf|microdnf|yum|npm|pnpm|yarn)"
    r"(?:\s+[^\s;&|]+)*?\s+(?:install|sync|add|ci)\b"
)


def installs(step: Step) -> bool:
    """Tell whether a step runs a package installer that may fetch something.

    With the network off it can only put in place what the build itself made, such as the project's wheel.
    """
    if step.instruction and ("network", "none") in step.instruction.flags:
        return False
    script = f"{step.instruction.text}\n{step.instruction.body}" if step.instruction else step.text
    return step.keyword == "RUN" and INSTALL.search(script) is not None


def ran(step: Step) -> bool:
    """Tell whether a step's work was really done, not taken from the cache."""
    return step.state in {StepState.DONE, StepState.FAILED, StepState.STOPPED}


def installs_that_ran(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return the steps that ran a package installer instead of coming from the cache."""
    return tuple(step for step in steps if installs(step) and ran(step))
