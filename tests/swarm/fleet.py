"""Several Docker engines on one machine, each with a network of its own, as if they were machines.

Each engine lives in a network namespace, joined to the others by a bridge in one more of them, and in a namespace of
process ids: when its first process is killed the kernel kills all the rest, containers too, as a power cut does.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.engine import find
from seatrial.errors import EngineError
from seatrial.offline.install import layout_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from seatrial.engine.find import Engine
    from seatrial.host import Host

NETWORK = "192.168.77"
ANSWERS_WITHIN = 60.0
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(kw_only=True)
class Ship:
    """One engine: a machine of the swarm."""

    name: str
    address: str
    engine: Engine
    process: subprocess.Popen[bytes]

    def sink(self) -> None:
        """End it as a power cut does: nothing of it is left, and nobody is told."""
        for child in _children(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=20)


@dataclass(kw_only=True)
class Fleet:
    """Several engines, and the network that joins them."""

    hub: str
    """The network namespace from which all of them are reached."""
    ships: list[Ship]

    def from_hub(self, *argv: str) -> list[str]:
        """Return the words that run a program where all engines are reached."""
        return ["ip", "netns", "exec", self.hub, *argv]


def missing(host: Host) -> str:
    """Return what a fleet wants and this machine does not have; nothing where it has all."""
    if os.geteuid() != 0:
        return "a fleet of engines wants root"
    gone = [
        name for name in ("ip", "nsenter", "unshare", "iptables", "runc") if not shutil.which(name, path=path(host))
    ]
    if dockerd(host) is None:
        gone.append("dockerd")
    return f"not installed: {', '.join(gone)}" if gone else ""


def path(host: Host) -> str:
    """Return where an engine's programs are: on PATH, beside the docker program, and where administrators have them."""
    folders = [host.environment.get("PATH", "")]
    for program in (shutil.which("docker", path=folders[0]), host.engine_folder / "programs/usr/bin/docker"):
        if program is not None:
            folders += [str(Path(program).parent), str(Path(program).parent.parent / "sbin")]
    return ":".join([*folders, SBIN])


def dockerd(host: Host) -> str | None:
    """Return the engine's program."""
    return shutil.which("dockerd", path=path(host))


@contextmanager
def fleet(count: int, folder: Path, host: Host) -> Iterator[Fleet]:
    """Start several engines; all that is of them is gone when the block ends."""
    mark = secrets.token_hex(3)
    with ExitStack() as stack:
        hub = stack.enter_context(_namespace(f"sw{mark}hub"))
        _ip("-n", hub, "link", "add", "sea", "type", "bridge")
        _ip("-n", hub, "address", "add", f"{NETWORK}.254/24", "dev", "sea")
        _ip("-n", hub, "link", "set", "sea", "up")
        runtime = Path("/run") / f"sw{mark}"
        # Short: it holds sockets, whose paths are limited.
        stack.callback(shutil.rmtree, runtime, ignore_errors=True)
        group = f"sw{mark}"
        stack.callback(_remove_groups, group)
        started: list[tuple[str, str, subprocess.Popen[bytes], Path]] = []
        for number in range(1, count + 1):
            name, address = f"sw{mark}n{number}", f"{NETWORK}.{number}"
            stack.enter_context(_namespace(name))
            stack.callback(shutil.rmtree, folder / name / "data", ignore_errors=True)
            _join(name, hub, number, address)
            process = _started(name, folder / name, runtime / f"n{number}", group, host)
            stack.callback(_ended, process)
            started.append((name, address, process, folder / name / "log"))
        ships = [
            Ship(name=name, address=address, process=process, engine=_answering(runtime / f"n{number}", log, host))
            for number, (name, address, process, log) in enumerate(started, 1)
        ]
        try:
            yield Fleet(hub=hub, ships=ships)
        finally:
            for ship in ships:
                ship.engine.client.close()
                ship.sink()


def _started(name: str, data: Path, runtime: Path, group: str, host: Host) -> subprocess.Popen[bytes]:
    data.mkdir(parents=True)
    runtime.mkdir(parents=True)
    program = dockerd(host)
    assert program is not None
    with data.joinpath("log").open("wb") as log:
        return subprocess.Popen(
            [
                # Not `ip netns exec`: that hides /sys/fs/cgroup.
                *("nsenter", f"--net=/run/netns/{name}"),
                *("unshare", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"),
                *("sh", "-c", 'hostname "$0" && exec "$@"', name),
                program,
                f"--data-root={data / 'data'}",
                f"--exec-root={runtime}",
                f"--pidfile={runtime / 'pid'}",
                f"--host=unix://{runtime / 's'}",
                f"--cgroup-parent=/{group}",
                "--group=root",
                "--log-level=info",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**_environment(program, host), "HOME": str(data), "LC_ALL": "C"},
            start_new_session=True,
        )


def _environment(program: str, host: Host) -> dict[str, str]:
    own = layout_of(host)
    # Programs that seatrial unpacked find the libraries that came with them where they are told to look.
    return own.environment() if Path(program).is_relative_to(own.programs) else {"PATH": path(host)}


def _answering(runtime: Path, log: Path, host: Host) -> Engine:
    candidate = find.Candidate(source="the test", url=f"unix://{runtime / 's'}", explicit=True)
    deadline = time.monotonic() + ANSWERS_WITHIN
    while True:
        try:
            return find.connect(candidate, host)
        except EngineError:
            if time.monotonic() > deadline:
                said = log.read_text(encoding="utf-8", errors="replace")
                raise AssertionError(f"an engine does not answer:\n{said[-3000:]}") from None
            time.sleep(0.2)


def _join(name: str, hub: str, number: int, address: str) -> None:
    _ip("link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", f"n{number}", "netns", hub)
    _ip("-n", hub, "link", "set", f"n{number}", "master", "sea", "up")
    _ip("-n", name, "link", "set", "lo", "up")
    _ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
    _ip("-n", name, "link", "set", "eth0", "up")
    _ip("-n", name, "route", "add", "default", "via", f"{NETWORK}.254")


@contextmanager
def _namespace(name: str) -> Iterator[str]:
    _ip("netns", "add", name)
    try:
        yield name
    finally:
        _ip("netns", "delete", name)


def _ended(process: subprocess.Popen[bytes]) -> None:
    for child in _children(process.pid):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    process.kill()
    process.wait(timeout=20)


def _children(pid: int) -> Sequence[int]:
    try:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return ()
    return [int(word) for word in words]


def _remove_groups(name: str) -> None:
    # A killed engine leaves its control groups: one tree, or in the old version one for each controller.
    root = Path("/sys/fs/cgroup")
    for top in (root / name, *root.glob(f"*/{name}")):
        for folder, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False, timeout=20)  # noqa: S607
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
