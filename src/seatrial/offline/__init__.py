"""What a host without Docker, or without a registry in reach, is given. A reader may skip this folder.

Nothing outside imports a module of it, and nothing outside knows of Debian. It has two doors:

- an engine: `start_engine`, `stop_engine`, `remove_engine`, `engine_status`, `engine_disk_bytes`.
  Docker's programs are unpacked from Debian's archive into a folder, and run beside whatever the host has.
- a local substitute for an official image: `recipes` says which there are, `find_substitute` tells how the one for an
  image is made, `ensure_substitute` builds it where it is missing and returns its local name.
"""

from __future__ import annotations

from seatrial.offline.builtin import recipes
from seatrial.offline.catalogue import Recipe, Substitute, find_substitute
from seatrial.offline.provide import (
    EngineStatus,
    engine_disk_bytes,
    engine_status,
    remove_engine,
    start_engine,
    stop_engine,
)
from seatrial.offline.substitutes import ensure_substitute

__all__ = [
    "EngineStatus",
    "Recipe",
    "Substitute",
    "engine_disk_bytes",
    "engine_status",
    "ensure_substitute",
    "find_substitute",
    "recipes",
    "remove_engine",
    "start_engine",
    "stop_engine",
]
