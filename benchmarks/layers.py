"""Reading the layers of a large image beside reading `docker save`'s stream to nowhere: `nox -s bench`.

Wanted: at most 1.3 times as long, and at most 150 MB of memory. A word names the image; by default it is the largest of
the engine's below 1 GB.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from side_by_side import heading, measure, table, timed

from seatrial.engine.find import find_engine
from seatrial.host import this_host
from seatrial.observe.configuration import read_configuration
from seatrial.observe.layers.saved_image import SAVE_TIMEOUT, from_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.engine.find import Engine

ROUNDS = 5
TIMES_FLOOR = 1.3
MOST_MEMORY = 150
LARGEST = 1_000_000_000
PEAK = """
import resource
from seatrial.engine.find import find_engine
from seatrial.host import this_host
from seatrial.observe.configuration import read_configuration
from seatrial.observe.layers.saved_image import from_engine
engine = find_engine(this_host())
from_engine(engine, read_configuration(engine, {image!r}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def main(words: Sequence[str]) -> int:
    """Print a table; 1 where a wish is not met."""
    engine = find_engine(this_host())
    name = words[0] if words else largest(engine)
    image = read_configuration(engine, name)
    heading(f"{name}, {image.unpacked // 1_000_000} MB in {sum(1 for _ in image.history)} steps")
    taken = measure(
        {
            "docker save to nowhere": lambda: timed(lambda: to_nowhere(engine, image.id)),
            "its layers": lambda: timed(lambda: from_engine(engine, image)),
        },
        ROUNDS,
    )
    table(taken)
    floor, layers = (statistics.median(seconds) for seconds in taken.values())
    said = subprocess.run([sys.executable, "-c", PEAK.format(image=name)], capture_output=True, text=True, check=True)
    memory = int(said.stdout)
    times = layers / floor
    print(f"{times:.2f} times (wanted: {TIMES_FLOOR}); {memory} MB of memory (wanted: {MOST_MEMORY})")
    return int(times > TIMES_FLOOR or memory > MOST_MEMORY)


def to_nowhere(engine: Engine, image: str) -> None:
    """Read what the engine saves, and drop it."""
    with closing(engine.connection(SAVE_TIMEOUT)) as api:
        for _ in api.get_image(image):
            pass


def largest(engine: Engine) -> str:
    """Return the tag of the largest image that is not too large."""
    rows = [row for row in engine.client.api.images() if row["RepoTags"] and row["Size"] < LARGEST]
    return str(max(rows, key=lambda row: int(row["Size"]))["RepoTags"][0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
