"""Reads what an app's own project files declare: direct dependencies and the dev group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.dependency_groups import DependencyGroupResolver

from seatrial.errors import SettingsError
from seatrial.facts.data import ProjectFacts
from seatrial.facts.requirements import names_of
from seatrial.settings.read import read_toml

if TYPE_CHECKING:
    from pathlib import Path

DEV = "dev"
"""The name that uv, pip and most projects give the group or extra of development tools."""


def read_project_facts(context: Path) -> ProjectFacts:
    """Return what the project in a build context declares; empty where it declares nothing.

    Raises:
        SettingsError: one of its files cannot be read.

    """
    pyproject = context / "pyproject.toml"
    requirements = context / "requirements.txt"
    document = read_toml(pyproject) if pyproject.is_file() else {}
    project = document.get("project", {})
    declared = project.get("dependencies")
    if declared is not None:
        dependencies, file = tuple(map(str, declared)), pyproject.name
    elif requirements.is_file():
        dependencies, file = tuple(_requirement_lines(requirements)), requirements.name
    else:
        return ProjectFacts(name=str(project.get("name", "")), dev_group=_dev_group(document, pyproject))
    return ProjectFacts(
        name=str(project.get("name", "")),
        dependencies=dependencies,
        dependencies_file=file,
        dev_group=_dev_group(document, pyproject),
    )


def _dev_group(document: dict[str, Any], file: Path) -> tuple[str, ...]:
    groups = document.get("dependency-groups", {})
    extras = document.get("project", {}).get("optional-dependencies", {})
    found: list[str] = list(map(str, extras.get(DEV, ())))
    if DEV in groups:
        try:
            found += [str(one) for one in DependencyGroupResolver(groups).resolve(DEV)]
        except (ValueError, TypeError, LookupError) as error:
            raise SettingsError(f"{error}.", where=f"{file} [dependency-groups] {DEV}") from error
    return names_of(found)


def _requirement_lines(file: Path) -> list[str]:
    # Options (-r, --hash, -e) and comments are no requirements: requirements file format, pip's docs.
    try:
        lines = file.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}.", where=str(file)) from error
    bare = [line.partition(" #")[0].partition(" --")[0].strip() for line in lines]
    return [line for line in bare if line and not line.startswith(("#", "-"))]
