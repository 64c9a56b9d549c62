"""What the files of one folder declare of a Python project: pyproject.toml, setup.cfg, setup.py, Pipfile, conda's."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import canonicalize_name

from seatrial.adopt.model import Found, Note, Requirements, Sure, stated
from seatrial.adopt.tree import Tree, joined
from seatrial.observe.python.trees import assigned_names, text_of
from seatrial.requirements import parse
from seatrial.settings.read import toml_error

TOOLS = ("poetry", "pdm", "uv", "rye", "pixi")
"""Tools whose table says that they install the project; `[tool.hatch]` may be there for the build alone."""
DEVELOPMENT = re.compile(
    r"(?:^|[/._-])(?:dev|devel|develop|development|local|tests?|testing|docs?|lint|linting|ci|typing|mypy|build|bench|"
    r"optional|extra|extras|style|format|tools|types)(?:[._/-]|$)",
    re.IGNORECASE,
)
HEADER = re.compile(r"\[\[?([^\[\]]+)\]")
KEY = re.compile(r"""((?:"[^"]*"|'[^']*'|[\w. \t-])+?)[ \t]*=""")
PARTS = re.compile(r"""\"([^"]*)"|'([^']*)'|([\w-]+)""")
QUOTED = re.compile(r""""((?:[^"\\]|\\.)*)"|'([^']*)'""")
TARGET = re.compile(r"[\w.]+:[\w.]+")
Table = dict[str, Any]


@dataclass(kw_only=True)
class Declared:
    """What a Python project declares."""

    folder: str
    name: Found[str] | None = None
    installer: Found[str] | None = None
    lock: Found[str] | None = None
    requirements: tuple[Found[Requirements], ...] = ()
    python: Found[str] | None = None
    members: tuple[Found[str], ...] = ()
    dependencies: dict[str, str] = field(default_factory=dict)
    """Normalised names, with extras in brackets where they name some; and where each stands."""
    optional: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Those of extras: where each stands, and the extra."""
    scripts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Console scripts: `package.module:function`, and where it stands."""
    sources: tuple[str, ...] = ()
    """The folders that its packages are found in, where it says so."""
    notes: list[Note] = field(default_factory=list)
    declares: bool = False
    """A pyproject, setup.py or the like says that it is one."""

    def call(self, name: object, where: str) -> None:
        """Take a name, where none was declared yet."""
        if isinstance(name, str) and name.strip() and self.name is None:
            self.name = stated(name, where)

    def wants_python(self, version: object, where: str) -> None:
        """Take the versions of Python that it runs on, where none were declared yet."""
        if isinstance(version, str) and version and self.python is None:
            self.python = stated(version, where)

    def depend(self, requirement: str, where: str) -> None:
        """Take a requirement; what is none is left out."""
        parsed = parse(requirement.strip())
        if parsed is not None:
            self.depend_on(parsed.name, parsed.extras, where)

    def depend_on(self, name: str, extras: Iterable[str], where: str) -> None:
        """Take a distribution with extras."""
        plain = canonicalize_name(name)
        for key in (plain, *(f"{plain}[{canonicalize_name(extra)}]" for extra in sorted(extras))):
            self.dependencies.setdefault(key, where)

    def depend_for(self, extra: str, requirement: str, where: str) -> None:
        """Take a requirement of an extra that is not for development."""
        parsed = parse(requirement.strip())
        if parsed is not None and not DEVELOPMENT.search(f"-{extra}-"):
            self.optional.setdefault(canonicalize_name(parsed.name), (where, extra))

    def script(self, name: str, target: object, where: str) -> None:
        """Take a console script."""
        target = target.get("reference") if isinstance(target, dict) else target
        if isinstance(target, str) and TARGET.fullmatch(target.partition("[")[0].strip()):
            self.scripts.setdefault(name.strip(), (target.partition("[")[0].strip(), where))


def read_declarations(tree: Tree, folder: str) -> Declared:
    """Return what the declarations in a folder say; what cannot be read is a note."""
    made = Declared(folder=folder)
    for reader in (_pyproject, _setup_cfg, _setup_py, _pipfile, _conda):
        reader(tree, made)
    return made


