"""Checks everything that seatrial needs; each problem has a fix."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial import __version__
from seatrial.engine import programs
from seatrial.engine.find import find_engine
from seatrial.errors import EngineError, SeatrialError
from seatrial.filesystem import exists
from seatrial.images.secrets.credentials import find_secrets
from seatrial.settings.read import Project
from seatrial.text import show_size

if TYPE_CHECKING:
    from seatrial.host import Host

LITTLE_DISK = 5_000_000_000
"""Bytes: two Python images with their build caches take 2 to 3 GB."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check of the host."""

    topic: str
    ok: bool
    seen: str
    fix: str = ""


def examine(host: Host, project: Callable[[], Project]) -> list[Finding]:
    """Check everything; nothing is changed, and no problem ends it."""
    return [_python(), _disk(host), *_engine(host), _network(host), *_settings(project)]


def _checked(topic: str, check: Callable[[], str]) -> Finding:
    """Return what a check saw, or the problem that it raised."""
    try:
        return Finding(topic=topic, ok=True, seen=check())
    except SeatrialError as error:
        seen = f"{error.where}: {error.what} {error.detail}" if error.where else f"{error.what} {error.detail}"
        return Finding(topic=topic, ok=False, seen=seen.strip(), fix=error.fix)


def _python() -> Finding:
    seen = f"seatrial {__version__} on Python {platform.python_version()} ({sys.executable}), {platform.platform()}"
    return Finding(topic="host", ok=True, seen=seen)


def _disk(host: Host) -> Finding:
    folder = next(folder for folder in (host.data, *host.data.parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    fix = "" if free >= LITTLE_DISK else f"Builds need {show_size(LITTLE_DISK)}; `docker system prune` frees some."
    return Finding(topic="disk", ok=not fix, seen=f"{show_size(free)} free at {folder}", fix=fix)


def _engine(host: Host) -> Iterator[Finding]:
    try:
        engine = find_engine(host)
    except EngineError as error:
        yield Finding(topic="engine", ok=False, seen=f"{error.what} {error.detail}".strip(), fix=error.fix)
        return

    def named_contexts() -> str:
        programs.require_named_contexts(engine)
        return str(engine)

    def program(name: programs.Name) -> str:
        found = programs.find(name, engine, host)
        return f"{found.version} at {found.path}"

    yield _checked("engine", named_contexts)
    yield _checked("buildx", lambda: program("buildx"))
    yield _checked("compose", lambda: program("compose"))


def _network(host: Host) -> Finding:
    found = find_secrets(host)
    passed = [name for name in found.names if name not in found.confidential]
    seen = [f"builds get {', '.join(passed)}" if passed else "builds get no CA bundle and no proxies"]
    if named := [name for name in found.names if name in found.confidential]:
        seen.append(f"those that `build-secrets` names get {', '.join(named)}")
    return Finding(topic="network", ok=True, seen="; ".join(seen))


def _settings(project: Callable[[], Project]) -> Iterator[Finding]:
    yield (finding := _checked("settings", lambda: str(project().file)))
    if not finding.ok:
        return
    read = project()
    for name, app in read.settings.apps.items():
        declared = read.declared.get("apps", {}).get(name, {})
        yield Finding(topic=f"app {name}", ok=True, seen=f"set: {', '.join(sorted(declared)) or 'nothing'}")
        files = {"context": read.context(app), "dockerfile": read.dockerfile(app)}
        named = [*files.items(), *(("compose", file) for file in read.compose_files(app))]
        for key, path in named:
            if not exists(path):
                yield Finding(
                    topic=f"app {name}", ok=False, seen=f"{key} {path} does not exist", fix=f"Correct `{key}`."
                )
