"""The local substitutes that are known: a project's own recipes first, then the built-in ones."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import SettingsError
from seatrial.text import did_you_mean, toml_value
from seatrial.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.settings.read import Project


PREFIX = "seatrial-standin"
"""What the name of every local substitute starts with."""

HUB = re.compile(r"^(?:(?:index\.|registry-1\.)?docker\.io/)?(?:library/)?(?=[^/]+$)|^(?:index\.)?docker\.io/")


class Kind(StrEnum):
    """What an input of a recipe can be."""

    ROOTFS = "rootfs"
    """`rootfs:SUITE+PACKAGE+…`: a root filesystem of Debian."""
    INTERPRETER = "interpreter"
    """`interpreter:X.Y`: a CPython of the host, laid out for /usr/local."""
    WHEEL = "wheel"
    """`wheel:NAME==VERSION`: the programs that a wheel holds."""
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
    """How the local substitutes for the images of one name are made; the name may hold `{part}`s."""

    pattern: str
    dockerfile: Path
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

    def match(self, name: str) -> dict[str, str] | None:
        """Return the parts of a name that fits, or None."""
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
    )


def _filled(text: str, parts: Mapping[str, str], where: str) -> Input:
    for part, value in parts.items():
        text = text.replace(f"{{{part}}}", value)
    return parse_input(text, where=where)


def _expression(pattern: str) -> str:
    # A version that could be a word would let `{version}` take `latest` or `alpine`.
    kinds = {"version": r"\d+(?:\.\d+)*", "suite": r"[a-z]+"}
    pieces = re.split(r"\{([a-z_]+)\}", pattern)
    return "".join(
        f"(?P<{piece}>{kinds.get(piece, r'[A-Za-z0-9_.-]+')})" if index % 2 else re.escape(piece)
        for index, piece in enumerate(pieces)
    )


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


FOLDER = Path(__file__).parent / "recipes"

DEFAULT_SUITE = "trixie"
"""The suite of an official Python tag that names none."""
DEBIAN_SUITES = ("bookworm", "trixie", "forky")

PYTHON_PACKAGES = ("ca-certificates", "netbase", "tzdata")
PYTHON_LIBRARIES = {
    "bookworm": (
        "libbz2-1.0", "libdb5.3", "libffi8", "libgdbm-compat4", "libgdbm6", "liblzma5", "libncursesw6",
        "libnsl2", "libreadline8", "libsqlite3-0", "libssl3", "libuuid1", "zlib1g",
    ),
    "trixie": (
        "libbz2-1.0", "libdb5.3t64", "libffi8", "libgdbm-compat4t64", "libgdbm6t64", "liblzma5",
        "libncursesw6", "libnsl2", "libreadline8t64", "libsqlite3-0", "libssl3t64", "libuuid1", "libzstd1",
        "zlib1g",
    ),
}  # fmt: skip
"""The shared libraries that CPython's C modules need; package names differ between suites."""
LAST_WITH_LOCALE = 12
"""The last 3.x whose official image sets LANG."""
DEBIAN_PYTHONS = {"3.11": "bookworm", "3.13": "trixie", "3.14": "forky"}
"""The suite whose own Python is used where the host has none of that version."""

DEBIAN_POSTGRES = {"15": "bookworm", "17": "trixie", "18": "forky"}
"""The suite that has a major version of PostgreSQL."""
POSTGRES_PACKAGES = ("ca-certificates", "libnss-wrapper", "tzdata")
POSTGRES_FOLDERS = {"18": {"DATA": "/var/lib/postgresql/18/docker", "MOUNT": "/var/lib/postgresql"}}
"""Since 18 the official image has its volume one folder higher."""


def recipes(project: Project | None, trust: Trust = Trust.PROJECT) -> tuple[Recipe, ...]:
    """Return the recipes of the settings, then the built-in ones: the first that fits is taken.

    A project that is not trusted has none of its own. Raises a SettingsError where an input of a project's recipe is
    malformed, or its Dockerfile lies outside of the project.
    """
    return (*(_of_project(project) if project and trust is not Trust.NONE else ()), *built_in())


