"""Recipes of local substitutes: which image's name fits which, and what is made of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import SettingsError
from seatrial.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


PREFIX = "seatrial-standin"
"""What the name of every local substitute starts with."""

ALPINE_TAG = re.compile(r"alpine[\d.]*")
"""The part of a tag that says that an image is built on Alpine."""
HUB = re.compile(r"^(?:(?:index\.|registry-1\.)?docker\.io/)?(?:library/)?(?=[^/]+$)|^(?:index\.)?docker\.io/")


class Kind(StrEnum):
    """What an input of a recipe can be."""

    ROOTFS = "rootfs"
    """`rootfs:SUITE+PACKAGE+…`: a root filesystem of Debian."""
    DEB = "deb"
    """`deb:SUITE+PACKAGE+…`: the files of Debian's packages alone, without what they depend on."""
    INTERPRETER = "interpreter"
    """`interpreter:X.Y`: a CPython of the host, laid out for /usr/local."""
    WHEEL = "wheel"
    """`wheel:NAME==VERSION`: the programs that a wheel holds."""
    NPM = "npm"
    """`npm:NAME@VERSION+NAME`: packages of npm; the version may be a beginning of one."""
    IMAGE = "image"
    """`image:REFERENCE`: another local substitute."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """A named build context of a recipe, prepared on the host."""

    kind: Kind
    argument: str

    def __str__(self) -> str:
        """Return it as the settings write it."""
        return f"{self.kind}:{self.argument}"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the local substitutes for the images of one name are made; the name may hold `{part}`s.

    `{part<N}` is a number below N.
    """

    pattern: str
    dockerfile: Path = Path()
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Named build contexts, each `kind:argument`; parts of the name are filled in."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Build arguments besides the parts of the name."""
    where: str = ""
    """The settings key that declares it; empty for a built-in one."""
    fallback: Recipe | None = None
    """What is used where the host has no interpreter as the inputs name it."""
    note: str = ""
    """How the image differs from what its name promises."""
    refusal: str = ""
    """Why there can be no local substitute, where one could be expected."""
    instead: str = ""
    """What to name in its place, as the beginning of an advice; by default those that the refusal lists."""

    def match(self, name: str) -> dict[str, str] | None:
        """Return the parts of a name that fits, or None."""
        if not name.startswith(self.pattern.partition("{")[0]):
            return None
        found = re.fullmatch(_expression(self.pattern), name)
        return None if found is None else found.groupdict()


@dataclass(frozen=True, kw_only=True)
class Substitute:
    """How the local substitute for one image is made."""

    reference: str
    """The official image, by its short name."""
    name: str
    """The local image."""
    dockerfile: Path
    inputs: Mapping[str, Input] = field(default_factory=dict)
    images: Mapping[str, Substitute] = field(default_factory=dict)
    """The local substitutes that the inputs name."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Build arguments."""
    fallback: Substitute | None = None
    """What is used where the host has no interpreter as the inputs name it."""
    note: str = ""
    """How it differs from what its name promises."""
    refusal: str = ""
    """Why there can be none."""
    instead: str = ""
    """What to name in its place, as the beginning of an advice."""


def parse_input(text: str, *, where: str) -> Input:
    """Read `kind:argument`."""
    kind, _, argument = text.partition(":")
    kinds = [known.value for known in Kind]
    if kind not in kinds:
        raise SettingsError(f"{text!r} is not a valid input.", where=where, fix=did_you_mean(kind, kinds))
    if not argument:
        raise SettingsError(f"the input {text!r} has nothing after its kind.", where=where)
    return Input(kind=Kind(kind), argument=argument)


def find_substitute(reference: str, recipes: Sequence[Recipe], *, parents: tuple[str, ...] = ()) -> Substitute | None:
    """Return the local substitute for an image as a Dockerfile or a compose file names it; None without a recipe.

    Nothing is built. A digest after the tag is ignored: no local substitute can have it. Raises a SettingsError where
    a project's recipe needs an image that has no recipe, or needs itself: `parents` are the images that need this one.
    """
    name = short_name(reference)
    for recipe in recipes:
        if (parts := recipe.match(name)) is not None:
            return _substitute(recipe, name, parts, recipes, parents)
    return None


