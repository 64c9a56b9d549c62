"""Which variables of the environment a module reads: os.environ, settings classes, environs, decouple, helpers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
ADDRESSES = {
    name: variable
    for short, variable in {"db": "DATABASE_URL", "cache": "CACHE_URL", "email": "EMAIL_URL"}.items()
    for name in (short, f"{short}_url")
}
"""What a method of django-environ reads where it is given no name."""
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
    """It is read at the start, in no branch, and must have a value."""
    strict: bool = False
    """It must have a value wherever it is read: in a branch or a function."""
    default: str = ""
    type: str = ""


CLIENTS = {
    **dict.fromkeys(("openai.OpenAI", "openai.AsyncOpenAI"), ("OPENAI_API_KEY",)),
    **dict.fromkeys(("langchain_openai.ChatOpenAI", "langchain_openai.OpenAIEmbeddings"), ("OPENAI_API_KEY",)),
    **dict.fromkeys(("groq.Groq", "groq.AsyncGroq", "langchain_groq.ChatGroq"), ("GROQ_API_KEY",)),
    "tavily.TavilyClient": ("TAVILY_API_KEY",),
    "pinecone.Pinecone": ("PINECONE_API_KEY",),
    "slack_bolt.App": ("SLACK_BOT_TOKEN",),
    "twilio.rest.Client": ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"),
}
"""Clients that are not made without a value, and the variables that they take it from where no argument gives it."""
TAKES_TOKEN = {"aiogram.Bot", "telegram.Bot", "telebot.TeleBot", "telebot.async_telebot.AsyncTeleBot", "slack_bolt.App"}
"""Bots that are not made without a token."""


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
        self._kept: dict[str, int] = {}
        """Names that hold what was read, and which one of `found` that is."""
        self._demanded: set[int] = set()
        """Calls whose answer must be a value."""
        self.caught = 0
        """How many handlers of exceptions are around what is read now."""

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
            self._add(text_of(node.slice), node.lineno, required=certain, strict=not self.caught)

    def compare(self, node: ast.Compare) -> None:
        """Read `NAME in os.environ`: the code can do without."""
        if self.is_environment(node.comparators[0]):
            self._add(text_of(node.left), node.lineno, required=False)

    def keep(self, name: str, before: int) -> None:
        """Remember the name of the one variable that was read since so many were found."""
        self._kept.pop(name, None)
        if len(self.found) == before + 1:
            self._kept[name] = before

    def demand(self, node: ast.AST | None, *, certain: bool) -> None:
        """Take it that what a name holds, or a call has read, must have a value."""
        at = self._kept.get(node.id) if isinstance(node, ast.Name) else None
        if isinstance(node, ast.Call):
            self._demanded.add(id(node))  # It is read itself after what is around it.
        if at is not None and not self.found[at].default and not self.caught:
            required = self.found[at].required or certain
            self.found[at] = replace(self.found[at], required=required, strict=True)

    def client(self, call: ast.Call, name: str, last: str, *, certain: bool) -> None:
        """Read a call that makes a client of a service, which is not made without a key."""
        if name in CLIENTS and not call.args and not call.keywords:
            for variable in CLIENTS[name]:
                self._add(variable, call.lineno, required=certain and not self.caught, strict=not self.caught)
        elif name in TAKES_TOKEN or (last in {"token", "run"} and len(call.args) == 1):
            self.demand(call.args[0] if call.args else argument(call, "token"), certain=certain)

    def call(self, call: ast.Call, name: str, *, certain: bool) -> None:
        """Read a call of something that reads a variable."""
        envvar = argument(call, "envvar")
        for each in envvar.elts if isinstance(envvar, ast.List | ast.Tuple) else [envvar]:
            self._add(text_of(each), call.lineno, required=False)
        top, _, method = name.partition(".")
        unnamed = ADDRESSES.get(method, "") if top in self._objects else ""
        first = text_of(call.args[0]) if call.args else unnamed
        if not first:
            return
        default = call.args[1] if len(call.args) > 1 else argument(call, "default")
        wants = self._wants(name, first)
        if wants is not None:
            cast = argument(call, "cast")
            needed = (wants or id(call) in self._demanded) and default is None and first not in self._defaults
            self._add(
                first,
                call.lineno,
                required=needed and certain,
                strict=needed and not self.caught,
                default=shown(default),
                type=dotted_name(cast, {}) if cast is not None else "",
            )

    def _wants(self, name: str, first: str) -> bool | None:
        """Return whether a function wants its variable to have a value; None where it reads none."""
        top, _, method = name.partition(".")
        if top in self._objects and method != "read_env":
            return True
        if top == "env" and "*" in self._aliases and first.isupper():
            return True  # `from .base import *` brings the object of django-environ that its settings read with.
        if name in READERS or name in self._helpers:
            return READERS.get(name, self._helpers.get(name))
        of_another = "." in name and first.isupper() and HELPER.fullmatch(name.rpartition(".")[2])
        return False if of_another else None

    def _add(self, name: str, line: int, *, required: bool, **more: Any) -> None:
        if NAME.fullmatch(name):
            self.found.append(Read(name=name, line=line, required=required, **more))

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
                    more = {"strict": required, "default": shown(default), "type": annotation}
                    self._add(called, node.lineno, required=required, **more)

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
