"""The smoke of one image: its facts, gathered once and judged by its contract."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from seatrial.checks.model import Level
from seatrial.checks.verdict import smoke_of
from seatrial.observe.gather import Wanted, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from seatrial.checks.model import Check
    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.facts import Facts
    from seatrial.smoke.target import Target


def observe(
    target: Target, engine: Engine, level: Level, say: Callable[[str], None] = lambda _: None, *, imports: bool = True
) -> Facts:
    """Gather the facts that a level's checks need.

    Args:
        target: the image.
        engine: where it is.
        level: how much to do.
        say: told what is in progress.
        imports: whether to import the application.

    Raises:
        ImageError: the engine has no such image.
        EngineError: it does not answer, or stopped answering.

    """
    wanted = Wanted(boot=level is not Level.QUICK, deep=level is Level.DEEP, imports=imports)
    asked = (engine, target.reference, target.contract, target.project, wanted)
    return gather(*asked, sources=target.sources, say=say)


def smoke(
    target: Target,
    engine: Engine,
    *,
    level: Level,
    checks: Iterable[Check] | None = None,
    say: Callable[[str], None] = lambda _: None,
    imports: bool = True,
) -> tuple[Smoke, Facts]:
    """Smoke one image: gather its facts, and judge them.

    Args:
        target: the image.
        engine: where it is.
        level: how much to do.
        checks: those to judge by; by default all of the level.
        say: told what is in progress.
        imports: whether to import the application; without it, no check of the imports may be among `checks`.

    Raises:
        ImageError: the engine has no such image.
        EngineError: it does not answer, or stopped answering.

    """
    started = time.perf_counter()
    facts = observe(target, engine, level, say, imports=imports)
    # Loading the checks takes 60 ms. A command does it while the containers run.
    from seatrial.checks.registry import up_to

    chosen = up_to(level, target.own_checks) if checks is None else checks
    seconds = time.perf_counter() - started
    return smoke_of(facts, target.contract, chosen, seconds=seconds, app=target.app or "", level=level.value), facts
