"""The `seatrial` command: the same tasks, for a project that has no tasks.py yet."""

from __future__ import annotations

import invoke

from seatrial import __version__
from seatrial.cli.collection import collection

program = invoke.Program(
    name="seatrial", binary="seatrial", binary_names=["seatrial"], version=__version__, namespace=collection()
)


def main() -> None:
    """Run the command line."""
    program.run()
