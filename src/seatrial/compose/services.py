"""The services of a compose file, as compose resolves them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


def own_images(project: Project) -> dict[str, str]:
    """Return the project's own images, which `seatrial build` makes: repository to app."""
    return {app.image or name: name for name, app in project.settings.apps.items()}


def repository(image: str) -> str:
    """Return an image's name without its tag and digest."""
    name = image.partition("@")[0]
    head, separator, last = name.rpartition("/")
    return f"{head}{separator}{last.partition(':')[0]}"


def app_of(image: str | None, own: Mapping[str, str]) -> str | None:
    """Return the app whose own image one is, by its name; None where it is none of the project's."""
    return own.get(repository(image or ""))


def read_services(document: Mapping[str, Any]) -> tuple[Service, ...]:
    """Return the services of a compose model, those that others wait for first."""
    declared = document.get("services") or {}
    services = {name: _service(name, table) for name, table in declared.items()}
    return tuple(in_order(services))


def _service(name: str, table: Mapping[str, Any]) -> Service:
    check = table.get("healthcheck") or {}
    scale = table.get("scale")
    deployed = (table.get("deploy") or {}).get("replicas")
    replicas = next((count for count in (scale, deployed) if count is not None), 1)
    return Service(
        name=name,
        image=table.get("image"),
        depends_on=tuple(
            Dependency(service=other, condition=Condition(one.get("condition", Condition.STARTED)))
            for other, one in sorted((table.get("depends_on") or {}).items())
        ),
        ports=tuple(_port(one) for one in table.get("ports") or ()),
        checked=bool(check) and not check.get("disable", False) and check.get("test") != ["NONE"],
        replicas=int(replicas),
        own_command=table.get("command") is not None or table.get("entrypoint") is not None,
        valued=frozenset(key for key, value in (table.get("environment") or {}).items() if value),
    )


def _port(table: Mapping[str, Any]) -> Port:
    published = str(table.get("published") or "")
    return Port(
        host_ip=str(table.get("host_ip") or ""),
        # A range ("8000-8010") leaves the choice to the engine, as no number does.
        published=int(published) if published.isdigit() and int(published) else None,
        target=int(table["target"]),
        protocol=str(table.get("protocol") or "tcp"),
    )


def completing(services: Sequence[Service]) -> frozenset[str]:
    """Return the one-shots that another service waits for to complete."""
    return frozenset(
        one.service for service in services for one in service.depends_on if one.condition is Condition.COMPLETED
    )


def waiting_for(service: str, services: Sequence[Service]) -> tuple[str, ...]:
    """Return the services that wait for one, directly or through others, in order."""
    waiting: list[str] = []
    wanted = {service}
    for one in services:  # Each stands after what it depends on.
        if wanted & {dependency.service for dependency in one.depends_on}:
            wanted.add(one.name)
            waiting.append(one.name)
    return tuple(waiting)


def in_order(services: Mapping[str, Service]) -> list[Service]:
    """Return services so that each comes after those that it depends on, else by name."""
    ordered: list[Service] = []
    seen: set[str] = set()

    def place(name: str) -> None:
        if name in seen or name not in services:
            return
        seen.add(name)
        for dependency in services[name].depends_on:
            place(dependency.service)
        ordered.append(services[name])

    for name in sorted(services):
        place(name)
    return ordered
