"""Facts as plain data: a sound image, of which each test changes the part that it is about."""

from __future__ import annotations

import posixpath
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
from tests.unit.source_factories import sources

from seatrial.facts import (
    Account,
    Accounts,
    Agreement,
    Boot,
    Configuration,
    Contents,
    DeepBoots,
    Distribution,
    Enforced,
    Facts,
    FileEntry,
    FileKind,
    Freeze,
    Group,
    Health,
    HealthAnswer,
    HealthCheck,
    HealthCommand,
    Identity,
    ImageLayer,
    Import,
    Interpreter,
    Inventory,
    Layers,
    Native,
    OwnCode,
    OwnPackage,
    Password,
    PathAccess,
    Probe,
    ProcessList,
    ProcInfo,
    ProjectFacts,
    Release,
    ResolvedCommand,
    ResolvedPath,
    Restart,
    Restriction,
    Stop,
    Usage,
    User,
)
from seatrial.facts.probe import (
    Bytecode,
    Code,
    Environment,
    Locale,
    PathPython,
    SelfTest,
    StandardModule,
    Start,
    StartSide,
    TrustStore,
)
from seatrial.facts.sources import LockedPackage, LockFile, LockRequirement
from seatrial.host import Host

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = "/app/.venv/bin/python"
LABELS = {
    "title": "shop",
    "version": "1.2.0",
    "revision": "0f9ae21",
    "source": "https://example.org/shop",
    "created": "2026-01-02T03:04:05+00:00",
}
COMMAND = f"{PYTHON} /app/.venv/bin/uvicorn shop.api:app"


def host(folder: Path, **environment: str) -> Host:
    """Return a host whose folders lie in a test's own."""
    return Host(environment=environment, home=folder / "home", data=folder / "data", cache=folder / "cache")


class Tree:
    """An image's files as a table: text is a link, bytes are a program, a number is a folder's mode, None a file."""

    def __init__(self, table: dict[str, str | bytes | int | None]) -> None:
        self.table = table

    def entry(self, path: str) -> FileEntry | None:
        path = posixpath.normpath(path)
        if path not in self.table:
            return self._folder(path)
        what = self.table[path]
        match what:
            case str():
                return FileEntry(kind=FileKind.LINK, mode=0o777, uid=0, gid=0, target=what)
            case bytes():
                return FileEntry(kind=FileKind.FILE, mode=0o755, uid=0, gid=0, size=len(what))
            case int():
                return FileEntry(kind=FileKind.FOLDER, mode=what, uid=0, gid=0)
            case None:
                return FileEntry(kind=FileKind.FILE, mode=0o644, uid=0, gid=0)

    def beginning(self, path: str) -> bytes:
        what = self.table.get(path)
        return what if isinstance(what, bytes) else b""

    def text(self, path: str) -> str:
        return self.beginning(path).decode(errors="replace")

    def _folder(self, path: str) -> FileEntry | None:
        inside = f"{path.rstrip('/')}/"
        there = any(text.startswith(inside) for text in self.table)
        return FileEntry(kind=FileKind.FOLDER, mode=0o755, uid=0, gid=0) if there else None


def file(mode: int = 0o755, *, uid: int = 0, gid: int = 0) -> FileEntry:
    return FileEntry(kind=FileKind.FILE, mode=mode, uid=uid, gid=gid)


def trail(*steps: str, missing: str = "", entry: FileEntry | None = None) -> ResolvedPath:
    return ResolvedPath(steps=steps, entry=None if missing else entry or file(), missing=missing)


def distribution(name: str, version: str = "1.0", **more: Any) -> Distribution:
    return Distribution(name=name, version=version, location="/app/.venv/lib/python3.13/site-packages", **more)


