"""This project's commands: all of seatrial's, and a task of its own, `demo`. See `invoke --list`."""

import sys
from pathlib import Path

from seatrial.tasks import ns

sys.path.append(str(Path(__file__).parent / "examples" / "weather-agent"))
from demo_task import demo

ns.add_task(demo)

__all__ = ["ns"]
