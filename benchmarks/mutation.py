"""Changes single places of the code and shows which changes no test notices: `nox -s mutation`.

A comparison is turned round, a condition negated, an `and` becomes an `or`, and back. Each change is made in a copy of
the checkout, where the tests then run until the first that fails. The code that no test notices is printed. At most one
place in ten may be so.

    nox -s mutation -- src/seatrial/stack --tests tests/unit/test_stack_plan.py tests/unit/test_stack_judge.py
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[1]
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".nox", ".*_cache", "__pycache__", "build", "site")
TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.In: ast.NotIn,
}
TURNED |= {after: before for before, after in TURNED.items()}
SURVIVE_AT_MOST = 0.1
PATIENCE = 4
"""How many times as long as without a change the tests may take; a change that makes them hang is noticed."""


@dataclass(frozen=True)
class Place:
    """A place of a file, in bytes, and what is written there instead."""

    file: Path
    line: int
    start: int
    end: int
    instead: str

    def applied(self, body: bytes) -> bytes:
        """Return a file's text with the change."""
        return body[: self.start] + self.instead.encode() + body[self.end :]

    def described(self, body: bytes) -> str:
        """Return where it is and what changes, on one line."""
        before = " ".join(body[self.start : self.end].decode().split())
        return f"{self.file}:{self.line}: {before} -> {' '.join(self.instead.split())}"


def places(file: Path) -> Iterator[Place]:
    """Yield each change of a file."""
    body = (ROOT / file).read_bytes()
    starts = [0]
    for line in body.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node, changed in changes(ast.parse(body)):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        yield Place(file=file, line=node.lineno, start=start, end=end, instead=f"({ast.unparse(changed)})")


def changes(tree: ast.Module) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield each expression that is changed, and what becomes of it."""
    # Before Python 3.12, what is inside of an f-string does not know where it is.
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in inside:
            continue
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            turned = copy.deepcopy(node)
            turned.ops = [TURNED[type(node.ops[0])]()]
            yield node, turned
        if isinstance(node, ast.BoolOp):
            other = copy.deepcopy(node)
            other.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield node, other
        for condition in conditions(node):
            if not isinstance(condition, ast.Compare) and ast.unparse(condition) != "TYPE_CHECKING":
                yield condition, ast.UnaryOp(ast.Not(), condition)


def conditions(node: ast.AST) -> list[ast.expr]:
    """Return what a statement, an expression or a filter decides by."""
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        return [node.test]
    return node.ifs if isinstance(node, ast.comprehension) else []


@dataclass(frozen=True)
class Checkout:
    """A copy of the checkout, and the tests that run in it."""

    folder: Path
    tests: Sequence[str]

    def passes(self, within: float) -> bool:
        """Tell whether the tests pass."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(self.folder / "src"), str(self.folder))),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        argv = [sys.executable, "-m", "pytest", "--exitfirst", "--quiet", "-p", "no:cacheprovider", *self.tests]
        try:
            done = subprocess.run(
                argv, cwd=self.folder, env=environment, timeout=within, capture_output=True, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def survivors(self, chosen: Sequence[Place], within: float) -> list[str]:
        """Return the changes that the tests do not notice, and print each when it is known."""
        found = []
        for place in chosen:
            file = self.folder / place.file
            body = file.read_bytes()
            file.write_bytes(place.applied(body))
            if self.passes(within):
                found.append(place.described(body))
                print(f"not noticed: {found[-1]}", flush=True)
            file.write_bytes(body)
        return found


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["src/seatrial"], help="files and folders that are changed")
    parser.add_argument("--tests", nargs="+", default=["tests/unit"], help="tests and options for pytest")
    parser.add_argument("--number", type=int, default=100, help="how many places are changed, by chance")
    parser.add_argument("--seed", type=int, default=1, help="what chance begins with")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many changes are tried at once")
    return parser.parse_args()


def main() -> None:
    """Change, test, and print what was not noticed."""
    given = options()
    files = [file for word in given.what for file in ([Path(word)] if word.endswith(".py") else folder_files(word))]
    every = [place for file in files for place in places(file)]
    chosen = random.Random(given.seed).sample(every, min(given.number, len(every)))  # noqa: S311 - a sample, no secret
    with tempfile.TemporaryDirectory(prefix="seatrial-mutation-") as name:
        copies = [Checkout(Path(name) / str(number), given.tests) for number in range(given.processes)]
        for checkout in copies:
            shutil.copytree(ROOT, checkout.folder, symlinks=True, ignore=NOT_COPIED)
        began = time.monotonic()
        if not copies[0].passes(3600):
            sys.exit("the tests do not pass without any change")
        within = PATIENCE * (time.monotonic() - began) + 15
        print(f"{len(every)} places, {len(chosen)} of them are tried", flush=True)
        with ThreadPoolExecutor(len(copies)) as pool:
            running = [
                pool.submit(checkout.survivors, chosen[number :: len(copies)], within)
                for number, checkout in enumerate(copies)
            ]
            found = [line for share in running for line in share.result()]
    print(f"{len(found)} of {len(chosen)} not noticed")
    sys.exit(len(found) > SURVIVE_AT_MOST * len(chosen))


def folder_files(folder: str) -> list[Path]:
    """Return the modules of a folder, by their paths within the checkout."""
    return sorted(file.relative_to(ROOT) for file in (ROOT / folder).rglob("*.py"))


if __name__ == "__main__":
    main()
