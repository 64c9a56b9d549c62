"""What `seatrial init --ci` writes: a workflow that builds and smokes each app, for GitHub or GitLab."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import TYPE_CHECKING

from seatrial import __version__
from seatrial.errors import SettingsError

if TYPE_CHECKING:
    from seatrial.settings.read import Project

FILES = {"github": ".github/workflows/images.yml", "gitlab": ".gitlab-ci.yml"}
"""The file that each system reads."""
ROWS = {
    "github": '          - {{ app: {app}, python: "{python}" }}',
    "gitlab": '      - APP: {app}\n        PYTHON: "{python}"',
}
"""A row of the matrix: an app and one of its Python versions."""
PLAIN = re.compile(r"[A-Za-z0-9][\w.-]*")


def workflow(system: str, project: Project) -> str:
    """Return the workflow of a project: its apps on their Python versions, as a matrix.

    Raises:
        SettingsError: no app is declared, or the name of one could be read as more than a name.
    """
    names = project.chosen(None)
    if odd := next((name for name in names if not PLAIN.fullmatch(name)), None):
        raise SettingsError(
            f"the app {odd!r} has a name that a workflow cannot hold.",
            where=project.file.name,
            fix="Give it one of letters, digits, dots, underscores and hyphens.",
        )
    pairs = [(name, python) for name, app in names.items() for python in app.pythons or ("",)]
    rows = [ROWS[system].format(app=json.dumps(name), python=python) for name, python in pairs]
    text = resources.files(__name__).joinpath(f"{system}.yml").read_text("utf-8")
    return text.replace("@version@", __version__).replace("@matrix@", "\n".join(rows))
