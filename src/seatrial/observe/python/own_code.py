"""Reads the application's own modules from an image's files, and holds what they ask for against the image.

Nothing of the image is run: an import is looked for as the import system would, by names of files.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import docker.errors
from packaging.utils import canonicalize_name

from seatrial.facts.code import MissingModule, NamedThing, OwnCode, OwnPackage
from seatrial.observe.archive import Archive, ArchiveError, LimitExceededError, Limits
from seatrial.observe.contents import shown
from seatrial.observe.python.finder import BUILT_IN, Finder, Held, Place
from seatrial.observe.python.installed import packages_of, place_of
from seatrial.observe.python.layout import layout_of, runs_code
from seatrial.observe.python.syntax import Asked, Module, read_module

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from seatrial.facts import Distribution
    from seatrial.observe.files import EngineFiles
    from seatrial.observe.index import IndexFiles
    from seatrial.observe.python.layout import Access, Layout

LARGEST = 1_000_000
"""Bytes of one source file."""
MOST_SOURCE = 10_000_000
"""Characters of all source files that are parsed: that takes some ten seconds."""
MOST_MODULES = 20_000
"""Modules that are read: of empty ones, sources hold any number."""
READING = Limits(seconds=30.0, most=500_000_000)
MOST_TOPS = 50
"""Packages and modules of one application."""
MOST_ROWS = 100
"""Rows of one kind that are kept."""
MOST_FILES = 5000
"""Files of one package that are no code."""
MOST_TEXTS = 5000
NOT_RUN = re.compile(
    r"(?:^|/)(?:tests?(?:_\w+)?|e2e|testing|conftest\.py|test_[^/]*|[^/]*_tests?\.py|migrations|docs?|examples?|benchmarks?|scripts?"
    r"|setup\.py|noxfile\.py|tasks\.py|fabfile\.py|node_modules|__pycache__|alembic|versions|dev|devtools?"
    r"|_?vendor(?:ed|s)?|_?third_?party)(?:/|$)"
)
"""What a server does not load, or is somebody else's."""
LIBRARY = re.compile(r"(?ms)(?=.*^__version__ *=)(?=.*^__(?:author|license)__ *=)")
"""A module that says this of itself, inside of a package, is a copy of a library of one file, such as bottle."""
DYNAMIC = re.compile(
    r"__path__|sys\.modules|__getattr__|import_module|__import__|[Ll]azy|declare_namespace|globals\(\)|\bexec\(|setattr\("
)
"""A package of which files alone do not tell what it holds."""
HARMLESS_HOOKS = re.compile(r"(?:distutils-precedence|_virtualenv|a1_coverage|.*coverage.*|sitecustomize)\.(?:pth|py)")
Sources = Mapping[str, str]
"""The text of Python files, by their path in the image."""


def sources_below(files: EngineFiles, index: IndexFiles, path: str) -> Sources:
    """Return the text of the Python files below a path of the image, or of that file; what is too large is left out."""
    real = index.folder(path)
    above = posixpath.dirname(real)
    found: dict[str, str] = {}
    with suppress(LimitExceededError, ArchiveError, docker.errors.APIError), files.tree(real) as stream:
        archive = Archive(stream, READING)
        for member in archive:
            if member.letter == "f" and member.path.endswith(".py") and member.size <= LARGEST:
                below = posixpath.relpath(posixpath.join(above, member.path.lstrip("/")), real)
                file = path if below == "." else posixpath.join(path, below)
                found[file] = archive.beginning(LARGEST).decode("utf-8", "replace")
    return found


@dataclass(frozen=True, kw_only=True)
class Start:
    """What the application begins with."""

    modules: tuple[str, ...]
    """The modules that the contract or the command names."""
    script: str = ""
    """The file that the command runs."""
    root: str = ""
    """What the command puts first on sys.path."""
    path: str = ""
    directory: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)
    home: str = "/"
    project: str = ""
    """The project's name: a distribution of it is the application's own."""


