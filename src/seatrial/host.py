"""The machine that a command runs on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Host:
    """Environment and folders; passed to everything below the commands, which does not read them itself."""

    environment: Mapping[str, str]
    home: Path
    data: Path
    """Seatrial's own folder for what must last: the provided engine."""
    cache: Path
    """Seatrial's own folder for what can be made again: downloads, root filesystems."""

    @property
    def engine_folder(self) -> Path:
        """Where the provided engine lives."""
        return self.data / "engine"


def this_host() -> Host:
    """Return the machine that this process runs on; called once, by the command."""
    return Host(
        environment=dict(os.environ),
        home=Path.home(),
        data=platformdirs.user_data_path("seatrial"),
        cache=platformdirs.user_cache_path("seatrial"),
    )
