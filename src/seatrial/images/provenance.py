"""What a build can say of its origin in the image's labels: version, commit, source, time.

git runs here on a folder that may be anybody's. It reads the repository that the folder belongs to and no other one,
and starts no program that the repository's configuration names.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from seatrial import process
from seatrial.errors import ProgramError, SettingsError
from seatrial.filesystem import read_bytes
from seatrial.settings.read import read_toml
from seatrial.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from seatrial.facts.sources import Dockerfile

GIT_TIMEOUT = 10
GIT_LIMITS = process.Limits(memory=512 * 1024**2, processor=GIT_TIMEOUT, output=16 * 1024**2)
LABEL = re.compile(
    r"""org\.opencontainers\.image\.(version|revision|source|created)["']?=["']?\$(?:\{(\w+)\}|(\w+))["']?(?=\s|$)"""
)
NOT_SET = 1
"""The exit code of `git config` where no setting fits."""
FILTERS = r"^filter\..*\.(clean|smudge|process)$"
SAFE = (
    "core.fsmonitor=",
    "core.hooksPath=/dev/null",
    "core.sshCommand=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.untrackedCache=false",
    "diff.external=",
    "safe.bareRepository=explicit",
)
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    # A partial clone would fetch what is missing, by whatever program its remote names.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
}
INCLUDES = re.compile(rb"\[include", re.IGNORECASE)
MOST_CONFIGURED = 1024 * 1024
"""Bytes of a repository's configuration."""
PARTS = ("HEAD", "config", "index", "objects", "packed-refs", "refs")
"""What a repository holds; as links, they would be another repository's."""
SCP = re.compile(r"(?:[\w.-]+@)?([\w.-]+):(?!//)(.+)")
"""git's short form of an ssh address: git@host:owner/project.git."""


def provenance(
    dockerfile: Dockerfile, file: Path, context: Path, given: Mapping[str, str], trust: Trust
) -> dict[str, str]:
    """Return the build arguments that say where an image comes from, as far as its labels use them.

    A commit that changed the context or the Dockerfile (`file`) made it another image. What the settings set already
    (`given`) is left out. Where the project is not trusted, a repository that has git read files elsewhere is not
    asked.
    """
    wanted = {name: key for name, key in wanted_arguments(dockerfile).items() if name not in given}
    if not wanted:
        return {}
    values = {**_git(context, file, trust), **_project(context)}
    return {name: values[key] for name, key in wanted.items() if values.get(key)}


def wanted_arguments(dockerfile: Dockerfile) -> dict[str, str]:
    """Return the arguments that the final stage's OCI labels take, each with the label's last word."""
    if dockerfile.final is None:
        return {}
    last = dockerfile.final.instructions
    declared = {name for arg in last if arg.keyword == "ARG" for name in re.findall(r"(?:^|\s)(\w+)", arg.text)}
    found = [match for label in last if label.keyword == "LABEL" for match in LABEL.finditer(label.text)]
    return {name: match[1] for match in found if (name := match[2] or match[3]) in declared}


