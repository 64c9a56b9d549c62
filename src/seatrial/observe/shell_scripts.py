"""Follows the shell scripts that start an application to the files that they source or run."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.facts.command import SHELLS
from seatrial.observe import paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.facts import ResolvedPath, Shebang
    from seatrial.observe.paths import Files


SOURCED = re.compile(r"(?:^|[;&|({]|\b(?:then|do|else))\s*(?:\.|source)\s+([\"']?)([^\s\"';&|()]+)\1", re.MULTILINE)
RUN = re.compile(r"(?<![\w./-])(\.{0,2}/[\w./-]*\.(?:sh|bash))\b")
EXPANDS = re.compile(r"\b(?:eval|envsubst)\b")
MOST_FILES = 20


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What the text of the scripts tells."""

    files: tuple[str, ...] = ()
    """The scripts, and what they source or run, in the order in which they were found."""
    windows: tuple[str, ...] = ()
    """Those with Windows line ends."""
    expands: bool = False
    """One of the scripts may expand variables in its arguments."""


def follow_scripts(
    program: ResolvedPath | None, scripts: Sequence[Shebang], line: str, directory: str, files: Files
) -> Followed:
    """Follow a command that a shell reads: its program, where that is a shell script, and a `line` for a shell."""
    wanted = _named(line, directory)
    starts_with_return = False
    if program is not None and scripts and _is_shell(scripts[0]):
        wanted.insert(0, program.end)
        starts_with_return = scripts[0].line.endswith("\r")
    seen: dict[str, str] = {}
    while wanted and len(seen) < MOST_FILES:
        path = wanted.pop(0)
        trail = paths.follow(path, files)
        if path not in seen and trail.is_file:
            seen[path] = files.text(trail.end)
            wanted += _named(seen[path], directory)
    own = program.end if program is not None else ""
    # Of the program itself, a first line that ends so is told by where it leads.
    windows = [path for path, text in seen.items() if "\r\n" in text and not (path == own and starts_with_return)]
    return Followed(files=tuple(seen), windows=tuple(windows), expands=any(map(EXPANDS.search, seen.values())))


def _is_shell(script: Shebang) -> bool:
    return posixpath.basename(script.interpreter) in SHELLS or posixpath.basename(script.resolved.end) in SHELLS


def _named(text: str, directory: str) -> list[str]:
    """Return the files that a script's text sources or runs; those whose names hold a variable are left out."""
    # The carriage returns of the script itself are not part of the names in it.
    lines = "\n".join(line for line in text.replace("\r", "").split("\n") if not line.lstrip().startswith("#"))
    found = [match[2] for match in SOURCED.finditer(lines)] + [match[1] for match in RUN.finditer(lines)]
    return [posixpath.normpath(posixpath.join(directory, name)) for name in found if "$" not in name]
