"""The `seatrial` command: the same tasks, for a project that has no tasks.py yet."""

from __future__ import annotations

import invoke

from seatrial import __version__
from seatrial.tasks import ns

program = invoke.Program(
    name="seatrial", binary="seatrial", binary_names=["seatrial"], version=__version__, namespace=ns
)


def main() -> None:
    """Run the command line."""
    program.run()
