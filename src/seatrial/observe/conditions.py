"""Whether a condition in Python's code holds in a container on Linux, by its text alone."""

from __future__ import annotations

import ast
import re

ASKS_FIRST = re.compile(
    r"find_spec|has_|_?available|installed|supported|importable|can_import|which\(|exists\(|is_?file\(|is_?dir\(",
    re.IGNORECASE,
)
"""A condition that has looked whether something is there."""
VERSION = re.compile(r"(?:sys\.)?version_info(\[:2\])? (>=|>|<=|<|==) (\([\d, ]+\))")
PLATFORM = re.compile(r"(?:sys\.platform|os\.name|platform\.system\(\)) (==|!=) '(\w+)'")
DECIDED = {
    **dict.fromkeys(("TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING", "False", "0"), False),
    **dict.fromkeys(
        ("sys.platform in ('win32', 'cygwin')", "WINDOWS", "IS_WINDOWS", "WIN", "MACOS", "IS_MACOS"), False
    ),
    **dict.fromkeys((f"sys.platform.startswith('{name}')" for name in ("win", "win32", "darwin")), False),
    **dict.fromkeys(("sys.platform.startswith('linux')", "True", "1"), True),
}
"""Conditions that hold, or do not, in every container on Linux."""


def decided(test: ast.expr, version: tuple[int, int], *, main: bool = False) -> bool | None:
    """Tell whether a condition holds with a version of Python; None where that is not known.

    `main` tells that the command runs the module itself.
    """
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = decided(test.operand, version, main=main)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        parts = [decided(value, version, main=main) for value in test.values]
        least = isinstance(test.op, ast.Or)
        return least if least in parts else None if None in parts else not least
    text = ast.unparse(test)
    if text == "__name__ == '__main__'":
        return main
    if by_version := VERSION.fullmatch(text):
        return _by_version(by_version[2], by_version[3], version, whole=not by_version[1])
    if by_platform := PLATFORM.fullmatch(text):
        same = by_platform[2].lower() in {"linux", "posix"}
        return same if by_platform[1] == "==" else not same
    return DECIDED.get(text)


def _by_version(operator: str, numbers: str, version: tuple[int, int], *, whole: bool) -> bool:
    wanted = tuple(int(part) for part in re.findall(r"\d+", numbers))[:2]
    seen = version[: len(wanted)]
    if operator == "==":
        return seen == wanted
    # All of sys.version_info has more parts than what it is compared with: (3, 12, 1) is above (3, 12).
    if operator in {">=", "<"}:
        return (seen >= wanted) is (operator == ">=")
    above = seen >= wanted if whole else seen > wanted
    return above is (operator == ">")


def asks_first(test: ast.expr) -> bool:
    """Tell whether a condition has looked whether something is there."""
    return ASKS_FIRST.search(ast.unparse(test)) is not None
