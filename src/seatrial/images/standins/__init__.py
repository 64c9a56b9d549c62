"""Stand-ins: local images that take official ones' place where no registry is in reach."""

from __future__ import annotations

from seatrial.images.standins.make import ensure
from seatrial.images.standins.plan import Plan
from seatrial.images.standins.table import Table, familiar, local_name, stand_in_for, table

__all__ = ["Plan", "Table", "ensure", "familiar", "local_name", "stand_in_for", "table"]
