"""Smokes: an image, or an app with its services, is observed once and judged by its contract."""

from __future__ import annotations

from seatrial.smoke.image import observe, smoke
from seatrial.smoke.several import Smoked, StructureTests, smoke_images
from seatrial.smoke.target import Target, app_target, image_target, of_image

__all__ = [
    "Smoked",
    "StructureTests",
    "Target",
    "app_target",
    "image_target",
    "observe",
    "of_image",
    "smoke",
    "smoke_images",
]
