"""All commands as an Invoke collection: `from seatrial.tasks import ns` in a project's tasks.py."""

from __future__ import annotations

from seatrial.cli.collection import collection

__all__ = ["ns"]

ns = collection()
