"""Whose word is taken: how far a project's files are trusted. An image never is.

The host and its user are trusted always. A project's own files say nothing about how far they are trusted themselves:
an option does, a variable of the environment, or what CI tells of the change that it runs on.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import SettingsError
from seatrial.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "SEATRIAL_TRUST"
MOST_EVENT = 16 * 1024 * 1024
"""Bytes of GitHub's event file that are read."""


class Trust(StrEnum):
    """How far the files of a project are trusted: its Dockerfiles, compose files, settings and ignore files."""

    NONE = "none"
    """Not at all: nothing of the host is given to them."""
    PROJECT = "project"
    """As much as code of the user's own that needs nothing outside of its folder; what reaches further is announced."""
    HOST = "host"
    """As the host's administrator: also what makes a container as good as root on the host."""

    @property
    def rank(self) -> int:
        """Its place in the order: the higher, the more is trusted."""
        return list(Trust).index(self)


def chosen(environment: Mapping[str, str], option: str | None = None) -> Trust:
    """Return how far the project is trusted: as the option says, then the variable, then as CI's event tells.

    Raises:
        SettingsError: the option or the variable is not a level.
    """
    for source, value in (("--trust", option), (VARIABLE, environment.get(VARIABLE))):
        if value:
            try:
                return Trust(value)
            except ValueError:
                raise SettingsError(
                    f"{source} {value!r} is not known.", fix=did_you_mean(value, [level.value for level in Trust])
                ) from None
    return Trust.NONE if foreign_change(environment) else Trust.PROJECT


def foreign_change(environment: Mapping[str, str]) -> str:
    """Return why a CI run's change is somebody else's: it comes from a fork. Empty where it does not, or outside of CI.

    Sources: GitHub's event payload `pull_request`, GitLab's, Azure Pipelines' and Jenkins' predefined variables.
    """
    get = environment.get
    if get("GITHUB_EVENT_NAME", "").startswith("pull_request"):
        head, base = _repositories(get("GITHUB_EVENT_PATH", ""))
        if head is None or head != base:
            return f"a pull request from {head or 'an unknown repository'}"
    source, target = get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID"), get("CI_MERGE_REQUEST_PROJECT_ID")
    if source != target:
        return f"a merge request from the project {source or 'that was removed'}"
    if get("SYSTEM_PULLREQUEST_ISFORK", "").lower() == "true":
        return "a pull request from a fork"
    if get("CHANGE_FORK"):
        return f"a change from the fork {get('CHANGE_FORK')}"
    return ""


def _repositories(file: str) -> tuple[str | None, str | None]:
    """Return the full names of the repositories that a pull request comes from and goes to; None where unknown."""
    try:
        with Path(file).open(encoding="utf-8") as opened:
            request = json.loads(opened.read(MOST_EVENT))["pull_request"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None, None
    return _full_name(request, "head"), _full_name(request, "base")


def _full_name(request: object, side: str) -> str | None:
    found = request
    for key in (side, "repo", "full_name"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) else None
