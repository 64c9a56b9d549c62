"""What a build can tell an image of its origin: version, commit, source, time.

Only an argument that the final stage puts into one of the OCI labels is given a value: any other ARG VERSION may be the
version of something else. The time is the commit's own, so that the same commit makes the same image, and the cache
holds.
"""

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

    from seatrial.dockerfile import Dockerfile

SECONDS = 10
LABEL = re.compile(
    r"""org\.opencontainers\.image\.(version|revision|source|created)["']?=["']?\$(?:\{(\w+)\}|(\w+))["']?(?=\s|$)"""
)
SCP = re.compile(r"(?:[\w.-]+@)?([\w.-]+):(?!//)(.+)")
"""git's short form of an ssh address: git@host:owner/project.git."""


def provenance(dockerfile: Dockerfile, file: Path, context: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Return the build arguments that say where an image comes from.

    Args:
        dockerfile: what is built; only what its labels ask for is answered.
        file: where it lies: a commit that changed it or the context made the image another one.
        context: the app's folder.
        given: the arguments that the settings set already; they stay.

    """
    asked = {name: key for name, key in asked_for(dockerfile).items() if name not in given}
    if not asked:
        return {}
    told = {**_git(context, file), **_project(context)}
    return {name: told[key] for name, key in asked.items() if told.get(key)}


def asked_for(dockerfile: Dockerfile) -> dict[str, str]:
    """Return the arguments that the final stage's OCI labels take, each with the label's last word."""
    if not dockerfile.stages:
        return {}
    last = dockerfile.stages[-1].instructions
    declared = {name for one in last if one.keyword == "ARG" for name in re.findall(r"(?:^|\s)(\w+)", one.text)}
    found = [match for one in last if one.keyword == "LABEL" for match in LABEL.finditer(one.text)]
    return {name: match[1] for match in found if (name := match[2] or match[3]) in declared}


def _git(context: Path, file: Path) -> dict[str, str]:
    """Return what git says of the checkout; nothing where there is none, or no git."""
    log = ("log", "-1", "--format=%H %cI", "--", ".")
    # git refuses a path outside of the checkout.
    paths = [str(file.absolute())] if _asked(context, *log, str(file.absolute())) else []
    commit = _asked(context, *log, *paths)
    if not commit:
        return {}
    revision, _, created = commit.partition(" ")
    changed = _asked(context, "status", "--porcelain", "--untracked-files=no", "--", ".", *paths)
    return {
        "revision": f"{revision}-dirty" if changed else revision,
        "created": created,
        "source": public_address(_asked(context, "remote", "get-url", "origin")),
    }


def _asked(context: Path, *words: str) -> str:
    try:
        done = process.run(["git", "-C", context, *words], timeout=SECONDS, check=False)
    except ProgramError:
        return ""
    return done.output.strip() if done.code == 0 else ""


def public_address(remote: str) -> str:
    """Return a remote as an address that everybody may read: no account, no password, no token; empty where none is."""
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
        # The smoke tells what is wrong with it; a label is no reason to stop a build.
        return {}
    if not isinstance(project, dict):
        return {}
    told = {"version": str(project.get("version") or "")}
    urls = project.get("urls")
    for name, address in urls.items() if isinstance(urls, dict) else ():
        if str(name).lower() in {"source", "repository", "source code"}:
            told["source"] = public_address(str(address))
    return {key: value for key, value in told.items() if value}
