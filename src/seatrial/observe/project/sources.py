"""What a project's own files say of an image: Dockerfile, hadolint, build context, compose file."""

from __future__ import annotations

import json
import platform
import stat
import sysconfig
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial import process
from seatrial.compose.runner import ALONE, Beside
from seatrial.compose.services import read_compose
from seatrial.dockerfile import DockerfileError, bases, for_target, parse, read
from seatrial.errors import ProgramError
from seatrial.facts import (
    BuildContext,
    ContextFile,
    DockerfileSource,
    Lint,
    LintFinding,
    NotInstalled,
    Sources,
    Unavailable,
)
from seatrial.observe.project.ignore_file import IgnoreFile, IgnoreFileError, read_ignore_file
from seatrial.observe.project.services import of_no_image, with_images
from seatrial.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from seatrial.engine.find import Engine
    from seatrial.facts import ComposeSource, Json
    from seatrial.host import Host
    from seatrial.observe.project.services import IndexOf

SECONDS = 20
LINT_LIMITS = process.Limits(memory=1024**3, processor=SECONDS, output=16 * 1024**2)
MOST_FINDINGS = 500
CONFIGURATIONS = (".hadolint.yaml", ".hadolint.yml", ".hadolint.json", ".hadolint.toml")


def run_lint(dockerfile: Path, project: Path, host: Host) -> Lint | Unavailable:
    """Return what hadolint says; its configuration in the project's folder holds where the project is trusted."""
    try:
        program = _program(host)
    except ProgramError:
        return NotInstalled(reason="hadolint is not installed; `pip install seatrial[hadolint]` brings it")
    words = [program, "--no-fail", "--no-color", "--format", "json"]
    configuration, folder = None, project
    if host.trust is Trust.NONE:
        # It also reads what lies in its working directory.
        words, folder = [*words, "--disable-ignore-pragma"], Path("/")
    else:
        configuration = next((name for name in CONFIGURATIONS if (project / name).is_file()), None)
    if configuration is not None:
        words += ["--config", str(project / configuration)]
    # Without a home it finds no settings of one person's, which another one would not have.
    environment = {"PATH": host.environment.get("PATH", ""), "LANG": "C.UTF-8", "HOME": "/nonexistent"}
    try:
        done = process.run(
            [*words, "--", str(dockerfile.absolute())],
            timeout=SECONDS,
            environment=environment,
            folder=folder,
            check=False,
            limits=LINT_LIMITS,
        )
        rows = json.loads(done.output or "null")
    except (ProgramError, ValueError) as error:
        return Unavailable(reason=f"hadolint gave no answer: {str(error)[:300]}")
    if done.code != 0 or not isinstance(rows, list):
        said = f"ended with exit code {done.code}" if done.code else "gave no list of findings"
        return Unavailable(reason=f"hadolint {said}", detail=done.errors[-500:])
    return Lint(findings=tuple(map(_finding, rows[:MOST_FINDINGS])), configuration=configuration or "")


def _program(host: Host) -> str:
    # The wheel puts it beside this interpreter, which need not be on PATH.
    own = sysconfig.get_path("scripts")
    path = f"{own}:{host.environment.get('PATH', '')}"
    return process.find_program("hadolint", path=path)


def _finding(row: dict[str, object]) -> LintFinding:
    line = row.get("line")
    return LintFinding(
        rule=str(row.get("code", "")),
        level=str(row.get("level", "")),
        line=line if isinstance(line, int) else 0,
        message=str(row.get("message", "")),
    )


MOST_FILES = 20_000
"""Past them a context holds what it should not, and the list is cut."""
MOST_SECONDS = 5.0
MOST_TEXT = 256 * 1024
"""Bytes of one requirement file."""
MOST_TEXTS = 20

TRIED = (
    ".git/HEAD",
    ".venv/pyvenv.cfg",
    "venv/pyvenv.cfg",
    ".env",
    ".env.local",
    "__pycache__/module.pyc",
    "src/package/__pycache__/module.pyc",
    ".pytest_cache/README.md",
    ".mypy_cache/missing",
    ".ruff_cache/missing",
    "tests/test_it.py",
)
"""What a checkout gets sooner or later, and no build should see."""


def read_context(folder: Path, dockerfile: Path, shown: str, project: Path) -> BuildContext | Unavailable:
    """Return what a build of a context may see; an ignore file may go by the Dockerfile's name.

    `shown` is the context's path for a person.
    """
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    ignore = own if _holds(own.parent, own) else folder / ".dockerignore"
    there = _holds(folder, ignore) or ignore == own
    try:
        patterns = read_ignore_file(ignore) if there else IgnoreFile(())
        files, cut = _files(patterns, folder)
        texts = dict(_texts(folder, files))
    except IgnoreFileError as error:
        return Unavailable(reason=f"{_below(ignore, project)}: {error}")
    except OSError as error:
        return Unavailable(reason=f"the build context {shown} cannot be read: {error}")
    named = _below(ignore, project)
    return BuildContext(
        path=shown,
        ignore_file=named if there else "",
        suggested=named,
        files=tuple(sorted(files, key=lambda file: file.path)),
        truncated=cut,
        admitted=tuple(path for path in TRIED if not patterns.ignores(path)),
        kept_out=tuple(path for path in TRIED if patterns.ignores(path)),
        texts=texts,
    )