def configuration(**changed: Any) -> Configuration:
    sound = Configuration(
        reference="shop:latest",
        id="sha256:" + "ab" * 32,
        platform="linux/amd64",
        user="10001:10001",
        command=("uvicorn", "shop.api:app"),
        environment={"PATH": "/app/.venv/bin:/usr/bin", "LANG": "C.UTF-8"},
        working_directory="/app",
        health_check=HealthCheck(
            test=("CMD", "python", "health.py"), interval=30, timeout=5, start_period=0, retries=3
        ),
        unpacked=494_000_000,
        labels={f"org.opencontainers.image.{name}": value for name, value in LABELS.items()},
        history=("FROM debian", "COPY /app/.venv /app/.venv # buildkit"),
    )
    return msgspec.structs.replace(sound, **changed)


def start(**changed: Any) -> ResolvedCommand:
    sound = ResolvedCommand(
        words=("uvicorn", "shop.api:app"),
        programs=(("uvicorn", "shop.api:app"),),
        modules=("shop.api:app",),
        searched=("/app/.venv/bin", "/usr/bin"),
        program=trail("/app/.venv/bin/uvicorn"),
        account=Account(name="app", uid=10001, gids=(10001,), home="/app"),
        python=PYTHON,
        python_why="the first line of uvicorn names it",
        python_resolved=trail(PYTHON, "/usr/local/bin/python3.13"),
        python_loader="/lib64/ld-linux-x86-64.so.2",
    )
    return msgspec.structs.replace(sound, **changed)


REAL = "/usr/local/bin/python3.13"


def environment(**changed: Any) -> Environment:
    sound = Environment(
        real=REAL,
        home_python=REAL,
        machine="x86_64",
        implementation="cpython",
        pythons=tuple(
            PathPython(name=name, path=f"/app/.venv/bin/{name}", real=REAL, environment="/app/.venv")
            for name in ("python", "python3")
        ),
    )
    return msgspec.structs.replace(sound, **changed)


def selftest(**changed: Any) -> SelfTest:
    sound = SelfTest(
        modules=tuple(StandardModule(name=name, ok=True) for name in ("_ssl", "zlib")),
        trust=TrustStore(certificates=140, file="/etc/ssl/cert.pem", folder="/etc/ssl/certs"),
        recursion=True,
        at="a thread that recurses",
    )
    return msgspec.structs.replace(sound, **changed)


def lock(**changed: Any) -> LockFile:
    sound = LockFile(
        file="uv.lock",
        project="shop",
        roots=(LockRequirement(name="fastapi"), LockRequirement(name="uvicorn")),
        packages=(LockedPackage(name="fastapi", version="1.0"), LockedPackage(name="uvicorn", version="1.0")),
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
            settings={"home": "/usr/local/bin", "version": "3.13.5"},
        ),
        distributions=(distribution("fastapi"), distribution("uvicorn")),
        scripts=(),
        imports=(Import(name="shop.api:app", ok=True, seconds=0.4),),
        executables=(),
        places=(),
        native=Native(modules=70, libc="glibc"),
        environment=environment(),
        bytecode=Bytecode(sources=900),
        standard_bytecode=Bytecode(sources=120),
        code=(Code(name="shop", origin="/app/src/shop", files=12),),
        selftest=selftest(),
        locale=Locale(zone="UTC", utc=True, filesystem="utf-8", preferred="UTF-8", output="utf-8"),
        start=two_starts(),
    )
    return msgspec.structs.replace(sound, **changed)


def two_starts(**changed: Any) -> Start:
    """Return two starts of the interpreter that agree."""
    side = StartSide(
        version="3.13.5",
        implementation="cpython",
        executable=PYTHON,
        prefix="/app/.venv",
        base_prefix="/usr/local",
        standard_library="/usr/local/lib/python3.13",
    )
    return msgspec.structs.replace(Start(isolated=side, application=side), **changed)


def inside(**changed: Any) -> ProcInfo:
    sound = ProcInfo(
        listeners=(),
        command=tuple(COMMAND.split()),
        uid=10001,
        capabilities="0000000000000000",
        no_new_privileges=True,
        processes=1,
    )
    return msgspec.structs.replace(sound, **changed)


