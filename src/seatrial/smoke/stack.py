"""The smoke of an app with its services up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from seatrial.facts import Facts, ServiceBoots, Unavailable

if TYPE_CHECKING:
    from seatrial.checks.model import Level
    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.facts import StackRun
    from seatrial.smoke.target import Target

STACK_ALONE = Unavailable(reason="only the app with its services was looked at")


def smoke_stack(
    target: Target, run: StackRun | Unavailable, engine: Engine, *, started: float, level: Level | None = None
) -> Smoke:
    """Judge an app with its services up.

    Args:
        target: the app's image, as its compose file names it.
        run: what was seen.
        engine: where the image is.
        started: when it was begun, by `time.perf_counter`.
        level: of the starts among its services; None where there were none.

    Raises:
        ImageError: the engine has no such image.
        EngineError: it does not answer.

    """
    from seatrial.checks import stack
    from seatrial.checks.registry import among_services
    from seatrial.checks.verdict import smoke_of
    from seatrial.observe.configuration import read_configuration

    again = run if isinstance(run, Unavailable) else run.boots
    seconds = time.perf_counter() - started
    facts = Facts(
        configuration=read_configuration(engine, target.reference),
        command=STACK_ALONE,
        probe=STACK_ALONE,
        boot=again if isinstance(again, Unavailable) else again.boot,
        project=target.project,
        stack=run,
        seconds={"stack": seconds},
    )
    if isinstance(again, ServiceBoots):
        facts = msgspec.structs.replace(
            facts,
            configuration=msgspec.structs.replace(again.configuration, reference=target.reference),
            relaxed=again.relaxed,
            deep=again.deep,
            seconds={**facts.seconds, **again.seconds},
        )
    checks = stack.CHECKS if level is None else among_services(level)
    return smoke_of(facts, target.contract, checks, seconds=seconds, app=target.app or "", level="stack")
