"""The images that a stack needs: there, pulled, replaced by a local substitute, or named as missing.

What asks the engine raises EngineError when it does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from seatrial import offline
from seatrial.compose.readiness import Finding, blocked, note, ready
from seatrial.compose.runner import Compose
from seatrial.compose.services import app_of, name_its_image
from seatrial.engine.containers import engine_errors
from seatrial.engine.find import Engine
from seatrial.errors import ImageError
from seatrial.facts import Service
from seatrial.host import Host
from seatrial.settings.read import Project
from seatrial.stack.plan import StackPlan

MakeSubstitute = Callable[[str], str | None]
"""Given an official image, makes or finds a local one in its place and returns its name."""


def substitute_maker(project: Project, engine: Engine, host: Host, say: Callable[[str], None]) -> MakeSubstitute:
    """Return what makes a local image for an official one that cannot be pulled."""

    def make(reference: str) -> str | None:
        found = offline.find_substitute(reference, offline.recipes(project, host.trust))
        return None if found is None else offline.ensure_substitute(found, engine=engine, host=host, say=say)

    return make


def present(plan: StackPlan, engine: Engine) -> dict[str, str]:
    """Return the images of the plan that the engine holds: name to id."""
    names = sorted({service.image for service in plan.services if service.image})
    return {name: str(data["Id"]) for name in names if (data := inspected(name, engine)) is not None}


def inspected(image: str, engine: Engine) -> Mapping[str, Any] | None:
    """Return what the engine says of an image, or None where it does not hold it."""
    # 400: no name that an image can have; what compose or swarm says of it is clearer.
    with engine_errors("inspecting the stack's images", ignoring=[404, 400]):
        found: Mapping[str, Any] = engine.client.api.inspect_image(image)  # type: ignore[no-untyped-call]
        return found
    return None


def check_images(
    plan: StackPlan, there: Mapping[str, str], *, has_substitute: Callable[[str], bool] = lambda _: False
) -> Iterator[Finding]:
    """Yield a finding for each service's image: it is here, or what to do about it.

    `there` is what the engine holds; `has_substitute` tells whether a recipe could take an image's place.
    """
    unbuilt: set[str] = set()
    for service in plan.services:
        image = service.image
        if image is None:
            yield blocked(
                "image",
                f"the service {service.name!r} has no `image`, only a build section.",
                where=str(plan.file),
                fix=name_its_image(service, plan.own_images, plan.own_folders)
                or "Give it the `image` of one of the project's apps, which `seatrial build` makes.",
            )
        elif image in there:
            yield ready("image", f"{image} of {service.name} is here")
        elif image in unbuilt:
            continue  # One build is enough for all services.
        elif (app := app_of(image, plan.own_images)) is not None:
            unbuilt.add(image)
            yield blocked(
                "image",
                f"the image {image} of the service {service.name!r} has not been built.",
                where=str(plan.file),
                fix=f"Build it: `invoke build --app {app}`.",
            )
        else:
            other = ", or a local substitute is used" if has_substitute(image) else ""
            before = "; its files cannot be looked at before"
            yield note("image", f"{image} of {service.name} is not here: it is pulled{other}{before}")


def provide(
    plan: StackPlan,
    there: Mapping[str, str],
    *,
    compose: Compose,
    say: Callable[[str], None],
    substitute: MakeSubstitute | None,
) -> dict[str, str]:
    """Pull what is missing, or find a local substitute for it; return the services that run on a local substitute.

    Raises:
        ImageError: an image can neither be pulled nor replaced.
        ProgramError: a pull took too long.
    """
    replaced: dict[str, str] = {}
    known: dict[str, str | None] = dict.fromkeys(there)
    for service in plan.services:
        image = service.image
        if image is None:
            continue
        if image not in known:
            known[image] = _obtain(service, image, compose=compose, say=say, substitute=substitute)
        if (local := known[image]) is not None:
            replaced[service.name] = local
    return replaced


def _obtain(
    service: Service, image: str, *, compose: Compose, say: Callable[[str], None], substitute: MakeSubstitute | None
) -> str | None:
    say(f"{image} is not here: pulling it.")
    problem = compose.pull(service.name)
    if not problem:
        return None
    local = substitute(image) if substitute is not None else None
    if local is None:
        raise ImageError(
            f"the image {image} of the service {service.name!r} cannot be pulled, and has no local substitute.",
            where=str(compose.file),
            fix="Check the name and your network, or declare a local substitute in [tool.seatrial.standins].",
            detail="\n".join(problem),
        )
    say(f"{image} cannot be pulled: {service.name} runs on the local substitute {local}.")
    return local
