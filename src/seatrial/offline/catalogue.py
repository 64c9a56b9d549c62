"""The local substitutes that seatrial knows: which official image, by which recipe, from which inputs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import SettingsError
from seatrial.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(StrEnum):
    """What an input of a recipe can be."""

    ROOTFS = "rootfs"
    """`rootfs:SUITE+PACKAGE+…`: a root filesystem of Debian."""
    INTERPRETER = "interpreter"
    """`interpreter:X.Y`: a CPython of the host, laid out for /usr/local."""
    WHEEL = "wheel"
    """`wheel:NAME==VERSION`: the programs that a wheel holds."""
    IMAGE = "image"
    """`image:REFERENCE`: another stand-in."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """A named build context of a recipe, prepared on the host."""

    kind: Kind
    argument: str

    def __str__(self) -> str:
        """Return it as the settings write it."""
        return f"{self.kind}:{self.argument}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the stand-in for one image is made."""

    reference: str
    """The official image, by its familiar name."""
    name: str
    """The local image."""
    recipe: Path
    inputs: Mapping[str, Input] = field(default_factory=dict)
    images: Mapping[str, Plan] = field(default_factory=dict)
    """The plans of the stand-ins that the inputs name."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Build arguments."""
    otherwise: Plan | None = None
    """What serves where the host has no interpreter as the inputs name it."""
    note: str = ""
    """How it differs from what its name promises."""
    refusal: str = ""
    """Why there can be no stand-in."""


def parse_input(text: str, *, where: str) -> Input:
    """Read `kind:argument`.

    Raises:
        SettingsError: there is no such kind, or no argument.

    """
    kind, _, argument = text.partition(":")
    kinds = [known.value for known in Kind]
    if kind not in kinds:
        raise SettingsError(f"{text!r} is no input of a stand-in.", where=where, fix=did_you_mean(kind, kinds))
    if not argument:
        raise SettingsError(f"the input {text!r} says nothing after its kind.", where=where)
    return Input(kind=Kind(kind), argument=argument)


RECIPES = Path(__file__).parent / "recipes"

DEFAULT_SUITE = "trixie"
"""The suite of an official Python tag that names none."""

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
"""The suite whose own Python serves where the host has none of that version."""
DEBIAN_POSTGRES = {"15": "bookworm", "17": "trixie", "18": "forky"}
"""The suite that has a major version of PostgreSQL."""
POSTGRES_PACKAGES = ("ca-certificates", "libnss-wrapper", "tzdata")
POSTGRES_FOLDERS = {"18": {"DATA": "/var/lib/postgresql/18/docker", "MOUNT": "/var/lib/postgresql"}}
"""Since 18 the official image has its volume one folder higher."""
DEBIAN_SUITES = ("bookworm", "trixie", "forky")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table: an image's name with `{part}`s in it, and how its stand-in is made."""

    pattern: str
    recipe: Path
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Named build contexts, each `kind:argument`; parts of the name are filled in."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Build arguments beside the parts of the name."""
    where: str = ""
    """Who wrote it: empty for seatrial's own, else the settings key."""
    otherwise: Row | None = None
    """What serves where the host has no interpreter as the inputs name it."""
    note: str = ""
    """How it differs from what its name promises."""
    refusal: str = ""
    """Why there can be no stand-in, where one could be expected."""

    def match(self, name: str) -> dict[str, str] | None:
        """Return the parts of a name that fits, or None."""
        found = re.fullmatch(_expression(self.pattern), name)
        return None if found is None else found.groupdict()


def parts(pattern: str) -> list[str]:
    """Return the names of the parts of a pattern, in order."""
    return re.findall(r"\{([a-z_]+)\}", pattern)


def _expression(pattern: str) -> str:
    # A version that could be a word would let `{version}` take `latest` or `alpine`.
    kinds = {"version": r"\d+(?:\.\d+)*", "suite": r"[a-z]+"}
    pieces = re.split(r"\{([a-z_]+)\}", pattern)
    return "".join(
        f"(?P<{piece}>{kinds.get(piece, r'[A-Za-z0-9_.-]+')})" if index % 2 else re.escape(piece)
        for index, piece in enumerate(pieces)
    )


