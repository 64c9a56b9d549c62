"""The provided engine's folder, and unpacking its programs into it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.engine.find import own_socket
from seatrial.errors import EngineError
from seatrial.offline import debian
from seatrial.offline.debian import OTHER_ENGINE, host_archive
from seatrial.text import show_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.host import Host


SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


RUNTIME = Path("/run/seatrial")
"""Of each engine of this host, what a reboot must remove."""


class Layout:
    """The folders, files and names of one provided engine."""

    def __init__(self, folder: Path, socket: str) -> None:
        self.folder = folder
        """All that lasts, without symbolic links: what the kernel reports is compared with it."""
        self.socket = socket
        """The engine's address."""
        # Two users, or a test and a user, have two engines: each has its own bridge and rules.
        self.tag = f"seatrial-{hashlib.sha256(str(folder).encode()).hexdigest()[:6]}"
        """Its name on the host: of its network bridge, in its firewall rules. At most 15 characters."""
        self.programs = folder / "programs"
        """The unpacked packages."""
        self.dockerd = self.programs / "usr/sbin/dockerd"
        """The daemon's program."""
        self.data = folder / "data"
        """The images, containers and volumes."""
        self.log = folder / "dockerd.log"
        """What the daemon printed since its last start."""
        self.configuration = folder / "daemon.json"
        """The daemon's settings."""
        self.pid_file = folder / "dockerd.pid"
        self.socket_file = folder / "docker.sock"
        self.runtime = RUNTIME / self.tag
        """What a reboot must remove. Short, since it holds sockets, whose paths are limited."""

    def environment(self) -> dict[str, str]:
        """Return the whole environment of the programs, with their own first on PATH: nothing of the user's."""
        path = f"{self.programs}/usr/sbin:{self.programs}/usr/bin:{self.programs}/sbin:{SYSTEM_PATH}"
        environment = {"PATH": path, "HOME": str(self.folder), "LC_ALL": "C"}
        libraries = [file.parent for name in ("usr/lib", "lib") for file in self.programs.glob(f"{name}/*/lib*.so*")]
        if folders := sorted(set(libraries)):
            environment["LD_LIBRARY_PATH"] = ":".join(map(str, folders))
        if extensions := [folder / "xtables" for folder in folders if (folder / "xtables").is_dir()]:
            environment["XTABLES_LIBDIR"] = str(extensions[0])
        return environment


def layout_of(host: Host) -> Layout:
    """Return the layout of the engine that seatrial provides on this host, for this user."""
    return Layout(host.engine_folder.resolve(), own_socket(host))


SOCKET_LIMIT = 107
"""Bytes of a Unix socket's path, without its closing zero (man 7 unix)."""

NEEDED = 2_500_000_000
"""Bytes: 90 MB to download, 365 MB unpacked, and 2 GB of room to build images."""

TOOLS = ("apt-get", "dpkg", "dpkg-deb")

ENGINE = ("docker.io", "docker-cli", "docker-buildx", "docker-compose", "containerd", "tini")
"""Run on an older Debian's C library (measured: trixie's on bookworm); tini is `docker run --init`."""

HOST_SUITE = ("runc", "iptables")
"""Programs that need the C library of their own suite, the host's; each is in the package of its name."""

SCRATCH = "unpack-"
MARKER = "seatrial.json"


@dataclass(frozen=True, kw_only=True)
class HostState:
    """What a provided engine needs of a host."""

    system: str
    root: bool
    missing_tools: tuple[str, ...]
    free: int
    """Bytes, where the engine's folder is or would be."""


def inspect_host(layout: Layout) -> HostState:
    """Return the state of this host."""
    nearest = next(path for path in [layout.folder, *layout.folder.parents] if path.exists())
    return HostState(
        system=sys.platform,
        root=os.geteuid() == 0,
        missing_tools=tuple(tool for tool in TOOLS if shutil.which(tool, path=SYSTEM_PATH) is None),
        free=shutil.disk_usage(nearest).free,
    )


def require_root(state: HostState) -> None:
    """Refuse an account that is not allowed to start or stop an engine."""
    if state.system != "linux":
        raise EngineError(f"an engine can be provided on Linux only; this is {state.system}.", fix=OTHER_ENGINE)
    if not state.root:
        raise EngineError(
            "an engine can be provided by root only.",
            fix=f"Run this as root, and everything that uses that engine. Or: {OTHER_ENGINE}",
        )


def require_suitable(state: HostState, layout: Layout, *, unpacked: bool) -> None:
    """Refuse a host that cannot have a provided engine."""
    require_root(state)
    if state.missing_tools and not unpacked:
        raise EngineError(
            f"an engine can be provided on Debian only; {', '.join(state.missing_tools)} not found here.",
            fix=OTHER_ENGINE,
        )
    path = str(layout.socket_file)
    if (length := len(path.encode())) > SOCKET_LIMIT or ":" in path:
        raise EngineError(
            f"a socket's path may have {SOCKET_LIMIT} bytes and no colon; this one has {length} bytes.",
            where=path,
            fix="Set XDG_DATA_HOME to a shorter folder.",
        )
    if not unpacked and state.free < NEEDED:
        raise EngineError(
            f"too little disk space: {show_size(state.free)} free, {show_size(NEEDED)} needed.",
            where=str(layout.folder),
            fix="Free some, or set XDG_DATA_HOME to a folder on a larger disk.",
        )


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """What was unpacked, by the marker next to the programs."""

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

    Raises what `debian.fetch` does, and a ProgramError where a package cannot be unpacked.
    """
    debs = debian.fetch(ENGINE, suite=suite, host=host, say=say)
    missing = [program for program in HOST_SUITE if shutil.which(program, path=SYSTEM_PATH) is None]
    if missing:
        say(f"This host has no {' and no '.join(missing)}: it is unpacked with the engine, not installed.")
        debs += debian.fetch(missing, suite=host_archive().codename, host=host, say=say, missing_dependencies=True)
    version = debs[0].name.split("_")[1]
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
    """Remove what a killed run has unpacked in part."""
    for folder in layout.folder.glob(f"{SCRATCH}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _link_iptables(programs: Path) -> None:
    # On an installed Debian these are links that update-alternatives makes.
    for name in ("iptables", "ip6tables"):
        variant, link = programs / "usr/sbin" / f"{name}-nft", programs / "usr/sbin" / name
        if variant.exists() and not link.exists():
            link.symlink_to(variant.name)
