"""Which variables of the environment a module reads: os.environ, settings classes, environs, decouple, helpers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
NOT_DEBUGGING = re.compile(r"not (?:\w+\.)*(?:\w+_)?(?:DEBUG|TESTING|TEST|DEV|DEVELOPMENT)(?:_MODE)?", re.IGNORECASE)
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
        self.kept: dict[str, int] = {}
        """Names that hold what was read, and which one of `found` that is."""
        self.given: set[str] = set()
        """Variables that the module itself gives a value, so that nobody has to."""
        self.tests: list[tuple[frozenset[str], bool]] = []
        """The variables that each condition around a statement names; whether it holds where they have a value."""
        self._guards: dict[int, frozenset[str]] = {}
        """Calls within an expression's conditions, and the variables that these name."""
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

    def expression(self, node: ast.expr, *, certain: bool) -> None:
        """Read `os.environ[NAME]`, and what asks whether there is a value.

        `certain` tells that it is carried out at the start, and not caught.
        """
        match node:
            case ast.Subscript(ctx=ast.Load()) if self.is_environment(node.value):
                self._add(text_of(node.slice), node.lineno, required=certain, strict=not self.caught)
            case ast.Compare(ops=[ast.In() | ast.NotIn()]) if self.is_environment(node.comparators[0]):
                self._add(text_of(node.left), node.lineno, required=False)  # The code can do without.
            case ast.IfExp():
                self._guard(node.test, node.body, node.orelse)
            case ast.BoolOp(op=ast.And()):
                self._guard(*node.values)

    def give(self, name: str, value: ast.expr | None, *, branched: bool) -> None:
        """Take a value that the module gives a variable: in a branch only where its condition names the variable."""
        named = any(name in names for names, _ in self.tests)
        if name and (not branched or named) and name not in self.named(value):
            self.given.add(name)

    def forget(self, target: ast.AST | None) -> None:
        """Forget what names held that are given something else."""
        for node in ast.walk(target) if target is not None else ():
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.kept.pop(node.id, None)

    def keep(self, name: str, before: int, value: ast.expr | None) -> None:
        """Remember the name of the one variable that was read since so many were found, where nothing stands in."""
        nodes = list(ast.walk(value)) if value is not None else []
        others = [each for node in nodes if isinstance(node, ast.BoolOp) for each in node.values]
        instead = sum(not isinstance(each, ast.Constant) or bool(each.value) for each in others) > 1
        if len(self.found) == before + 1 and not instead and not any(isinstance(node, ast.IfExp) for node in nodes):
            self.kept[name] = before

    def named(self, test: ast.AST | None) -> frozenset[str]:
        """Return the variables that an expression names: by what holds them, or as a text."""
        nodes = list(ast.walk(test)) if test is not None else []
        held = {
            self.found[self.kept[node.id]].name for node in nodes if isinstance(node, ast.Name) and node.id in self.kept
        }
        return frozenset(held | {text for text in map(text_of, nodes) if NAME.fullmatch(text)})

    def _guard(self, test: ast.expr, *inner: ast.expr) -> None:
        """Take the calls that an expression makes only where its condition holds."""
        if names := self.named(test):
            for node in (node for each in inner for node in ast.walk(each) if isinstance(node, ast.Call)):
                self._guards[id(node)] = self._guards.get(id(node), frozenset()) | names

    def _optional(self, variable: str, call: ast.AST | None = None) -> bool:
        """Tell whether a condition asks for the variable itself, or for another that switches its use on."""
        return variable in self._guards.get(id(call), ()) or any(on or variable in names for names, on in self.tests)

    def demand(self, node: ast.AST | None, *, certain: bool, by: ast.Call | None = None) -> None:
        """Take it that what a name holds, or a call has read, must have a value."""
        at = self.kept.get(node.id) if isinstance(node, ast.Name) else None
        if at is not None and self._optional(self.found[at].name, by):
            return
        if isinstance(node, ast.Call):
            self._demanded.add(id(node))  # It is read itself after what is around it.
        if at is not None and not self.found[at].default and not self.caught:
            required = self.found[at].required or certain
            self.found[at] = replace(self.found[at], required=required, strict=True)

    def demands(self, statement: ast.If, *, certain: bool) -> None:
        """Read `if not TOKEN: raise …`: what it holds must have a value."""
        tests = [statement.test]
        if isinstance(statement.test, ast.BoolOp):
            tests = statement.test.values
            if isinstance(statement.test.op, ast.And):
                # `not A and not B` wants one of them, `not DEBUG and not B` wants B: nobody serves to debug.
                tests = [test for test in tests if not NOT_DEBUGGING.fullmatch(ast.unparse(test))]
                tests = tests if len(tests) == 1 else []
        ends = statement.body[-1]
        called = ends.value.func if isinstance(ends, ast.Expr) and isinstance(ends.value, ast.Call) else None
        exits = called is not None and dotted_name(called, self._aliases) in {"sys.exit", "exit"}
        for test in tests if exits or isinstance(ends, ast.Raise) else ():
            if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Is):
                self.demand(test.left, certain=certain)
            elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
                self.demand(test.operand, certain=certain)

    @contextmanager
    def scope(self, *parameters: ast.arg) -> Iterator[None]:
        """Read a function or a class: its names, and its parameters, are its own."""
        kept, tests = self.kept, self.tests
        names = {each.arg for each in parameters}
        self.kept, self.tests = {name: at for name, at in kept.items() if name not in names}, []
        yield
        self.kept, self.tests = kept, tests

    def client(self, call: ast.Call, name: str, *, token: bool, certain: bool) -> None:
        """Read a call that makes a client of a service, which is not made without a key; or gives a bot its token."""
        if name in CLIENTS and not call.args and not call.keywords:
            for variable in CLIENTS[name]:
                strict = not self.caught and not self._optional(variable, call)
                self._add(variable, call.lineno, required=certain and strict, strict=strict)
        elif name in TAKES_TOKEN or token:
            self.demand(call.args[0] if call.args else argument(call, "token"), certain=certain, by=call)

    def call(self, call: ast.Call, name: str, *, certain: bool, branched: bool) -> None:
        """Read a call of something that reads a variable, or gives it a value."""
        if name == "os.environ.setdefault" and len(call.args) > 1:
            self.give(text_of(call.args[0]), call.args[1], branched=branched)
        elif name == "os.environ.update":
            tables = [each for each in call.args if isinstance(each, ast.Dict)]
            pairs = [pair for each in tables for pair in zip(map(text_of, each.keys), each.values, strict=True)]
            for key, value in [*pairs, *((each.arg or "", each.value) for each in call.keywords)]:
                self.give(key, value, branched=branched)
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
