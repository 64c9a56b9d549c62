"""What a module of the project says of itself, by its syntax tree: applications, routes, variables, programs.

Nothing is run or imported.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from seatrial.adopt.known import ARQ, CLASSES, DASH, DASH_SERVER, DRAMATIQ, STREAMLIT, Framework
from seatrial.adopt.reads import Read, VariableReader
from seatrial.observe.python import syntax
from seatrial.observe.python.trees import (
    argument,
    assigned_names,
    dotted_name,
    imported_from,
    number,
    parse,
    statements,
    text_of,
)

PYTHON = (3, 13)
"""The version by which conditions on it are decided."""
TOPS = (
    frozenset(name.partition(".")[0] for name in CLASSES)
    | {"decouple", "environs", "environ", "pydantic_settings", "uvicorn", "hypercorn", "granian", "waitress"}
    | {"streamlit", "arq", "subprocess", "cherrypy"}
) - {"django"}
"""Packages whose users may make an application, read variables or call programs."""
WORDS = (
    *(b"os.environ", b"getenv", b"environ[", b"environ.", b"BaseSettings", b"envvar", b"__main__"),
    b"WorkerSettings",
    *(b"get_wsgi_application", b"get_asgi_application", b"os.system", b"popen", b"create_subprocess", b"dramatiq"),
)
ASSIGNS = re.compile(rb"^(?:app|application|celery|celery_app|api|bot|server)\b[ :=]", re.MULTILINE)
PROGRAMS = (b"subprocess", b"popen", b"os.system")
UNBRACKETED = re.compile(rb"^([ \t]*except\*?[ \t]+)([\w.]+(?:[ \t]*,[ \t]*[\w.]+)+)[ \t]*:", re.MULTILINE)
HEALTH = re.compile(
    r"/?(?:[\w.-]+/){0,4}(?:_+)?(?:health[-_]?z?(?:[-_]?check)?|healthy|live(?:z|ness)?|ready(?:z)?|readiness|alive|ping|"
    r"up|status|heartbeat|lbheartbeat)(?:_+)?/?"
)
"""Routes by which an application says that it lives."""
ROUTES = {
    *("get", "head", "route", "api_route", "add_api_route", "add_get", "add_route", "add_url_rule", "Route", "handler"),
    *("path", "re_path", "url"),
}
DJANGOS = {"path", "re_path", "url"}
SERVING = {
    *("uvicorn.run", "uvicorn.Config", "hypercorn.run", "waitress.serve", "aiohttp.web.run_app", "granian.Granian"),
    *("bottle.run", "bjoern.run", "cherrypy.quickstart", "paste.httpserver.serve"),
}
"""Functions that serve the application that they are given."""
RUNS = {
    *("run", "launch", "start", "run_server", "start_polling", "run_polling", "run_webhook", "run_until_disconnected"),
    *("infinity_polling", "polling"),
}
"""Methods by which an application or a bot runs for ever."""
ENDLESS = {"run_forever", "start_polling", "run_polling", "infinity_polling"}
MAIN = {"__name__ == '__main__'", "'__main__' == __name__"}


@dataclass(frozen=True, kw_only=True)
class Made:
    """An object that a module makes, or a function that returns one."""

    name: str
    framework: Framework
    line: int
    nested: bool = False


@dataclass(frozen=True, kw_only=True)
class Served:
    """Something that a module serves, or runs for ever."""

    name: str
    """The application's; a reference, or empty where that is not plain."""
    port: int
    """0 where it is not written down."""
    line: int
    web: bool = False
    """By a web server's function."""


@dataclass(kw_only=True)
class Code:
    """What a module says of itself."""

    path: str
    name: str
    """Its dotted name."""
    package: bool = False
    objects: list[Made] = field(default_factory=list)
    """What its top level gives a name."""
    factories: list[Made] = field(default_factory=list)
    calls: list[tuple[str, str, int]] = field(default_factory=list)
    """Names of the top level that a call of something else's makes: the name, what is called, the line."""
    bound: dict[str, str] = field(default_factory=dict)
    """The names that it imports, with what they stand for."""
    served: list[Served] = field(default_factory=list)
    main: int = 0
    """The line of its `if __name__ == "__main__"`."""
    acts: int = 0
    """The line of the first call at its top level whose result is not kept: running it does something."""
    routes: list[tuple[str, int, bool]] = field(default_factory=list)
    """Routes that look like a health check's, with the line; whether something may come before them."""
    variables: list[Read] = field(default_factory=list)
    given: set[str] = field(default_factory=set)
    """Variables that it gives a value itself."""
    texts: list[tuple[str, int]] = field(default_factory=list)
    """Texts that begin with the name of a file or folder that was asked for."""
    programs: list[tuple[str, int]] = field(default_factory=list)


