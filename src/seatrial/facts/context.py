"""Lists what a build may see: the context's files under its ignore file, by docker's own matching."""

from __future__ import annotations

import stat
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.facts.data import BuildContext, ContextFile, Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def read_context(folder: Path, dockerfile: Path, shown: str, project: Path) -> BuildContext | Missing:
    """Return what a build of a context may see.

    Args:
        folder: the context.
        dockerfile: the Dockerfile, as an ignore file may go by its name.
        shown: the context's path for a person.
        project: the project's folder.

    """
    from docker.utils.build import PatternMatcher

    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    ignore = own if own.is_file() else folder / ".dockerignore"
    try:
        patterns = _patterns(ignore) if ignore.is_file() else []
        matcher = PatternMatcher(patterns)
        files, cut = _files(matcher, folder)
        texts = dict(_texts(folder, files))
    except (OSError, RecursionError, ValueError) as error:
        # ValueError: a pattern that is none.
        return Missing(reason=f"the build context {shown} cannot be read: {error}")
    named = str(ignore.relative_to(project)) if ignore.is_relative_to(project) else str(ignore)
    return BuildContext(
        path=shown,
        ignore_file=named if ignore.is_file() else "",
        suggested=named,
        files=tuple(sorted(files, key=lambda one: one.path)),
        truncated=cut,
        admitted=tuple(path for path in TRIED if not _ignored(matcher, path)),
        texts=texts,
    )


def _patterns(ignore: Path) -> list[str]:
    # As the engine's own reader does: blanks around a line and comment lines do not count.
    lines = (line.strip() for line in ignore.read_text(encoding="utf-8", errors="replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _ignored(matcher: object, path: str) -> bool:
    """Tell whether a path, or a folder above it, is left out; docker's walk does not enter such a folder."""
    parts = path.split("/")
    ways = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    return any(matcher.matches(way) for way in ways[:-1] if not _opened(matcher, way)) or matcher.matches(path)  # type: ignore[attr-defined]


def _opened(matcher: object, folder: str) -> bool:
    """Tell whether a later `!` pattern lets something below a folder through."""
    return any(one.exclusion and one.cleaned_pattern.startswith(folder) for one in matcher.patterns)  # type: ignore[attr-defined]


def _files(matcher: object, folder: Path) -> tuple[list[ContextFile], bool]:
    found: list[ContextFile] = []
    deadline = time.monotonic() + MOST_SECONDS
    walk: Iterator[str] = matcher.walk(str(folder))  # type: ignore[attr-defined]
    for count, path in enumerate(islice(walk, MOST_FILES + 1)):
        if count == MOST_FILES or time.monotonic() > deadline:
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
    return found, False


def _texts(folder: Path, files: list[ContextFile]) -> Iterator[tuple[str, str]]:
    wanted = [
        one.path
        for one in files
        if Path(one.path).suffix in {".txt", ".in", ".lock"}
        and any(word in one.path.lower() for word in ("requirement", "constraint"))
        and one.size <= MOST_TEXT
    ]
    for path in sorted(wanted)[:MOST_TEXTS]:
        file = folder / path
        # A link may lead out of the context: such a file is another one in the build.
        if file.is_file() and not file.is_symlink():
            yield path, file.read_text(encoding="utf-8", errors="replace")
