"""This project's commands: `invoke --list`."""

from seatrial.tasks import ns

__all__ = ["ns"]
