"""Looks at everything that seatrial needs, and says what is wrong and what to do about it."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial import __version__
from seatrial.engine import programs
from seatrial.engine.find import find_engine
from seatrial.errors import EngineError, SeatrialError
from seatrial.images.credentials import find_secrets
from seatrial.sizes import show_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project

LITTLE_DISK = 5_000_000_000
"""Bytes: two Python images with their build caches take 2 to 3 GB."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    ok: bool
    seen: str
    fix: str = ""


def examine(host: Host, project: Callable[[], Project]) -> list[Finding]:
    """Look at everything; nothing is changed, and no problem ends the examination."""
    return [_python(), *_disk(host), *_engine(host), *_network(host), *_settings(project)]


def _python() -> Finding:
    seen = f"seatrial {__version__} on Python {platform.python_version()} ({sys.executable}), {platform.platform()}"
    return Finding(topic="host", ok=True, seen=seen)


def _disk(host: Host) -> Iterator[Finding]:
    folder = _existing(host.data)
    free = shutil.disk_usage(folder).free
    yield Finding(
        topic="disk",
        ok=free >= LITTLE_DISK,
        seen=f"{show_size(free)} free at {folder}",
        fix="" if free >= LITTLE_DISK else f"Make room: builds want {show_size(LITTLE_DISK)}. `docker system prune`.",
    )


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _engine(host: Host) -> Iterator[Finding]:
    try:
        engine = find_engine(host)
    except EngineError as error:
        yield Finding(topic="engine", ok=False, seen=f"{error.what} {error.detail}".strip(), fix=error.fix)
        return
    yield _checked("engine", str(engine), lambda: programs.require_named_contexts(engine))
    yield _program("buildx", engine, host)
    yield _program("compose", engine, host)


def _program(name: programs.Name, engine: Engine, host: Host) -> Finding:
    try:
        found = programs.find(name, engine, host)
    except SeatrialError as error:
        return Finding(topic=name, ok=False, seen=error.what, fix=error.fix)
    return Finding(topic=name, ok=True, seen=f"{found.version} at {found.path}")


def _network(host: Host) -> Iterator[Finding]:
    found = find_secrets(host)
    passed = [*sorted({*found.files, *found.texts}), *found.proxies]
    yield Finding(
        topic="network",
        ok=True,
        seen=f"builds get {', '.join(passed)}" if passed else "builds get no CA bundle, credentials or proxies",
    )


def _settings(project: Callable[[], Project]) -> Iterator[Finding]:
    try:
        read = project()
    except SeatrialError as error:
        yield Finding(topic="settings", ok=False, seen=f"{error.where}: {error.what}", fix=error.fix)
        return
    yield Finding(topic="settings", ok=True, seen=str(read.file))
    for name, app in read.settings.apps.items():
        declared = read.declared.get("apps", {}).get(name, {})
        yield Finding(topic=f"app {name}", ok=True, seen=f"set: {', '.join(sorted(declared)) or 'nothing'}")
        compose = (("compose", read.folder / app.compose),) if app.compose else ()
        for what, path in (("context", read.context(app)), ("dockerfile", read.dockerfile(app)), *compose):
            if not path.exists():
                yield Finding(
                    topic=f"app {name}", ok=False, seen=f"{what} {path} is not there", fix=f"Correct `{what}`."
                )


def _checked(topic: str, seen: str, check: Callable[[], None]) -> Finding:
    try:
        check()
    except SeatrialError as error:
        return Finding(topic=topic, ok=False, seen=f"{seen}: {error.what}", fix=error.fix)
    return Finding(topic=topic, ok=True, seen=seen)