def _toml(tree: Tree, path: str, notes: list[Note]) -> Table:
    text = tree.text(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, place = toml_error(error)
        notes.append(Note(where=f"{path}{place}", what=f"is not TOML: {what}", broken=True))
    except RecursionError:
        notes.append(Note(where=path, what="is nested too deep"))
    return {}


def _table(document: object, *keys: str) -> Table:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def _strings(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _pyproject(tree: Tree, made: Declared) -> None:
    path = joined(made.folder, "pyproject.toml")
    if path not in tree:
        return
    document, lines = _toml(tree, path, made.notes), _Lines(path, tree.text(path))
    made.declares = bool(_table(document, "project") or _table(document, "build-system"))
    _standard(made, lines, _table(document, "project"))
    _poetry(made, lines, _table(document, "tool", "poetry"))
    tool = _table(document, "tool")
    if name := next((name for name in TOOLS if name in tool), ""):
        sure = Sure.STATED if name == "poetry" and "project" not in document else Sure.INFERRED
        why = f"[tool.{name}] is there"
        made.installer = Found(value=name, where=lines.key("tool", name), sure=sure, why=why)
    workspace = _table(tool, "uv", "workspace")
    if members := _strings(workspace.get("members")):
        where = lines.key("tool", "uv", "workspace", "members")
        inside = _matching(tree, made.folder, members, _strings(workspace.get("exclude")))
        made.members = tuple(stated(folder, where) for folder in inside)
    made.sources = tuple(_sources(tool))


def _standard(made: Declared, lines: _Lines, project: Table) -> None:
    """Read `[project]`. Source: the pyproject.toml specification."""
    made.call(project.get("name"), lines.key("project", "name"))
    made.wants_python(project.get("requires-python"), lines.key("project", "requires-python"))
    for script, target in _table(project, "scripts").items():
        made.script(script, target, lines.key("project", "scripts", script))
    for requirement in _strings(project.get("dependencies")):
        made.depend(requirement, lines.text(requirement))
    for extra, requirements in _table(project, "optional-dependencies").items():
        for requirement in _strings(requirements):
            made.depend_for(extra, requirement, lines.text(requirement))


def _poetry(made: Declared, lines: _Lines, poetry: Table) -> None:
    """Read `[tool.poetry]`. Source: Poetry's documentation, The pyproject.toml file."""
    made.declares = made.declares or bool(poetry)
    made.call(poetry.get("name"), lines.key("tool", "poetry", "name"))
    for script, target in _table(poetry, "scripts").items():
        made.script(script, target, lines.key("tool", "poetry", "scripts", script))
    for name, value in _table(poetry, "dependencies").items():
        where = lines.key("tool", "poetry", "dependencies", name)
        table = value if isinstance(value, dict) else {"version": value}
        if name == "python":
            made.wants_python(table.get("version"), where)
        elif table.get("optional"):
            made.depend_for("an extra", name, where)
        else:
            made.depend_on(name, _strings(table.get("extras")), where)


def _sources(tool: Table) -> Iterator[str]:
    """Yield the folders that packages are found in, by setuptools' and Poetry's tables."""
    yield from _strings(_table(tool, "setuptools", "packages", "find").get("where"))
    root = _table(tool, "setuptools", "package-dir").get("")
    packages = _table(tool, "poetry").get("packages")
    rows = [row.get("from") for row in packages if isinstance(row, dict)] if isinstance(packages, list) else []
    yield from (folder for folder in (root, *rows) if isinstance(folder, str))


def _matching(tree: Tree, folder: str, members: list[str], excluded: list[str]) -> Iterator[str]:
    patterns = [re.compile(_glob(joined(folder, member))) for member in members]
    without = [re.compile(_glob(joined(folder, member))) for member in excluded]
    for place in tree.folders:
        inside = any(pattern.fullmatch(place) for pattern in patterns) and joined(place, "pyproject.toml") in tree
        if inside and not any(each.fullmatch(place) for each in without):
            yield place


def _glob(pattern: str) -> str:
    return "".join({"*": "[^/]*", "?": "[^/]"}.get(letter, re.escape(letter)) for letter in pattern)


def _setup_cfg(tree: Tree, made: Declared) -> None:
    path = joined(made.folder, "setup.cfg")
    text = tree.text(path)
    if "[metadata]" not in text and "[options" not in text:
        return
    parsed = configparser.RawConfigParser(strict=False)
    try:
        parsed.read_string(text)
    except configparser.Error as error:
        made.notes.append(Note(where=path, what=f"cannot be read: {' '.join(str(error).split())}"))
        return
    made.declares = True
    places = _Lines(path, text)

    def lines(section: str, key: str) -> list[tuple[str, str]]:
        values = [line.strip() for line in parsed.get(section, key, fallback="").splitlines() if line.strip()]
        own = places.key(*section.split("."), key)
        return [(value, own if (where := places.text(value)) == path else where) for value in values]

    for name, where in lines("metadata", "name"):
        made.call(name, where)
    for version, where in lines("options", "python_requires"):
        made.wants_python(version, where)
    for requirement, where in lines("options", "install_requires"):
        made.depend(requirement, where)
    for extra in parsed.options("options.extras_require") if parsed.has_section("options.extras_require") else ():
        for requirement, where in lines("options.extras_require", extra):
            made.depend_for(extra, requirement, where)
    for line, where in lines("options.entry_points", "console_scripts"):
        made.script(line.partition("=")[0], line.partition("=")[2].strip(), where)
    roots = [line.partition("=")[2].strip() for line, _ in lines("options", "package_dir") if line.startswith("=")]
    made.sources = (*made.sources, *roots)


def _setup_py(tree: Tree, made: Declared) -> None:
    """Read the literal arguments of `setup(…)`; what it computes stays unknown."""
    path = joined(made.folder, "setup.py")
    if path not in tree:
        return
    made.declares = True
    try:
        module = ast.parse(tree.text(path))
    except (SyntaxError, ValueError, RecursionError) as error:
        made.notes.append(Note(where=f"{path}:{getattr(error, 'lineno', None) or 1}", what="cannot be parsed"))
        return
    known = assigned_names([node for node in ast.walk(module) if isinstance(node, ast.Assign)])
    calls = (node for node in ast.walk(module) if isinstance(node, ast.Call))
    for word in (word for call in calls if ast.unparse(call.func).endswith("setup") for word in call.keywords):
        value = known.get(word.value.id) or word.value if isinstance(word.value, ast.Name) else word.value
        _setup_argument(made, word.arg or "", value, path)


def _setup_argument(made: Declared, name: str, value: ast.expr, path: str) -> None:
    texts = [
        (text, f"{path}:{node.lineno}")
        for node in ast.walk(value)
        if isinstance(node, ast.Constant) and (text := text_of(node))
    ]
    if name == "name" and isinstance(value, ast.Constant):
        made.call(text_of(value), f"{path}:{value.lineno}")
    for text, where in texts:
        if name == "python_requires":
            made.wants_python(text, where)
        elif name == "install_requires":
            made.depend(text, where)
        elif name == "entry_points":
            for line in text.splitlines():
                made.script(line.partition("=")[0], line.partition("=")[2].strip(), where)


def _pipfile(tree: Tree, made: Declared) -> None:
    path = joined(made.folder, "Pipfile")
    if path not in tree:
        return
    document, lines = _toml(tree, path, made.notes), _Lines(path, tree.text(path))
    made.declares = True
    made.installer = stated("pipenv", path)
    for name in _table(document, "packages"):
        made.depend_on(name, (), lines.key("packages", name))
    required = _table(document, "requires")
    version = required.get("python_full_version") or required.get("python_version")
    made.wants_python(version, lines.key("requires", "python_version"))


def _conda(tree: Tree, made: Declared) -> None:
    for name in ("environment.yml", "environment.yaml"):
        path = joined(made.folder, name)
        if re.search(r"^dependencies:", tree.text(path), re.MULTILINE):
            made.declares = True
            made.installer = stated("conda", path)


class _Lines:
    """The lines of a TOML file, or of one that is like it: of its keys, of its texts, of its lines themselves."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._keys: dict[tuple[str, ...], int] = {}
        self._texts: dict[str, int] = {}
        table: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), 1):
            bare = line.strip()
            if header := HEADER.match(bare):
                table = _parts(header[1])
                self._keys.setdefault(table, number)
            elif assigned := KEY.match(bare):
                self._keys.setdefault((*table, *_parts(assigned[1])), number)
            self._texts.setdefault(bare, number)
            for double, single in QUOTED.findall(bare):
                self._texts.setdefault(double.replace('\\"', '"') or single, number)

    def key(self, *keys: str) -> str:
        """Return where a key stands, or the nearest table around it."""
        ends = (keys[:count] for count in range(len(keys), 0, -1))
        return f"{self._path}:{next((self._keys[end] for end in ends if end in self._keys), 1)}"

    def text(self, text: str) -> str:
        """Return where a text stands first."""
        line = self._texts.get(text)
        return f"{self._path}:{line}" if line else self._path


def _parts(key: str) -> tuple[str, ...]:
    return tuple("".join(part) for part in PARTS.findall(key))
