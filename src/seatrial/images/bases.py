"""Where each base of a build comes from: the engine, a registry, or a local substitute."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus

import docker
import docker.errors
import requests

from seatrial import offline
from seatrial.dockerfile import bases as bases_of
from seatrial.engine import programs
from seatrial.engine.containers import engine_errors
from seatrial.engine.find import Engine
from seatrial.errors import BuildError, ImageError, SeatrialError, together
from seatrial.facts.sources import Base, Dockerfile
from seatrial.host import Host
from seatrial.images import untrusted
from seatrial.images.plan import BuildPlan, dockerfile_of
from seatrial.settings.read import Project
from seatrial.text import plain_line

REGISTRY_TIMEOUT = 5
"""Seconds that a registry has to answer, before it counts as unreachable."""
DOCKER_HUB = "docker.io"


class Origin(StrEnum):
    """Where a base comes from."""

    PRESENT = "present"
    """The engine has it."""
    PULLABLE = "pullable"
    """A registry has it; BuildKit will pull it."""
    SUBSTITUTE = "substitute"
    """A local substitute replaces it."""
    UNCERTAIN = "uncertain"
    """It could not be found out; BuildKit will try, and say why it fails."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why an image cannot be pulled."""

    reason: str
    certain: bool
    """False: there was no clear answer (too slow, credentials that cannot be read)."""


@dataclass(kw_only=True)
class Registries:
    """The answers of registries in this run: one that cannot be reached is asked once."""

    engine: Engine
    timeout: int = REGISTRY_TIMEOUT
    _unreachable: dict[str, Refusal] = field(default_factory=dict, init=False)
    _pullable: set[str] = field(default_factory=set, init=False)

    def has_locally(self, reference: str) -> bool:
        """Tell whether the engine has an image."""
        try:
            self.engine.client.images.get(reference)
        except docker.errors.APIError as error:
            if error.status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:
                return False
            raise
        return True

    def refusal(self, reference: str) -> Refusal | None:
        """Return why an image cannot be pulled, or None when it can."""
        registry = registry_of(reference)
        if registry in self._unreachable:
            return self._unreachable[registry]
        if reference in self._pullable:
            return None
        refusal, reached = self._ask(reference)
        if refusal is None:
            self._pullable.add(reference)
        elif not reached:
            self._unreachable[registry] = refusal
        return refusal

    def _ask(self, reference: str) -> tuple[Refusal | None, bool]:
        """Return the refusal, and whether the registry itself was reached."""
        try:
            with _timeout(self.engine.client.api, self.timeout):
                self.engine.client.images.get_registry_data(reference)
        except docker.errors.APIError as error:
            message = plain_line(str(error.explanation or error))
            # The engine passes a registry's refusal on as 4xx; 5xx: the registry did not answer.
            reached = error.status_code is not None and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
            return Refusal(reason=message if reached else reason_of(message), certain=True), reached
        except requests.exceptions.Timeout:
            reason = f"{registry_of(reference)} did not answer within {self.timeout} s"
            return Refusal(reason=reason, certain=False), False
        except docker.errors.DockerException as error:
            # Credentials that docker-py cannot read; buildx may be able to.
            return Refusal(reason=plain_line(str(error)), certain=False), True
        return None, True


def registry_of(reference: str) -> str:
    """Return the registry that an image's name points to."""
    first, slash, _ = reference.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    return first.removeprefix("index.") if named else DOCKER_HUB


def find_base(
    base: Base, *, registries: Registries, hindrance: Callable[[str], SeatrialError | None], dockerfile: str
) -> tuple[Origin, str]:
    """Return where a base comes from, and why it cannot be pulled.

    `hindrance` gives why there is no local substitute for an image; None where there is. Raises a BuildError where the
    base comes from nowhere.
    """
    if registries.has_locally(base.reference):
        return Origin.PRESENT, ""
    refusal = registries.refusal(base.reference)
    if refusal is None:
        return Origin.PULLABLE, ""
    hindered = hindrance(base.reference)
    if hindered is None:
        return Origin.SUBSTITUTE, refusal.reason
    if not refusal.certain:
        return Origin.UNCERTAIN, refusal.reason
    where = f"{dockerfile}:{base.line}"
    raise unavailable(base.reference, refusal.reason, where=where, stages=base.stages, hindered=hindered)


NO_RECIPE = ImageError(
    "it has no local substitute either.",
    fix="Check its name, load it into the engine with `docker load`, or declare a local substitute: see "
    "docs/local-substitutes.md.",
)


def unavailable(
    reference: str, reason: str, *, where: str, stages: Sequence[str] = (), hindered: SeatrialError = NO_RECIPE
) -> BuildError:
    """Return the error for a base that comes from nowhere; `hindered` is why it has no local substitute."""
    if close := difflib.get_close_matches(reference, stages, n=1):
        return BuildError(
            f"no stage is called {reference!r}, and no such image can be pulled: {reason.rstrip('.')}.",
            where=where,
            fix=f"Did you mean the stage {close[0]!r}?",
        )
    why = f"{hindered.where}: {hindered.what}" if hindered.where else hindered.what
    return BuildError(
        f"the base image {reference} cannot be pulled: {reason.rstrip('.')}; {why}",
        where=where,
        fix=hindered.fix,
        detail=hindered.detail,
    )


