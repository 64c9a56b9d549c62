"""Gathers what a project's own files say of an image, beside what the engine is asked."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.dockerfile import parse
from seatrial.facts.compose import read_compose
from seatrial.facts.context import read_context
from seatrial.facts.data import DockerfileSource, Missing, Sources
from seatrial.facts.lint import run_lint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from seatrial.engine.find import Engine
    from seatrial.host import Host

ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class SourceFiles:
    """Where the sources of an app's image lie."""

    project: Path
    """The project's folder: paths are shown from here."""
    dockerfile: Path
    context: Path
    compose: Path | None
    build_arguments: Mapping[str, str]
    host: Host

    def shown(self, path: Path) -> str:
        """Return a path as a person knows it."""
        return str(path.relative_to(self.project) if path.is_relative_to(self.project) else path)


def read_sources(files: SourceFiles, engine: Engine) -> Sources | Missing:
    """Return what an app's sources say; nothing is built or started, but the linter and compose are asked."""
    try:
        text = files.dockerfile.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        return Missing(reason=f"{files.shown(files.dockerfile)} cannot be read: {error.strerror}")
    parsed = parse(text)
    return Sources(
        dockerfile=DockerfileSource(
            path=files.shown(files.dockerfile),
            parsed=parsed,
            bases=parsed.bases(files.build_arguments, _platform()),
        ),
        lint=run_lint(files.dockerfile, files.project, files.host),
        context=read_context(files.context, files.dockerfile, files.shown(files.context), files.project),
        compose=(
            None
            if files.compose is None
            else read_compose(files.compose, files.shown(files.compose), engine, files.host)
        ),
    )


def _platform() -> dict[str, str]:
    """Return BuildKit's own arguments, as far as a FROM may name them."""
    machine = platform.machine()
    known = ARCHITECTURES.get(machine, machine)
    return {
        **{f"{side}OS": "linux" for side in ("TARGET", "BUILD")},
        **{f"{side}ARCH": known for side in ("TARGET", "BUILD")},
        **{f"{side}PLATFORM": f"linux/{known}" for side in ("TARGET", "BUILD")},
    }
