"""A module's syntax tree: what the names in it stand for, and small questions about its expressions."""

from __future__ import annotations

import ast
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
