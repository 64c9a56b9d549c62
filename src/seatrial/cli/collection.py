"""The commands as `invoke --list` shows them, and the program `seatrial` for a project without a tasks.py."""

from __future__ import annotations

import os
import sys

import invoke

from seatrial import __version__
from seatrial.cli.build import build
from seatrial.cli.check import check
from seatrial.cli.contract import contract
from seatrial.cli.deploy import deploy
from seatrial.cli.diff import diff
from seatrial.cli.doctor import doctor
from seatrial.cli.down import down
from seatrial.cli.engine import remove, start, status, stop
from seatrial.cli.exec import execute
from seatrial.cli.explain import explain
from seatrial.cli.init import init
from seatrial.cli.layers import layers
from seatrial.cli.onboard import onboard
from seatrial.cli.ps import logs, ps
from seatrial.cli.restart import restart
from seatrial.cli.sbom import sbom
from seatrial.cli.scan import scan
from seatrial.cli.smoke import pip_list, size, smoke, whoami
from seatrial.cli.up import up
from seatrial.errors import ExitCode


def collection() -> invoke.Collection:
    """Return all tasks."""
    smokes = invoke.Collection("smoke")
    smokes.add_task(smoke, name="all", default=True)
    smokes.add_task(whoami)
    smokes.add_task(pip_list, name="pip-list")
    smokes.add_task(size)
    engine = invoke.Collection("engine", start, stop, remove)
    engine.add_task(status, default=True)
    stacks = (up, down, ps, logs, restart, execute, deploy)
    commands = (onboard, build, check, contract, explain, layers, *stacks, doctor, init, sbom, scan, diff)
    return invoke.Collection(*commands, smokes, engine)


program = invoke.Program(
    name="seatrial", binary="seatrial", binary_names=["seatrial"], version=__version__, namespace=collection()
)


def main() -> None:
    """Run the command line. A reader that is gone (`seatrial --help | head`) ends it without a word."""
    try:
        program.run()
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.UNREAD)
    except OSError as error:
        print(f"error: {error.strerror or error}.", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.UNDECIDED)
