"""A running container, looked into once: from the engine's side, and through the image's own interpreter."""

from __future__ import annotations

from typing import Literal

from seatrial.facts.data.base import Fact


class Listener(Fact, frozen=True, kw_only=True):
    """A port that something in the container listens on."""

    protocol: Literal["tcp", "udp"]
    address: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only the container itself can reach it."""
        return self.address.startswith(("127.", "::ffff:127.")) or self.address == "::1"

    def __str__(self) -> str:
        """Return it as one writes an address."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}/{self.protocol}"


class Heartbeat(Fact, frozen=True, kw_only=True):
    """A file that a gunicorn worker touches to show that it lives."""

    path: str
    filesystem: str
    """Its kind, such as overlay or tmpfs."""


class Inside(Fact, frozen=True, kw_only=True):
    """What the image's own interpreter read of /proc in the running container. An image can forge it."""

    listeners: tuple[Listener, ...]
    command: tuple[str, ...]
    """PID 1's words."""
    uid: int | None
    capabilities: str
    """PID 1's effective capabilities, in hexadecimal as the kernel writes them."""
    no_new_privileges: bool | None
    processes: int
    heartbeats: tuple[Heartbeat, ...] = ()
    truncated: tuple[str, ...] = ()
    """What was cut short because it passed a limit."""


class Top(Fact, frozen=True, kw_only=True):
    """The container's processes as the engine lists them, from outside."""

    first: str
    """PID 1's command line; empty where the engine does not list it."""
    commands: tuple[str, ...]
    """All command lines, PID 1's among them."""


class Usage(Fact, frozen=True, kw_only=True):
    """What the container took when it was looked at, as the engine counts it."""

    memory: int
    """Bytes."""
    processes: int
    """Processes and threads: the limit counts both."""
