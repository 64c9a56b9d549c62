"""For a host without Docker, or one that reaches no registry. A reader may skip this folder.

Nothing outside imports a module of it, and nothing outside knows of Debian. It offers three things:

- an engine: `start_engine`, `stop_engine`, `remove_engine`, `engine_status`, `engine_origin`, `engine_disk_bytes`,
  `keep_networks_open`.
  Docker's programs are unpacked from Debian's archive into a folder, and run next to whatever the host has.
- a local substitute for an official image: `recipes` lists the known ones, `find_substitute` finds that of an image,
  `hindrance` tells why this host cannot make it, `ensure_substitute` builds it where it is missing and returns
  its local name.
- what Debian offers that is newer than what an image holds: `debian_updates`, where
  `has_debian_archive`.
"""

from __future__ import annotations

from seatrial.offline.catalogue import recipes
from seatrial.offline.provide import (
    EngineStatus,
    engine_disk_bytes,
    engine_origin,
    engine_status,
    keep_networks_open,
    remove_engine,
    start_engine,
    stop_engine,
)
from seatrial.offline.recipe import Recipe, Substitute, find_substitute
from seatrial.offline.substitutes import NOTE_LABEL, ensure_substitute, hindrance
from seatrial.offline.updates import Installed, debian_updates, has_debian_archive

__all__ = [
    "NOTE_LABEL",
    "EngineStatus",
    "Installed",
    "Recipe",
    "Substitute",
    "debian_updates",
    "engine_disk_bytes",
    "engine_origin",
    "engine_status",
    "ensure_substitute",
    "find_substitute",
    "has_debian_archive",
    "hindrance",
    "keep_networks_open",
    "recipes",
    "remove_engine",
    "start_engine",
    "stop_engine",
]
