"""Finds and ends what belongs to a provided engine: processes and mounts that outlived their daemon."""

from __future__ import annotations

import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial import process
from seatrial.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.engine.provided.layout import Layout

HELPERS = re.compile(r"^(containerd|containerd-shim.*|docker-proxy)$")
"""The daemon's own programs; buildx, compose and the CLI are a person's, and left alone."""

PATIENCE = 10.0
"""Seconds until a killed process must be gone."""

PAUSE = 0.05


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process as /proc shows it; a zombie has no arguments and no program."""

    pid: int
    parent: int
    program: str
    """The file that it runs; empty where it may not be read."""
    arguments: tuple[str, ...]


def processes(proc: Path = Path("/proc")) -> list[Process]:
    """Return the processes of this host that are no zombies."""
    return [found for folder in proc.glob("[0-9]*") if (found := _read(folder)) and found.arguments]


def daemon_of(layout: Layout, running: Iterable[Process]) -> int | None:
    """Return the process id of the engine's daemon.

    It is told by its program's name and its data root, never by a number in a file: after a crash or a
    reboot that number may be any other process.
    """
    for one in running:
        if Path(one.arguments[0]).name == "dockerd" and str(layout.data) in one.arguments:
            return one.pid
    return None


def orphans_of(layout: Layout, running: Iterable[Process]) -> list[int]:
    """Return the engine's helper processes and the containers under them, containers first."""
    everything = list(running)
    helpers = [
        one
        for one in everything
        if Path(one.program).is_relative_to(layout.programs) and HELPERS.match(Path(one.program).name)
    ]
    shims = {one.pid for one in helpers if "shim" in Path(one.program).name}
    inside = [one.pid for one in everything if one.parent in shims]
    return [*inside, *(one.pid for one in helpers)]


def mounts_under(folders: Iterable[Path], mountinfo: str) -> list[Path]:
    """Return the mount points in or at folders, the innermost first, by /proc/self/mountinfo's text."""
    roots = list(folders)
    points = [Path(_unescape(line.split()[4])) for line in mountinfo.splitlines() if line.strip()]
    ours = {point for point in points if any(point.is_relative_to(root) for root in roots)}
    return sorted(ours, key=lambda point: len(point.parts), reverse=True)


def end_processes(layout: Layout) -> None:
    """Kill the engine's helper processes and containers that have no daemon any more.

    Raises:
        EngineError: one of them cannot be ended.

    """
    deadline = time.monotonic() + PATIENCE
    while pids := orphans_of(layout, processes()):
        for pid in pids:
            signal_process(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise EngineError(
                f"processes of the engine do not end: {', '.join(map(str, pids))}.",
                where=str(layout.folder),
                fix="They hang in the kernel: restart this machine.",
            )
        time.sleep(PAUSE)


def unmount(layout: Layout) -> None:
    """Unmount what is mounted in the engine's folders.

    Raises:
        EngineError: a mount stays.
        ProgramError: there is no umount here.

    """
    # Mounts can lie over each other at one point, so one pass may not be enough.
    for _ in range(3):
        for point in _mounts(layout):
            process.run(["umount", "--lazy", point], timeout=30, environment=layout.environment(), check=False)
    if left := _mounts(layout):
        raise EngineError(
            f"cannot be unmounted: {', '.join(map(str, left))}.",
            where=str(layout.folder),
            fix="See what uses it: `fuser -vm` with that path.",
        )


def signal_process(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def is_alive(pid: int, proc: Path = Path("/proc")) -> bool:
    """Tell whether a process exists and is no zombie.

    Unlike its arguments, which are empty for a moment while it starts, this is never wrong about a new one.
    """
    fields = _stat(proc / str(pid))
    return fields is not None and fields[0] not in {"Z", "X"}


def reap(pid: int) -> None:
    """Let a dead child of this very process go; any other process is its parent's to reap."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _mounts(layout: Layout) -> list[Path]:
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    return mounts_under([layout.folder, layout.runtime], text)


def _read(folder: Path) -> Process | None:
    fields = _stat(folder)
    try:
        arguments = (folder / "cmdline").read_bytes().decode(errors="surrogateescape")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    if fields is None:
        return None
    return Process(
        pid=int(folder.name),
        parent=int(fields[1]),
        program=_program(folder),
        arguments=tuple(arguments.rstrip("\0").split("\0")) if arguments else (),
    )


def _stat(folder: Path) -> list[str] | None:
    """Return what /proc tells of a process, from its state and its parent on; None where it has gone."""
    try:
        text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The second field is the program's name in brackets, which may hold anything.
    return text.rpartition(")")[2].split()


def _program(folder: Path) -> str:
    try:
        return str((folder / "exe").readlink()).removesuffix(" (deleted)")
    except OSError:
        # A kernel thread, another user's process, or one that has just ended.
        return ""


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
