"""All commands as an Invoke collection, for a project's tasks.py: `from seatrial.tasks import ns`.

A project adds tasks of its own by `ns.add_task(...)`; with `command`, their errors are shown as seatrial's are.
"""

from __future__ import annotations

from seatrial.cli.collection import collection
from seatrial.cli.command import command

__all__ = ["command", "ns"]

ns = collection()