@dataclass(kw_only=True)
class _Reading:
    """The application's modules, as far as they were read."""

    finder: Finder
    start: Start
    load: Callable[[str], Sources]
    modules: dict[str, tuple[str, Module]] = field(default_factory=dict)
    """By dotted name: the file, and what it asks for."""
    tops: dict[str, Place] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    characters: int = 0
    optional: set[str] = field(default_factory=set)
    """What some module does without."""
    looked_for: set[str] = field(default_factory=set)
    """The programs that some module looks for by itself."""
    changes_path: bool = False
    """Some module changes where modules are found."""

    def take(self, top: str, place: Place, *, main: str = "") -> None:
        """Read everything of a top-level package or module."""
        if top in self.tops or len(self.tops) >= MOST_TOPS:
            return
        self.tops[top] = place
        for path in place.paths:
            for file, source in self.load(path).items():
                below = posixpath.relpath(file, posixpath.dirname(path))
                if file != main and (NOT_RUN.search(below) or _is_library(below, source)):
                    continue
                self.characters += len(source)
                if self.characters > MOST_SOURCE or len(self.modules) >= MOST_MODULES:
                    most = f"{MOST_SOURCE // 1_000_000} MB of sources, or {MOST_MODULES} modules"
                    self.unread.append(f"{shown(file)}: more than {most}")
                    return
                name = below.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
                name = "__main__" if file == main else name
                read = read_module(
                    source, name, package=file.endswith("/__init__.py"), version=self.finder.version, main=file == main
                )
                if read is None:
                    self.unread.append(f"{shown(file)}: this Python cannot parse it")
                else:
                    self._keep(name, file, read)

    def _keep(self, name: str, file: str, module: Module) -> None:
        self.modules[name] = (file, module)
        self.optional |= module.optional
        self.looked_for |= module.looked_for
        self.changes_path = self.changes_path or module.changes_path

    def reach(self) -> dict[str, bool]:
        """Return the modules that a start loads, each with whether it surely does."""
        reached: dict[str, bool] = {}
        left = [(name, True) for name in self._begin()]
        while left:
            name, surely = left.pop()
            surely = surely and name not in self.optional
            if reached.get(name, False) or (name in reached and not surely):
                continue
            if name not in self.modules:
                top = name.partition(".")[0]
                place = self.finder.top(top)
                if top in self.tops or not self.finder.is_own(place):
                    continue
                self.take(top, place)
                if name not in self.modules:
                    continue
            reached[name] = surely
            _, module = self.modules[name]
            left += [(above, surely) for above in _with_parents(name) if above in self.modules]
            for asked in module.asked:
                if asked.kind == "import":
                    certain = surely and not asked.conditional
                    left += [(target, certain) for target in self._targets(asked)]
            left += [(target, False) for text in module.texts for target in self._by_text(text)]
        return reached

    def _begin(self) -> list[str]:
        names = [name.partition(":")[0] for name in self.start.modules]
        mains = [f"{name}.__main__" for name in names]
        script = ["__main__"] if self.start.script else []
        return [name for module in names for name in _with_parents(module)] + mains + script

    def _targets(self, asked: Asked) -> Iterator[str]:
        """Yield the modules that an import loads, as far as they may be own ones."""
        yield from _with_parents(asked.name)
        _, package = self.modules.get(asked.name, ("", Module()))
        for part in asked.parts:
            # A name that the package itself has is not looked for as a module.
            if part not in package.bound:
                yield f"{asked.name}.{part}"

    def _by_text(self, text: str) -> Iterator[str]:
        """Yield the own module that a text names, as Django's settings do: a module, or something in it."""
        dotted = text.partition(":")[0]
        if "." not in dotted or dotted.partition(".")[0] not in self.tops:
            return
        for name in (dotted, dotted.rpartition(".")[0]):
            if name in self.modules:
                yield name
                return


def _is_library(below: str, source: str) -> bool:
    """Tell whether a module of a package is a copy of somebody else's library."""
    return "/" in below and not below.endswith("__init__.py") and LIBRARY.match(source) is not None


def _with_parents(dotted: str) -> list[str]:
    parts = dotted.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def own_code_of(start: Start, python: str, access: Access, load: Callable[[str], Sources]) -> OwnCode:
    """Return what the modules of an application ask for that runs on an interpreter of the image."""
    layout = layout_of(python, start.environment, start.directory, access)
    if isinstance(layout, str):
        # python/interpreter-resolves tells.
        return OwnCode()
    return read_own_code(start, layout, access, load, packages_of(layout, access).distributions)


def read_own_code(
    start: Start,
    layout: Layout,
    access: Access,
    load: Callable[[str], Sources],
    distributions: Sequence[Distribution] = (),
) -> OwnCode:
    """Return what the application's own modules ask for, and what of it the image lacks.

    `load` returns the sources below a path of the image.
    """
    reading = _Reading(finder=Finder(layout, start.root, access), start=start, load=load)
    _take_own(reading, distributions)
    reached = reading.reach()
    hooks = [posixpath.basename(path) for path in runs_code(layout.path, access.files)]
    judge = _Judge(
        reading=reading,
        reached=reached,
        held=Held(
            finder=reading.finder,
            access=access,
            environment=start.environment,
            path=start.path,
            directory=start.directory,
        ),
        hooked=bool(layout.archives) or any(not HARMLESS_HOOKS.fullmatch(name) for name in hooks),
    )
    asked = [(name, file, row) for name, (file, module) in reading.modules.items() for row in module.asked]
    missing = [found for row in asked if row[2].kind == "import" and (found := judge.missing(*row))]
    named = [thing for row in asked if row[2].kind != "import" and (thing := judge.named(*row))]
    homes = [
        f"{shown(file)}:{module.wants_home}"
        for name, (file, module) in reading.modules.items()
        if module.wants_home and reached.get(name)
    ]
    return OwnCode(
        packages=tuple(reading.tops),
        modules=len(reading.modules),
        reached=len(reached),
        missing=tuple(sorted(missing, key=lambda row: (not row.certain, row.file, row.line)))[:MOST_ROWS],
        named=tuple(sorted(named, key=lambda row: (not row.certain, row.file, row.line)))[:MOST_ROWS],
        asked=len(asked),
        packaged=tuple(_packaged(reading, access)),
        home_folder=place_of(start.home, access),
        texts=tuple(sorted({text for _, module in reading.modules.values() for text in module.texts}))[:MOST_TEXTS],
        home=min(homes, default=""),
        unread=tuple(reading.unread[:MOST_ROWS]),
    )


