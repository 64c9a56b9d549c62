"""Reads what an app's own project files declare: direct dependencies and the dev group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.dependency_groups import DependencyGroupResolver

from seatrial.errors import SettingsError
from seatrial.facts.data import ProjectFacts
from seatrial.facts.locks import read_lock, requirement_lines
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
    project = _table(document, "project", pyproject)
    lock = read_lock(context, str(project.get("name", "")))
    declared = project.get("dependencies")
    if declared is not None:
        dependencies, file = _list(declared, pyproject, "project.dependencies"), pyproject.name
    elif requirements.is_file():
        dependencies, file = tuple(requirement_lines(requirements)), requirements.name
    else:
        return ProjectFacts(name=str(project.get("name", "")), dev_group=_dev_group(document, pyproject), lock=lock)
    return ProjectFacts(
        name=str(project.get("name", "")),
        dependencies=dependencies,
        dependencies_file=file,
        dev_group=_dev_group(document, pyproject),
        lock=lock,
    )


def _dev_group(document: dict[str, Any], file: Path) -> tuple[str, ...]:
    groups = _table(document, "dependency-groups", file)
    extras = _table(_table(document, "project", file), "optional-dependencies", file)
    found = list(_list(extras.get(DEV, []), file, f"project.optional-dependencies.{DEV}"))
    if DEV in groups:
        try:
            found += [str(one) for one in DependencyGroupResolver(groups).resolve(DEV)]
        except ExceptionGroup as group:
            # packaging gathers what is wrong in one; the first tells enough.
            raise SettingsError(f"{group.exceptions[0]}.", where=f"{file} [dependency-groups] {DEV}") from group
        except (ValueError, TypeError, LookupError) as error:
            raise SettingsError(f"{error}.", where=f"{file} [dependency-groups] {DEV}") from error
    return names_of(found)


def _table(document: dict[str, Any], key: str, file: Path) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise SettingsError("expected a table.", where=f"{file} {key}")
    return table


def _list(value: object, file: Path, key: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise SettingsError("expected a list.", where=f"{file} {key}")
    return tuple(map(str, value))
