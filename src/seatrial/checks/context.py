"""context/*: what a build may see of the project."""

from __future__ import annotations

import re

from seatrial.checks.declaration import check
from seatrial.checks.model import Expect, Outcome, UndecidedError
from seatrial.facts import BuildContext
from seatrial.settings.model import Contract
from seatrial.text import parse_size, show_size

UNWANTED = (
    (r"(^|/)\.git(/|$)", "**/.git"),
    (r"(^|/)(\.venv|venv)/|(^|/)pyvenv\.cfg$", "**/.venv"),
    (r"(^|/)\.env(\.(?!example$|sample$|template$)[^/]*)?$", "**/.env*"),
    (r"(^|/)__pycache__/|\.pyc$", "**/__pycache__"),
    (r"(^|/)\.(pytest|mypy|ruff)_cache/", "**/.*_cache"),
    (r"(^|/)\.(tox|nox)/", "**/.nox"),
    (r"(^|/)node_modules/", "**/node_modules"),
    (r"^(src/)?tests?/", "tests"),
)
"""What no build should see, and the line of the ignore file that keeps it out."""
ONLY_WHERE_IT_IS = {"**/.git", "tests"}
"""Parts of a repository: where there are none today, there are none tomorrow. The rest comes with the work."""
SHOWN = 5


@check(
    "context/ignored",
    title="Keeps unneeded files out of the build",
    why="What a build sees, a `COPY .` takes along: history, secrets, an environment of another system.",
    source="uv's Docker guide, .dockerignore; Docker's build best practices",
    example="# .dockerignore: there is none",
    fixed="# .dockerignore\n.git\n**/.venv\n**/.env*\n**/__pycache__\n**/.*_cache\ntests",
)
def ignored(context: BuildContext) -> Outcome:
    expect = Expect("an ignore file that keeps .git, environments, .env, caches and tests out")
    there: dict[str, str] = {}
    for file in context.files:
        line = _unwanted(file.path)
        if line:
            there.setdefault(line, file.path)
    to_come: dict[str, str] = {}
    for path in context.admitted:
        line = _unwanted(path)
        if line and line not in {*there, *ONLY_WHERE_IT_IS}:
            to_come.setdefault(line, path)
    where = f"{context.ignore_file or context.suggested}:1"
    if there or to_come:
        lines = ", ".join(f"`{line}`" for line in (*there, *to_come))
        parts = [
            f"the build sees {', '.join(there.values())}" if there else "",
            f"it would see {', '.join(to_come.values())}" if to_come else "",
        ]
        return expect.failed(
            "; ".join(part for part in parts if part)
            + ("" if context.ignore_file else f"; there is no {context.suggested}"),
            fix=f"Write into {context.ignore_file or context.suggested}: {lines}.",
            where=where,
        )
    if context.truncated:
        raise UndecidedError(f"the context {context.path} holds more files than were checked ({len(context.files)})")
    return expect.passed(f"{context.ignore_file or context.path}: {len(context.files)} files reach a build")


def _unwanted(path: str) -> str:
    return next((line for pattern, line in UNWANTED if re.search(pattern, path)), "")


@check(
    "context/size",
    title="Stays within its size limit",
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
            f"{show_size(total)} in {len(context.files)} files; the largest is {largest[0].path}, "
            f"{show_size(largest[0].size)}",
            fix=f"Name it in {context.ignore_file or context.suggested}, or set `max-context`.",
            evidence=evidence,
            where=f"{context.ignore_file or context.suggested}:1",
        )
    if context.truncated:
        raise UndecidedError(
            f"the context {context.path} holds more files than were checked ({len(context.files)})", *evidence
        )
    return expect.passed(f"{show_size(total)} in {len(context.files)} files", evidence=evidence)
