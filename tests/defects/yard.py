"""Builds the images of these tests: a few Dockerfile lines each, on bases that they share."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.defects.wheels import another_machine, elf, extension, wheel

from seatrial import process, smoke
from seatrial.checks.model import Level
from seatrial.engine import programs
from seatrial.engine.runs import LABEL
from seatrial.facts import ProjectFacts
from seatrial.images.bases import Registries
from seatrial.offline import ensure_substitute, find_substitute, recipes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.model import Contract

PYTHON = "python:3.13-slim"
FOLDER = Path(__file__).parent
REPOSITORY = f"seatrial-test/defects-{os.getpid()}"
"""Each process has its own: one that clears up leaves the images of those beside it alone."""
BUILD_SECONDS = 300
NO_PROJECT = ProjectFacts()

BUILDER = """
FROM {python}
COPY wheels /wheels
"""

RUNTIME = """
FROM {python}
RUN set -eu; \\
    python3 -m pip uninstall --yes --quiet --root-user-action=ignore pip; \\
    groupadd --gid 10001 app; \\
    useradd --uid 10001 --gid app --home-dir /app --no-create-home --no-log-init app; \\
    mkdir /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/app XDG_CACHE_HOME=/tmp/.cache
WORKDIR /app
USER 10001:10001
EXPOSE 8000
HEALTHCHECK CMD ["shipapp-health"]
CMD ["shipapp"]
LABEL org.opencontainers.image.title=shipapp org.opencontainers.image.version=1.0 \\
    org.opencontainers.image.revision=0f9ae21 org.opencontainers.image.source=https://example.org/shipapp \\
    org.opencontainers.image.created=2026-01-02T03:04:05Z
"""

CLEAN = """
FROM {builder} AS builder
RUN python3 -m venv --without-pip /app/.venv && \\
    python3 -m pip --python /app/.venv/bin/python install --quiet --no-index --no-deps /wheels/shipapp-*.whl
FROM {runtime}
COPY --from=builder /app/.venv /app/.venv
"""
"""What every fixture starts from: an image that passes, of an application that answers in a third of a second."""


@dataclass(kw_only=True)
class Yard:
    """An engine, the shared bases, and the images that were built on them."""

    engine: Engine
    host: Host
    bases: dict[str, str] = field(default_factory=dict)
    built: dict[str, str] = field(default_factory=dict)
    smoked: dict[tuple[str, str, Level], Smoke] = field(default_factory=dict)

    def prepare(self) -> None:
        """Have the official base, or its local substitute, and build what all fixtures share."""
        self.bases["python"] = self._python()
        files = {f"wheels/{name}": body for name, body in wheels().items()}
        self.bases["builder"] = self.image(BUILDER, files)
        self.bases["runtime"] = self.image(RUNTIME)
        self.bases["clean"] = self.image(CLEAN)

    def _python(self) -> str:
        registries = Registries(engine=self.engine)
        if registries.has_locally(PYTHON) or registries.refusal(PYTHON) is None:
            return PYTHON
        plan = find_substitute(PYTHON, recipes(None))
        assert plan is not None
        return ensure_substitute(plan, engine=self.engine, host=self.host, say=lambda _: None)

    def image(self, dockerfile: str, files: Mapping[str, bytes | str] | None = None, platform: str = "") -> str:
        """Build an image; `{clean}` and the other bases stand for their names. One text is built once."""
        for name, reference in self.bases.items():
            dockerfile = dockerfile.replace(f"{{{name}}}", reference)
        bodies = {name: body if isinstance(body, bytes) else body.encode() for name, body in (files or {}).items()}
        digest = hashlib.sha256(repr((dockerfile, sorted(bodies.items()), platform)).encode()).hexdigest()[:16]
        if digest not in self.built:
            self.built[digest] = self._build(dockerfile, bodies, f"{REPOSITORY}:{digest}", platform)
        return self.built[digest]

    def _build(self, dockerfile: str, bodies: Mapping[str, bytes], tag: str, platform: str) -> str:
        with tempfile.TemporaryDirectory(prefix="seatrial-defects-") as name:
            folder = Path(name)
            (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
            for path, body in bodies.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(body)
                (folder / path).chmod(0o755)
            buildx = programs.find("buildx", self.engine, self.host)
            builder = self.engine.candidate.context or "default"
            process.run(
                [
                    *(buildx.path, "build", "--quiet", "--load", "--provenance=false"),
                    *(["--platform", platform] if platform else []),
                    *("--builder", builder, "--tag", tag, name),
                ],
                timeout=BUILD_SECONDS,
                environment=self.engine.programs_environment,
            )
        return tag

    def smoke(
        self,
        reference: str,
        contract: Contract,
        level: Level = Level.STANDARD,
        project: ProjectFacts = NO_PROJECT,
    ) -> Smoke:
        """Smoke an image once for each contract and project."""
        key = (reference, repr((contract, project)), level)
        if key not in self.smoked:
            target = smoke.Target(reference=reference, contract=contract, project=project)
            self.smoked[key] = smoke.smoke(target, self.engine, level=level)[0]
        return self.smoked[key]

    def left_behind(self) -> list[str]:
        """Return the containers that a smoke made of these images and did not remove."""
        rows = self.engine.client.api.containers(all=True, filters={"label": LABEL})
        return [row["Id"] for row in rows if str(row["Image"]) in self.built.values()]

    def clear(self) -> None:
        """Remove the images; the build cache keeps their layers for the next run."""
        import docker.errors

        for reference in reversed(self.built.values()):
            with contextlib.suppress(docker.errors.ImageNotFound):
                self.engine.client.images.remove(reference, force=True)


@contextlib.contextmanager
def open_yard(engine: Engine, host: Host) -> Iterator[Yard]:
    """Give a yard that is cleared at its end."""
    yard = Yard(engine=engine, host=host)
    try:
        yard.prepare()
        yield yard
    finally:
        yard.clear()


def wheels() -> dict[str, bytes]:
    """Return the projects that the fixtures install, as wheels: no index is asked for anything."""
    source = {f"shipapp/{file.name}": file.read_bytes() for file in sorted((FOLDER / "shipapp").glob("*.py"))}
    scripts = {
        "shipapp": "shipapp.web:main",
        "shipapp-health": "shipapp.health:main",
        "shipapp-migrate": "shipapp.migrate:main",
        "shipapp-worker": "shipapp.worker:main",
    }
    return dict(
        (
            wheel("shipapp", "1.0", source, scripts=scripts),
            wheel("pytest", "8.4.0", {"pytest.py": b""}),
            wheel("tides", "1.0", {"tides.py": b""}),
            wheel("tides", "2.0", {"tides.py": b""}),
            wheel("sextant", "1.0", {"sextant.py": b""}, requires=("tides>=2", "pywin32; sys_platform == 'win32'")),
            wheel("compass", "1.0", {"compass.abi3.so": extension("libc.so.6", machine=another_machine())}),
            wheel("compass", "2.0", {"compass.abi3.so": extension("libc.so.6")}),
            wheel("shiplib", "2.1", {"shiplib.py": b"", "shiplib_native.so": elf("libtide.so.9")}),
        )
    )
