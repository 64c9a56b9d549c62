"""The Nox side: sessions that a project's noxfile takes over with one call each.

A noxfile needs two lines:

    from seatrial import sessions
    sessions.image_smoke()
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nox

from seatrial.errors import EngineError, SettingsError
from seatrial.settings.read import read_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.settings.read import Project

SEATRIAL = (sys.executable, "-m", "seatrial")
"""The command line, run by the interpreter that runs nox: no environment has to be made."""


def image_smoke(folder: Path | None = None) -> None:
    """Register `image_smoke`: build and smoke each app on each Python version that it declares.

    Each pair is a session of its own, so that one that fails does not hide the others. Select one with
    `nox -s "image_smoke(APP, VERSION)"`, all of an app with `nox -t APP`.

    Args:
        folder: where the project is; by default where nox was started.

    Settings that cannot be read end nox with one line.
    """
    try:
        project = read_project(folder or Path.cwd())
    except SettingsError as error:
        sys.exit(f"error: {error}")
    pairs = [nox.param(app, version, id=_id(app, version), tags=[app]) for app, version in matrix(project)]

    @nox.session(name="image_smoke", venv_backend="none", default=False)
    @nox.parametrize(("app", "version"), pairs)
    def session(session: nox.Session, app: str, version: str | None) -> None:
        """Build and smoke an app's image for one Python version."""
        skip_without_engine(session)
        chosen = ("--app", app, *(("--python", version) if version else ()))
        session.run(*SEATRIAL, "build", *chosen, external=True)
        session.run(*SEATRIAL, "smoke", *chosen, *session.posargs, external=True)


def matrix(project: Project) -> Iterator[tuple[str, str | None]]:
    """Yield each app with each Python version that it declares, or with None where it declares none."""
    for name, app in project.settings.apps.items():
        for version in app.pythons or (None,):
            yield name, version


def skip_without_engine(session: nox.Session) -> None:
    """Skip a session, and say so loudly, where no Docker engine answers."""
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
