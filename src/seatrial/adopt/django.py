"""What an image of a Django project needs besides its code: which settings it serves with, and its static files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from seatrial.adopt.model import Project, Start
from seatrial.adopt.tree import Tree, joined

SETTINGS_MODULE = re.compile(r"""["']DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")
STATIC_ROOT = re.compile(r"^STATIC_ROOT\s*=", re.MULTILINE)
DEEPEST = 3
"""Folders between a project and its settings."""


def served_settings(tree: Tree, project: Project, start: Start) -> str:
    """Return the settings that it is served with, where its manage.py takes other ones; empty where not."""
    module = start.reference.partition(":")[0].replace(".", "/")
    folder = joined(project.folder, start.folder)
    files = (joined(folder, f"{module}.py"), joined(project.folder, "manage.py"))
    served, managed = (SETTINGS_MODULE.search(tree.text(file)) for file in files)
    return served[1] if served and managed and served[1] != managed[1] else ""


def collects(tree: Tree, project: Project, settings: str, values: Mapping[str, str]) -> str:
    """Return the command that collects its static files; empty where no settings name a folder for them.

    `settings` are those that `served_settings` returns; `values` are given to the variables that they require.
    """
    own = (path for path in tree.files if "settings" in path and path.endswith(".py") and path.count("/") <= DEEPEST)
    if joined(project.folder, "manage.py") not in tree or not any(STATIC_ROOT.search(tree.text(path)) for path in own):
        return ""
    given = {**values, **({"DJANGO_SETTINGS_MODULE": settings} if settings else {})}
    # Nothing is connected to: an address needs no password.
    words = [f"{name}={shlex.quote(re.sub(r'//[^/@]+@', '//', value))}" for name, value in given.items()]
    return " \\\n    ".join((*words, ".venv/bin/python manage.py collectstatic --no-input"))
