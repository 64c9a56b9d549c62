"""How each installer makes the environment of an image: its commands, in a stage of their own."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from seatrial.adopt.dockerfile_words import shell_word
from seatrial.adopt.model import Project
from seatrial.adopt.tree import Tree, joined
from seatrial.errors import SettingsError

PYTHONS = ("3.13", "3.12", "3.14", "3.11", "3.10")
"""Versions with an official image, the one with the most wheels first."""
TILDE = re.compile(r"^~(\d+)\.(\d+)")
CARET = re.compile(r"^\^(\d+)")
VERSION = re.compile(r"\d+\.\d+")
UV, POETRY, PIPENV = ("uv==0.13.9",), ("poetry==2.5.1",), ("pipenv==2026.10.3",)
PDM = ("pdm==2.29.4", "hishel==1.4.0")
"""With hishel 2 it does not start."""
NO_LOCK = "There is no lock: these are the newest versions of the day that fit."
VENV = "/app/.venv"
RUN_UV = "/opt/tool/bin/uv"
EMPTY = f"{RUN_UV} venv --quiet {VENV}"
MADE = f"python -m venv --without-pip {VENV}"
INTO = f"/opt/tool/bin/pip --python {VENV}/bin/python install"
COMPILED = {
    "mysqlclient": ("build-essential", "pkg-config", "default-libmysqlclient-dev"),
    "psycopg2": ("build-essential", "libpq-dev"),
    "psycopg-c": ("build-essential", "libpq-dev"),
    "uwsgi": ("build-essential",),
    "pyuwsgi": ("build-essential",),
    "pycairo": ("build-essential", "pkg-config", "libcairo2-dev"),
    "python-ldap": ("build-essential", "libldap2-dev", "libsasl2-dev"),
}
"""Distributions without wheels, and the Debian packages that compile them."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """How an installer makes the environment, in a stage of its own."""

    name: str
    requirements: Sequence[str]
    says: str = ""
    environment: Sequence[str] = ()
    reasons: Sequence[str] = ()
    files: Sequence[str] = ()
    """Files that the dependencies are read from, from the build context."""
    dependencies: Sequence[str] = ()
    """Commands; empty where the dependencies come with the project."""
    project: Sequence[str] = ()
    """Commands; empty where the project runs from its folder."""


def tool_of(project: Project, *, root: str, builds: bool, workspace: bool, served: bool) -> Tool:
    """Return how the environment is made.

    `root` is the folder of the build context; `builds`, whether the project itself is installed; `workspace`, whether
    the lock is that of a workspace above it; `served`, whether a server starts it, not a program of its own.
    """
    whole = (f"{INTO} --no-deps .",) if builds else ()
    installer = project.installer.value if project.installer is not None else "pip"
    lock = posixpath.basename(project.lock.value) if project.lock is not None else ""
    exactly = f"The dependencies, exactly as {lock} says." if lock else NO_LOCK
    declared = ("pyproject.toml", *([lock] if lock else []))
    if lock == "uv.lock":
        return _uv(project, builds=builds, workspace=workspace or bool(project.members))
    if lock.startswith("pylock"):
        return _with_uv(
            exactly, (lock,), f"{EMPTY} && {RUN_UV} pip sync --quiet --python {VENV} {shell_word(lock)}", whole
        )
    if installer == "poetry":
        return Tool(
            name="Poetry",
            requirements=POETRY,
            says=exactly,
            reasons=("In the project's folder, from where the image gets it; without pip.",),
            environment=("POETRY_VIRTUALENVS_IN_PROJECT=true", "POETRY_VIRTUALENVS_OPTIONS_NO_PIP=true"),
            files=declared,
            dependencies=("/opt/tool/bin/poetry install --no-interaction --only=main --no-root",),
            # Its pip is not needed for the project alone: the environment's own Python builds it.
            project=whole,
        )
    if installer == "pdm":
        command = f"/opt/tool/bin/pdm {'sync' if lock else 'install'} --prod --no-self --no-editable"
        return Tool(
            name="PDM", requirements=PDM, says=exactly, files=declared, project=whole,
            dependencies=(MADE, f"VIRTUAL_ENV={VENV} {command}"),
        )  # fmt: skip
    if lock == "Pipfile.lock":
        listed = "/opt/tool/bin/pipenv requirements --hash > /tmp/requirements.txt"
        return Tool(
            name="Pipenv", requirements=PIPENV, says=exactly, files=("Pipfile", lock), project=whole,
            dependencies=(MADE, listed, f"{INTO} --requirement /tmp/requirements.txt"),
        )  # fmt: skip
    return _pip(project, whole, root=root, served=served)


def _uv(project: Project, *, builds: bool, workspace: bool) -> Tool:
    if not workspace:
        sync = f"{RUN_UV} sync --locked --no-dev"
        return _with_uv(
            "The dependencies, exactly as uv.lock says.",
            ("pyproject.toml", "uv.lock"),
            f"{sync} --no-install-project",
            (f"{sync} --no-editable",) if builds else (),
        )
    name = project.name.value if project.name is not None else posixpath.basename(project.folder)
    # The members' own declarations are not there yet, so the lock cannot be held against them.
    sync = f"{RUN_UV} sync --frozen --no-dev --package={name}"
    says = f"The dependencies of {name}, exactly as uv.lock says."
    files = ("pyproject.toml", "uv.lock")
    return _with_uv(says, files, f"{sync} --no-install-workspace", (f"{sync} --no-editable",))


def _pip(project: Project, whole: Sequence[str], *, root: str, served: bool) -> Tool:
    running = [each.value for each in project.requirements if not each.value.development]
    lock = project.lock.value if project.lock is not None else ""
    # The one that pins each version; or else that of the usual name, unless the project says itself what it needs.
    usual = [each for each in running if posixpath.basename(each.file) == "requirements.txt"]
    own = whole and project.dependencies and not served
    unpinned = [] if own else usual if whole and project.dependencies else [*usual, *running]
    chosen = next((each for each in running if each.file == lock), next(iter(unpinned), None))
    if chosen is not None:
        name = inside(root, chosen.file)
        says = f"The dependencies, exactly as {name} says." if chosen.pinned else NO_LOCK
        return Tool(
            name="pip", requirements=(), says=says, files=[inside(root, each.file) for each in running],
            dependencies=(MADE, f"{INTO} --requirement {shell_word(name)}"), project=whole,
        )  # fmt: skip
    if whole:
        return Tool(name="pip", requirements=(), project=(MADE, f"{INTO} ."))
    if not project.dependencies:
        return Tool(name="pip", requirements=(), project=(MADE,))
    command = f"{EMPTY} && {RUN_UV} pip install --quiet --python {VENV} --requirement pyproject.toml"
    return _with_uv(NO_LOCK, ("pyproject.toml",), command, ())


def inside(root: str, path: str) -> str:
    """Return a path from the project's folder as one from the build context in `root`."""
    return path[len(root) + 1 :] if root else path


