"""The images that a stack needs: there, pulled, replaced by a local substitute, or named as missing.

What asks the engine raises EngineError when it does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from seatrial import offline
from seatrial.compose.readiness import Finding, blocked, note, ready
from seatrial.compose.runner import Compose
from seatrial.compose.text import text_of
from seatrial.engine.containers import engine_errors
from seatrial.engine.find import Engine
from seatrial.errors import ImageError, SeatrialError, together
from seatrial.facts import Service
from seatrial.host import Host
from seatrial.settings.read import Project
from seatrial.stack.plan import StackPlan
from seatrial.yaml_tree import at

BEYOND = {
    "context": "Its context is fetched: check it out, and name its folder.",
    "dockerfile_inline": "Write it into a file, and name that with `dockerfile`.",
    "secrets": "Declare the service as an app, whose `build-secrets` names the host's credentials.",
    "additional_contexts": "Name the images and folders in the Dockerfile itself.",
}
"""By key of a build section: what to do where seatrial's build does not know it."""
HasSubstitute = Callable[[str], bool | SeatrialError]
"""Given an image, tells whether a recipe can take its place, or why one that is known cannot."""
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
    plan: StackPlan,
    there: Mapping[str, str],
    *,
    has_substitute: HasSubstitute = lambda _: False,
    builds: bool = False,
) -> Iterator[Finding]:
    """Yield a finding for each service's image: it is here, or what to do about it.

    `there` is what the engine holds; `builds` tells whether what the compose file builds is built before
    the start.
    """
    unbuilt: set[str] = set()
    for service in plan.services:
        image = service.image
        app = plan.makers.get(service.name)
        if app is not None and (beyond := plan.beyond.get(service.name)):
            what = f"{image} of {service.name} is built as the settings say: {_keys(beyond)} of the file does not count"
            yield note("image", what, where=_line(plan, service, "build"))
        if image is None:
            yield _not_built(plan, service)
        elif image in there:
            yield ready("image", f"{image} of {service.name} is here")
        elif image in unbuilt:
            continue  # One build is enough for all services.
        elif builds and app is not None:
            unbuilt.add(image)
            yield note("image", f"{image} of {service.name} is not here: it is built")
        elif (app := plan.builder(service)) is not None:
            unbuilt.add(image)
            yield blocked(
                "image",
                f"the image {image} of the service {service.name!r} has not been built.",
                where=str(plan.file),
                fix=f"Build it: `invoke build --app {app}`.",
            )
        else:
            found = has_substitute(image)
            other = ", or a local substitute is used" if found is True else ""
            before = f"; its files cannot be looked at before{f'; {found}' if isinstance(found, SeatrialError) else ''}"
            yield note("image", f"{image} of {service.name} is not here: it is pulled{other}{before}")


def _not_built(plan: StackPlan, service: Service) -> Finding:
    """Return what is said of a service without an image, whose build is none that seatrial carries out."""
    beyond = plan.beyond.get(service.name, ())
    if not beyond:
        what, fix = f"the service {service.name!r} has neither an image nor a build.", "Give it an `image`."
    else:
        what = f"the service {service.name!r} is built with {_keys(beyond)}, which seatrial's build does not know."
        fix = BEYOND.get(beyond[0], "Build it with `docker compose build`, and name what that makes with `image`.")
    return blocked("image", what, where=_line(plan, service, "build"), fix=fix)


def _keys(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _line(plan: StackPlan, service: Service, key: str) -> str:
    return at(plan.file, text_of(plan.file, plan.stack.beside.files).lines.get(service.name, {}).get(key, 0))


def to_build(plan: StackPlan, there: Mapping[str, str]) -> tuple[str, ...]:
    """Return the apps whose images are to be built before a start: those that the compose file builds, not here yet."""
    missing = [service.name for service in plan.services if service.image not in there]
    return tuple(dict.fromkeys(plan.makers[name] for name in missing if name in plan.makers))


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
        ImageError: images can neither be pulled nor replaced; all of them are told.
        ProgramError: a pull took too long.
    """
    replaced: dict[str, str] = {}
    known: dict[str, str | None] = dict.fromkeys(there)
    problems: list[ImageError] = []
    for service in plan.services:
        image = service.image
        if image is None:
            continue
        if image not in known:
            app = plan.makers.get(service.name)
            try:
                known[image] = _obtain(service, image, app, compose=compose, say=say, substitute=substitute)
            except ImageError as error:
                error.where = _line(plan, service, "image")
                problems.append(error)
                known[image] = None
        if (local := known[image]) is not None:
            replaced[service.name] = local
    if problems:
        raise together(problems, "images cannot be had", where=str(compose.file))
    return replaced


def _obtain(
    service: Service,
    image: str,
    app: str | None,
    *,
    compose: Compose,
    say: Callable[[str], None],
    substitute: MakeSubstitute | None,
) -> str | None:
    say(f"{image} is not here: pulling it.")
    problem = compose.pull(service.name)
    if not problem:
        return None
    why, fix = (
        "it has no local substitute.",
        "Check the name and your network, or declare one in the settings: `standins`.",
    )
    try:
        local = substitute(image) if substitute is not None else None
    except ImageError as error:
        local, why, fix = None, error.what, error.fix
    if local is None:
        raise ImageError(
            f"the image {image} of the service {service.name!r} cannot be pulled; {why}",
            fix=f"Build it: `invoke build --app {app}`; or check the name and your network." if app else fix,
            detail="\n".join(problem),
        )
    say(f"{image} cannot be pulled: {service.name} runs on the local substitute {local}.")
    return local