def is_telling(content: bytes, imported: Iterable[bytes]) -> bool:
    """Tell whether a module may say something that is asked for: only then is it parsed."""
    if any(top.decode() in TOPS for top in imported):
        return True
    return any(word in content for word in WORDS) or ASSIGNS.search(content) is not None


def read_code(content: bytes, path: str, name: str, *, package: bool, wanted: frozenset[str]) -> Code | None:
    """Return what a module's source says; None where this Python cannot parse it. `wanted` are names of data."""
    # `except A, B:` is Python 3.14's, and the same as in brackets.
    tree = parse(content) or parse(UNBRACKETED.sub(rb"\1(\2):", content))
    if tree is None:
        return None
    reader = _Reader(Code(path=path, name=name, package=package), wanted)
    try:
        reader.imports(tree, helpers=b"environ" in content or b"getenv" in content)
        reader.block(tree.body, nested=False)
    except RecursionError:
        return None
    code = reader.code
    if any(word in content for word in PROGRAMS):
        asked = syntax.read_tree(tree, name, package=package, version=PYTHON, main=True)
        found = asked.asked if asked is not None else ()
        code.programs += [(each.name, each.line) for each in found if each.kind == "program"]
    return code


class _Reader:
    def __init__(self, code: Code, wanted: frozenset[str]) -> None:
        self.code = code
        self._wanted = wanted
        self._aliases = code.bound
        self._variables = VariableReader(self._aliases)
        code.variables, code.given = self._variables.found, self._variables.given
        self._classes: dict[str, Framework] = {}
        """Its own classes that derive from a framework's."""
        self._local: dict[str, Framework] = {}
        """Names of objects that are known here."""
        self._routers: dict[str, str] = {}
        self._streamlit = False
        self._conditions = 0
        """How many conditions and handlers are around a statement."""

    def imports(self, tree: ast.Module, *, helpers: bool) -> None:
        """Read what the names of the module stand for, and its helpers: a function may stand below its use."""
        for node in statements(tree.body):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    self._aliases[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom):
                module = imported_from(node, self.code.name, package=self.code.package) or ""
                self._aliases.update({alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names})
            elif helpers and isinstance(node, ast.FunctionDef) and node.args.args:
                self._variables.helper(node)

    # --- statements -----------------------------------------------------------------------------------------

    def block(self, body: Sequence[ast.stmt], *, nested: bool) -> None:
        """Read statements in their order; `nested` tells that they are a function's or a class's."""
        for statement in body:
            match statement:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self._function(statement, nested=nested)
                case ast.ClassDef():
                    self._class(statement, nested=nested)
                case ast.Assign() | ast.AnnAssign():
                    self._assignment(statement, nested=nested)
                case ast.With() | ast.AsyncWith():
                    self._with(statement, nested=nested)
                case ast.If() | ast.For() | ast.AsyncFor() | ast.While() | ast.Try() | ast.TryStar() | ast.Match():
                    self._branches(statement, nested=nested)
                case ast.Expr(value=ast.Call() | ast.Await()) if not nested:
                    self.code.acts = self.code.acts or statement.lineno
                    self._expressions([statement], nested=nested)
                case _:
                    self._expressions([statement], nested=nested)

    def _branches(self, statement: ast.stmt, *, nested: bool) -> None:
        """Read a statement of which not all is sure to be carried out."""
        match statement:
            case ast.If() if ast.unparse(statement.test) in MAIN:
                self.code.main = self.code.main or statement.lineno
                self.block(statement.body, nested=True)
                return
            case ast.If():
                self._if(statement, nested=nested)
                return
            case ast.Try() | ast.TryStar():
                handled = bool(statement.handlers)
                self._conditions += handled
                self._variables.caught += handled
                inner = [each for handler in statement.handlers for each in handler.body]
                self.block([*statement.body, *inner, *statement.orelse], nested=nested)
                self._conditions -= handled
                self._variables.caught -= handled
                self.block(statement.finalbody, nested=nested)
                return
            case ast.Match():
                tests, inner = [statement.subject], [each for case in statement.cases for each in case.body]
            case ast.While():
                tests, inner = [statement.test], [*statement.body, *statement.orelse]
            case ast.For() | ast.AsyncFor():
                tests, inner = [statement.iter], [*statement.body, *statement.orelse]
                self._variables.forget(statement.target)
            case _:
                return
        self._expressions(tests, nested=nested)
        self._conditions += 1
        self.block(inner, nested=nested)
        self._conditions -= 1

    def _if(self, statement: ast.If, *, nested: bool) -> None:
        variables, test = self._variables, statement.test
        self._expressions([test], nested=nested)
        variables.demands(statement, certain=not nested and not self._conditions)
        names = variables.named(test) & {read.name for read in variables.found}
        # `if USE_X:` switches on what comes; `if not X:` and `if X == 1:` do not tell.
        switched = bool(names) and isinstance(test, ast.Name | ast.Call | ast.Subscript)
        self._conditions += 1
        for body, on in ((statement.body, switched), (statement.orelse, False)):
            variables.tests.append((names, on))
            self.block(body, nested=nested)
            variables.tests.pop()
        self._conditions -= 1

    def _with(self, statement: ast.With | ast.AsyncWith, *, nested: bool) -> None:
        for item in statement.items:
            self._variables.forget(item.optional_vars)
            if isinstance(item.optional_vars, ast.Name):
                self._assigned(item.optional_vars.id, item.context_expr, statement.lineno, nested=nested)
        self._expressions([item.context_expr for item in statement.items], nested=nested)
        self.block(statement.body, nested=nested)

    def _assignment(self, statement: ast.Assign | ast.AnnAssign, *, nested: bool) -> None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            if isinstance(target, ast.Name) and statement.value is not None:
                self._assigned(target.id, statement.value, statement.lineno, nested=nested)
        before = len(self._variables.found)
        self._expressions([statement.value], nested=nested)
        for target in targets:
            if isinstance(target, ast.Subscript) and self._variables.is_environment(target.value):
                self._variables.give(
                    text_of(target.slice), statement.value, branched=self._conditions > self._variables.caught
                )
            self._variables.forget(target)
            if isinstance(target, ast.Name):
                self._variables.keep(target.id, before, statement.value)

    def _function(self, function: ast.FunctionDef | ast.AsyncFunctionDef, *, nested: bool) -> None:
        for decorator in function.decorator_list:
            if self._named(decorator.func if isinstance(decorator, ast.Call) else decorator) == "dramatiq.actor":
                self.code.objects.append(Made(name="", framework=DRAMATIQ, line=function.lineno))
        defaults = (*function.args.defaults, *function.args.kw_defaults)
        self._expressions([*function.decorator_list, *defaults], nested=nested)
        before = dict(self._local)
        with self._variables.scope(*(each for each in ast.walk(function.args) if isinstance(each, ast.arg))):
            self.block(function.body, nested=True)
        returned = [node.value for node in statements(function.body) if isinstance(node, ast.Return)]
        made = next(filter(None, map(self._framework, returned)), None)
        if made is not None and not nested:
            self.code.factories.append(Made(name=function.name, framework=made, line=function.lineno))
        self._local = before

    def _class(self, statement: ast.ClassDef, *, nested: bool) -> None:
        bases = [self._named(base) for base in statement.bases]
        framework = next(filter(None, (CLASSES.get(base) or self._classes.get(base) for base in bases)), None)
        if framework is not None:
            self._classes[statement.name] = framework
            if framework.kind == "bot":
                made = Made(name=statement.name, framework=framework, line=statement.lineno, nested=True)
                self.code.objects.append(made)
        if statement.name.endswith("WorkerSettings") and {"functions", "cron_jobs"} & set(
            assigned_names(statement.body)
        ):
            self.code.objects.append(Made(name=statement.name, framework=ARQ, line=statement.lineno))
        self._variables.settings(statement, bases)
        self._expressions(statement.decorator_list, nested=nested)
        with self._variables.scope():
            self.block(statement.body, nested=True)

    def _assigned(self, name: str, value: ast.expr, line: int, *, nested: bool) -> None:
        call = value.value if isinstance(value, ast.Await) else value
        framework = self._framework(call)
        if framework is not None:
            self._local[name] = framework
            if not nested or not framework.interface:
                self.code.objects.append(Made(name=name, framework=framework, line=line, nested=nested))
        elif isinstance(value, ast.Attribute) and value.attr == "server" and self._framework(value.value) == DASH:
            self.code.objects.append(Made(name=name, framework=DASH_SERVER, line=line, nested=nested))
        elif isinstance(call, ast.Call):
            called = self._named(call.func)
            if called.rpartition(".")[2] in {"APIRouter", "Blueprint", "Router"}:
                self._routers[name] = text_of(argument(call, "prefix", "url_prefix"))
            elif not self._variables.is_reader(name, called, call) and not nested and called:
                self.code.calls.append((name, called, line))

    # --- expressions ----------------------------------------------------------------------------------------

    def _named(self, node: ast.expr) -> str:
        return dotted_name(node, self._aliases)

    def _framework(self, node: ast.expr | None) -> Framework | None:
        """Return what an expression makes: a call of a framework's class, a builder's chain of calls, a known name."""
        if isinstance(node, ast.Await):
            node = node.value
        if isinstance(node, ast.Name):
            return self._local.get(node.id)
        outer = node
        while isinstance(node, ast.Call):
            name = self._named(node.func)
            if name.endswith(".make_wsgi_app"):
                return CLASSES["pyramid.config.Configurator.make_wsgi_app"]
            if made := CLASSES.get(name) or self._classes.get(name):
                return made if node is outer or made.kind == "bot" else None
            # ApplicationBuilder().token(…).build(): what is called is an attribute of a call.
            node = node.func.value if isinstance(node.func, ast.Attribute) else None
        return None

    def _expressions(self, nodes: Sequence[ast.AST | None], *, nested: bool) -> None:
        certain = not nested and not self._conditions
        for top in filter(None, nodes):
            for node in ast.walk(top):
                match node:
                    case ast.Constant(value=str() as text) if self._wanted:
                        path = text.removeprefix("./")
                        if path.partition("/")[0] in self._wanted:
                            self.code.texts.append((path, node.lineno))
                    case ast.Call():
                        self._call(node, certain=certain)
                    case ast.Subscript() | ast.Compare() | ast.IfExp() | ast.BoolOp():
                        self._variables.expression(node, certain=certain)
                    case ast.Attribute() if not nested and not self._streamlit:
                        self._is_streamlit(node)

    def _is_streamlit(self, node: ast.Attribute) -> None:
        if self._named(node).startswith("streamlit."):
            self._streamlit = True
            self.code.objects.append(Made(name="", framework=STREAMLIT, line=node.lineno))

    def _call(self, call: ast.Call, *, certain: bool) -> None:
        name = self._named(call.func)
        last = call.func.attr if isinstance(call.func, ast.Attribute) else name.rpartition(".")[2]
        if last in ROUTES:
            self._route(call, name, last)
        self._variables.call(call, name, certain=certain, branched=self._conditions > self._variables.caught)
        token = last in {"token", "run"} and len(call.args) == 1 and self._is_bot(call.func)
        self._variables.client(call, name, token=token, certain=certain)
        self._serves(call, name, last)

    def _is_bot(self, called: ast.expr) -> bool:
        """Tell whether the owner of a method is a bot: by its class, or by its name where another module makes it."""
        owner = called.value if isinstance(called, ast.Attribute) else None
        known = self._framework(owner)
        named = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
        return known.kind == "bot" if known is not None else named.lower().endswith("bot")

    def _route(self, call: ast.Call, name: str, last: str) -> None:
        path = (text_of(call.args[0]) if call.args else "") or text_of(argument(call, "path"))
        plain, owner = path.strip("^$"), name.partition(".")[0]
        prefix = self._routers.get(owner, "").rstrip("/")
        whole = f"{prefix}/{plain.lstrip('/')}".rstrip("/") if prefix and not plain.strip("/") else plain
        if not HEALTH.fullmatch(whole):
            return
        aside = owner in self._routers or (owner not in self._local and "." in name and last not in DJANGOS)
        self.code.routes.append((whole if whole != plain else f"{prefix}/{plain.lstrip('/')}", call.lineno, aside))

    def _serves(self, call: ast.Call, name: str, last: str) -> None:
        """Read a call that serves an application, or runs a bot, for ever."""
        owner = name.partition(".")[0]
        first = call.args[0] if call.args else None
        if name in SERVING:
            what = first.id if isinstance(first, ast.Name) else text_of(first)
            self.code.served.append(Served(name=what, port=number(call, "port"), line=call.lineno, web=True))
        elif (owner in self._local and last in RUNS) or last in ENDLESS or name in {"app.run", "application.run"}:
            what = owner if owner in self._local else ""
            self.code.served.append(Served(name=what, port=number(call, "port"), line=call.lineno))
        elif last == "listen" and isinstance(first, ast.Constant) and isinstance(first.value, int):
            self.code.served.append(Served(name=owner, port=first.value, line=call.lineno))
