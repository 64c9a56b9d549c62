"""Sizes: parsed and shown."""

from __future__ import annotations

import re

UNITS = {
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}


def parse_size(text: str) -> int:
    """Return a size such as `500 MB` or `1 GiB` in bytes.

    Raises:
        ValueError: it is not a size.

    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)", text)
    if found is None or found.group(2) not in UNITS:
        raise ValueError(text)
    return round(float(found.group(1)) * UNITS[found.group(2)])


def show_size(size: int) -> str:
    """Return a size in decimal units, as Docker prints image sizes: `494 MB`."""
    for unit in ("GB", "MB", "kB"):
        if size >= UNITS[unit]:
            value = size / UNITS[unit]
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"  # noqa: PLR2004
    return f"{size} B"
