"""The machine that a command runs on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from seatrial import trust
from seatrial.trust import Trust

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
    trust: Trust = Trust.PROJECT
    """How far the project's files are trusted."""

    @property
    def engine_folder(self) -> Path:
        """Where the provided engine lives."""
        return self.data / "engine"


def this_host(trusted: str | None = None) -> Host:
    """Return the machine that this process runs on; called once, by the command.

    `trusted`: how far the project's files are trusted; without it, as the environment says.

    Raises:
        SettingsError: that is no level of trust.
    """
    environment = dict(os.environ)
    return Host(
        environment=environment,
        home=Path.home(),
        data=platformdirs.user_data_path("seatrial"),
        cache=platformdirs.user_cache_path("seatrial"),
        trust=trust.chosen(environment, trusted),
    )
