"""A module's syntax tree: what its names stand for, what its expressions say, and whether its conditions hold."""

from __future__ import annotations

import ast
import re
import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

LONGEST = 100
"""Characters of a value that is shown."""


def parse(source: str | bytes) -> ast.Module | None:
    """Return the tree of a module's source; None where this Python cannot parse it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def imported_from(statement: ast.ImportFrom, name: str, *, package: bool) -> str | None:
    """Return the whole name of the module that a module of that name imports from; None above its first package."""
    module = statement.module or ""
    if not statement.level:
        return module
    parts = name.split(".")
    count = len(parts) - statement.level + package
    if count <= 0:
        return None
    return ".".join([*parts[:count], module] if module else parts[:count])


def dotted_name(node: ast.expr, aliases: Mapping[str, str]) -> str:
    """Return the dotted name that an expression stands for, with what its first part is bound to; empty for others."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([aliases.get(node.id, node.id), *reversed(parts)])


def statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements and those within them."""
    left: deque[ast.AST] = deque(body)
    while left:
        node = left.popleft()
        if isinstance(node, ast.stmt):
            yield node
        inner = ast.iter_child_nodes(node)
        left.extend(each for each in inner if isinstance(each, ast.stmt | ast.ExceptHandler | ast.match_case))


def assigned_names(body: Sequence[ast.stmt]) -> dict[str, ast.expr | None]:
    """Return the names that statements themselves give a value or a type, with the value."""
    found: dict[str, ast.expr | None] = {}
    for node in body:
        if isinstance(node, ast.Assign):
            found.update({target.id: node.value for target in node.targets if isinstance(target, ast.Name)})
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node.value
    return found


def ends_with(node: ast.expr, *ends: str) -> bool:
    """Tell whether the dotted name of an expression ends with one of these."""
    name = dotted_name(node, {})
    return any(name == end or name.endswith(f".{end}") for end in ends)


def text_of(node: ast.AST | None) -> str:
    """Return a literal text; empty for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def argument(call: ast.Call, *names: str) -> ast.expr | None:
    """Return the first keyword argument of these names."""
    return next((word.value for word in call.keywords if word.arg in names), None)


def number(call: ast.Call, name: str) -> int:
    """Return a number that a keyword argument says, also as the default of a variable; 0 where it says none."""
    value = argument(call, name)
    for node in ast.walk(value) if value is not None else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, int | str) and str(node.value).isdecimal():
            return int(node.value)
    return 0


def entry(node: ast.expr | None, key: str) -> str:
    """Return a literal text under a key of a dict, or by that keyword of a call."""
    if isinstance(node, ast.Call):
        return text_of(argument(node, key))
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return next((text_of(value) for name, value in pairs if text_of(name) == key), "")
    return ""


def shown(node: ast.expr | None) -> str:
    """Return a default as a variable would hold it; empty where it is not plain."""
    if isinstance(node, ast.Constant) and node.value is not ... and node.value is not None:
        return str(node.value)[:LONGEST]
    return ""


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
