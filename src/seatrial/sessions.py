"""Nox sessions that a project's noxfile registers with one call each.

A noxfile needs two lines:

    from seatrial import sessions
    sessions.image_smoke()

and for known vulnerabilities `sessions.image_scan()`.
"""

from __future__ import annotations

import atexit
import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import nox

from seatrial import owner
from seatrial.errors import EngineError, SettingsError
from seatrial.settings.read import read_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from seatrial.checks.verdict import Smoke
    from seatrial.settings.read import Project

SEATRIAL = (sys.executable, "-m", "seatrial")
"""The command line, run by nox's own interpreter, so that no environment has to be made."""


def image_smoke(
    folder: Path | None = None,
    *,
    tags: Sequence[str] = (),
    fail_on: Literal["error", "warning", "note"] | None = None,
) -> None:
    """Register `image_smoke`: build and smoke each app on each Python version that it declares.

    Each pair is its own session, so that one that fails does not hide the others. Select one with
    `nox -s "image_smoke(APP, VERSION)"`, all of an app with `nox -t APP`.

    Settings that cannot be read end nox with one line.

    Args:
        folder: where the project is; by default where nox was started.
        tags: further tags of these sessions, beside their app's name.
        fail_on: the findings that fail an image, those of this severity and above; by default as its contract says.

    """
    _register("image_smoke", "smoke", "Build and smoke an app's image for one Python version.", folder, tags, fail_on)


def image_scan(
    folder: Path | None = None,
    *,
    tags: Sequence[str] = (),
    fail_on: Literal["error", "warning", "note"] | None = None,
) -> None:
    """Register `image_scan`: build each app, and scan its image for known vulnerabilities that have a fix.

    The arguments are those of `image_smoke`.
    """
    _register("image_scan", "scan", "Build an app's image for one Python version, and scan it.", folder, tags, fail_on)


def _register(
    name: str, command: str, about: str, folder: Path | None, tags: Sequence[str], fail_on: str | None
) -> None:
    try:
        project = read_project(folder or Path.cwd())
    except SettingsError as error:
        sys.exit(f"error: {error}")
    results = Results()
    pairs = [nox.param(app, version, id=_id(app, version), tags=[app, *tags]) for app, version in matrix(project)]

    def session(session: nox.Session, app: str, version: str | None) -> None:
        skip_without_engine(session)
        chosen = ("--app", app, *(("--python", version) if version else ()))
        session.run(*SEATRIAL, "build", *chosen, external=True)
        result = results.file()
        bar = () if fail_on is None else (f"--fail-on={fail_on}",)
        session.run(*SEATRIAL, command, *chosen, *bar, f"--also={result}", *session.posargs, external=True)

    session.__doc__ = about
    paired = nox.parametrize(("app", "version"), pairs)(session)
    nox.session(name=name, venv_backend="none", default=False)(paired)


class Results:
    """The results of this run's smokes. When nox ends, they are printed as a table."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files: list[Path] = []

    def file(self) -> Path:
        """Return the file for the next result."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix=owner.prefix("nox"))
            atexit.register(self.finish)
        self._files.append(Path(self._folder.name) / f"{len(self._files)}.json")
        return self._files[-1]

    def finish(self) -> None:
        """Print the table, and remove the files."""
        smokes = [smoke for file in self._files for smoke in _read(file)]
        if len(smokes) > 1:
            from rich.console import Console

            from seatrial.host import this_host
            from seatrial.reports.console import print_matrix

            colours: Literal["auto"] | None = None if this_host().environment.get("NO_COLOR") else "auto"
            console = Console(stderr=True, color_system=colours, highlight=False, emoji=False, markup=False)
            print_matrix(smokes, console)
        if self._folder is not None:
            self._folder.cleanup()


def _read(file: Path) -> tuple[Smoke, ...]:
    """Return what a smoke wrote; nothing where it did not finish."""
    from seatrial.checks.verdict import Smoke

    try:
        return (msgspec.json.decode(file.read_bytes(), type=Smoke),)
    except (OSError, msgspec.MsgspecError):
        return ()


def matrix(project: Project) -> Iterator[tuple[str, str | None]]:
    """Yield each app with each Python version that it declares, or with None where it declares none."""
    for name, app in project.settings.apps.items():
        for version in app.pythons or (None,):
            yield name, version


def skip_without_engine(session: nox.Session) -> None:
    """Skip a session, with a message, where no Docker engine answers."""
    from seatrial.engine.find import find_engine
    from seatrial.host import this_host

    # nox shows every library's debug lines.
    for library in ("docker", "urllib3"):
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        find_engine(this_host())
    except EngineError as error:
        session.skip(f"NOT RUN: {error}")


def _id(app: str, version: str | None) -> str:
    return f"{app}, {version}" if version else app
