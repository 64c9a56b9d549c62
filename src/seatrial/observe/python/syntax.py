"""What a Python module asks for, by its syntax tree: imports, zones, locales, codecs, programs. Nothing is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from seatrial.observe.python.trees import argument, asks_first, decided, dotted_name, imported_from, parse, text_of

LONGEST = 200
"""Characters of a text that may be the name of a file."""
MOST_TEXTS = 2000
"""Texts of one module that are kept."""
CATCHES = {
    "import": {"ImportError", "ModuleNotFoundError"},
    "zone": {"ZoneInfoNotFoundError", "KeyError", "LookupError", "ValueError", "OSError"},
    "locale": {"Error", "locale.Error", "ValueError"},
    "codec": {"LookupError", "UnicodeError", "ValueError"},
    "program": {"FileNotFoundError", "OSError", "EnvironmentError", "IOError", "SubprocessError", "CalledProcessError"},
}
"""What a handler has to name to catch that something is not there; and whatever is not one of Python's own names."""
ANYTHING = {"Exception", "BaseException"}
BUILT_IN = re.compile(r"(?:\w+\.)*(?:[A-Z]\w*(?:Error|Exception|Warning|Exit|Interrupt|Iteration))")
CHANGES_PATH = re.compile(r"sys\.path(?:\.(?:insert|append|extend)\(|(?:\[.*\])? \+?= )")
RUNNERS = {
    *("subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.Popen"),
    *("asyncio.create_subprocess_exec", "anyio.run_process", "anyio.open_process", "trio.run_process"),
    *("os.execvp", "os.execlp", "os.execv", "os.execl", "os.spawnvp", "os.spawnlp", "os.posix_spawnp"),
}
SHELLS = {
    *("os.system", "os.popen", "asyncio.create_subprocess_shell", "subprocess.getoutput", "subprocess.getstatusoutput"),
}
CODECS = {"codecs.lookup", "codecs.open", "codecs.getreader", "codecs.getwriter", "codecs.getencoder"}
OPENS = {"open", "io.open", "codecs.open"}
OPENS_BY_METHOD = {"read_text", "write_text", "open"}


@dataclass(frozen=True)
class Where:
    """How surely a statement is carried out."""

    nested: bool = False
    """Inside of a function: not before that is called."""
    conditional: bool = False
    """Only where something holds that is not known here."""
    caught: frozenset[str] = frozenset()
    """The kinds of absence that a handler around it takes care of."""
    skipped: bool = False
    """It is not carried out in a container on Linux, or was looked for before."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Something that a module names."""

    kind: str
    """import, zone, locale, codec or program."""
    name: str
    line: int
    nested: bool = False
    conditional: bool = False
    """Carried out only where something holds that is not known here."""
    parts: tuple[str, ...] = ()
    """Of `from NAME import PART`: each may be a module too."""


@dataclass(frozen=True, kw_only=True)
class Module:
    """What a module asks for."""

    asked: tuple[Asked, ...] = ()
    texts: frozenset[str] = frozenset()
    """Its short texts, which may name files."""
    looked_for: frozenset[str] = frozenset()
    """The programs that it looks for by itself."""
    optional: frozenset[str] = frozenset()
    """What it does without: top-level names of others, and whole names of its own package's modules."""
    bound: frozenset[str] = frozenset()
    """The names that it gives a value, outside of functions."""
    changes_path: bool = False
    """It changes where modules are found."""
    wants_home: int = 0
    """The line that asks for the home folder."""


@dataclass(kw_only=True)
class _Found:
    asked: list[Asked] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    looked_for: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    changes_path: bool = False
    wants_home: int = 0


def read_module(
    source: str, name: str, *, package: bool, version: tuple[int, int], main: bool = False
) -> Module | None:
    """Return what the source of a module of that dotted name asks for; None where this Python cannot parse it.

    `version` is that of the image's interpreter, by which conditions on it are decided; `main` tells that the
    command runs the module itself.
    """
    tree = parse(source)
    return None if tree is None else read_tree(tree, name, package=package, version=version, main=main)


def read_tree(
    tree: ast.Module, name: str, *, package: bool, version: tuple[int, int], main: bool = False
) -> Module | None:
    """Return what the tree of a module asks for, as `read_module` does."""
    reader = _Reader(name, package=package, version=version, main=main)
    try:
        reader.block(tree.body, Where())
    except RecursionError:
        return None
    found = reader.found
    return Module(
        asked=tuple(found.asked),
        texts=frozenset(found.texts),
        looked_for=frozenset(found.looked_for),
        optional=frozenset(found.optional),
        bound=frozenset(found.bound),
        changes_path=found.changes_path,
        wants_home=found.wants_home,
    )


