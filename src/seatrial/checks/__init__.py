"""The checks, one module a family; and what a check of a project's own needs: docs/own-checks.md."""

from __future__ import annotations

from seatrial.checks.declaration import check
from seatrial.checks.model import Outcome, Severity, UndecidedError, failed, passed, present, skipped

__all__ = ["Outcome", "Severity", "UndecidedError", "check", "failed", "passed", "present", "skipped"]