def _holds(folder: Path, file: Path) -> bool:
    """Tell whether a folder holds a file: a link that leads out of a folder leads nowhere in a build."""
    return file.is_file() and file.resolve().is_relative_to(folder.resolve())


def _below(file: Path, project: Path) -> str:
    return str(file.relative_to(project)) if file.is_relative_to(project) else str(file)


def _files(patterns: IgnoreFile, folder: Path) -> tuple[list[ContextFile], bool]:
    """Return the files that a build is sent, and whether there were too many to read them all in time."""
    found: list[ContextFile] = []
    deadline = time.monotonic() + MOST_SECONDS
    for count, path in enumerate(islice(patterns.walk(folder, deadline), MOST_FILES + 1)):
        if count == MOST_FILES:
            return found, True
        if path == ".dockerignore":
            # The classic builder always sent it; BuildKit reads it and leaves it out.
            continue
        try:
            seen = (folder / path).lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(seen.st_mode):
            found.append(ContextFile(path=path, size=seen.st_size if stat.S_ISREG(seen.st_mode) else 0))
    return found, time.monotonic() > deadline


def is_requirements(path: str) -> bool:
    """Tell whether a file of a context is read as one of requirements."""
    named = any(word in path.lower() for word in ("requirement", "constraint"))
    return named and Path(path).suffix in {".txt", ".in", ".lock"}


def _texts(folder: Path, files: list[ContextFile]) -> Iterator[tuple[str, str]]:
    wanted = [file.path for file in files if is_requirements(file.path) and file.size <= MOST_TEXT]
    for path in sorted(wanted)[:MOST_TEXTS]:
        file = folder / path
        # A link may lead out of the context: such a file is another one in the build.
        if file.is_file() and not file.is_symlink():
            yield path, file.read_text(encoding="utf-8", errors="replace")


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
    beside: Beside = ALONE
    """What compose reads beside the compose file."""
    target: str | None = None
    """The stage that is built; None: the last one."""
    own_images: Mapping[str, str] = field(default_factory=dict)
    """The project's own images: repository to app."""
    with_images: Callable[[Json], Json] = lambda document: document
    """Gives the services of compose's model that only have a build section the image that is built for them."""

    def shown(self, path: Path) -> str:
        """Return a path as a person knows it."""
        return str(path.relative_to(self.project) if path.is_relative_to(self.project) else path)


def read_sources(files: SourceFiles, engine: Engine, index_of: IndexOf = of_no_image) -> Sources | Unavailable:
    """Return what an app's sources say; nothing is built or started, but the linter and compose are asked.

    `index_of` gives the files of the images that the compose file names.
    """
    dockerfile = read_dockerfile(files.dockerfile, files.shown(files.dockerfile), files.build_arguments, files.target)
    if isinstance(dockerfile, Unavailable):
        return dockerfile
    compose = _compose(files, files.compose, engine, index_of) if files.compose else None
    return Sources(
        dockerfile=dockerfile,
        lint=run_lint(files.dockerfile, files.project, files.host),
        context=read_context(files.context, files.dockerfile, files.shown(files.context), files.project),
        compose=compose,
    )


def read_dockerfile(
    file: Path, shown: str, build_arguments: Mapping[str, str], target: str | None = None
) -> DockerfileSource | Unavailable:
    """Return a Dockerfile, parsed, as far as a target needs it; `shown` is its path for a person."""
    try:
        parsed = for_target(parse(read(file)), target, build_arguments)
    except OSError as error:
        return Unavailable(reason=f"{shown} cannot be read: {error.strerror}")
    except DockerfileError as error:
        return Unavailable(reason=f"{shown} cannot be used: {error}")
    return DockerfileSource(path=shown, parsed=parsed, bases=bases(parsed, build_arguments, _platform()))


def _compose(files: SourceFiles, file: Path, engine: Engine, index_of: IndexOf) -> ComposeSource | Unavailable:
    around = (file, files.shown(file), files.project, engine, files.host)
    found = read_compose(*around, beside=files.beside, own=files.own_images, with_images=files.with_images)
    return found if isinstance(found, Unavailable) else with_images(found, engine, index_of)


def _platform() -> dict[str, str]:
    """Return BuildKit's own arguments, as far as a FROM may name them."""
    machine = platform.machine()
    known = ARCHITECTURES.get(machine, machine)
    own = {"OS": "linux", "ARCH": known, "PLATFORM": f"linux/{known}"}
    return {f"{side}{key}": value for side in ("TARGET", "BUILD") for key, value in own.items()}
