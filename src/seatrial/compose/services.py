"""The services of a compose file, as compose resolves them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seatrial.settings.read import Project


PROJECT_LABEL = "com.docker.compose.project"
"""The label that compose sets on all that belongs to a stack."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack by name: enough to find, show and remove what runs of it, without its compose file."""

    app: str
    compose_project: str
    """The name that compose labels everything with: unique to the app and the checkout."""
    options: tuple[str, ...] = ()
    """What compose is told before its command: a profile, another env file."""


def identify(project: Project, name: str) -> Stack:
    """Return the stack of an app: what `down`, `ps` and `logs` need, whatever the compose file says by now.

    Raises:
        SettingsError: no app has that name.

    """
    project.app(name)
    # Two checkouts of one project, and two apps whose names differ in odd characters only, get names of
    # their own.
    folder = project.folder.resolve()
    digest = hashlib.sha256(f"{folder}\0{name}".encode()).hexdigest()[:8]
    # Compose takes lower-case letters, digits, hyphens and underscores, and no sign at the start.
    readable = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")
    return Stack(app=name, compose_project=f"{readable}-{digest}" if readable else f"app-{digest}")


class Condition(StrEnum):
    """What a service waits for in another, by compose's own names."""

    STARTED = "service_started"
    HEALTHY = "service_healthy"
    COMPLETED = "service_completed_successfully"


@dataclass(frozen=True, kw_only=True)
class Dependency:
    """A service that another one waits for."""

    service: str
    condition: Condition


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port of a service that is published on the host."""

    host_ip: str
    """Empty for every interface."""
    published: int | None
    """None when the engine chooses a free one."""
    target: int
    protocol: str = "tcp"


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service as the compose file declares it."""

    name: str
    image: str | None
    """None when it is only built, by its own `build` section."""
    depends_on: tuple[Dependency, ...] = ()
    ports: tuple[Port, ...] = ()
    checked: bool = False
    """The compose file declares a health check for it."""
    own_command: bool = False
    """It runs another command than its image's own."""
    valued: frozenset[str] = frozenset()
    """The variables of its environment that hold something; never what."""
    replicas: int = 1
