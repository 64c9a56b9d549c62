"""`invoke smoke --structure-test` beside container-structure-test itself: the same file, the same image, in turns."""

from __future__ import annotations

import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

from side_by_side import heading, measure, table, timed
from tests.peer import leaving_nothing

from seatrial.engine.find import find_engine
from seatrial.host import this_host

HERE = Path(__file__).parent
FILE = HERE / "structure.yaml"
IMAGE = "course-supporter"
TOOL = Path(sys.executable).parent / "container-structure-test"
ROUNDS = 5


def main() -> int:
    """Measure both; fail where the tool is not slower, or either does not pass."""
    engine = find_engine(this_host())
    environment = dict(engine.programs_environment)
    run = partial(subprocess.run, cwd=HERE.parent, env=environment, check=True, capture_output=True)
    tool = [TOOL, "test", "--image", IMAGE, "--config", FILE]
    ours = [sys.executable, "-m", "seatrial", "smoke", "--image", IMAGE, "--structure-test", FILE]

    def by_tool() -> float:
        with leaving_nothing(engine, IMAGE):
            return timed(lambda: run(tool))

    heading("fourteen structure tests of one image, in seconds")
    taken = measure(
        {
            "container-structure-test": by_tool,
            "invoke smoke --structure-test": lambda: timed(lambda: run(ours)),
        },
        ROUNDS,
    )
    table(taken)
    theirs, own = (statistics.median(seconds) for seconds in taken.values())
    print(f"  {theirs / own:.1f} times as fast")
    return int(own >= theirs)


if __name__ == "__main__":
    sys.exit(main())
