"""The Invoke collection: `from seatrial.tasks import ns` in a project's tasks.py gives it all commands."""

from __future__ import annotations

from seatrial.tasks.collection import collection

ns = collection()

__all__ = ["ns"]