def _take_own(reading: _Reading, distributions: Sequence[Distribution]) -> None:
    """Read the modules that the start names, where they are the application's own."""
    start, project = reading.start, canonicalize_name(reading.start.project)
    # A wheel of another project may be installed from a file, too.
    local = [
        found for found in distributions if found.origin and (canonicalize_name(found.name) == project or not project)
    ]
    own = {package for found in local for package in found.packages}
    if start.script:
        reading.take("__main__", Place(file=start.script), main=start.script)
    for module in start.modules:
        top = module.partition(":")[0].partition(".")[0]
        place = reading.finder.top(top)
        named = top in own or (project != "" and canonicalize_name(top) == project)
        if reading.finder.is_own(place) or (named and place.known and place != BUILT_IN):
            reading.take(top, place)


@dataclass(frozen=True, kw_only=True)
class _Judge:
    """Holds what the modules ask for against the image."""

    reading: _Reading
    reached: Mapping[str, bool]
    held: Held
    hooked: bool
    """Code that runs at each start of the interpreter, or a zip on its path, may bring modules that no file shows."""
    aside: dict[str, str] = field(default_factory=dict)
    """The folders off the path that hold modules, by the name of these."""

    def missing(self, name: str, file: str, asked: Asked) -> MissingModule | None:
        part, package = self.reading.finder.missing(asked.name)
        if not part or (package.known and not _static(package, self.reading.load)):
            return None
        lies_in = "" if "." in part else self._elsewhere(part)
        if lies_in and self.reading.changes_path:
            return None
        return MissingModule(
            asked=asked.name,
            missing=part,
            file=shown(file),
            line=asked.line,
            nested=asked.nested,
            certain=self._surely(name, asked) and not self.hooked and part not in self.reading.optional,
            reached=name in self.reached,
            lies_in=lies_in,
        )

    def named(self, name: str, file: str, asked: Asked) -> NamedThing | None:
        if asked.kind == "program" and posixpath.basename(asked.name) in self.reading.looked_for:
            return None
        if not self.held.lacks(asked.kind, asked.name):
            return None
        return NamedThing(
            kind=asked.kind,
            name=asked.name,
            file=shown(file),
            line=asked.line,
            certain=self._surely(name, asked),
            reached=name in self.reached,
        )

    def _surely(self, name: str, asked: Asked) -> bool:
        return self.reached.get(name, False) and not asked.conditional

    def _elsewhere(self, top: str) -> str:
        """Return a folder of the image that holds a module of that name and is not on the path."""
        files, folders = self.reading.finder.files, self.reading.finder.folders
        if not self.aside:
            for path in files.index.paths:
                file = path.removesuffix("/__init__.py")
                if path.endswith(".py"):
                    folder, _, name = file.removesuffix(".py").rpartition("/")
                    # What a package holds is no top-level module.
                    if folder not in folders and f"{folder}/__init__.py" not in files.index.paths:
                        self.aside.setdefault(name, folder)
        return shown(self.aside.get(top, ""))


def _static(package: Place, load: Callable[[str], Sources]) -> bool:
    """Tell whether files alone say what a package holds."""
    if not package.regular:
        return False
    file = posixpath.join(package.folders[0], "__init__.py")
    source = load(file).get(file)
    return source is not None and DYNAMIC.search(source) is None


def _packaged(reading: _Reading, access: Access) -> Iterator[OwnPackage]:
    """Yield the own packages, with their files that are no code."""
    for name, place in reading.tops.items():
        if not place.regular:
            continue
        top = place.folders[0]
        found: list[str] = []
        left = [top]
        while left and len(found) < MOST_FILES:
            folder = left.pop()
            for entry in access.files.names(folder):
                path = posixpath.join(folder, entry)
                seen = access.files.end(path)
                if seen is not None and seen.letter == "d" and entry != "__pycache__":
                    left.append(path)
                elif not entry.endswith((".py", ".pyc")):
                    found.append(shown(posixpath.relpath(path, top)))
        yield OwnPackage(name=name, folder=top, files=tuple(sorted(found)), installed=not reading.finder.is_own(place))