def _substitute(
    recipe: Recipe, name: str, parts: Mapping[str, str], recipes: Sequence[Recipe], parents: tuple[str, ...]
) -> Substitute:
    inputs = {key: _filled(text, parts, recipe.where) for key, text in recipe.inputs.items()}
    images: dict[str, Substitute] = {}
    for needed in (value.argument for value in inputs.values() if value.kind is Kind.IMAGE):
        if short_name(needed) in (*parents, name):
            raise SettingsError(
                f"the local substitute for {name} needs itself, through {needed}.",
                where=recipe.where,
                fix="Name another image in its inputs.",
            )
        found = find_substitute(needed, recipes, parents=(*parents, name))
        if found is None:
            raise SettingsError(
                f"the local substitute for {name} needs {needed}, which has no recipe.",
                where=recipe.where,
                fix="Name an image that has a local substitute: see docs/local-substitutes.md.",
            )
        images[needed] = found
    fallback = recipe.fallback
    return Substitute(
        reference=name,
        name=local_name(name),
        dockerfile=recipe.dockerfile,
        inputs=inputs,
        images=images,
        arguments={**{part.upper(): value for part, value in parts.items()}, **recipe.arguments},
        fallback=None if fallback is None else _substitute(fallback, name, parts, recipes, parents),
        note=recipe.note,
        refusal=recipe.refusal,
        instead=recipe.instead or (_not_alpine(name, recipes) if "alpine" in parts else "Use one of those"),
    )


def _not_alpine(name: str, recipes: Sequence[Recipe]) -> str:
    """Return the advice to name an image on Debian in the place of one on Alpine: the first that can be had."""
    repository, _, tag = name.rpartition(":")
    if repository.rpartition("/")[2] == "alpine":
        return "Name debian:trixie-slim"
    endings = ("slim",) if repository == "python" else ("", "trixie-slim")
    named = (f"{repository}:{ALPINE_TAG.sub(ending, tag).strip('-') or 'latest'}" for ending in endings)
    known = (image for image in named if (found := find_substitute(image, recipes)) and not found.refusal)
    return f"Name {next(known, 'an image that is built on Debian')}"


def _filled(text: str, parts: Mapping[str, str], where: str) -> Input:
    for part, value in parts.items():
        text = text.replace(f"{{{part}}}", value)
    return parse_input(text, where=where)


def _expression(pattern: str) -> str:
    # A version that could be a word would let `{version}` take `latest` or `alpine`.
    kinds = {
        "version": r"\d+(?:\.\d+)*",
        "patch": r"\d+",
        "python": r"\d+\.\d+",
        "suite": r"[a-z]+",
        "alpine": rf"(?:.*/)?alpine:.*|.*[:-]{ALPINE_TAG.pattern}(?:-.*)?",
    }

    def part(name: str, below: str | None) -> str:
        allowed = kinds.get(name, r"[A-Za-z0-9_.-]+") if below is None else "|".join(map(str, range(int(below))))
        return f"(?P<{name}>{allowed})"

    text, *rest = re.split(r"\{([a-z_]+)(?:<(\d+))?\}", pattern)
    parts = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    return re.escape(text) + "".join(part(name, below) + re.escape(after) for name, below, after in parts)


def short_name(reference: str) -> str:
    """Return an image's name as people write it.

    `docker.io/library/python:3.13-slim@sha256:…` is python:3.13-slim; a name without a tag means `latest`.
    """
    name = HUB.sub("", reference.partition("@")[0].strip())
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def local_name(name: str) -> str:
    """Return the local substitute's own name: never the official one."""
    repository, _, tag = name.rpartition(":")
    return f"{PREFIX}/{repository.replace(':', '-')}:{tag}"
