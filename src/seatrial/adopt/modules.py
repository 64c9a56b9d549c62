"""The own modules of a Python project: which files they are, what they are called, and what their trees say."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from seatrial.adopt.code import Code, is_telling, read_code
from seatrial.adopt.model import Found, Note, Sure, inferred
from seatrial.adopt.reads import reads_in_text
from seatrial.adopt.tree import Tree, is_aside, joined

MOST_MODULES = 4_000
"""Modules that are looked through, those near the top first."""
NOT_RUN = re.compile(r"(?:test_.*|.*_tests?|conftest|setup|noxfile|fabfile|tests?|versioneer|docs_conf)\.py")
LIKELY = re.compile(
    r"(?:main|app|application|api|server|asgi|wsgi|settings|config|configuration|manage|cli|__main__|__init__|worker|"
    r"celery|celery_app|tasks|bot|run|base|prod|production|urls|health|views|routes|core)\.py"
)
TOOLING = {
    *("scripts", "tools", "bin", "dev", "hooks", "docker", ".docker", "packaging", "ci", "build", "deploy"),
    "deployment",
    *("maintenance", "alembic", "migrations", "hack", "infra", "ansible", "terraform", "release", "utils-dev"),
}
"""Folders beside the code whose scripts are for developers, where they are no package."""
ALWAYS = re.compile(r"(?:__main__|urls|settings\w*|config\w*|env\w*|main|cli|run|app|server|bot|worker|wsgi|asgi)\.py")
FEW = 50
"""Modules of a project that are all parsed."""
"""Modules that are parsed in any case."""
IMPORTS = re.compile(rb"^[ \t]*(?:from|import)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
NOT_DATA = {
    *("README", "LICENSE", "Makefile", "docs", "doc", "tests", "test", "scripts", "bin", "node_modules", "frontend"),
    *("alembic", "migrations", "versions", "requirements", "docker", "deploy", "deployment", ".github", "src", "build"),
    *("pyproject.toml", "package.json", "package-lock.json", "tox.ini", "mypy.ini", "pytest.ini", "setup.cfg"),
    *("alembic.ini", "requirements.txt", "requirements", "uv.toml", "ruff.toml"),
}
DATA_FILE = re.compile(
    r"[\w.-]+\.(?:json|ya?ml|toml|ini|cfg|conf|csv|tsv|txt|xml|db|sqlite3?|pkl|joblib|onnx|pt|h5|parquet|html|jinja2?|j2|"
    r"md|sql|pem|crt)"
)


@dataclass(kw_only=True)
class Modules:
    """What a project's own modules say."""

    folder: str = ""
    """The project's."""
    codes: list[Code] = field(default_factory=list)
    roots: dict[str, str] = field(default_factory=dict)
    """By path of a module: the folder that it is imported from."""
    sure: dict[str, Sure] = field(default_factory=dict)
    """By path: how sure its dotted name is."""
    layout: Found[str] | None = None
    packages: tuple[Found[str], ...] = ()
    data: tuple[Found[str], ...] = ()
    notes: list[Note] = field(default_factory=list)

    @property
    def by_name(self) -> dict[str, Code]:
        """The modules by their dotted names."""
        return {code.name: code for code in self.codes}


def read_modules(tree: Tree, folder: str, files: Iterable[str], sources: Sequence[str] = ()) -> Modules:
    """Return what a project's own modules say, of its files."""
    paths = [path for path in files if path.endswith(".py") and _is_own(tree, path, folder)]
    paths.sort(key=lambda path: (path.count("/") - bool(LIKELY.fullmatch(posixpath.basename(path))), path))
    tooling = [path for path in paths if _is_tooling(tree, path, folder)]
    paths = [path for path in paths if path not in set(tooling)] or paths
    made = Modules(folder=folder)
    if len(paths) > MOST_MODULES:
        made.notes.append(
            Note(where=folder or ".", what=f"of its {len(paths)} modules, {MOST_MODULES} were looked through")
        )
    contents = {path: tree.content(path) for path in paths[:MOST_MODULES]}
    asked = {path: set(IMPORTS.findall(content)) for path, content in contents.items()}
    imported = {name.decode() for names in asked.values() for name in names}
    roots = _Roots(tree, folder, imported, sources)
    wanted = _data_names(tree, folder, paths)
    literal = _quoted(wanted)
    skipped = 0
    for path, content in contents.items():
        made.roots[path], made.sure[path] = roots.root(path)
        always = len(paths) <= FEW or ALWAYS.fullmatch(posixpath.basename(path))
        telling = always or is_telling(content, asked[path])
        if not telling and not (literal and literal.search(content)):
            continue
        if len(content) > tree.left_to_parse:
            skipped += 1
            name = dotted(path, made.roots[path])
            made.codes.append(Code(path=path, name=name, variables=reads_in_text(content)))
            continue
        tree.left_to_parse -= len(content)
        name = dotted(path, made.roots[path])
        code = read_code(content, path, name, package=path.endswith("/__init__.py"), wanted=wanted)
        if code is None:
            made.notes.append(Note(where=path, what="cannot be parsed by this Python, and was not read"))
        else:
            made.codes.append(code)
    if skipped:
        made.notes.append(
            Note(
                where=folder or ".", what=f"too many modules: of {skipped}, only the variables were read, by their text"
            )
        )
    made.layout, made.packages = _layout(tree, folder, roots, paths)
    made.data = tuple(_data(tree, folder, made.codes))
    return made


