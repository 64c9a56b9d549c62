"""How soon commands end that a signal meets at a random moment, and what they leave: `nox -s hostile`.

Wanted: whatever a command is doing, it ends within 10 s of SIGINT or SIGTERM, and nothing that it started is left.
Words choose the kinds by name; `SEATRIAL_TIMES` tells how often each meets each signal.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hostile import TEMPORARY, adopt_orphans, held, left_of
from side_by_side import heading
from tests.defects.commands import Running
from tests.defects.endings import KINDS, codes
from tests.defects.hostile_projects import IMAGE
from tests.defects.yard import open_yard

from seatrial.engine.find import find_engine
from seatrial.host import this_host

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.defects.endings import Kind
    from tests.defects.yard import Yard

WITHIN = 10.0
SEED = 11
TIMES = int(os.environ.get("SEATRIAL_TIMES", "20"))
SETTLED = 5.0
"""Seconds until the engine lists nothing of it any more."""


def main(words: Sequence[str]) -> int:
    """Print a table; 1 where one ended too late, or left something."""
    adopt_orphans()
    engine = find_engine(this_host())
    kinds = [kind for kind in KINDS if not words or any(word in kind.name for word in words)]
    chance = random.Random(SEED)  # noqa: S311 - moments, not secrets
    heading(f"{len(kinds)} kinds, {TIMES} times each signal, seed {SEED}")
    print(
        "\n| what | signal | times | median s | worst s | at | left |\n| --- | --- | ---: | ---: | ---: | ---: | --- |"
    )
    wrong: list[str] = []
    with open_yard(engine, this_host()) as yard:
        engine.client.images.get(yard.bases["clean"]).tag(IMAGE, "latest")
        for kind in kinds:
            for number in (signal.SIGINT, signal.SIGTERM):
                moments = [chance.uniform(0, kind.lasts) for _ in range(TIMES)]
                ended = [(*met(yard, kind, number, moment, wrong), moment) for moment in moments]
                seconds = [row[0] for row in ended]
                worst = max(ended)
                left = sum(row[1] for row in ended)
                print(f"| {kind.name} | {number.name} | {TIMES} | {statistics.median(seconds):.1f} | {worst[0]:.1f} "
                      f"| {worst[2]:.1f} | {left or 'nothing'} |", flush=True)  # fmt: skip
        engine.client.images.remove(f"{IMAGE}:latest", force=True)
    print(*(f"- {line}" for line in wrong), sep="\n")
    return int(bool(wrong))


def met(yard: Yard, kind: Kind, number: signal.Signals, moment: float, wrong: list[str]) -> tuple[float, int]:
    """Run a command that a signal meets; return the seconds that it took to end, and how much it left."""
    said = f"{kind.name}, {number.name} after {moment:.2f} s"
    with tempfile.TemporaryDirectory(prefix="st-") as name:
        folder = Path(name) / "project"
        temporary = Path(name) / TEMPORARY
        temporary.mkdir()
        words = kind.prepared(yard, folder)
        before = held(yard.engine, Path(name))
        running = Running(*words, folder=folder, environment={"TMPDIR": str(temporary)})
        time.sleep(moment)
        begun = time.monotonic()
        running.signal(number)
        try:
            ended = running.end(within=60)
        except AssertionError as error:
            wrong.append(f"{said}: {error}")
            return 60.0, 0
        seconds = time.monotonic() - begun
        if ended.code not in codes(number) or "Traceback" in ended.errors or "bug in" in ended.errors:
            wrong.append(f"{said}: exit {ended.code}: {ended.out[-300:]} {ended.errors[-1500:]}")
        if seconds > WITHIN:
            wrong.append(f"{said}: took {seconds:.1f} s to end: {ended.errors[-500:]}")
        deadline = time.monotonic() + SETTLED
        while (left := list(left_of(yard.engine, before, Path(name), kind.mark))) and time.monotonic() < deadline:
            time.sleep(0.2)
        if left:
            wrong.append(f"{said}: left {left}")
        kind.cleared(folder)
        return seconds, len(left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