def reason_of(message: str) -> str:
    """Return why a registry did not answer, in short where the engine's message is a known one."""
    if lookup := re.search(r"lookup (\S+)[^:]*(?::\d+)?: no such host", message):
        return f"no registry in reach (no such host: {lookup[1]})"
    if refused := re.search(r"dial tcp (\S+): connect: connection refused", message):
        return f"no registry in reach (nothing answers at {refused[1]})"
    return message or "its registry gave no reason"


@contextmanager
def _timeout(api: docker.APIClient, seconds: int) -> Iterator[None]:
    before = api.timeout
    api.timeout = seconds
    try:
        yield
    finally:
        api.timeout = before


@dataclass(frozen=True, kw_only=True)
class Replacements:
    """What replaces the images that the Dockerfile names."""

    substitutes: Mapping[str, str]
    """The official references, each with the local substitute that replaces it."""
    images: Mapping[str, str]
    """References, each with the engine's image that the builder must use for it: the local substitutes, and for a
    builder that does not see the engine's images, what else only the engine has."""
    syntax_left_out: str | None
    """The `# syntax=` image, where it cannot be pulled."""
    differences: str = ""
    """How the local substitutes differ from what their names promise."""


def find_bases(
    plan: BuildPlan, dockerfile: Dockerfile, *, engine: Engine, host: Host, project: Project, registries: Registries
) -> dict[str, tuple[Origin, str]]:
    """Return where each base comes from, and why it cannot be pulled.

    Raises a BuildError for all bases that come from nowhere.
    """
    recipes = offline.recipes(project, host.trust)

    def hindrance(reference: str) -> SeatrialError | None:
        found = offline.find_substitute(reference, recipes)
        return NO_RECIPE if found is None else offline.hindrance(found, host)

    bases = bases_of(dockerfile, plan.build_arguments, _platform_arguments(engine))
    if plan.owner:
        untrusted.require_no_other_projects(engine, dockerfile, bases, plan.owner, where=plan.dockerfile_shown)
    origins: dict[str, tuple[Origin, str]] = {}
    problems: list[BuildError] = []
    shown = plan.dockerfile_shown
    for base in bases:
        try:
            origins[base.reference] = find_base(base, registries=registries, hindrance=hindrance, dockerfile=shown)
        except BuildError as error:
            problems.append(error)
    if problems:
        raise together(problems, "base images cannot be had", where=shown)
    return origins


def require_bases(plan: BuildPlan, *, engine: Engine, host: Host, project: Project, registries: Registries) -> None:
    """Raise a BuildError where bases of a build come from nowhere, as find_bases does."""
    dockerfile = dockerfile_of(plan, project)
    with engine_errors(f"building {plan.tags[0]}"):
        find_bases(plan, dockerfile, engine=engine, host=host, project=project, registries=registries)


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
    """Find out which bases need a local substitute, build those, and announce each.

    `elsewhere`: the builder is not the engine's own and does not see the engine's images.
    """
    recipes = offline.recipes(project, host.trust)
    origins = find_bases(plan, dockerfile, engine=engine, host=host, project=project, registries=registries)
    substitutes: dict[str, str] = {}
    engine_images: dict[str, str] = {}
    for reference, (origin, reason) in origins.items():
        substitute = offline.find_substitute(reference, recipes) if origin is Origin.SUBSTITUTE else None
        if substitute is not None:
            programs.require_named_contexts(engine)
            substitutes[reference] = offline.ensure_substitute(substitute, engine=engine, host=host, say=say)
            say(f"{reference}: {reason}; using the local substitute {substitutes[reference]}")
        elif elsewhere and origin is Origin.PRESENT and (refusal := registries.refusal(reference)) is not None:
            programs.require_named_contexts(engine)
            engine_images[reference] = reference
            say(f"{reference}: {refusal.reason}; passing the engine's image to the builder")
    syntax_left_out = _syntax_left_out(dockerfile.syntax, registries, say, elsewhere=elsewhere)
    labels = {name: engine.client.images.get(image).labels for name, image in substitutes.items()}
    return Replacements(
        substitutes=substitutes,
        images={**substitutes, **engine_images},
        syntax_left_out=syntax_left_out,
        differences="; ".join(f"{name}: {note}" for name, of in labels.items() if (note := of.get(offline.NOTE_LABEL))),
    )


def _syntax_left_out(
    syntax: str | None, registries: Registries, say: Callable[[str], None], *, elsewhere: bool
) -> str | None:
    if syntax is None or (not elsewhere and registries.has_locally(syntax)):
        return None
    if (refusal := registries.refusal(syntax)) is None:
        return None
    owner = "builder" if elsewhere else "engine"
    say(f"{syntax}: {refusal.reason}; using the {owner}'s own Dockerfile syntax")
    return syntax


def _platform_arguments(engine: Engine) -> dict[str, str]:
    """Return the arguments that BuildKit itself gives, as far as a FROM could use them."""
    architecture = str(engine.client.version()["Arch"])
    values = {"OS": "linux", "ARCH": architecture, "PLATFORM": f"linux/{architecture}", "VARIANT": ""}
    return {f"{side}{part}": value for side in ("TARGET", "BUILD") for part, value in values.items()}
