"""What a build is, decided before anything is started; what it can say of its origin: version, commit, source, time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from seatrial import process
from seatrial.dockerfile import declares, parse
from seatrial.errors import BuildError, ProgramError, SettingsError
from seatrial.settings.read import TABLE, python_of, read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from seatrial.facts.sources import Dockerfile
    from seatrial.settings.model import App
    from seatrial.settings.read import Project


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


APP_LABEL = "seatrial.app"
PYTHON_LABEL = "seatrial.python"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
IMAGE_NAME = re.compile(rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_COMPONENT}(?:/{_COMPONENT})*")
"""An image's name without a tag, by the distribution project's grammar of references."""


@dataclass(frozen=True, kw_only=True)
class BuildPlan:
    """One build: what `--dry-run` shows and `build` does."""

    app: str
    python: str | None
    image: str
    """The image's name, without a tag."""
    tags: tuple[str, ...]
    """The references that the build sets, the most specific first."""
    context: Path
    dockerfile: Path
    dockerfile_shown: str
    """The Dockerfile's path for messages: relative to the project where it lies in it."""
    build_arguments: Mapping[str, str]
    labels: Mapping[str, str]
    """What stays the same from build to build."""
    no_cache: bool = False


def plan_build(project: Project, name: str, *, python: str | None = None, no_cache: bool = False) -> BuildPlan:
    """Plan one build; only the Dockerfile is read.

    Raises:
        SettingsError: the app or the Python version is not declared, or the image's name is not one.
        BuildError: the context or Dockerfile is missing, or the Dockerfile cannot take the Python version.
    """
    app = project.app(name)
    version = python_of(name, app, python)
    image = app.image or name
    if IMAGE_NAME.fullmatch(image) is None:
        raise SettingsError(
            f"{image!r} is not an image name: those are lower-case letters and digits with single "
            "separators in between.",
            where=f"{project.file.name} [{TABLE}.apps.{name}]",
            fix="Set `image` there.",
        )
    context, dockerfile = project.context(app), project.dockerfile(app)
    _require_context(context, name, project)
    shown = _shown(dockerfile, project)
    parsed = parse(read_dockerfile(dockerfile, where=shown, settings=f"[{TABLE}.apps.{name}]"))
    default = app.pythons[0] if app.pythons else None
    specific = (f"{image}:py{version}",) if version else ()
    return BuildPlan(
        app=name,
        python=version,
        image=image,
        tags=(*specific, f"{image}:latest") if version == default else specific,
        context=context,
        dockerfile=dockerfile,
        dockerfile_shown=shown,
        build_arguments=_arguments(app, version, parsed, where=shown),
        labels={APP_LABEL: name, **({PYTHON_LABEL: version} if version else {})},
        no_cache=no_cache,
    )


def plan_matrix(
    project: Project, names: Sequence[str], *, python: str | None = None, every: bool = False, no_cache: bool = False
) -> tuple[BuildPlan, ...]:
    """Plan the builds of several apps.

    With `python`, those apps are built that declare it; with `every`, every version that each app declares; otherwise
    each app's default.

    Raises:
        SettingsError: an app is unknown, or none of them declares the version.
        BuildError: see plan_build.
    """
    pairs: list[tuple[str, str | None]] = []
    for name in names:
        declared = project.app(name).pythons
        if python is not None:
            pairs += [(name, python)] if python in declared else []
        else:
            pairs += [(name, version) for version in declared] if every and declared else [(name, None)]
    if not pairs and names:
        # Nobody declares it: planning the first app says so, and suggests the nearest.
        pairs = [(names[0], python)]
    return tuple(plan_build(project, name, python=version, no_cache=no_cache) for name, version in pairs)


def read_dockerfile(file: Path, *, where: str, settings: str) -> str:
    """Return a Dockerfile's text."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise BuildError(
            "there is no such Dockerfile.", where=where, fix=f"Write it, or correct `dockerfile` in {settings}."
        ) from None
    except OSError as error:
        raise BuildError(
            f"the Dockerfile cannot be read: {error.strerror}.",
            where=where,
            fix=f"`dockerfile` in {settings} names it.",
        ) from error
    if b"\0" in content:
        raise BuildError("the Dockerfile is not a text file.", where=where, fix=f"`dockerfile` in {settings} names it.")
    return content.decode("utf-8", errors="replace")


def _require_context(context: Path, name: str, project: Project) -> None:
    if not context.is_dir():
        problem = "is not a directory" if context.exists() else "does not exist"
        raise BuildError(
            f"the build context {problem}.",
            where=_shown(context, project),
            fix=f"Correct `context` in [{TABLE}.apps.{name}] of {project.file.name}.",
        )


def _shown(path: Path, project: Project) -> str:
    return str(path.relative_to(project.folder) if path.is_relative_to(project.folder) else path)


def _arguments(app: App, version: str | None, dockerfile: Dockerfile, *, where: str) -> dict[str, str]:
    if version is None:
        return dict(app.build_arguments)
    if declares(dockerfile, app.python_argument):
        return {**app.build_arguments, app.python_argument: version}
    if version != app.pythons[0]:
        raise BuildError(
            f"Python {version} cannot be chosen: there is no ARG {app.python_argument}.",
            where=where,
            fix=f"Write `ARG {app.python_argument}={app.pythons[0]}` above FROM and use it there, "
            "or name the Dockerfile's own argument with `python-argument`.",
        )
    return dict(app.build_arguments)
