"""Reads the settings: the one place that knows their files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.errors import SettingsError
from seatrial.settings.convert import convert
from seatrial.settings.model import App, Contract, Settings
from seatrial.text import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

TABLE = "tool.seatrial"


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project: the folder of its pyproject.toml, and what that file says."""

    folder: Path
    file: Path
    settings: Settings
    declared: dict[str, Any]
    """The `[tool.seatrial]` table as written: what is not in it is a default."""
    name: str

    def app(self, name: str) -> App:
        """Return an app by name.

        Raises:
            SettingsError: no app has that name; the message suggests the nearest.

        """
        try:
            return self.settings.apps[name]
        except KeyError:
            raise SettingsError(
                f"no app is called {name!r}.",
                where=f"{self.file.name} [{TABLE}.apps]",
                fix=did_you_mean(name, self.settings.apps),
            ) from None

    def chosen(self, name: str | None) -> dict[str, App]:
        """Return the app of that name, or every app when no name is given.

        Raises:
            SettingsError: it is unknown, or the project declares none.

        """
        if name is not None:
            return {name: self.app(name)}
        if not self.settings.apps:
            raise SettingsError(
                "no app is declared.",
                where=f"{self.file.name} [{TABLE}.apps]",
                fix=f"Declare one: [{TABLE}.apps.NAME] with context and dockerfile, or run `seatrial init`.",
            )
        return dict(self.settings.apps)

    def context(self, app: App) -> Path:
        """Return the app's build context."""
        return self.folder / app.context

    def dockerfile(self, app: App) -> Path:
        """Return the app's Dockerfile."""
        return self.folder / app.dockerfile if app.dockerfile else self.context(app) / "Dockerfile"


def python_of(name: str, app: App, version: str | None) -> str | None:
    """Return the Python version to build an app for: the given one, or the first that it declares."""
    if version is None:
        return app.pythons[0] if app.pythons else None
    if version not in app.pythons:
        raise SettingsError(
            f"{name} is not declared for Python {version!r}.",
            where=f"[{TABLE}.apps.{name}] pythons",
            fix=f"Declared: {', '.join(app.pythons)}." if app.pythons else "It declares none: set `pythons`.",
        )
    return version


def read_project(start: Path) -> Project:
    """Read the settings of the project that `start` lies in.

    Raises:
        SettingsError: there is no pyproject.toml, it is malformed, or a key or value in it is wrong.

    """
    file = find_file(start)
    document = read_toml(file)
    tool = document.get("tool", {})
    declared = tool.get("seatrial", {}) if isinstance(tool, dict) else {}
    settings = convert(declared, Settings, file=file, table=TABLE)
    project = document.get("project", {})
    name = project.get("name") if isinstance(project, dict) else None
    return Project(
        folder=file.parent,
        file=file,
        settings=settings,
        declared=declared,
        name=name if isinstance(name, str) else file.parent.name,
    )


def read_contract(file: Path) -> Contract:
    """Read a contract from its own file: the keys of an app's contract table.

    Raises:
        SettingsError: it is missing, malformed, or a key or value in it is wrong.

    """
    return convert(read_toml(file), Contract, file=file, table="")


def find_file(start: Path) -> Path:
    """Return the nearest pyproject.toml from a folder upwards."""
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            return file
    raise SettingsError(
        "no pyproject.toml here or in a folder above.",
        where=str(start),
        fix="Go to your project's folder, or run `seatrial init` there.",
    )


def read_toml(file: Path) -> dict[str, Any]:
    """Read a TOML file."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}.", where=str(file)) from error
    except UnicodeDecodeError as error:
        raise SettingsError("is not UTF-8 text.", where=str(file), fix="Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        # ValueError: what tomllib calls wrong, and also a number too long for Python to read.
        raise SettingsError(f"is not TOML: {error}.", where=str(file)) from error
