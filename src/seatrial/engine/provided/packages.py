"""The provided engine's programs: which Debian packages they come from, and unpacking them as a whole."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial import debian
from seatrial.engine.provided.layout import SYSTEM_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.engine.provided.layout import Layout
    from seatrial.host import Host

ENGINE = ("docker.io", "docker-cli", "docker-buildx", "docker-compose", "containerd", "tini")
"""Run on an older Debian's C library (measured: trixie's on bookworm); tini is `docker run --init`."""

HOST_SUITE = {"runc": "runc", "iptables": "iptables"}
"""Programs that need the C library of their own suite: the host's, and the package of each."""

SCRATCH = "unpack-"
MARKER = "seatrial.json"


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """What was unpacked, as the marker beside the programs says."""

    suite: str
    version: str
    """Debian's version of the engine's package."""


def unpacked(layout: Layout) -> Unpacked | None:
    """Return what is unpacked; None where nothing is, or not as a whole."""
    try:
        marker = json.loads((layout.programs / MARKER).read_text(encoding="utf-8"))
        return Unpacked(suite=str(marker["suite"]), version=str(marker["version"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def install(layout: Layout, host: Host, *, suite: str, say: Callable[[str], None]) -> Unpacked:
    """Download and unpack the engine's programs; what was unpacked before stays until they are whole.

    Raises:
        EngineError: no Debian host, no mirror in reach, no such suite or package.
        ProgramError: a download took too long; a package cannot be unpacked.

    """
    debs = debian.fetch(ENGINE, suite=suite, host=host, say=say)
    missing = [package for program, package in HOST_SUITE.items() if not _on_host(program)]
    if missing:
        say(f"This host has no {' and no '.join(missing)}: unpacked beside the engine, not installed.")
        debs += debian.fetch(missing, suite=debian.host_suite(), host=host, say=say, missing_dependencies=True)
    version = _version(debs[0])
    say(f"Unpacking Docker {version} into {layout.programs}.")
    with tempfile.TemporaryDirectory(dir=layout.folder, prefix=SCRATCH) as scratch:
        fresh = Path(scratch) / "programs"
        debian.unpack(debs, fresh, host=host)
        _link_iptables(fresh)
        marker = json.dumps({"suite": suite, "version": version})
        (fresh / MARKER).write_text(marker, encoding="utf-8")
        if layout.programs.exists():
            layout.programs.rename(Path(scratch) / "old")
        fresh.rename(layout.programs)
    return Unpacked(suite=suite, version=version)


def sweep(layout: Layout) -> None:
    """Remove what a killed run left of an unpacking."""
    for folder in layout.folder.glob(f"{SCRATCH}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _on_host(program: str) -> bool:
    return shutil.which(program, path=SYSTEM_PATH) is not None


def _version(deb: Path) -> str:
    return deb.name.split("_")[1]


def _link_iptables(programs: Path) -> None:
    # On an installed Debian these are links that update-alternatives makes.
    for name in ("iptables", "ip6tables"):
        variant, link = programs / "usr/sbin" / f"{name}-nft", programs / "usr/sbin" / name
        if variant.exists() and not link.exists():
            link.symlink_to(variant.name)
