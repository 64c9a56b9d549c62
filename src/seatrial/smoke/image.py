"""The smoke of one image: its facts, gathered once and judged by its contract."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from seatrial.checks.model import Level
from seatrial.checks.verdict import smoke_of
from seatrial.observe.gather import Wanted, gather
from seatrial.observe.sources import read_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from seatrial.checks.model import Check
    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.facts import Facts, Sources, Unavailable
    from seatrial.observe.sources import SourceFiles
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
    with ThreadPoolExecutor(max_workers=1) as beside:
        # The project's own files need no container: they are read while the probe and the boot run.
        reading: list[Future[tuple[Sources | Unavailable, float]]] = []

        def under_way() -> None:
            if target.sources:
                reading.append(beside.submit(_sources, target.sources, engine))

        wanted = Wanted(boot=level is not Level.QUICK, deep=level is Level.DEEP, imports=imports)
        asked = (engine, target.reference, target.contract, target.project, wanted)
        facts = gather(*asked, say=say, under_way=under_way)
        for future in reading:
            sources, seconds = future.result()
            facts = msgspec.structs.replace(facts, sources=sources, seconds={**facts.seconds, "sources": seconds})
        return facts


def _sources(files: SourceFiles, engine: Engine) -> tuple[Sources | Unavailable, float]:
    started = time.perf_counter()
    return read_sources(files, engine), time.perf_counter() - started


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

    chosen = up_to(level) if checks is None else checks
    seconds = time.perf_counter() - started
    return smoke_of(facts, target.contract, chosen, seconds=seconds, app=target.app or "", level=level.value), facts
