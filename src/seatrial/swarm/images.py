"""What the swarm is told to run for each service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.compose.services import app_of, repository
from seatrial.stack.images import inspected
from seatrial.swarm.conversion import Image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.engine.find import Engine
    from seatrial.stack.plan import StackPlan


def resolve(plan: StackPlan, engine: Engine, *, local: Mapping[str, str]) -> dict[str, Image]:
    """Return what each service is to run.

    A tag can move, and a rollback to a moved tag brings the new image back: what is here is named by its content.

    Args:
        plan: the stack.
        engine: the engine.
        local: local images that take the place of a service's own.

    Raises:
        EngineError: the engine does not answer.

    """
    found: dict[str, Image] = {}
    for service in plan.services:
        if service.image is None:
            continue
        data = inspected(local.get(service.name, service.image), engine)
        own = app_of(service.image, plan.own_images) is not None or service.name in local
        found[service.name] = choose(service.image, data, own=own)
    return found


def choose(name: str, data: Mapping[str, Any] | None, *, own: bool) -> Image:
    """Return what the swarm is told to run for an image.

    Args:
        name: as the compose file has it.
        data: what the engine says of it; None where it is not here.
        own: it was built here: no registry has it, whatever the engine says of its digests.

    """
    if data is None:
        return Image(name=name, reference=name)
    test = ((data.get("Config") or {}).get("Healthcheck") or {}).get("Test") or ()
    checked = bool(test) and list(test) != ["NONE"]
    digests = [str(digest) for digest in data.get("RepoDigests") or ()]
    digest = next((digest.partition("@")[2] for digest in digests if _same(repository(digest), repository(name))), None)
    if digest and not own:
        pinned = name if "@" in name else f"{name}@{digest}"
        return Image(name=name, reference=pinned, checked=checked)
    # By its id, a node neither asks a registry for it nor takes another image of that name.
    return Image(name=name, reference=str(data["Id"]), checked=checked)


def _same(name: str, other: str) -> bool:
    short = (part.removeprefix("docker.io/").removeprefix("library/") for part in (name, other))
    return len(set(short)) == 1