class _Reader:
    def __init__(self, name: str, *, package: bool, version: tuple[int, int], main: bool) -> None:
        self.found = _Found()
        self._name, self._package, self._version, self._main = name, package, version, main
        self._aliases: dict[str, str] = {}
        """What a name of the module stands for: `run` is `subprocess.run`."""

    def block(self, body: Sequence[ast.stmt], where: Where) -> None:
        """Read statements in their order; behind an early return, the rest is conditional."""
        for statement in body:
            if not where.nested:
                self.found.bound |= _bound(statement)
            self._statement(statement, where)
            if isinstance(statement, ast.If) and where.nested and _leaves(statement.body):
                holds = decided(statement.test, self._version, main=self._main)
                where = replace(
                    where,
                    conditional=where.conditional or holds is None,
                    skipped=where.skipped or holds is True or asks_first(statement.test),
                )

    def _statement(self, statement: ast.stmt, where: Where) -> None:
        match statement:
            case ast.Import():
                self._import(statement, where)
            case ast.ImportFrom():
                self._from(statement, where)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._expressions([*statement.decorator_list, statement.args], where)
                self.block(statement.body, replace(where, nested=True))
            case ast.ClassDef():
                self._expressions([*statement.decorator_list, *statement.bases, *statement.keywords], where)
                self.block(statement.body, where)
            case ast.Try() | ast.TryStar():
                self._try(statement, where)
            case ast.With() | ast.AsyncWith():
                self._expressions(statement.items, where)
                self.block(statement.body, self._with(statement, where))
            case ast.If() | ast.For() | ast.AsyncFor() | ast.While() | ast.Match():
                self._branches(statement, where)
            case _:
                self._expressions([statement], where)

    def _branches(self, statement: ast.If | ast.For | ast.AsyncFor | ast.While | ast.Match, where: Where) -> None:
        unknown = replace(where, conditional=True)
        match statement:
            case ast.If():
                self._if(statement, where)
            case ast.Match():
                self._expressions([statement.subject], where)
                for case in statement.cases:
                    self.block(case.body, unknown)
            case _:
                self._expressions([statement.test if isinstance(statement, ast.While) else statement.iter], where)
                self.block(statement.body, unknown)
                self.block(statement.orelse, unknown)

    def _import(self, statement: ast.Import, where: Where) -> None:
        for alias in statement.names:
            top = alias.name.partition(".")[0]
            self._aliases[alias.asname or top] = alias.name if alias.asname else top
            self._ask("import", alias.name, statement.lineno, where)

    def _from(self, statement: ast.ImportFrom, where: Where) -> None:
        module = imported_from(statement, self._name, package=self._package)
        if module is None:
            return
        names = tuple(alias.name for alias in statement.names)
        for alias in statement.names:
            self._aliases[alias.asname or alias.name] = f"{module}.{alias.name}"
        if module and module != "__future__":
            self._ask("import", module, statement.lineno, where, parts=names)

    def _if(self, statement: ast.If, where: Where) -> None:
        self._expressions([statement.test], where)
        holds = decided(statement.test, self._version, main=self._main)
        unknown = replace(where, conditional=True, skipped=where.skipped or asks_first(statement.test))
        never = replace(where, skipped=True)
        self.block(statement.body, {True: where, False: never, None: unknown}[holds])
        self.block(statement.orelse, {True: never, False: where, None: unknown}[holds])

    def _try(self, statement: ast.Try | ast.TryStar, where: Where) -> None:
        caught = frozenset(
            kind for kind in CATCHES if any(_catches(handler.type, kind) for handler in statement.handlers)
        )
        inside = replace(where, caught=where.caught | caught)
        self.block(statement.body, inside)
        # What a handler does instead, and what goes on only where nothing was caught.
        aside = replace(where, skipped=where.skipped or "import" in caught, conditional=True)
        for handler in statement.handlers:
            self.block(handler.body, aside)
        self.block(statement.orelse, inside)
        self.block(statement.finalbody, where)

    def _with(self, statement: ast.With | ast.AsyncWith, where: Where) -> Where:
        for item in statement.items:
            call = item.context_expr
            if isinstance(call, ast.Call) and self._named(call.func).rpartition(".")[2] in {"suppress", "raises"}:
                caught = {kind for kind in CATCHES for argument in call.args if _catches(argument, kind)}
                where = replace(where, caught=where.caught | caught)
        return where

    # --- expressions ----------------------------------------------------------------------------------------

    def _expressions(self, nodes: Sequence[ast.AST | None], where: Where) -> None:
        for top in filter(None, nodes):
            for node in _walk(top):
                match node:
                    case ast.Constant(value=str() as text):
                        if _is_short(text) and len(self.found.texts) < MOST_TEXTS:
                            self.found.texts.add(text)
                    case ast.Call():
                        self._call(node, where)
                    case ast.Attribute(attr="path", value=ast.Name(id="sys")):
                        self.found.changes_path = self.found.changes_path or _changes(top)
                    case ast.Subscript(slice=ast.Constant(value="HOME")) if "environ" in ast.unparse(node.value):
                        self._home(node.lineno, where)

    def _named(self, node: ast.expr) -> str:
        return dotted_name(node, self._aliases)

    def _call(self, call: ast.Call, where: Where) -> None:
        name = self._named(call.func)
        first = text_of(call.args[0]) if call.args else ""
        line = call.lineno
        if name in {"zoneinfo.ZoneInfo", "backports.zoneinfo.ZoneInfo"}:
            self._ask("zone", first or text_of(argument(call, "key")), line, where)
        elif name == "locale.setlocale" and len(call.args) > 1:
            self._ask("locale", _locale(call.args[1]), line, where)
        elif name in CODECS or name in OPENS:
            encoding = first if name in CODECS - OPENS else text_of(argument(call, "encoding"))
            self._ask("codec", encoding, line, where)
        elif isinstance(call.func, ast.Attribute) and call.func.attr in OPENS_BY_METHOD:
            self._ask("codec", text_of(argument(call, "encoding")), line, where)
        elif name in RUNNERS:
            self._program(call, line, where)
        elif name in SHELLS:
            self._ask("program", _first_word(first), line, where)
        elif name in {"shutil.which", "distutils.spawn.find_executable"}:
            self.found.looked_for.add(first)
        elif name == "pathlib.Path.home" or (name == "os.path.expanduser" and first.startswith("~")):
            self._home(line, where)

    def _program(self, call: ast.Call, line: int, where: Where) -> None:
        if any(keyword.arg in {"env", "executable"} for keyword in call.keywords):
            # PATH may be another one.
            where = replace(where, conditional=True)
        command, shell = call.args[0] if call.args else argument(call, "args"), argument(call, "shell")
        if isinstance(command, ast.List | ast.Tuple) and command.elts:
            self._ask("program", text_of(command.elts[0]), line, where)
        elif isinstance(shell, ast.Constant) and shell.value:
            self._ask("program", _first_word(text_of(command)), line, where)
        else:
            self._ask("program", text_of(command), line, where)

    def _home(self, line: int, where: Where) -> None:
        if not where.skipped and not self.found.wants_home:
            self.found.wants_home = line

    def _ask(self, kind: str, name: str, line: int, where: Where, parts: tuple[str, ...] = ()) -> None:
        if kind == "import" and "import" in where.caught:
            top = name.partition(".")[0]
            own = top == self._name.partition(".")[0]
            self.found.optional.update([name, *(f"{name}.{part}" for part in parts)] if own else [top])
        if _is_short(name) and not where.skipped and kind not in where.caught:
            self.found.asked.append(
                Asked(kind=kind, name=name, line=line, nested=where.nested, conditional=where.conditional, parts=parts)
            )


