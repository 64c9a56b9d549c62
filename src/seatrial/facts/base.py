"""The base of all facts, and a fact that could not be had."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Fact(Struct, frozen=True, kw_only=True):
    """Something observed."""


class Unavailable(Fact, frozen=True, kw_only=True):
    """A fact that could not be had."""

    reason: str
    detail: str = ""


class DoesNotApply(Unavailable, frozen=True, kw_only=True):
    """A fact that there is no need of: what reads it is skipped, and not undecided."""


Json = dict[str, Any]
"""An object of the engine's API."""
