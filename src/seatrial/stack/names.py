"""The name that a stack's containers, networks and volumes carry."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from seatrial.stack.model import Stack

if TYPE_CHECKING:
    from seatrial.settings.read import Project

PROJECT_LABEL = "com.docker.compose.project"
"""The label that compose sets on all that belongs to a stack."""


def identify(project: Project, name: str) -> Stack:
    """Return the stack of an app: what `down`, `ps` and `logs` need, whatever the compose file says by now.

    Raises:
        SettingsError: no app has that name.

    """
    project.app(name)
    # Two checkouts of one project, and two apps whose names differ in odd characters only, get names of
    # their own.
    folder = project.folder.resolve()
    digest = hashlib.sha256(f"{folder}\0{name}".encode()).hexdigest()[:8]
    # Compose takes lower-case letters, digits, hyphens and underscores, and no sign at the start.
    readable = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")
    return Stack(app=name, compose_project=f"{readable}-{digest}" if readable else f"app-{digest}")
