"""Stand-ins: local images that take official ones' place where no registry is in reach."""

from __future__ import annotations

from seatrial.offline.catalogue import Plan
from seatrial.offline.substitutes import Table, ensure, familiar, local_name, stand_in_for, table

__all__ = ["Plan", "Table", "ensure", "familiar", "local_name", "stand_in_for", "table"]
