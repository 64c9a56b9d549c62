"""What the build of an untrusted project may not do on an engine that others use.

An engine shares its tags and its cache mounts between all that build on it, and an image that a Dockerfile names as its
syntax decides what a build is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path

import docker.errors

from seatrial.dockerfile import expand
from seatrial.engine.containers import engine_errors
from seatrial.engine.find import Engine
from seatrial.errors import BuildError
from seatrial.facts.sources import Base, Dockerfile

APP_LABEL = "seatrial.app"
"""On every image that a build of seatrial made, and on what was made from one: the app's name."""
LABEL = "seatrial.untrusted"
"""On the images that untrusted projects build: whose they are."""
CACHE_NAMESPACE = "BUILDKIT_CACHE_MOUNT_NS"
"""The build argument by which BuildKit's Dockerfile frontend keeps the cache mounts of one project to itself."""
SYNTAX_ARGUMENT = "BUILDKIT_SYNTAX"
SYNTAX = re.compile(r"^[^\S\n]*(?:#|//)[^\S\n]*syntax[^\S\n]*=[^\S\n]*(\S*)", re.IGNORECASE | re.MULTILINE)
"""A line that may name the syntax, wherever it stands: after a `#!` line, and behind `//` too."""
DOCKERS_OWN = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?(?:[:@]\S*)?")
BASES = re.compile(r"(?:docker\.io/)?(?:docker/[^/]+|library/[^/]+)|moby/buildkit")
"""Images that builders pull by themselves, and official ones."""
REFERENCE = re.compile(r"[\w./:@-]+", re.ASCII)


def require_no_other_projects(
    engine: Engine, dockerfile: Dockerfile, bases: Iterable[Base], owner: str, *, where: str
) -> None:
    """Refuse images that seatrial built of other projects on this engine, which only their names keep apart.

    `bases` are the images that FROM, COPY --from and RUN --mount name. Raises a BuildError.
    """
    for line, name in _unclear(dockerfile):
        raise BuildError(
            f"which image {name} is cannot be told: refused, as the project is not trusted.",
            where=f"{where}:{line}",
            fix="Name the image itself, or by a plain variable, `${NAME}`; or, if you trust this project, give "
            "--trust project.",
        )
    for base in bases:
        if not REFERENCE.fullmatch(base.reference) or "@" in base.reference:
            # Whoever knows a digest was given the image; what is no reference, the builder refuses.
            continue
        labels = _labels(engine, base.reference)
        if APP_LABEL in labels and labels.get(LABEL) != owner:
            raise BuildError(
                f"{base.reference} is an image of another project on this engine: refused, as the project is not "
                "trusted.",
                where=f"{where}:{base.line}",
                fix="If it is one that a registry holds for all, name it by its digest (NAME@sha256:…); or, if you "
                "trust this project, give --trust project.",
            )


def _unclear(dockerfile: Dockerfile) -> Iterator[tuple[int, str]]:
    """Yield what names an image as only the builder understands it, with its line: quotes, `${A%b}`, ONBUILD."""
    for stage in dockerfile.stages:
        first, *others = stage.instructions
        if re.search(r"[\"'\\$]", expand(stage.base, {})):
            yield first.line, stage.base
        for instruction in others:
            if instruction.keyword == "ONBUILD" and re.search(r"\bfrom=", instruction.text, re.IGNORECASE):
                yield instruction.line, instruction.whole
    for argument in dockerfile.arguments:
        if "$" in expand(argument.text, {}):
            yield argument.line, argument.whole


def _labels(engine: Engine, reference: str) -> Mapping[str, str]:
    """Return the labels of an image that the engine has; of another one none."""
    with engine_errors(f"looking for {reference}"):
        try:
            return engine.client.images.get(reference).labels
        except docker.errors.ImageNotFound:
            return {}
        except docker.errors.APIError as error:
            if error.status_code == HTTPStatus.BAD_REQUEST:
                return {}
            raise


def owner_of(folder: Path) -> str:
    """Return what tells the images and caches of one checkout from those of others."""
    return hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def require_dockers_syntax(text: str, arguments: Mapping[str, str], *, where: str, settings: str) -> None:
    """Refuse a Dockerfile that another program than Docker's would read; raises a BuildError."""
    if SYNTAX_ARGUMENT in arguments:
        what = f"the build argument {SYNTAX_ARGUMENT} names the program that makes the build"
        raise BuildError(f"{what}: refused, as the project is not trusted.", where=settings, fix="Take it out.")
    text = text.lstrip("\ufeff")
    found = next((match for match in SYNTAX.finditer(text) if DOCKERS_OWN.fullmatch(match[1]) is None), None)
    if found is None and not text.lstrip().startswith("{"):
        return
    line = text.count("\n", 0, found.start(1)) + 1 if found else 1
    named = found[1] if found else "an image in JSON"
    raise BuildError(
        f"its syntax is {named}, a program that makes the build: refused, as the project is not trusted.",
        where=f"{where}:{line}",
        fix="Take the line out, or name docker/dockerfile; or, if you trust this project, give --trust project.",
    )


def require_own_tags(engine: Engine, tags: tuple[str, ...], image: str, owner: str, *, where: str) -> None:
    """Refuse tags that mean another image by now, or an official one; raises a BuildError."""
    taken = BASES.fullmatch(image) is not None
    for tag in tags:
        with engine_errors(f"looking for {tag}"):
            try:
                labels = engine.client.images.get(tag).labels
            except docker.errors.ImageNotFound:
                labels = {LABEL: "" if taken else owner}
        if labels.get(LABEL) != owner:
            what = "is an image that builds use" if taken else "is an image that this project did not build"
            raise BuildError(
                f"{tag} {what}: it is not replaced, as the project is not trusted.",
                where=where,
                fix=f"Give it another `image`, or remove the other one (`docker image rm {tag}`); "
                "or, if you trust this project, give --trust project.",
            )
