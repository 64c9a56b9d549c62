"""The folders, files and names of the provided engine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.engine.find import own_socket

if TYPE_CHECKING:
    from seatrial.host import Host


SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The folders, files and names of one provided engine."""

    folder: Path
    """All that lasts, without symbolic links: what the kernel reports is compared with it."""
    socket: str
    """The engine's address."""
    tag: str
    """Its name on the host: of its network bridge, in its firewall rules. At most 15 characters."""

    @property
    def programs(self) -> Path:
        """The unpacked packages."""
        return self.folder / "programs"

    @property
    def data(self) -> Path:
        """The images, containers and volumes."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the daemon printed since its last start."""
        return self.folder / "dockerd.log"

    @property
    def configuration(self) -> Path:
        """The daemon's settings."""
        return self.folder / "daemon.json"

    @property
    def pid_file(self) -> Path:
        """Where the daemon writes its process id."""
        return self.folder / "dockerd.pid"

    @property
    def socket_file(self) -> Path:
        """The socket that the daemon listens on."""
        return self.folder / "docker.sock"

    @property
    def runtime(self) -> Path:
        """What a reboot must remove. Short, since it holds sockets, whose paths are limited."""
        return Path("/run/seatrial") / self.tag

    @property
    def path(self) -> str:
        """PATH for the daemon: its own programs first."""
        return f"{self.programs}/usr/sbin:{self.programs}/usr/bin:{self.programs}/sbin:{SYSTEM_PATH}"

    def libraries(self) -> list[Path]:
        """Return the folders with shared libraries that were unpacked with the programs."""
        folders = (file.parent for name in ("usr/lib", "lib") for file in self.programs.glob(f"{name}/*/lib*.so*"))
        return sorted(set(folders))

    def environment(self) -> dict[str, str]:
        """Return the whole environment of the programs: nothing of the user's."""
        environment = {"PATH": self.path, "HOME": str(self.folder), "LC_ALL": "C"}
        if libraries := self.libraries():
            environment["LD_LIBRARY_PATH"] = ":".join(map(str, libraries))
        extensions = [folder / "xtables" for folder in libraries if (folder / "xtables").is_dir()]
        if extensions:
            environment["XTABLES_LIBDIR"] = str(extensions[0])
        return environment


def layout_of(host: Host) -> Layout:
    """Return the layout of the engine that seatrial provides on this host, for this user."""
    folder = host.engine_folder.resolve()
    # Two users, or a test and a user, have two engines: each has its own bridge and rules.
    mark = hashlib.sha256(str(folder).encode()).hexdigest()[:6]
    return Layout(folder=folder, socket=own_socket(host), tag=f"seatrial-{mark}")