def _with_uv(says: str, files: Sequence[str], command: str, project: Sequence[str]) -> Tool:
    return Tool(
        name="uv",
        requirements=UV,
        says=says,
        reasons=(
            "UV_PYTHON: the image's interpreter, whichever version the project names. UV_LINK_MODE: the cache is",
            "another filesystem, to which no hard link leads.",
        ),
        environment=(
            "UV_PYTHON=/usr/local/bin/python3",
            "UV_PYTHON_DOWNLOADS=never",
            "UV_LINK_MODE=copy",
            f"VIRTUAL_ENV={VENV}",
        ),
        files=files,
        dependencies=(command,),
        project=project,
    )


def python_of(project: Project) -> str:
    """Return the version of Python for the image.

    Raises:
        SettingsError: there is no image of a version that the project allows.
    """
    if project.python is None:
        return PYTHONS[0]
    said = project.python.value.strip()
    if match := CARET.match(said):
        said = f">={said[1:]},<{int(match[1]) + 1}"
    elif match := TILDE.match(said):
        said = f">={said[1:]},<{match[1]}.{int(match[2]) + 1}"
    elif VERSION.match(said):
        said = f"=={'.'.join(said.split('.')[:2])}.*"
    try:
        allowed = SpecifierSet(said)
    except InvalidSpecifier:
        allowed = SpecifierSet()
    for version in PYTHONS:
        # Its newest patch: `>=3.10.2` wants one too.
        if allowed.contains(f"{version}.99"):
            return version
    raise SettingsError(
        f"there is no image of a Python that {project.python.value!r} allows: {', '.join(sorted(PYTHONS))}.",
        where=project.python.where,
        fix="Allow one of these, or write a Dockerfile with a base of your own.",
    )


def is_package(tree: Tree, project: Project) -> bool:
    """Tell whether a project is to be installed: it has a build backend, or a setup.py."""
    folder = project.folder
    return "[build-system]" in tree.text(joined(folder, "pyproject.toml")) or joined(folder, "setup.py") in tree
