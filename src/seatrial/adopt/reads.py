"""Which variables of the environment a module reads: os.environ, settings classes, environs, decouple, helpers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from seatrial.observe.python.trees import (
    LONGEST,
    argument,
    assigned_names,
    dotted_name,
    ends_with,
    entry,
    shown,
    statements,
    text_of,
)

READERS = {"os.getenv": False, "os.environ.get": False, "decouple.config": True, "starlette.config.Config": True}
"""Functions whose first argument is a variable's name; whether they want a value where there is no default."""
OBJECTS = {
    *("environs.Env", "environ.Env", "environ.FileAwareEnv", "decouple.Config", "decouple.AutoConfig"),
    "starlette.config.Config",
}
"""Classes whose objects are called, or their methods, with a variable's name."""
SETTINGS = {"pydantic_settings.BaseSettings", "pydantic.BaseSettings", "pydantic.env_settings.BaseSettings"}
HELPER = re.compile(
    r"(?:get_?)?env(?:_?(?:bool|int|str|list|var|float|get|flag|value|variable))?|_?(?:get|read|require)_env\w*"
)
"""Names of functions of other modules that read a variable, where they are given one in capital letters."""
IN_TEXT = re.compile(
    rb"""(?:\bgetenv|\benviron\.get)\(\s*["']([A-Z_a-z]\w{1,80})["']|\bos\.environ\[["']([A-Z_a-z]\w{1,80})["']\](?!\s*=[^=])"""
)
LONGEST_HELPER = 20
"""Lines of a function that only reads a variable."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{1,80}")


@dataclass(frozen=True, kw_only=True)
class Read:
    """A variable that a module reads."""

    name: str
    line: int
    required: bool
    default: str = ""
    type: str = ""


class VariableReader:
    """Collects the variables that a module reads; `aliases` is what its names stand for."""

    def __init__(self, aliases: Mapping[str, str]) -> None:
        self.found: list[Read] = []
        self._aliases = aliases
        self._objects: set[str] = set()
        """Names of objects that read variables."""
        self._defaults: set[str] = set()
        """Variables to which such an object gives a default."""
        self._settings: dict[str, str] = {}
        """Its classes of pydantic's settings, each with the prefix of its variables."""
        self._helpers: dict[str, bool] = {}
        """Its functions that read the variable that they are given; whether they want a value."""

    def helper(self, function: ast.FunctionDef) -> None:
        """Take a function that reads the variable that its first parameter names."""
        first = function.args.args[0].arg
        if (function.end_lineno or 0) - function.lineno > LONGEST_HELPER:
            return
        for node in ast.walk(function):
            keyed = None
            if isinstance(node, ast.Call) and node.args and ends_with(node.func, "getenv", "environ.get"):
                keyed = node.args[0]
            elif isinstance(node, ast.Subscript) and ends_with(node.value, "environ"):
                keyed = node.slice
            if isinstance(keyed, ast.Name) and keyed.id == first:
                self._helpers[function.name] = not function.args.defaults and len(function.args.args) == 1

    def is_reader(self, name: str, called: str, call: ast.Call) -> bool:
        """Take an object's name, where what was called makes one that reads variables."""
        if called in OBJECTS:
            self._objects.add(name)
            # django-environ: `Env(DEBUG=(bool, False))`.
            self._defaults |= {each.arg for each in call.keywords if isinstance(each.value, ast.Tuple) and each.arg}
        return called in OBJECTS

    def is_environment(self, node: ast.expr) -> bool:
        """Tell whether an expression is os.environ."""
        return dotted_name(node, self._aliases) == "os.environ"

    def subscript(self, node: ast.Subscript, *, certain: bool) -> None:
        """Read `os.environ[NAME]`; `certain` tells that it is carried out at the start, and not caught."""
        if self.is_environment(node.value):
            self._add(text_of(node.slice), node.lineno, required=certain)

    def call(self, call: ast.Call, name: str, *, certain: bool) -> None:
        """Read a call of something that reads a variable."""
        envvar = argument(call, "envvar")
        for each in envvar.elts if isinstance(envvar, ast.List | ast.Tuple) else [envvar]:
            self._add(text_of(each), call.lineno, required=False)
        first = text_of(call.args[0]) if call.args else ""
        if not first:
            return
        default = call.args[1] if len(call.args) > 1 else argument(call, "default")
        wants = self._wants(name, first)
        if wants is not None:
            cast = argument(call, "cast")
            self._add(
                first,
                call.lineno,
                required=wants and default is None and certain and first not in self._defaults,
                default=shown(default),
                type=dotted_name(cast, {}) if cast is not None else "",
            )

    def _wants(self, name: str, first: str) -> bool | None:
        """Return whether a function wants its variable to have a value; None where it reads none."""
        top, _, method = name.partition(".")
        if top in self._objects and method != "read_env":
            return True
        if name in READERS or name in self._helpers:
            return READERS.get(name, self._helpers.get(name))
        of_another = "." in name and first.isupper() and HELPER.fullmatch(name.rpartition(".")[2])
        return False if of_another else None

    def _add(self, name: str, line: int, *, required: bool, default: str = "", type: str = "") -> None:  # noqa: A002
        if NAME.fullmatch(name):
            self.found.append(Read(name=name, line=line, required=required, default=default, type=type))

    def settings(self, statement: ast.ClassDef, bases: Sequence[str]) -> None:
        """Read the fields of a class of pydantic's settings, or of one that is made from such a class of this module.

        Source: pydantic's documentation, Settings Management.
        """
        inherited = [self._settings[base] for base in bases if base in self._settings]
        if not inherited and not any(map(_is_settings, bases)):
            return
        values = assigned_names([node for node in statements(statement.body) if not isinstance(node, ast.FunctionDef)])
        given = next((keyword.value for keyword in statement.keywords if keyword.arg == "env_prefix"), None)
        prefix = entry(values.get("model_config"), "env_prefix") or text_of(values.get("env_prefix")) or text_of(given)
        prefix = self._settings[statement.name] = prefix or next(iter(inherited), "")
        for node in statement.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name = node.target.id
                if not name.startswith(("_", "model_config")) and "ClassVar" not in ast.unparse(node.annotation):
                    names, default = self._field(node.value)
                    required = default is None or (isinstance(default, ast.Constant) and default.value is ...)
                    called = (names or [f"{prefix}{name}"])[0].upper()
                    annotation = ast.unparse(node.annotation)[:LONGEST]
                    self._add(called, node.lineno, required=required, default=shown(default), type=annotation)

    def _field(self, value: ast.expr | None) -> tuple[list[str], ast.expr | None]:
        """Return the names that a field is given instead of its own, and its default."""
        if not isinstance(value, ast.Call) or not ends_with(value.func, "Field"):
            return [], value
        names = list(_aliases(value))
        return names, next(iter(value.args), None) or argument(value, "default", "default_factory")


def reads_in_text(content: bytes) -> list[Read]:
    """Return the variables that a module reads from os.environ, by its text alone: for one that is not parsed."""
    found = ((match[1] or match[2], match.start()) for match in IN_TEXT.finditer(content))
    return [Read(name=name.decode(), line=content.count(b"\n", 0, at) + 1, required=False) for name, at in found]


def _is_settings(base: str) -> bool:
    """Tell whether a class with that base is one of pydantic's settings, also by way of the project's own."""
    return base in SETTINGS or base.rpartition(".")[2].endswith("Settings")


def _aliases(field: ast.Call) -> Iterator[str]:
    given = argument(field, "validation_alias", "alias", "env")
    chosen = given.args if isinstance(given, ast.Call) else [given]
    yield from filter(None, map(text_of, chosen))