def built_in() -> tuple[Recipe, ...]:
    """Return the built-in recipes, the more particular ones first."""
    debian = [
        Recipe(pattern=f"debian:{suite}-slim", dockerfile=FOLDER / "debian.Dockerfile", inputs=_rootfs(suite))
        for suite in DEBIAN_SUITES
    ]
    return (*debian, *_pythons(), *_uv(), *_postgres())


def _of_project(project: Project) -> list[Recipe]:
    found: list[Recipe] = []
    for name, declared in project.settings.standins.items():
        where = f"{project.file}: {project.table('standins', toml_value(name))}"
        for key, text in declared.inputs.items():
            parse_input(text, where=f"{where} inputs.{key}")
        dockerfile = project.folder / declared.recipe
        if not dockerfile.resolve().is_relative_to(project.folder.resolve()):
            raise SettingsError(
                f"the recipe {declared.recipe} lies outside of the project's folder.", where=f"{where} recipe"
            )
        found.append(Recipe(pattern=name, dockerfile=dockerfile, inputs=declared.inputs, where=where))
    return found


def _rootfs(suite: str, *packages: str) -> dict[str, str]:
    return {"rootfs": f"rootfs:{'+'.join((suite, *packages))}"}


def _pythons() -> list[Recipe]:
    found: list[Recipe] = []
    for suite in PYTHON_LIBRARIES:
        for ending in [f"-{suite}", ""] if suite == DEFAULT_SUITE else [f"-{suite}"]:
            found += [_python(version, suite, ending) for version in (*DEBIAN_PYTHONS, "{version}")]
    return found


def _python(version: str, suite: str, ending: str) -> Recipe:
    return Recipe(
        pattern=f"python:{version}-slim{ending}",
        dockerfile=FOLDER / "python.Dockerfile",
        inputs={**_rootfs(suite, *PYTHON_PACKAGES, *PYTHON_LIBRARIES[suite]), "interpreter": f"interpreter:{version}"},
        fallback=_debian_python(version) if version in DEBIAN_PYTHONS else None,
    )


def _debian_python(version: str) -> Recipe:
    suite = DEBIAN_PYTHONS[version]
    return Recipe(
        pattern="",
        dockerfile=FOLDER / "python-debian.Dockerfile",
        inputs=_rootfs(suite, *PYTHON_PACKAGES, f"python{version}-venv", "python3-pip-whl"),
        arguments={"VERSION": version, "LOCALE": locale(version)},
        note=f"this host has no Python {version}; Debian {suite}'s own is used",
    )


def locale(version: str) -> str:
    """Return which locale the official image of a Python version sets: C.UTF-8 up to 3.12, none since."""
    return "utf8" if int(version.split(".")[1]) <= LAST_WITH_LOCALE else "none"


def _uv() -> list[Recipe]:
    # Tags such as 0.9 or 0.9.5 mean the newest release that starts so.
    requirements = {"latest": "uv", "{version}": "uv=={version}.*"}
    return [
        Recipe(
            pattern=f"ghcr.io/astral-sh/uv:{tag}",
            dockerfile=FOLDER / "uv.Dockerfile",
            inputs={"programs": f"wheel:{requirement}"},
        )
        for tag, requirement in requirements.items()
    ]


def _postgres() -> list[Recipe]:
    dockerfile = FOLDER / "postgres.Dockerfile"
    found: list[Recipe] = []
    for major, suite in DEBIAN_POSTGRES.items():
        # Until 17 the server brings its just-in-time compiler along; from 18 on it is a separate package.
        jit = ["postgresql-18-jit"] if major == "18" else []
        inputs = _rootfs(suite, *POSTGRES_PACKAGES, f"postgresql-{major}", *jit)
        arguments = {"VERSION": major, **POSTGRES_FOLDERS.get(major, {})}
        found += [
            Recipe(pattern=pattern, dockerfile=dockerfile, inputs=inputs, arguments=arguments)
            for pattern in (f"postgres:{major}", f"postgres:{major}-{suite}")
        ]
    known = ", ".join(f"{major} ({suite})" for major, suite in DEBIAN_POSTGRES.items())
    refusal = f"Debian has PostgreSQL {known} and no other."
    refused = {"{version}": refusal, "{version}-{suite}": refusal, "latest": f"{refusal} Name one of them."}
    found += [
        Recipe(pattern=f"postgres:{tag}", dockerfile=dockerfile, refusal=reason) for tag, reason in refused.items()
    ]
    return found
