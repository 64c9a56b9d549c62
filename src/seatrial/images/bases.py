"""Where each base of a build comes from: the engine, a registry, or a stand-in."""

from __future__ import annotations

import difflib
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING

from seatrial.errors import BuildError
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import docker

    from seatrial.dockerfile import Base
    from seatrial.engine.find import Engine

PATIENCE = 5
"""Seconds that a registry has to answer, before it counts as out of reach."""
DOCKER_HUB = "docker.io"


class Origin(StrEnum):
    """Where a base comes from."""

    PRESENT = "present"
    """The engine has it."""
    PULLABLE = "pullable"
    """A registry has it; BuildKit will fetch it."""
    STAND_IN = "stand-in"
    UNCERTAIN = "uncertain"
    """Nobody could say; BuildKit will try, and say why it cannot."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A base, and where it comes from."""

    base: Base
    origin: Origin
    reason: str = ""
    """Why a registry cannot give it."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a registry does not give an image."""

    reason: str
    certain: bool
    """False: it was not asked to the end (too slow, credentials that cannot be read)."""


@dataclass(kw_only=True)
class Registries:
    """What the registries said in this run: one that is out of reach is asked once."""

    engine: Engine
    patience: int = PATIENCE
    _out_of_reach: dict[str, Refusal] = field(default_factory=dict, init=False)
    _given: set[str] = field(default_factory=set, init=False)

    def has_locally(self, reference: str) -> bool:
        """Tell whether the engine has an image."""
        import docker.errors

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
        if registry in self._out_of_reach:
            return self._out_of_reach[registry]
        if reference in self._given:
            return None
        refusal, reached = self._ask(reference)
        if refusal is None:
            self._given.add(reference)
        elif not reached:
            self._out_of_reach[registry] = refusal
        return refusal

    def _ask(self, reference: str) -> tuple[Refusal | None, bool]:
        """Return the refusal, and whether the registry itself was reached."""
        import docker.errors
        import requests

        try:
            with _patience(self.engine.client.api, self.patience):
                self.engine.client.images.get_registry_data(reference)
        except docker.errors.APIError as error:
            said = plain_line(str(error.explanation or error))
            # The engine hands a registry's refusal on as 4xx; 5xx: it got no answer out of it.
            reached = error.status_code is not None and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
            return Refusal(reason=said if reached else reason_of(said), certain=True), reached
        except requests.exceptions.Timeout:
            reason = f"{registry_of(reference)} did not answer within {self.patience} s"
            return Refusal(reason=reason, certain=False), False
        except docker.errors.DockerException as error:
            # Credentials that docker-py cannot read, where buildx may yet be able to.
            return Refusal(reason=plain_line(str(error)), certain=False), True
        return None, True


def registry_of(reference: str) -> str:
    """Return the registry that an image's name points to."""
    first, slash, _ = reference.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    return first.removeprefix("index.") if named else DOCKER_HUB


def find_base(base: Base, *, registries: Registries, known: Callable[[str], bool], dockerfile: str) -> Found:
    """Return where a base comes from.

    Args:
        base: the base.
        registries: what asks the engine and the registries.
        known: tells whether a stand-in is known for a reference.
        dockerfile: the Dockerfile, as a person knows it.

    Raises:
        BuildError: neither the engine, a registry nor a stand-in has it; the message says why.

    """
    if registries.has_locally(base.reference):
        return Found(base=base, origin=Origin.PRESENT)
    refusal = registries.refusal(base.reference)
    if refusal is None:
        return Found(base=base, origin=Origin.PULLABLE)
    if known(base.reference):
        return Found(base=base, origin=Origin.STAND_IN, reason=refusal.reason)
    if not refusal.certain:
        return Found(base=base, origin=Origin.UNCERTAIN, reason=refusal.reason)
    raise no_base(base.reference, refusal.reason, where=f"{dockerfile}:{base.line}", stages=base.stages)


def no_base(reference: str, reason: str, *, where: str, stages: Sequence[str] = ()) -> BuildError:
    """Return the error for a base that nobody has."""
    if close := difflib.get_close_matches(reference, stages, n=1):
        return BuildError(
            f"no stage is called {reference!r}, and no such image can be had: {reason.rstrip('.')}.",
            where=where,
            fix=f"Did you mean the stage {close[0]!r}?",
        )
    return BuildError(
        f"the base image {reference} cannot be had: {reason.rstrip('.')}; and no stand-in is known for it.",
        where=where,
        fix="Check its name, load it into the engine with `docker load`, or declare a stand-in (docs/standins.md).",
    )


def reason_of(said: str) -> str:
    """Return why a registry gave nothing, in a person's words where the engine's are known."""
    lookup = re.search(r"lookup (\S+)[^:]*(?::\d+)?: no such host", said)
    if lookup:
        return f"no registry in reach (no such host: {lookup.group(1)})"
    refused = re.search(r"dial tcp (\S+): connect: connection refused", said)
    if refused:
        return f"no registry in reach (nothing answers at {refused.group(1)})"
    return said or "its registry gave no reason"


def find_bases(
    bases: Sequence[Base], *, registries: Registries, known: Callable[[str], bool], dockerfile: str
) -> tuple[Found, ...]:
    """Return where each base comes from; see find_base."""
    return tuple(find_base(base, registries=registries, known=known, dockerfile=dockerfile) for base in bases)


@contextmanager
def _patience(api: docker.APIClient, seconds: int) -> Iterator[None]:
    before = api.timeout
    api.timeout = seconds
    try:
        yield
    finally:
        api.timeout = before
