"""What an image of a Django project needs besides its code: which settings it serves with, and its static files."""

from __future__ import annotations

import ast
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping

from seatrial.adopt.model import Project, Start
from seatrial.adopt.tree import Tree, joined
from seatrial.observe.python.trees import imported_from, parse, statements

SETTINGS_MODULE = re.compile(r"""["']DJANGO_SETTINGS_MODULE["']\s*(?:,|\]\s*=)\s*["']([\w.]+)["']""")
STATIC_ROOT = re.compile(r"^STATIC_ROOT\s*=", re.MULTILINE)
MOST_SETTINGS = 20
"""Modules of settings that are read, those that others import among them."""


def served_settings(tree: Tree, project: Project, start: Start) -> str:
    """Return the settings that it is served with, where its manage.py takes other ones; empty where not."""
    served, managed = _said(tree, project, start)
    return served if managed and served != managed else ""


def _said(tree: Tree, project: Project, start: Start) -> tuple[str, str]:
    """Return the settings that the served module names, and those that manage.py names."""
    module = start.reference.partition(":")[0].replace(".", "/")
    folder = joined(project.folder, start.folder)
    files = (joined(folder, f"{module}.py"), joined(project.folder, "manage.py"))
    served, managed = (SETTINGS_MODULE.search(tree.text(file)) for file in files)
    return served[1] if served else "", managed[1] if managed else ""


def _settings(tree: Tree, folder: str, module: str) -> Iterator[str]:
    """Yield the texts of a module of settings and of those that it takes all names from."""
    left, seen = [module], set[str]()
    while left and len(seen) < MOST_SETTINGS:
        name = left.pop()
        inner = name.replace(".", "/")
        files = (joined(folder, f"{inner}.py"), joined(folder, inner, "__init__.py"))
        path = next((path for path in files if path in tree and path not in seen), "")
        if not path:
            continue
        seen.add(path)
        text = tree.text(path)
        yield text
        read = parse(text)
        for node in statements(read.body if read is not None else ()):
            if isinstance(node, ast.ImportFrom) and {"*", "STATIC_ROOT"} & {alias.name for alias in node.names}:
                package = posixpath.basename(path) == "__init__.py"
                left.append(imported_from(node, name, package=package) or "")


def collects(tree: Tree, project: Project, start: Start, values: Mapping[str, str]) -> str:
    """Return the command that collects its static files; empty where its settings name no folder for them.

    `values` are given to the variables that the settings require.
    """
    served, managed = _said(tree, project, start)
    folders = dict.fromkeys((project.folder, joined(project.folder, start.folder)))
    own = (text for folder in folders for text in _settings(tree, folder, served or managed))
    if joined(project.folder, "manage.py") not in tree or not any(STATIC_ROOT.search(text) for text in own):
        return ""
    settings = served_settings(tree, project, start)
    given = {name: value for name, value in values.items() if name != "DJANGO_SETTINGS_MODULE"}
    given |= {"DJANGO_SETTINGS_MODULE": settings} if settings else {}
    # Nothing is connected to: an address needs no password.
    words = [f"{name}={shlex.quote(re.sub(r'//[^/@]+@', '//', value))}" for name, value in given.items()]
    return " \\\n    ".join((*words, ".venv/bin/python manage.py collectstatic --no-input"))
