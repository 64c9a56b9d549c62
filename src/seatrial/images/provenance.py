"""The build arguments that say where an image comes from: version, commit, source, time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from seatrial import process
from seatrial.errors import ProgramError, SettingsError
from seatrial.settings.read import read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from seatrial.facts.dockerfile import Dockerfile


GIT_TIMEOUT = 10
LABEL = re.compile(
    r"""org\.opencontainers\.image\.(version|revision|source|created)["']?=["']?\$(?:\{(\w+)\}|(\w+))["']?(?=\s|$)"""
)
SCP = re.compile(r"(?:[\w.-]+@)?([\w.-]+):(?!//)(.+)")
"""git's short form of an ssh address: git@host:owner/project.git."""


def provenance(dockerfile: Dockerfile, file: Path, context: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Return the build arguments that say where an image comes from, as far as its labels use them.

    A commit that changed the context or the Dockerfile (`file`) made it another image. What the settings set already
    (`given`) is left out.
    """
    wanted = {name: key for name, key in wanted_arguments(dockerfile).items() if name not in given}
    if not wanted:
        return {}
    values = {**_git(context, file), **_project(context)}
    return {name: values[key] for name, key in wanted.items() if values.get(key)}


def wanted_arguments(dockerfile: Dockerfile) -> dict[str, str]:
    """Return the arguments that the final stage's OCI labels take, each with the label's last word."""
    if not dockerfile.stages:
        return {}
    last = dockerfile.stages[-1].instructions
    declared = {name for arg in last if arg.keyword == "ARG" for name in re.findall(r"(?:^|\s)(\w+)", arg.text)}
    found = [match for label in last if label.keyword == "LABEL" for match in LABEL.finditer(label.text)]
    return {name: match[1] for match in found if (name := match[2] or match[3]) in declared}


def _git(context: Path, file: Path) -> dict[str, str]:
    """Return what git says of the checkout; nothing where there is none, or no git."""
    log = ("log", "-1", "--format=%H %cI", "--", ".")
    # git refuses a path outside of the checkout.
    paths = [str(file.absolute())] if _git_output(context, *log, str(file.absolute())) else []
    commit = _git_output(context, *log, *paths)
    if not commit:
        return {}
    revision, _, created = commit.partition(" ")
    changed = _git_output(context, "status", "--porcelain", "--untracked-files=no", "--", ".", *paths)
    return {
        "revision": f"{revision}-dirty" if changed else revision,
        "created": created,
        "source": public_address(_git_output(context, "remote", "get-url", "origin")),
    }


def _git_output(context: Path, *words: str) -> str:
    try:
        done = process.run(["git", "-C", context, *words], timeout=GIT_TIMEOUT, check=False)
    except ProgramError:
        return ""
    return done.output.strip() if done.code == 0 else ""


def public_address(remote: str) -> str:
    """Return a remote's address without account, password and token; empty where that gives none."""
    if short := SCP.fullmatch(remote):
        remote = f"https://{short[1]}/{short[2]}"
    try:
        parts = urlsplit(remote)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port and parts.scheme in {"http", "https"} else ""
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https", "ssh", "git"} or not host:
        return ""
    scheme = "http" if parts.scheme == "http" else "https"
    return urlunsplit((scheme, f"{host}{port}", parts.path.removesuffix(".git"), "", ""))


def _project(context: Path) -> dict[str, str]:
    """Return what the app's own pyproject.toml says; its source only where it names one."""
    file = context / "pyproject.toml"
    try:
        project = read_toml(file).get("project") if file.is_file() else None
    except SettingsError:
        # A smoke reports what is wrong with it; for a label a build does not stop.
        return {}
    if not isinstance(project, dict):
        return {}
    values = {"version": str(project.get("version") or "")}
    urls = project.get("urls")
    for name, address in urls.items() if isinstance(urls, dict) else ():
        if str(name).lower() in {"source", "repository", "source code"}:
            values["source"] = public_address(str(address))
    return {key: value for key, value in values.items() if value}