def boot(**changed: Any) -> Boot:
    sound = Boot(
        enforced=Enforced(
            read_only=True, dropped=("ALL",), added=(), no_new_privileges=True, memory=1 << 30, processes=256
        ),
        health=Health.HEALTHY,
        healthy_after=1.2,
        answers=(HealthAnswer(exit_code=0, output="", seconds=0.1),),
        watched=1.2,
        first_log=0.2,
        proc=inside(),
        process_list=ProcessList(first=COMMAND, commands=(COMMAND,)),
        usage=Usage(memory=90 << 20, processes=5),
        stop=Stop(signal="SIGTERM", seconds=0.3, code=0, killed=False),
        log=("started",),
    )
    return msgspec.structs.replace(sound, **changed)


def starts(**changed: Any) -> DeepBoots:
    sound = DeepBoots(
        again=boot(),
        writable=boot(lifted=(Restriction.READ_ONLY,)),
        killed=Restart(boot=boot()),
        freeze=Freeze(unhealthy_after=2.5, waited=2.5),
    )
    return msgspec.structs.replace(sound, **changed)


def own_code(**changed: Any) -> OwnCode:
    sound = OwnCode(
        packages=("shop",),
        modules=2,
        reached=2,
        asked=9,
        packaged=(OwnPackage(name="shop", folder="/app/src/shop"),),
        texts=("templates",),
        home="/app/src/shop/api.py:3",
        home_folder=PathAccess(
            path="/home/app", exists=True, writable=True, nearest="/home/app", owner="10001:10001", mode="0755"
        ),
    )
    return msgspec.structs.replace(sound, **changed)


def contents(**changed: Any) -> Contents:
    sound = Contents(paths=14_000, folders={"/app": (".venv", "src")})
    return msgspec.structs.replace(sound, **changed)


def accounts(**changed: Any) -> Accounts:
    sound = Accounts(
        users=(
            User(name="root", uid=0, password=Password.LOCKED),
            User(name="app", uid=10001, password=Password.LOCKED),
        ),
        groups=(Group(name="root", gid=0), Group(name="app", gid=10001)),
    )
    return msgspec.structs.replace(sound, **changed)


def health_command(**changed: Any) -> HealthCommand:
    words = ("python", "health.py")
    sound = HealthCommand(
        command=start(words=words, word="python", program=trail(PYTHON, REAL)), script=trail("/app/health.py")
    )
    return msgspec.structs.replace(sound, **changed)


def layers(**changed: Any) -> Layers:
    sound = Layers(
        layers=(
            ImageLayer(number=1, instruction="", base=True, files=900, size=120_000_000),
            ImageLayer(number=2, instruction="COPY . /app", line=4, files=30, size=20_000_000),
            ImageLayer(number=3, instruction="RUN chown -R app /app", line=5, files=30, size=20_000_000),
        ),
        brought={"/etc/passwd": 1, "/app": 3, "/app/shop.py": 2, "/app/id_rsa": 3},
    )
    return msgspec.structs.replace(sound, **changed)


def facts(**changed: Any) -> Facts:
    sound = Facts(
        configuration=configuration(),
        command=start(),
        probe=probe(),
        agreement=Agreement(distributions=2, executables=4),
        boot=boot(),
        deep=starts(),
        project=ProjectFacts(
            name="shop", dependencies=("fastapi>=0.1", "uvicorn"), dependencies_file="pyproject.toml", lock=lock()
        ),
        contents=contents(),
        own_code=own_code(),
        accounts=accounts(),
        inventory=Inventory(release=Release(id="debian", version="13"), pythons=("3.13",), manager="dpkg"),
        today=date(2026, 11, 30),
        sources=sources(),
        health_command=health_command(),
        layers=layers(),
        working_directory=trail("/app", entry=FileEntry(kind=FileKind.FOLDER, mode=0o755, uid=0, gid=0)),
    )
    return msgspec.structs.replace(sound, **changed)
