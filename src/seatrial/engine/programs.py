"""Docker's own programs: buildx and compose, run as programs."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.version import Version

from seatrial import process
from seatrial.errors import EngineError, ProgramError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.engine.find import Engine
    from seatrial.host import Host

Name = Literal["buildx", "compose"]

NEEDED: dict[Name, Version] = {
    "buildx": Version("0.13"),  # the first with --progress=rawjson
    "compose": Version("2.0"),
}
NEEDED_ENGINE = Version("23.0")
"""The first engine whose BuildKit has named build contexts."""

PLUGIN_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/Applications/Docker.app/Contents/Resources/cli-plugins",
)


@dataclass(frozen=True, kw_only=True)
class Program:
    """One of docker's programs, ready to run against an engine."""

    path: str
    version: Version


def own_plugins(host: Host) -> Path:
    """Return the folder with the programs that come with the provided engine."""
    return host.engine_folder / "programs" / "usr" / "libexec" / "docker" / "cli-plugins"


def find(name: Name, engine: Engine, host: Host) -> Program:
    """Return buildx or compose.

    Raises:
        EngineError: it is not installed, or too old; the message says which version was found and is needed.

    """
    needed = NEEDED[name]
    too_old: list[str] = []
    for path in _paths(name, engine, host):
        version = _version(path)
        if version >= needed:
            return Program(path=path, version=version)
        too_old.append(f"{path} is {version}")
    raise EngineError(
        f"docker {name} {needed} or later is needed; "
        + (f"found: {', '.join(too_old)}." if too_old else "it is not installed."),
        where=str(engine),
        fix=f"Install your system's docker-{name}-plugin, or run `invoke engine.start` to have seatrial's.",
    )


def require_named_contexts(engine: Engine) -> None:
    """Refuse an engine without named build contexts.

    Raises:
        EngineError: it is too old; the message has the version found and the one needed.

    """
    found = re.match(r"\d+(\.\d+)*", engine.version)
    if found and Version(found.group()) < NEEDED_ENGINE:
        raise EngineError(
            f"this engine is Docker {engine.version}; named build contexts need {NEEDED_ENGINE} or later.",
            where=str(engine),
            fix="Update Docker, or use the engine that seatrial provides: `invoke engine.start`.",
        )


def _paths(name: Name, engine: Engine, host: Host) -> Iterator[str]:
    program = f"docker-{name}"
    config = Path(host.environment.get("DOCKER_CONFIG") or host.home / ".docker")
    folders = [config / "cli-plugins", *map(Path, PLUGIN_FOLDERS)]
    # The provided engine's programs fit it best; for any other engine they are the last resort.
    folders.insert(0 if engine.own else len(folders), own_plugins(host))
    for folder in folders:
        if found := shutil.which(program, path=str(folder)):
            yield found
    if found := shutil.which(program, path=host.environment.get("PATH")):
        yield found


def _version(path: str) -> Version:
    try:
        output = process.run([path, "version"], timeout=20).output
    except ProgramError:
        return Version("0")
    found = re.search(r"\d+\.\d+(\.\d+)?", output)
    return Version(found.group()) if found else Version("0")
