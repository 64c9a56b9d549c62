"""The recipes for local substitutes: a project's own, then the built-in ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.offline.catalogue import Recipe, parse_input

if TYPE_CHECKING:
    from seatrial.settings.read import Project

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


def recipes(project: Project | None) -> tuple[Recipe, ...]:
    """Return the recipes of `[tool.seatrial.standins]`, then the built-in ones: the first that fits is taken.

    Raises:
        SettingsError: an input of a project's recipe has no kind, or one that does not exist.

    """
    return (*(_of_project(project) if project else ()), *built_in())


def built_in() -> tuple[Recipe, ...]:
    """Return the built-in recipes, the more particular ones first."""
    return (*_debian(), *_pythons(), *_uv(), *_postgres())


def _of_project(project: Project) -> list[Recipe]:
    found: list[Recipe] = []
    for name, declared in project.settings.standins.items():
        where = f'{project.file}: [tool.seatrial.standins."{name}"]'
        for key, text in declared.inputs.items():
            parse_input(text, where=f"{where} inputs.{key}")
        dockerfile = project.folder / declared.recipe
        found.append(Recipe(pattern=name, dockerfile=dockerfile, inputs=declared.inputs, where=where))
    return found


def _rootfs(suite: str, *packages: str) -> dict[str, str]:
    return {"rootfs": f"rootfs:{'+'.join((suite, *packages))}"}


def _debian() -> list[Recipe]:
    dockerfile = FOLDER / "debian.Dockerfile"
    return [
        Recipe(pattern=f"debian:{suite}-slim", dockerfile=dockerfile, inputs=_rootfs(suite)) for suite in DEBIAN_SUITES
    ]


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
        # Until 17 the server brings its just-in-time compiler along; from 18 on it is a package of its own.
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