def _is_own(tree: Tree, path: str, folder: str) -> bool:
    if NOT_RUN.fullmatch(posixpath.basename(path)) or _is_aside(tree, path, folder):
        return False
    inner = path[len(folder) :].split("/")[:-1]
    return "migrations" not in inner and inner[-1:] != ["versions"]


def _is_aside(tree: Tree, path: str, folder: str) -> bool:
    """Tell whether a module lies in a folder for tests or examples; a package that is called `example` is none."""
    while path and path != folder and is_aside(path, folder):
        path = posixpath.dirname(path)
    name = posixpath.basename(path)
    return (
        bool(path)
        and path != folder
        and is_aside(f"{path}/x", folder)
        and not (
            joined(path, "__init__.py") in tree and not name.startswith(("test", "e2e", "integ", "unit", "fixture"))
        )
    )


def _is_tooling(tree: Tree, path: str, folder: str) -> bool:
    first = path[len(folder) :].strip("/").partition("/")[0]
    return first in TOOLING and joined(folder, first, "__init__.py") not in tree


def dotted(path: str, root: str) -> str:
    """Return a module's dotted name when it is imported from a folder."""
    inner = path[len(root) + 1 :] if root else path
    return inner.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class _Roots:
    """Finds out from which folder a module is imported."""

    def __init__(self, tree: Tree, folder: str, imported: set[str], sources: Sequence[str]) -> None:
        self._tree, self._folder, self._imported = tree, folder, imported
        self._sources = [
            joined(folder, source).removeprefix(".") for source in (*sources, "src", "lib") if source != "."
        ]

    def root(self, path: str) -> tuple[str, Sure]:
        """Return the folder that a module is imported from, and how sure that is."""
        here = posixpath.dirname(path)
        while here and here != self._folder and joined(here, "__init__.py") in self._tree:
            if self._is_source(here):
                break
            here = posixpath.dirname(here)
        packaged = here != posixpath.dirname(path)
        if here == self._folder or self._is_source(here):
            return here, Sure.INFERRED
        source = next((each for each in self._sources if here.startswith(f"{each}/") and self._is_source(each)), None)
        if source is not None:
            return (here, Sure.INFERRED) if packaged else (source, Sure.GUESSED)
        return self._beside(here, packaged=packaged)

    def _is_source(self, folder: str) -> bool:
        """Tell whether a folder holds packages and is none: with `from src.models import …` it is what is imported."""
        return folder in self._sources and posixpath.basename(folder) not in self._imported

    def _beside(self, here: str, *, packaged: bool) -> tuple[str, Sure]:
        """Return the root of a module in a folder that is no package."""
        inner = here[len(self._folder) :].strip("/")
        if inner.partition("/")[0] in self._imported:
            return self._folder, Sure.INFERRED
        # Its neighbours are imported by their bare names, or it begins a package of its own: it runs from there.
        beside = {name.removesuffix(".py") for name in self._tree.folders.get(here, ())} - {"app", "main"}
        if packaged or beside & self._imported or not all(map(str.isidentifier, inner.split("/"))):
            return here, Sure.INFERRED
        return self._folder, Sure.GUESSED


def _layout(
    tree: Tree, folder: str, roots: _Roots, paths: Sequence[str]
) -> tuple[Found[str] | None, tuple[Found[str], ...]]:
    if not paths:
        return None, ()
    tops: dict[str, str] = {}
    for path in paths:
        root, _ = roots.root(path)
        name = dotted(path, root).partition(".")[0]
        place = joined(root, name)
        if joined(place, "__init__.py") in tree or place in tree.folders:
            tops.setdefault(place, name)
        elif root == folder:
            tops.setdefault(path, name)
    packages = {place: name for place, name in tops.items() if not place.endswith(".py")}
    modules = [place for place in tops if place.endswith(".py")]
    source = joined(folder, "src").removeprefix("./")
    if any(place.startswith(f"{source}/") for place in packages):
        layout, where = "src", source
    elif packages:
        layout, where = "flat", next(iter(packages))
    else:
        layout, where = "scripts", modules[0] if modules else folder or "."
    found = [inferred(name, place) for place, name in packages.items()]
    found += [inferred(posixpath.basename(place), place) for place in modules]
    return inferred(layout, where), tuple(found)


def _data_names(tree: Tree, folder: str, paths: Sequence[str]) -> frozenset[str]:
    """Return the names beside the code that a text of it may mean: folders without modules, and files of data."""
    code = {path[len(folder) :].lstrip("/").partition("/")[0] for path in paths}
    found: set[str] = set()
    for name in tree.folders.get(folder, ()):
        path = joined(folder, name)
        if name in NOT_DATA or name in code or name.startswith(".") or re.match(r"Dockerfile|docker-|compose", name):
            continue
        if path in tree.folders or DATA_FILE.fullmatch(name):
            found.add(name)
    return frozenset(found)


def _quoted(names: Iterable[str]) -> re.Pattern[bytes] | None:
    escaped = "|".join(re.escape(name) for name in sorted(names)[:300])
    return re.compile(rf"""["'](?:\./)?(?:{escaped})["'/]""".encode()) if escaped else None


def _data(tree: Tree, folder: str, codes: Iterable[Code]) -> Iterable[Found[str]]:
    seen: set[str] = set()
    for code in codes:
        for text, line in code.texts:
            first = text.partition("/")[0]
            if first not in seen:
                seen.add(first)
                whole = joined(folder, text.rstrip("/"))
                sure = (
                    Sure.INFERRED
                    if ("/" in text and (whole in tree or whole in tree.folders)) or "." in first
                    else Sure.GUESSED
                )
                why = "a text of the code names it"
                yield Found(value=joined(folder, first), where=f"{code.path}:{line}", sure=sure, why=why)