def _git(context: Path, file: Path, trust: Trust) -> dict[str, str]:
    """Return what git says of the checkout; nothing where there is none, or no git."""
    checkout = find_checkout(context)
    if checkout is None or (trust is Trust.NONE and checkout.reaches_out):
        return {}
    # git refuses a path outside of the checkout.
    paths = [str(path.resolve()) for path in (context, file) if path.resolve().is_relative_to(checkout.folder)]
    commit = checkout.ask("log", "-1", "--no-show-signature", "--format=%H %cI", "--", *paths)
    filters = checkout.ask("config", "--name-only", "--get-regexp", FILTERS, nothing=NOT_SET)
    # `git status` starts the filters that are not emptied here: it is not asked where one of them may be unknown.
    # `git -c` takes what stands before the first `=` for the name.
    if not commit or filters is None or "=" in filters:
        return {}
    revision, _, created = commit.partition(" ")
    unfiltered = [f"{name}=" for name in filters.splitlines()]
    status = ("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
    changed = checkout.ask(*status, "--", *paths, settings=unfiltered)
    return {
        # What cannot be found out is not said to be clean.
        "revision": revision if changed == "" else f"{revision}-dirty",
        "created": created,
        "source": public_address(checkout.ask("config", "--get", "remote.origin.url") or ""),
    }


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A working tree and its repository."""

    folder: Path
    repository: Path

    @property
    def reaches_out(self) -> bool:
        """Whether git would read other files for it: its configuration includes them, or a part of it is a link."""
        if any((self.repository / part).is_symlink() for part in PARTS):
            return True
        common = self.repository / (_line(self.repository / "commondir") or ".")
        files = (common / "config", common / "config.worktree", self.repository / "config.worktree")
        try:
            return any(INCLUDES.search(read_bytes(file, MOST_CONFIGURED)) for file in files if file.exists())
        except OSError:
            return True

    def ask(self, *words: str, settings: Sequence[str] = (), nothing: int = 0) -> str | None:
        """Return what git answers; None where it fails. The exit code `nothing` is an answer too, an empty one.

        Both folders are named, so that git looks for none: a folder that is shaped like a bare repository is not
        taken for one. The settings by which a repository names programs are emptied. See git-config(1).
        """
        where = (f"--git-dir={self.repository}", f"--work-tree={self.folder}")
        given = [word for setting in (*SAFE, *settings) for word in ("-c", setting)]
        argv = ["git", "--no-pager", *where, *given, *words]
        environment = {"PATH": os.environ.get("PATH", os.defpath), **ENVIRONMENT}
        try:
            done = process.run(
                argv, timeout=GIT_TIMEOUT, check=False, environment=environment, folder=self.folder, limits=GIT_LIMITS
            )
        except ProgramError:
            return None
        return done.output.strip() if done.code in {0, nothing} else None


def find_checkout(folder: Path) -> Checkout | None:
    """Return the checkout that a folder belongs to; None where there is none, or where it is another user's.

    A linked worktree and a submodule have their repository elsewhere; it must name the checkout in return. A `.git`
    that leads to any other repository is not followed.
    """
    for tree in (folder.resolve(), *folder.resolve().parents):
        git = tree / ".git"
        if not git.is_symlink() and git.is_dir():
            return Checkout(folder=tree, repository=git) if _is_own(git) else None
        if git.is_symlink() or git.exists():
            repository = _linked(git)
            return Checkout(folder=tree, repository=repository) if repository and _is_own(repository) else None
    return None


def _is_own(repository: Path) -> bool:
    """Tell whether a repository is this user's, which git asks too unless it is told where the repository is.

    What it has in common with its worktrees lies above it.
    """
    file = repository / "commondir"
    common = _line(file)
    if common and not repository.is_relative_to((repository / common).resolve()):
        return False
    try:
        # git reads more than the first line, and follows a link.
        if os.path.lexists(file) and (not common or file.stat().st_size > len(os.fsencode(common)) + 1):
            return False
        return repository.stat().st_uid in {os.geteuid(), int(os.environ.get("SUDO_UID") or os.geteuid())}
    except (OSError, ValueError):
        return False


def _linked(file: Path) -> Path | None:
    """Return the repository that a `.git` file names, where that one belongs to this checkout.

    Source: gitrepository-layout(5).
    """
    target = _line(file)
    if not target.startswith("gitdir: "):
        return None
    repository = (file.parent / target.removeprefix("gitdir: ")).resolve()
    back = _line(repository / "gitdir")
    if back and (repository / back).resolve() == file.resolve():
        return repository
    for parent in file.parent.parents:
        modules = parent / ".git" / "modules"
        if modules.is_dir() and not (parent / ".git").is_symlink() and repository.is_relative_to(modules):
            return repository
    return None


def _line(file: Path) -> str:
    """Return a small file's first line; empty where it cannot be read."""
    try:
        if file.is_symlink() or not file.is_file():
            return ""
        with file.open(encoding="utf-8", errors="replace") as opened:
            return opened.readline(4096).rstrip("\n")
    except OSError:
        return ""


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
    if not file.is_file() or not file.resolve().is_relative_to(context.resolve()):
        return {}
    try:
        project = read_toml(file).get("project")
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
