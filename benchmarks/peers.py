"""Other tools that look at images, as far as this machine has them: found beside the interpreter or on PATH."""

from __future__ import annotations

import ensurepip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.peer import leaving_nothing

from seatrial.engine import runs
from seatrial.engine.containers import container
from seatrial.engine.streams import run_to_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.engine.find import Engine
    from seatrial.settings.model import Contract

SECONDS = 300
PIP_SECONDS = 60
MOST_OUTPUT = 1024 * 1024

LISTED = "from importlib.metadata import distributions as d; print(*sorted(x.metadata['Name'] for x in d()), sep='\\n')"
"""What `pip list` says, also where the image holds no pip."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image to look at, with what its makers know of it."""

    reference: str
    dockerfile: str
    contract: Contract
    command: tuple[str, ...]


def program(name: str) -> str | None:
    """Return a peer's program, or None where it is not installed."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    return shutil.which(name, path=path)


def run(words: Sequence[str], *, engine: Engine | None = None, text: str | None = None) -> int:
    """Run a peer to its end and return its exit code; what it prints is not asked for."""
    environment = {**os.environ, **(engine.programs_environment if engine else {})}
    done = subprocess.run(
        words, env=environment, input=text, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return done.returncode


@dataclass(kw_only=True)
class StructureTest:
    """container-structure-test, with the plan's wishes and whatever of the contract it can express."""

    engine: Engine
    path: str
    name: str = "container-structure-test"
    known: dict[tuple[str, str], bool] = field(default_factory=dict)
    alone: threading.Lock = field(default_factory=threading.Lock)
    """Runs one at a time: what a run leaves is known by what was there before it."""

    def refuses(self, image: Image) -> bool:
        config = json.dumps(wishes(image), indent=1)
        key = (image.reference, hashlib.sha256(config.encode()).hexdigest())
        if key not in self.known:
            with tempfile.TemporaryDirectory(prefix="seatrial-peers-") as folder:
                file = Path(folder) / "structure.json"
                file.write_text(config, encoding="utf-8")
                words = [self.path, "test", "--quiet", "--image", image.reference, "--config", str(file)]
                with self.alone, leaving_nothing(self.engine, image.reference):
                    self.known[key] = run(words, engine=self.engine) != 0
        return self.known[key]


def wishes(image: Image) -> dict[str, Any]:
    """Return the plan's wishes as container-structure-test's own configuration, schema 2.0.0."""
    contract = image.contract
    python = contract.interpreter or "python"
    tests = [
        _test("whoami", "whoami", expectedOutput=[f"^{contract.user or 'app'}\n$"]),
        _test("no test tools", python, "-c", LISTED, excludedOutput=[r"(?m)^(pytest|ruff|mypy)$"]),
        _test("no pip", python, "-c", "import importlib.util as u; print(u.find_spec('pip'))", expectedOutput=["None"]),
    ]
    if image.command:
        tests.append(_test("its command is there", "which", image.command[0]))
    if contract.python:
        tests.append(_test("python", python, "--version", expectedOutput=[rf"Python {contract.python}\."]))
    modules = ", ".join(module.partition(":")[0] for module in contract.modules)
    if modules:
        tests.append(_test("imports", python, "-c", f"import {modules}"))
    if contract.executables:
        tests.append(_test("programs", "which", *contract.executables))
    tests.extend(_test(f"may write {path}", "test", "-w", path) for path in contract.writable_paths)
    files = [{"name": "the environment", "path": "/app/.venv/bin/python", "shouldExist": True}]
    files += [{"name": f"no {name}", "path": f"/usr/local/bin/{name}", "shouldExist": False} for name in ("uv", "pip")]
    return {
        "schemaVersion": "2.0.0",
        "commandTests": tests,
        "fileExistenceTests": files,
        "metadataTest": {"workdir": "/app", "exposedPorts": ["8000"]},
    }


def _test(name: str, command: str, *arguments: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "command": command, "args": list(arguments), **more}


@dataclass(kw_only=True)
class Hadolint:
    """hadolint, with its own defaults, on the Dockerfile."""

    path: str
    name: str = "hadolint"

    def refuses(self, image: Image) -> bool:
        return run([self.path, "-"], text=image.dockerfile) != 0


@dataclass(kw_only=True)
class PipCheck:
    """`pip check` by the image's own python, with a pip from outside: the images hold none."""

    engine: Engine
    wheel: Path
    name: str = "pip check"
    known: dict[str, bool] = field(default_factory=dict)

    def refuses(self, image: Image) -> bool:
        if image.reference not in self.known:
            self.known[image.reference] = self._ends_badly(image.reference)
        return self.known[image.reference]

    def _ends_badly(self, reference: str) -> bool:
        import docker.errors

        plan = {
            "Image": reference,
            "Entrypoint": ["python"],
            "Cmd": ["/pip.whl/pip", "--disable-pip-version-check", "check"],
            "Healthcheck": {"Test": ["NONE"]},
            "AttachStdout": True,
            "AttachStderr": True,
            "HostConfig": {"NetworkMode": "none"},
        }
        with runs.running(self.engine, pid=os.getpid()) as run_of, container(run_of, plan) as made:
            made.client.put_archive(made.id, "/", _packed(self.wheel))
            try:
                return run_to_end(made, seconds=PIP_SECONDS, most=MOST_OUTPUT).code != 0
            except docker.errors.APIError:
                # The engine could not start it, or the image has no such program: a pipeline would stop here too.
                return True


def _packed(wheel: Path) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        archive.add(wheel, arcname="pip.whl")
    return sink.getvalue()


def bundled_pip() -> Path | None:
    """Return the pip that comes with this interpreter."""
    folder = Path(ensurepip.__file__).parent / "_bundled"
    return next(iter(sorted(folder.glob("pip-*.whl"))), None)