def built_in() -> tuple[Row, ...]:
    """Return the table's own rows, the more particular ones first."""
    return (*_debian(), *_pythons(), *_uv(), *_postgres())


def _debian() -> list[Row]:
    return [
        Row(
            pattern=f"debian:{suite}-slim",
            recipe=RECIPES / "debian.Dockerfile",
            inputs={"rootfs": f"rootfs:{suite}"},
        )
        for suite in DEBIAN_SUITES
    ]


def _pythons() -> list[Row]:
    rows: list[Row] = []
    for suite, libraries in PYTHON_LIBRARIES.items():
        endings = [f"-{suite}", ""] if suite == DEFAULT_SUITE else [f"-{suite}"]
        for ending in endings:
            rows += [_python(version, f"{version}-slim{ending}", suite, libraries) for version in DEBIAN_PYTHONS]
            rows.append(_python("{version}", f"{{version}}-slim{ending}", suite, libraries))
    return rows


def _python(version: str, tag: str, suite: str, libraries: tuple[str, ...]) -> Row:
    return Row(
        pattern=f"python:{tag}",
        recipe=RECIPES / "python.Dockerfile",
        inputs={
            "rootfs": f"rootfs:{'+'.join((suite, *PYTHON_PACKAGES, *libraries))}",
            "interpreter": f"interpreter:{version}",
        },
        otherwise=_debian_python(version) if version in DEBIAN_PYTHONS else None,
    )


def _debian_python(version: str) -> Row:
    suite = DEBIAN_PYTHONS[version]
    packages = (suite, *PYTHON_PACKAGES, f"python{version}-venv", "python3-pip-whl")
    return Row(
        pattern="",
        recipe=RECIPES / "python-debian.Dockerfile",
        inputs={"rootfs": f"rootfs:{'+'.join(packages)}"},
        arguments={"VERSION": version, "LOCALE": locale(version)},
        note=f"this host has no Python {version}: Debian {suite} with its own serves instead",
    )


def locale(version: str) -> str:
    """Return which locale the official image of a Python version sets: C.UTF-8 up to 3.12, none since."""
    return "utf8" if int(version.split(".")[1]) <= LAST_WITH_LOCALE else "none"


def _uv() -> list[Row]:
    recipe = RECIPES / "uv.Dockerfile"
    return [
        Row(pattern="ghcr.io/astral-sh/uv:latest", recipe=recipe, inputs={"programs": "wheel:uv"}),
        # Tags come as 0.9, 0.9.5 and the like: each means the newest that starts so.
        Row(
            pattern="ghcr.io/astral-sh/uv:{version}",
            recipe=recipe,
            inputs={"programs": "wheel:uv=={version}.*"},
        ),
    ]


def _postgres() -> list[Row]:
    recipe = RECIPES / "postgres.Dockerfile"
    rows: list[Row] = []
    for major, suite in DEBIAN_POSTGRES.items():
        # Until 17 the server brings its just-in-time compiler along; from 18 on it is a package of its own.
        jit = ["postgresql-18-jit"] if major == "18" else []
        packages = "+".join((suite, *POSTGRES_PACKAGES, f"postgresql-{major}", *jit))
        for pattern in (f"postgres:{major}", f"postgres:{major}-{suite}"):
            inputs = {"rootfs": f"rootfs:{packages}"}
            arguments = {"VERSION": major, **POSTGRES_FOLDERS.get(major, {})}
            rows.append(Row(pattern=pattern, recipe=recipe, inputs=inputs, arguments=arguments))
    known = ", ".join(f"{major} ({suite})" for major, suite in DEBIAN_POSTGRES.items())
    refusal = f"Debian has PostgreSQL {known} and no other."
    rows += [
        Row(pattern="postgres:{version}", recipe=recipe, refusal=refusal),
        Row(pattern="postgres:{version}-{suite}", recipe=recipe, refusal=refusal),
        Row(pattern="postgres:latest", recipe=recipe, refusal=f"{refusal} Name one of them."),
    ]
    return rows
