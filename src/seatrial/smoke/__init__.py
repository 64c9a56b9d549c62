"""Smokes: an image, or an app with its services, is observed once and judged by its contract."""

from __future__ import annotations

from seatrial.smoke.images import (
    Smoked,
    StructureTests,
    Target,
    app_target,
    holds_python,
    image_target,
    observe,
    of_image,
    smoke,
    smoke_images,
)

__all__ = [
    "Smoked",
    "StructureTests",
    "Target",
    "app_target",
    "holds_python",
    "image_target",
    "observe",
    "of_image",
    "smoke",
    "smoke_images",
]
