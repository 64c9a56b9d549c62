"""What takes the place of the images that a Dockerfile names and that cannot be had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.engine import programs
from seatrial.images import standins
from seatrial.images.bases import Origin, find_bases

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from seatrial.dockerfile import Dockerfile
    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.images.bases import Registries
    from seatrial.images.plan import BuildPlan
    from seatrial.settings.read import Project


@dataclass(frozen=True, kw_only=True)
class Replacements:
    """What takes the place of what the Dockerfile names."""

    stand_ins: Mapping[str, str]
    """The official references, each with the local image that serves instead."""
    images: Mapping[str, str]
    """The references that the builder is told of, each with the engine's image that is meant: the stand-ins, and for
    a builder that does not see the engine's images, what else only the engine has."""
    syntax_left_out: str | None
    """The `# syntax=` image, where it cannot be had."""


def replacements(
    plan: BuildPlan,
    dockerfile: Dockerfile,
    *,
    engine: Engine,
    host: Host,
    project: Project,
    say: Callable[[str], None],
    registries: Registries,
    elsewhere: bool = False,
) -> Replacements:
    """Find out which bases need a stand-in, make those, and announce each.

    `elsewhere`: the builder is not the engine's own and does not see the engine's images.

    Raises:
        BuildError: a base can be had nowhere.
        EngineError: the engine is too old for named build contexts.
        ImageError: a stand-in cannot be made on this host.

    """
    table = standins.table(project)
    found = find_bases(
        dockerfile.bases(plan.build_arguments, _platform(engine)),
        registries=registries,
        known=lambda reference: standins.stand_in_for(reference, table) is not None,
        dockerfile=plan.dockerfile_shown,
    )
    stand_ins: dict[str, str] = {}
    handed: dict[str, str] = {}
    for one in found:
        reference = one.base.reference
        recipe = standins.stand_in_for(reference, table) if one.origin is Origin.STAND_IN else None
        if recipe is not None:
            programs.require_named_contexts(engine)
            stand_ins[reference] = standins.ensure(recipe, engine=engine, host=host, say=say)
            say(f"{reference}: {one.reason}; using the stand-in {stand_ins[reference]}")
        elif elsewhere and one.origin is Origin.PRESENT and (refusal := registries.refusal(reference)) is not None:
            programs.require_named_contexts(engine)
            handed[reference] = reference
            say(f"{reference}: {refusal.reason}; handing the engine's image to the builder")
    syntax_left_out = _syntax_left_out(dockerfile.syntax, registries, say, elsewhere=elsewhere)
    return Replacements(stand_ins=stand_ins, images={**stand_ins, **handed}, syntax_left_out=syntax_left_out)


def _syntax_left_out(
    syntax: str | None, registries: Registries, say: Callable[[str], None], *, elsewhere: bool
) -> str | None:
    if syntax is None or (not elsewhere and registries.has_locally(syntax)):
        return None
    refusal = registries.refusal(syntax)
    if refusal is None:
        return None
    bringer = "builder" if elsewhere else "engine"
    say(f"{syntax}: {refusal.reason}; using the Dockerfile syntax that the {bringer} brings")
    return syntax


def _platform(engine: Engine) -> dict[str, str]:
    """Return the arguments that BuildKit itself gives, as far as a FROM could use them."""
    architecture = str(engine.client.version()["Arch"])
    values = {"OS": "linux", "ARCH": architecture, "PLATFORM": f"linux/{architecture}", "VARIANT": ""}
    return {f"{side}{part}": value for side in ("TARGET", "BUILD") for part, value in values.items()}
