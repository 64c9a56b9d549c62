"""What a project declares: its name, dependencies, extras and groups, and the lock that is installed from."""

from __future__ import annotations

import configparser
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from packaging.dependency_groups import DependencyGroupResolver
from packaging.utils import canonicalize_name

from seatrial.dockerfile import DockerfileError, for_target, parse, read
from seatrial.errors import SettingsError
from seatrial.facts import ProjectFacts
from seatrial.filesystem import read_bytes
from seatrial.observe.project.lockfiles import LARGEST_REQUIREMENTS, read_lock, require_inside, requirement_lines
from seatrial.observe.project.selection import NOTHING, chosen_by
from seatrial.requirements import names_of
from seatrial.settings.read import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from seatrial.observe.project.selection import Chosen


DEV = "dev"
"""The name that uv, pip and most projects give the group or extra of development tools."""


def read_project_facts(
    context: Path,
    dockerfile: Path | None = None,
    build_arguments: Mapping[str, str] | None = None,
    target: str | None = None,
) -> ProjectFacts:
    """Return what the project in a build context declares; empty where it declares nothing.

    The Dockerfile, as far as its target needs it, says which of its requirement files, extras and groups are installed.

    Raises:
        SettingsError: one of its files cannot be read, or lies outside of the context.

    """
    chosen = _chosen(context, dockerfile, build_arguments or {}, target)
    pyproject = context / "pyproject.toml"
    document: dict[str, Any] = {}
    if pyproject.is_file():
        require_inside(pyproject, context)
        document = read_toml(pyproject)
    project = _table(document, "project", pyproject)
    name = str(project.get("name") or _poetry(document).get("name") or _setup_cfg_name(context))
    optional = _optional(document, pyproject)
    lock = read_lock(context, name, chosen, _default_groups(document, chosen, optional))
    declared = project.get("dependencies")
    dependencies, file = None, ""
    if declared is not None:
        dependencies, file = _list(declared, pyproject, "project.dependencies"), pyproject.name
    elif poetry := _poetry_names(document):
        dependencies, file = poetry, pyproject.name
    elif chosen.requirements:
        # What the build puts beside them may be somewhere else in the context.
        with suppress(SettingsError):
            dependencies, file = _of_requirement_files(context, chosen.requirements), ", ".join(chosen.requirements)
    elif (context / "requirements.txt").is_file():
        dependencies, file = _of_requirement_files(context, ("requirements.txt",)), "requirements.txt"
    return ProjectFacts(
        name=name,
        build_backend=str(_table(document, "build-system", pyproject).get("build-backend", "")),
        dependencies=dependencies,
        dependencies_file=file,
        dev_group=_dev_group(document, pyproject),
        extras=tuple(
            text for part in chosen.names(optional, optional, ()) for text in optional[part] if dependencies is not None
        ),
        optional=names_of(text for texts in optional.values() for text in texts),
        lock=lock,
    )


def _setup_cfg_name(context: Path) -> str:
    """Return the project's name in its setup.cfg; empty without one."""
    parsed = configparser.RawConfigParser(strict=False)
    with suppress(OSError, ValueError, configparser.Error, SettingsError):
        file = context / "setup.cfg"
        require_inside(file, context)
        parsed.read_string(read_bytes(file, LARGEST_REQUIREMENTS).decode("utf-8"))
    return parsed.get("metadata", "name", fallback="").strip()


def _chosen(context: Path, dockerfile: Path | None, build_arguments: Mapping[str, str], target: str | None) -> Chosen:
    if dockerfile is None:
        return NOTHING
    try:
        parsed = for_target(parse(read(dockerfile)), target, build_arguments)
        return chosen_by(parsed, build_arguments, context)
    except (OSError, DockerfileError):
        # Its own checks tell what is wrong with it.
        return NOTHING


def _of_requirement_files(context: Path, files: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for file in files for text in requirement_lines(context / file, folder=context))


def _optional(document: dict[str, Any], file: Path) -> dict[str, tuple[str, ...]]:
    """Return the requirements of each extra and group, by its normalised name; what is malformed is left out."""
    found: dict[str, tuple[str, ...]] = {}
    extras = _table(_table(document, "project", file), "optional-dependencies", file)
    groups = _table(document, "dependency-groups", file)
    for name, wanted in (*extras.items(), *groups.items()):
        texts = tuple(text for text in wanted if isinstance(text, str)) if isinstance(wanted, list) else ()
        key = canonicalize_name(name)
        found[key] = (*found.get(key, ()), *texts)
    poetry = _poetry(document)
    for name, group in poetry.get("group", {}).items():
        wanted = group.get("dependencies", {}) if isinstance(group, dict) else {}
        found.setdefault(canonicalize_name(name), tuple(map(str, wanted)))
    return found


def _poetry(document: dict[str, Any]) -> dict[str, Any]:
    tool = document.get("tool", {})
    poetry = tool.get("poetry", {}) if isinstance(tool, dict) else {}
    sound = isinstance(poetry, dict) and isinstance(poetry.get("group", {}), dict)
    return poetry if sound else {}


def _poetry_names(document: dict[str, Any]) -> tuple[str, ...]:
    """Return the dependencies that Poetry always installs, by name and extras; their versions are its lock's."""
    found = []
    wanted = _poetry(document).get("dependencies", {})
    for name, how in wanted.items() if isinstance(wanted, dict) else ():
        table = how if isinstance(how, dict) else {}
        if name != "python" and not table.get("optional") and not table.get("markers"):
            extras = ",".join(map(str, table.get("extras", ())))
            found.append(f"{name}[{extras}]" if extras else name)
    return tuple(found)


def _default_groups(document: dict[str, Any], chosen: Chosen, known: Iterable[str]) -> tuple[str, ...]:
    """Return the groups that the lock's tool installs unless it is told otherwise."""
    if chosen.lock == "uv.lock":
        tool = document.get("tool", {})
        uv = tool.get("uv", {}) if isinstance(tool, dict) else {}
        named = uv.get("default-groups", [DEV]) if isinstance(uv, dict) else [DEV]
        return (
            tuple(known) if named == "all" else tuple(map(canonicalize_name, named if isinstance(named, list) else ()))
        )
    if chosen.lock == "poetry.lock":
        groups = _poetry(document).get("group", {}).items()
        return tuple(canonicalize_name(name) for name, group in groups if not (group or {}).get("optional"))
    if chosen.lock == "pdm.lock":
        groups = document.get("dependency-groups", {})
        return tuple(map(canonicalize_name, groups)) if isinstance(groups, dict) else ()
    return ()


def _dev_group(document: dict[str, Any], file: Path) -> tuple[str, ...]:
    groups = _table(document, "dependency-groups", file)
    extras = _table(_table(document, "project", file), "optional-dependencies", file)
    found = list(_list(extras.get(DEV, []), file, f"project.optional-dependencies.{DEV}"))
    if DEV in groups:
        try:
            found += [str(requirement) for requirement in DependencyGroupResolver(groups).resolve(DEV)]
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