def _walk(top: ast.AST) -> Iterator[ast.AST]:
    """Yield an expression and what is in it, but not what a lambda would do: nobody may call it."""
    left = [top]
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, ast.Lambda):
            left += ast.iter_child_nodes(node)


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement itself gives a value."""
    match statement:
        case ast.Import() | ast.ImportFrom():
            return {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {statement.name}
        case ast.Assign():
            return {node.id for target in statement.targets for node in ast.walk(target) if isinstance(node, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return set()


def _is_short(text: str) -> bool:
    return text.isprintable() and 0 < len(text) <= LONGEST


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)


def _catches(caught: ast.expr | None, kind: str) -> bool:
    if caught is None:
        return True
    if isinstance(caught, ast.Tuple):
        return any(_catches(element, kind) for element in caught.elts)
    name = ast.unparse(caught)
    if name in ANYTHING or name in CATCHES[kind] or name.rpartition(".")[2] in CATCHES[kind]:
        return True
    return BUILT_IN.fullmatch(name) is None


def _locale(node: ast.expr) -> str:
    if isinstance(node, ast.Tuple) and len(node.elts) == 2:  # noqa: PLR2004 - (language, encoding)
        return ".".join(filter(None, map(text_of, node.elts)))
    return text_of(node)


def _first_word(line: str) -> str:
    """Return the program that a line for a shell begins with; empty where only a shell can tell."""
    words = line.split()
    while words and re.match(r"[A-Za-z_]\w*=", words[0]):
        words.pop(0)
    return words[0] if words and re.fullmatch(r"[\w./+-]+", words[0]) else ""


def _changes(statement: ast.AST) -> bool:
    return CHANGES_PATH.search(ast.unparse(statement)) is not None
