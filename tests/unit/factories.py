"""Facts as plain data: a sound image, of which each test changes the part that it is about."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

import msgspec

from seatrial.facts.data import (
    Account,
    Boot,
    Configuration,
    Distribution,
    Entry,
    Facts,
    FileKind,
    Health,
    HealthCheck,
    Identity,
    Import,
    Interpreter,
    Native,
    Probe,
    ProjectFacts,
    Start,
    Stop,
    Trail,
)
from seatrial.host import Host

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = "/app/.venv/bin/python"


def host(folder: Path, **environment: str) -> Host:
    """Return a host whose folders lie in a test's own."""
    return Host(environment=environment, home=folder / "home", data=folder / "data", cache=folder / "cache")


class Tree:
    """An image's files as a table: text is a link, bytes are a program, a number is a folder's mode, None a file."""

    def __init__(self, table: dict[str, str | bytes | int | None]) -> None:
        self.table = table

    def entry(self, path: str) -> Entry | None:
        path = posixpath.normpath(path)
        if path not in self.table:
            return self._folder(path)
        what = self.table[path]
        match what:
            case str():
                return Entry(kind=FileKind.LINK, mode=0o777, uid=0, gid=0, target=what)
            case bytes():
                return Entry(kind=FileKind.FILE, mode=0o755, uid=0, gid=0, size=len(what))
            case int():
                return Entry(kind=FileKind.FOLDER, mode=what, uid=0, gid=0)
            case None:
                return Entry(kind=FileKind.FILE, mode=0o644, uid=0, gid=0)

    def beginning(self, path: str) -> bytes:
        what = self.table.get(path)
        return what if isinstance(what, bytes) else b""

    def _folder(self, path: str) -> Entry | None:
        inside = f"{path.rstrip('/')}/"
        there = any(one.startswith(inside) for one in self.table)
        return Entry(kind=FileKind.FOLDER, mode=0o755, uid=0, gid=0) if there else None


def file(mode: int = 0o755, *, uid: int = 0, gid: int = 0) -> Entry:
    return Entry(kind=FileKind.FILE, mode=mode, uid=uid, gid=gid)


def trail(*steps: str, missing: str = "", entry: Entry | None = None) -> Trail:
    return Trail(steps=steps, entry=None if missing else entry or file(), missing=missing)


def distribution(name: str, version: str = "1.0", **more: Any) -> Distribution:
    return Distribution(name=name, version=version, location="/app/.venv/lib/python3.13/site-packages", **more)


def configuration(**changed: Any) -> Configuration:
    sound = Configuration(
        reference="shop:latest",
        id="sha256:" + "ab" * 32,
        platform="linux/amd64",
        user="app",
        command=("uvicorn", "shop.api:app"),
        environment={"PATH": "/app/.venv/bin:/usr/bin", "LANG": "C.UTF-8"},
        working_directory="/app",
        health_check=HealthCheck(
            test=("CMD", "python", "health.py"), interval=30, timeout=5, start_period=0, retries=3
        ),
        unpacked=494_000_000,
    )
    return msgspec.structs.replace(sound, **changed)


def start(**changed: Any) -> Start:
    sound = Start(
        words=("uvicorn", "shop.api:app"),
        searched=("/app/.venv/bin", "/usr/bin"),
        program=trail("/app/.venv/bin/uvicorn"),
        account=Account(name="app", uid=10001, gids=(10001,), home="/app"),
        python=PYTHON,
        python_why="the first line of uvicorn names it",
        python_trail=trail(PYTHON, "/usr/local/bin/python3.13"),
    )
    return msgspec.structs.replace(sound, **changed)


def probe(**changed: Any) -> Probe:
    sound = Probe(
        identity=Identity(uid=10001, gid=10001, groups=(10001,), name="app", home="/app", directory="/app"),
        interpreter=Interpreter(
            executable=PYTHON,
            version="3.13.5",
            implementation="CPython",
            prefix="/app/.venv",
            base_prefix="/usr/local",
            path=("/app/.venv/lib/python3.13/site-packages",),
        ),
        distributions=(distribution("fastapi"), distribution("uvicorn")),
        scripts=(),
        imports=(Import(name="shop.api:app", ok=True, seconds=0.4),),
        executables=(),
        places=(),
        native=Native(modules=70),
    )
    return msgspec.structs.replace(sound, **changed)


def boot(**changed: Any) -> Boot:
    sound = Boot(
        read_only=True,
        health=Health.HEALTHY,
        healthy_after=1.2,
        watched=1.2,
        stop=Stop(signal="SIGTERM", seconds=0.3, code=0, killed=False),
        log=("started",),
    )
    return msgspec.structs.replace(sound, **changed)


def facts(**changed: Any) -> Facts:
    sound = Facts(
        configuration=configuration(),
        start=start(),
        probe=probe(),
        boot=boot(),
        project=ProjectFacts(name="shop", dependencies=("fastapi>=0.1", "uvicorn"), dependencies_file="pyproject.toml"),
    )
    return msgspec.structs.replace(sound, **changed)
