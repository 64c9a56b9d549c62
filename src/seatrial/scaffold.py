"""Plans and writes what a project needs to start with seatrial: its Dockerfiles as apps, and a tasks.py.

What cannot be planned raises SettingsError; a file that cannot be written, OSError.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seatrial.adopt.model import Understanding
from seatrial.adopt.understand import understand
from seatrial.errors import SettingsError
from seatrial.filesystem import is_file, read_bytes, replace
from seatrial.settings.read import LARGEST, read_toml

TASKS = 'from seatrial.tasks import ns\n\n__all__ = ["ns"]\n'
COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
SKIPPED = {".git", ".venv", "venv", "node_modules", ".nox", ".tox", "build", "dist"}
DEEPEST = 3
"""Levels of folders below the project's in which Dockerfiles are searched."""


def plan(folder: Path, understanding: Understanding | None = None) -> dict[Path, str]:
    """Return the text to append, by file; empty where nothing is missing.

    `understanding` is what is understood of the folder, where that is known already.
    """
    written: dict[Path, str] = {}
    pyproject = folder / "pyproject.toml"
    if not pyproject.resolve().is_relative_to(folder.resolve()):
        raise SettingsError(
            f"is a link to {pyproject.resolve()}, outside of the project: nothing is written there.",
            where=str(pyproject),
            fix="Make it a file of the project.",
        )
    document = read_toml(pyproject) if pyproject.exists() else {}
    if not _table(_table(document, "tool"), "seatrial").get("apps"):
        found = _understood(folder, understanding or understand(folder))
        dockerfiles = [] if found else list(_dockerfiles(folder))
        if not found and not dockerfiles:
            raise SettingsError(
                "no Dockerfile in this folder or below it.",
                where=str(folder),
                fix="Write one, or declare an app yourself: [tool.seatrial.apps.NAME].",
            )
        project = str(_table(document, "project").get("name", folder.resolve().name))
        written[pyproject] = "\n".join(found or _apps(folder, dockerfiles, project))
        _require_appendable(pyproject, written[pyproject])
    if not (folder / "tasks.py").exists():
        written[folder / "tasks.py"] = TASKS
    return written


def _require_appendable(file: Path, text: str) -> None:
    """Refuse a file to which no table can be appended: `tool` or `tool.seatrial` is an inline table, or no table."""
    before = read_bytes(file, LARGEST).decode("utf-8") if file.exists() else ""
    try:
        tomllib.loads(f"{before}\n{text}")
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"no table can be appended: {error}.",
            where=str(file),
            fix="Write [tool.…] as a separate table, or add the apps yourself.",
            detail=text,
        ) from None


def write(planned: Mapping[Path, str]) -> None:
    """Add the planned text to the files, each whole or not at all."""
    for file, text in planned.items():
        # In bytes, so that the line ends stay as they are.
        before = file.read_bytes() if file.exists() else b""
        gap = b"" if not before else b"\n" if before.endswith(b"\n") else b"\n\n"
        replace(file, before + gap + text.encode())


def _dockerfiles(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        depth = len(Path(here).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if name not in SKIPPED) if depth < DEEPEST else []
        if "Dockerfile" in names:
            yield Path(here) / "Dockerfile"


def _understood(folder: Path, understanding: Understanding) -> list[str]:
    """Return a table for each image of a Python project that is understood and has a Dockerfile."""
    tables: list[str] = []
    for app in understanding.apps:
        context, dockerfile = app.context.value, app.dockerfile.value if app.dockerfile is not None else ""
        if not app.python or context.startswith("..") or not is_file(folder / dockerfile):
            continue
        rows = [
            f"[tool.seatrial.apps.{app.name.value}]",
            # JSON's strings are TOML's basic strings.
            f"context = {json.dumps(context)}",
            f"dockerfile = {json.dumps(dockerfile)}",
        ]
        if app.target:
            rows.append(f"# The compose file builds its target {app.target}.")
        if app.compose:
            rows.append(f"compose = {json.dumps(app.compose[0])}")
        tables.append("\n".join(rows) + "\n")
    return tables


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = document.get(key)
    return table if isinstance(table, dict) else {}


def _apps(folder: Path, dockerfiles: list[Path], project: str) -> Iterator[str]:
    """Yield a table for each app; a name that is taken gets a number."""
    taken: set[str] = set()
    for dockerfile in dockerfiles:
        place = dockerfile.parent.relative_to(folder)
        plain = project if str(place) == "." else place.name
        name = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "app"
        names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
        free = next(name for name in names if name not in taken)
        taken.add(free)
        yield _app(folder, dockerfile, free)


def _app(folder: Path, dockerfile: Path, name: str) -> str:
    place = dockerfile.parent.relative_to(folder)
    # A Dockerfile in its own folder, such as docker/, mostly builds the whole project.
    own = any((dockerfile.parent / marker).exists() for marker in ("pyproject.toml", "requirements.txt"))
    rows = [
        f"[tool.seatrial.apps.{name}]",
        # JSON's strings are TOML's basic strings.
        f"context = {json.dumps(place.as_posix() if own else '.')}",
        f"dockerfile = {json.dumps(dockerfile.relative_to(folder).as_posix())}",
    ]
    compose = next((name for name in COMPOSE if (dockerfile.parent / name).exists()), None)
    if compose:
        rows.append(f"compose = {json.dumps((place / compose).as_posix())}")
    return "\n".join(rows) + "\n"
