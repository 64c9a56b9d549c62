"""An ignore file's patterns, matched as BuildKit does, in time that grows with the pattern and the path only.

Source: Docker's reference of .dockerignore; moby/patternmatcher. A pattern is matched part by part, so that no pattern
can make the matching backtrack without end.
"""

from __future__ import annotations

import os
import posixpath
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

MOST_BYTES = 1024 * 1024
MOST_PATTERNS = 5_000
MOST_INNER = 3
"""`**` in the middle of a name (`a**b`) that one pattern may hold: each doubles what must be tried."""
ANY = "**"

Run = tuple[re.Pattern[str], ...]
"""Expressions for parts of a path that follow each other."""


class IgnoreFileError(ValueError):
    """An ignore file that cannot be judged: where, and why."""


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """One line of an ignore file."""

    text: str
    """Without `!`, cleaned as Go's filepath.Clean does."""
    exclusion: bool
    """It begins with `!`: what it matches is let through."""
    forms: tuple[tuple[Run, ...], ...]
    """Ways to match it: runs with any number of parts between them."""

    def matches(self, parts: Sequence[str]) -> bool:
        """Tell whether it matches a path, given by its parts."""
        return any(_matches(form, parts) for form in self.forms)


class IgnoreFile:
    """Its patterns, in their order: the last one that matches a path, or a folder above it, decides."""

    def __init__(self, lines: Iterable[str]) -> None:
        """Read the lines.

        Raises:
            IgnoreFileError: there are too many, or one of them is no pattern.
        """
        self.patterns: list[Pattern] = []
        for number, line in enumerate(lines, 1):
            try:
                pattern = read_pattern(line)
            except (ValueError, re.error) as error:
                raise IgnoreFileError(f"line {number} is not a pattern: {error}") from error
            if pattern is not None:
                self.patterns.append(pattern)
            if len(self.patterns) > MOST_PATTERNS:
                raise IgnoreFileError(f"line {number}: more than {MOST_PATTERNS} patterns")

    def ignores(self, path: str) -> bool:
        """Tell whether a path is left out of the context."""
        parts: list[str] = []
        matched = self._nothing
        for part in path.split("/"):
            parts.append(part)
            matched = self._matched(parts, matched)
        return self._decided(matched)

    @property
    def _nothing(self) -> list[bool]:
        return [False] * len(self.patterns)

    def _matched(self, parts: Sequence[str], above: Sequence[bool]) -> list[bool]:
        """Return which patterns match a path or a folder above it, given which ones match the folder that it is in."""
        return [known or pattern.matches(parts) for known, pattern in zip(above, self.patterns, strict=True)]

    def _decided(self, matched: Sequence[bool]) -> bool:
        last = next((pattern for pattern, hit in zip(self.patterns[::-1], matched[::-1], strict=True) if hit), None)
        return last is not None and not last.exclusion

    def enters(self, folder: str) -> bool:
        """Tell whether something below a folder that is left out may be let through by a `!` pattern."""
        return any(pattern.exclusion and f"{pattern.text}/".startswith(f"{folder}/") for pattern in self.patterns)

    def walk(self, root: Path, deadline: float) -> Iterator[str]:
        """Yield the paths of the context that are not left out, until `deadline` of the monotonic clock.

        Raises:
            OSError: a folder cannot be listed.
        """
        left: list[tuple[list[str], list[bool]]] = [([], self._nothing)]
        while left:
            above, matched_above = left.pop()
            with os.scandir(root.joinpath(*above)) as entries:
                for entry in entries:
                    if time.monotonic() > deadline:
                        return
                    parts = [*above, entry.name]
                    matched = self._matched(parts, matched_above)
                    path, ignored = "/".join(parts), self._decided(matched)
                    if not ignored:
                        yield path
                    if entry.is_dir(follow_symlinks=False) and (not ignored or self.enters(path)):
                        left.append((parts, matched))


