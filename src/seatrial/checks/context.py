"""context/*: what the ignore file lets a build see."""

from __future__ import annotations

import re
from collections.abc import Iterable

from seatrial.checks.declaration import check
from seatrial.checks.model import Expect, Outcome, Severity, UndecidedError
from seatrial.facts import BuildContext, Unavailable
from seatrial.settings.model import Contract
from seatrial.text import counted, parse_size, show_size

SHOWN = 5
"""Files that a finding names."""
ENVIRONMENT_FILES = "**/.env*"
UNWANTED = (
    (r"(?:^|/)(\.git)(?:/|$)", "**/.git"),
    (r"(?:^|/)(\.?venv)/|(?:^|/)([^/]+)/pyvenv\.cfg$", "**/{name}"),
    (r"(?:^|/)(\.env(?:\.(?!example$|sample$|template$|dist$)[^/]*)?)$", ENVIRONMENT_FILES),
    (r"(?:^|/)(__pycache__)/|\.pyc$", "**/__pycache__"),
    (r"(?:^|/)(\.(?:pytest|mypy|ruff)_cache)/", "**/.*_cache"),
    (r"(?:^|/)(\.(?:tox|nox))/", "**/{name}"),
    (r"(?:^|/)(node_modules)/", "**/node_modules"),
    (r"^((?:src/)?tests?)/", "{name}"),
)
"""What no build should see, its name as the first group that holds one, and the line that keeps it out."""
ONLY_WHERE_IT_IS = {"**/.git", "tests", "test", "src/tests", "src/test"}
"""Parts of a repository: where there are none today, there are none tomorrow. The rest comes with the work."""


@check(
    "context/ignored",
    title="Keeps unneeded files out of the build",
    severity=Severity.NOTE,
    why="What a build sees, a `COPY .` takes along: history, secrets, an environment of another system.",
    source="uv's Docker guide, .dockerignore; Docker's build best practices",
    example="# .dockerignore: there is none",
    fixed="# .dockerignore\n.git\n**/.venv\n**/.env*\n**/__pycache__\n**/.*_cache\ntests",
)
def ignored(context: BuildContext) -> Outcome:
    expect = Expect("an ignore file that keeps .git, environments, .env, caches and tests out")
    there = _unwanted(file.path for file in context.files)
    admitted = _unwanted(context.admitted)
    to_come = {line: found for line, found in admitted.items() if line not in {*there, *ONLY_WHERE_IT_IS}}
    if there or to_come:
        file = ignore_file(context)
        # A pattern without `**/` is matched at the top of the context only.
        kept_out = {path.partition("/")[0] for path in context.kept_out}
        seen = (*there.values(), *to_come.values())
        below = [name for name, path in seen if name in kept_out and not path.startswith(name)]
        unnamed = [name for name, _ in to_come.values() if name not in below]
        parts = (
            f"the build sees {', '.join(path for _, path in there.values())}" if there else "",
            f"{file} keeps {', '.join(below)} out at the top of the context only" if below else "",
            f"no line of {file} keeps out {', '.join(unnamed)}" if unnamed and context.ignore_file else "",
            "" if context.ignore_file else f"there is no {context.suggested}",
        )
        return expect.failed(
            "; ".join(filter(None, parts)),
            items=[*(name for name, _ in seen), *filter(None, parts[-1:])],
            fix=f"Write into {file}: {', '.join(f'`{line}`' for line in (*there, *to_come))}.",
            where=f"{file}:1",
            severity=Severity.WARNING if ENVIRONMENT_FILES in there else None,
        )
    if context.truncated:
        raise UndecidedError(f"the context {context.path} holds more files than were checked ({len(context.files)})")
    return expect.passed(f"{context.ignore_file or context.path}: {len(context.files)} files reach a build")


def ignore_file(context: BuildContext | Unavailable) -> str:
    """Return the ignore file that the build reads, or where one belongs."""
    return ".dockerignore" if isinstance(context, Unavailable) else context.ignore_file or context.suggested


def _unwanted(paths: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the lines that keep unwanted files out, each with the name and the first path that it is for."""
    found: dict[str, tuple[str, str]] = {}
    for path in paths:
        for pattern, line in UNWANTED:
            if match := re.search(pattern, path):
                name = next(filter(None, match.groups()), "__pycache__")
                found.setdefault(line.format(name=name), (name, path))
                break
    return found


@check(
    "context/size",
    title="Stays within its size limit",
    severity=Severity.NOTE,
    demanded_by=("max_context",),
    why="The context is sent before each build; a database dump in it is sent each time.",
    source="Docker's build best practices, exclude with .dockerignore",
    example="# a 2 GB dump.sql beside the Dockerfile, and no line for it in .dockerignore",
    fixed="# .dockerignore\n*.sql",
)
def size(context: BuildContext, contract: Contract) -> Outcome:
    total = sum(file.size for file in context.files)
    expect = Expect(f"at most {contract.max_context}")
    largest = sorted(context.files, key=lambda file: -file.size)[:SHOWN]
    evidence = tuple(f"{show_size(file.size)} {file.path}" for file in largest)
    if total > parse_size(contract.max_context):
        return expect.failed(
            f"{show_size(total)} in {counted(len(context.files), 'file')}; the largest is {largest[0].path}, "
            f"{show_size(largest[0].size)}",
            fix=f"Name it in {ignore_file(context)}, or set `max-context`.",
            evidence=evidence,
            where=f"{ignore_file(context)}:1",
        )
    if context.truncated:
        raise UndecidedError(
            f"the context {context.path} holds more files than were checked ({len(context.files)})", *evidence
        )
    return expect.passed(f"{show_size(total)} in {counted(len(context.files), 'file')}", evidence=evidence)
