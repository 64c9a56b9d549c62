"""What the engine says of an image."""

from __future__ import annotations

from seatrial.facts.data.base import Fact

RUNS_TOO = {"amd64": ("386",), "arm64": ("arm",)}
"""The 32-bit programs that a 64-bit processor runs as well."""


HEALTH_SHELL = ("/bin/sh", "-c")
"""What the engine runs a line of a health check with: an image's SHELL holds for its build, not for its containers."""


class HealthCheck(Fact, frozen=True, kw_only=True):
    """The image's HEALTHCHECK; times in seconds."""

    test: tuple[str, ...]
    """As the engine keeps it: `CMD` and the words, or `CMD-SHELL` and one line."""
    interval: float
    timeout: float
    start_period: float
    retries: int


class Configuration(Fact, frozen=True, kw_only=True):
    """The image's configuration and history, from the engine: an image cannot forge what it is run with."""

    reference: str
    id: str
    platform: str
    engine_platform: str = ""
    """What the engine itself runs, in the same words: `linux/amd64`."""
    user: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    working_directory: str = "/"
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    health_check: HealthCheck | None = None
    stop_signal: str = "SIGTERM"
    history: tuple[str, ...] = ()
    """What made each layer, oldest first."""
    unpacked: int
    """The sum of the layers' sizes, unpacked, in bytes."""

    @property
    def foreign(self) -> bool:
        """Whether it was built for another platform than the engine's."""
        system, _, machine = self.platform.partition("/")
        here_system, _, here = self.engine_platform.partition("/")
        known = bool(machine and here)
        return known and (system != here_system or machine not in {here, *RUNS_TOO.get(here, ())})

    @property
    def words(self) -> tuple[str, ...]:
        """The whole command that a container of this image runs."""
        return self.entrypoint + self.command

    @property
    def health_words(self) -> tuple[str, ...]:
        """The whole command of the health check, as the engine runs it; empty where it runs none."""
        kind, *words = self.health_check.test if self.health_check else ("NONE",)
        return {"CMD": tuple(words), "CMD-SHELL": (*HEALTH_SHELL, *words)}.get(kind, ())