def read_ignore_file(file: Path) -> IgnoreFile:
    """Read an ignore file; one that does not exist has no patterns.

    Raises:
        OSError: it cannot be read.
        IgnoreFileError: it is too large, or a line is not a pattern.
    """
    if not file.is_file():
        return IgnoreFile(())
    with file.open("rb") as opened:
        content = opened.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise IgnoreFileError(f"it is larger than {MOST_BYTES // 1024} KiB")
    return IgnoreFile(content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace").splitlines())


def read_pattern(line: str) -> Pattern | None:
    """Return the pattern of a line; None of an empty line and of a comment.

    Raises:
        ValueError: it is no pattern.
    """
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    exclusion = text.startswith("!")
    text = text.removeprefix("!").strip() if exclusion else text
    text = posixpath.normpath(text).lstrip("/") if text else ""
    if exclusion and not text:
        raise ValueError("nothing follows the `!`")
    if text in {"", "."}:
        return None
    # `**name` matches every path that ends so: `**` at the beginning is a star and more.
    plain_ending = text.startswith(ANY) and not re.search(r"[*?\[\\]", text[2:]) and not text.startswith(f"{ANY}/")
    parts = [ANY, f"*{text[2:]}"] if plain_ending and text != ANY and "/" not in text else text.split("/")
    if sum(part.count(ANY) for part in parts if part != ANY) > MOST_INNER:
        raise ValueError(f"more than {MOST_INNER} `**` stand inside of names")
    spellings: list[list[str]] = [[]]
    for part in parts:
        spellings = [[*spelling, *more] for spelling in spellings for more in _spelled_out(part)]
    return Pattern(text=text, exclusion=exclusion, forms=tuple(map(_runs, spellings)))


def _runs(parts: Iterable[str]) -> tuple[Run, ...]:
    runs: list[list[re.Pattern[str]]] = [[]]
    for part in parts:
        if part == ANY:
            runs.append([])
        else:
            runs[-1].append(_expression(part))
    return tuple(map(tuple, runs))


def _spelled_out(part: str) -> list[list[str]]:
    """Return the ways to read a part: `a**b` is `ab`, and what begins with `a` with a `b` somewhere below it."""
    before, double, after = part.partition(ANY)
    if not double or part == ANY:
        return [[part]]
    rest = _spelled_out(after)
    return [[before + first, *more] for first, *more in rest] + [[f"{before}*", ANY, *words] for words in rest]


def _expression(part: str) -> re.Pattern[str]:
    """Return the expression of one part of a pattern: what stands between two stars is found once, at its first place.

    Raises:
        ValueError: a `[` is not closed.
    """
    pieces = [""]
    letters = iter(range(len(part)))
    for at in letters:
        match part[at]:
            case "*":
                pieces.append("")
            case "?":
                pieces[-1] += "."
            case "\\":
                pieces[-1] += re.escape(part[at + 1 : at + 2] or "\\")
                next(letters, None)
            case "[":
                end = part.find("]", at + 2)
                if end < 0:
                    raise ValueError("a `[` is not closed")
                inner = part[at + 1 : end]
                negated = "^" if inner.startswith("^") else ""
                body = inner.removeprefix("^").replace("[", r"\[").replace("&&", r"&\&").replace("||", r"|\|")
                pieces[-1] += f"[{negated}{body}]"
                for _ in range(end - at):
                    next(letters, None)
            case letter:
                pieces[-1] += re.escape(letter)
    first, *inner_pieces = pieces
    if not inner_pieces:
        return re.compile(first, re.DOTALL)
    *middle, last = inner_pieces
    return re.compile(first + "".join(f"(?>.*?{piece})" for piece in middle) + f".*{last}", re.DOTALL)


def _matches(runs: Sequence[Run], parts: Sequence[str]) -> bool:
    """Match a path's parts: the first run at the start, the last at the end, the others at the first place they fit."""
    first, last = runs[0], runs[-1]
    if len(runs) == 1:
        return len(parts) == len(first) and _fits(first, parts, 0)
    # `folder/**` is what lies below the folder, not the folder itself.
    least = len(first) + len(last) + (not last)
    end = len(parts) - len(last)
    if len(parts) < least or not _fits(last, parts, end) or not _fits(first, parts, 0):
        return False
    at = len(first)
    for run in runs[1:-1]:
        while at + len(run) <= end and not _fits(run, parts, at):
            at += 1
        at += len(run)
    return at <= end


def _fits(run: Run, parts: Sequence[str], at: int) -> bool:
    for count, expression in enumerate(run, at):  # noqa: SIM110 - `all` takes twice as long
        if not expression.fullmatch(parts[count]):
            return False
    return True
