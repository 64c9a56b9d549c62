"""Which process something belongs to that a command leaves behind when it is killed, and whether it still lives."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "SEATRIAL_OWNER"
"""In the environment of a program that ends with the process that started it: that process, as in a label."""
PROGRAMS = frozenset(("docker", "docker-buildx", "docker-compose"))
"""Those programs. What they start themselves, such as an agent for keys, may be meant to stay."""
UNKNOWN = "unknown"
LABEL = re.compile(r"(?P<machine>[^:]*):(?P<boot>[^:]*):(?P<pid>[0-9]{1,10}):(?P<started>[^:]*)")
TOKEN = re.compile(r"(?P<machine>[0-9a-f]{8})(?P<boot>[0-9a-f]{8})-(?P<pid>[0-9]{1,10})-(?P<started>[0-9]{0,20})")
FOLDER = re.compile(r"seatrial-[a-z]+-(?P<token>[0-9a-f]{16}-[0-9]+-[0-9]*)-\w+")


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The process that a run belongs to, so that another run can tell whether it still lives."""

    machine: str
    """The machine's id with the namespace that process numbers are counted in: a container has its own."""
    boot: str
    pid: int
    started: str

    def __str__(self) -> str:
        """Return it as a label's value."""
        return f"{self.machine}:{self.boot}:{self.pid}:{self.started}"

    @property
    def is_known(self) -> bool:
        """Whether the machine tells its processes from those of others."""
        return self.machine != UNKNOWN and bool(self.boot)

    @property
    def token(self) -> str:
        """It as a part of a name: of a folder, of an image's tag."""
        return f"{_digest(self.machine)}{_digest(self.boot)}-{self.pid}-{self.started}"


def of(pid: int, proc: Path = Path("/proc"), machine: Path = Path("/etc/machine-id")) -> Owner:
    """Return the identity of a process, which no later process with its number shares."""
    name = _read(machine)
    try:
        namespace = (proc / "self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        namespace = ""
    return Owner(
        machine=f"{name}.{namespace}" if name and namespace else UNKNOWN,
        boot=_read(proc / "sys/kernel/random/boot_id"),
        pid=pid,
        started=_started(pid, proc),
    )


def is_dead(label: str, this: Owner, proc: Path = Path("/proc")) -> bool:
    """Tell whether the process behind an owner's label has ended; of another machine's, never."""
    # A container has its image's labels too: the text may be anything.
    parts = LABEL.fullmatch(label)
    if parts is None or parts["machine"] != this.machine:
        return False
    return this.is_known and (parts["boot"] != this.boot or _started(int(parts["pid"]), proc) != parts["started"])


def is_dead_by_token(token: str, this: Owner, proc: Path = Path("/proc")) -> bool:
    """Tell the same of an owner's token."""
    parts = TOKEN.fullmatch(token)
    if parts is None or parts["machine"] != _digest(this.machine):
        return False
    same_boot = parts["boot"] == _digest(this.boot)
    return this.is_known and not (same_boot and _started(int(parts["pid"]), proc) == parts["started"])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def process_fields(pid: int, proc: Path = Path("/proc")) -> list[str]:
    """Return what /proc says of a process, from its state and its parent on; nothing where it has gone."""
    # The field before them is the program's name in brackets, which may hold anything: proc(5).
    return _read(proc / str(pid) / "stat").rpartition(")")[2].split()


def _started(pid: int, proc: Path) -> str:
    fields = process_fields(pid, proc)
    return fields[19] if len(fields) > 19 else ""  # noqa: PLR2004


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


@functools.cache
def this() -> Owner:
    """Return this process."""
    return of(os.getpid())


@contextmanager
def temporary_folder(what: str, folder: Path | None = None) -> Iterator[Path]:
    """Give a folder that only this account can read, and remove it afterwards; those of dead commands go first.

    It lies in `folder`, or where the host has its temporary files.
    """
    sweep_folders(folder)
    with tempfile.TemporaryDirectory(prefix=prefix(what), dir=folder) as name:
        yield Path(name)


def prefix(what: str) -> str:
    """Return how the name of a temporary folder of this process begins; `what` is small letters."""
    return f"seatrial-{what}-{this().token}-"


def sweep_folders(folder: Path | None = None) -> None:
    """Remove the temporary folders that commands of this account left which have ended."""
    with suppress(OSError):
        for path in Path(folder or tempfile.gettempdir()).glob("seatrial-*"):
            named = FOLDER.fullmatch(path.name)
            state = path.lstat()
            ours = stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid()
            if named and ours and is_dead_by_token(named["token"], this()):
                shutil.rmtree(path, ignore_errors=True)
