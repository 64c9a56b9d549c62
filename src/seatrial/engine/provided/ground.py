"""What a host must be before seatrial provides an engine on it."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.engine.provided.layout import SYSTEM_PATH
from seatrial.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.engine.provided.layout import Layout

SOCKET_LIMIT = 107
"""Bytes of a Unix socket's path, without its closing zero (man 7 unix)."""

NEEDED = 2_500_000_000
"""Bytes: 90 MB to download, 365 MB unpacked, and 2 GB of room to build images."""

TOOLS = ("apt-get", "dpkg", "dpkg-deb")
ELSEWHERE = "Install Docker as its documentation says, or set DOCKER_HOST to an engine elsewhere."


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What was seen of the host."""

    system: str
    root: bool
    missing_tools: tuple[str, ...]
    free: int
    """Bytes, where the engine's folder is or would be."""


def survey(layout: Layout) -> Ground:
    """Look at the host."""
    return Ground(
        system=sys.platform,
        root=os.geteuid() == 0,
        missing_tools=tuple(tool for tool in TOOLS if shutil.which(tool, path=SYSTEM_PATH) is None),
        free=shutil.disk_usage(_nearest(layout.folder)).free,
    )


def require_root(ground: Ground) -> None:
    """Refuse an account that may not start or stop an engine.

    Raises:
        EngineError: it is not Linux, or not root.

    """
    if ground.system != "linux":
        raise EngineError(f"an engine can be provided on Linux only; this is {ground.system}.", fix=ELSEWHERE)
    if not ground.root:
        raise EngineError(
            "an engine can be provided by root only.",
            fix=f"Run this as root, and then all that shall use that engine. Or: {ELSEWHERE}",
        )


def require(ground: Ground, layout: Layout, *, unpacked: bool) -> None:
    """Refuse a host that cannot have a provided engine.

    Raises:
        EngineError: no root, no Linux, no Debian tools, a folder too deep, no space left.

    """
    require_root(ground)
    if ground.missing_tools and not unpacked:
        raise EngineError(
            f"an engine can be provided on Debian only; {', '.join(ground.missing_tools)} not found here.",
            fix=ELSEWHERE,
        )
    path = str(layout.socket_file)
    if (length := len(path.encode())) > SOCKET_LIMIT or ":" in path:
        raise EngineError(
            f"a socket's path may have {SOCKET_LIMIT} bytes and no colon; this one has {length} bytes.",
            where=path,
            fix="Set XDG_DATA_HOME to a shorter folder.",
        )
    if not unpacked and ground.free < NEEDED:
        raise EngineError(
            f"too little disk space: {_gigabytes(ground.free)} free, {_gigabytes(NEEDED)} needed.",
            where=str(layout.folder),
            fix="Free some, or set XDG_DATA_HOME to a folder on a larger disk.",
        )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def _nearest(folder: Path) -> Path:
    return next(place for place in [folder, *folder.parents] if place.exists())
