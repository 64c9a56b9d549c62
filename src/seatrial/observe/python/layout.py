"""Where an interpreter looks for packages, and where it does not and why: what `site` and `getpath` do, by files.

Sources: Python's `site` module, PEP 405 (virtual environments), Debian's README.python (dist-packages).
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from seatrial.facts import Account
from seatrial.facts.command import permits
from seatrial.facts.probe import OffPath
from seatrial.observe.archive import rooted
from seatrial.observe.contents import shown
from seatrial.observe.kept import LOCAL_FIRST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from seatrial.observe.index import Entry, IndexFiles


PYTHON_FILE = re.compile(r"(?:python|pypy)(3\.\d{1,3}t?)")
LIBRARY = re.compile(r"(?:python|pypy)3\.\d{1,3}t?")
LIBS = ("lib", "lib64")
LONGEST_PATH_FILE = 2000
"""Lines of a .pth file that are read."""
MOST_ON_PATH = 1000
"""Folders of one interpreter's path."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """An interpreter and its folders."""

    executable: str
    real: str
    """Its file, links followed."""
    version: str
    """As its library is named: `3.13`."""
    prefix: str
    base_prefix: str
    library: str
    """Its standard library."""
    own_library: str = ""
    """The standard library that its file lies beside; empty where none does."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """pyvenv.cfg, where it is a virtual environment's."""
    path: tuple[str, ...] = ()
    """The folders on sys.path that exist, in its order."""
    archives: tuple[str, ...] = ()
    """The files on sys.path: zips and zipped eggs, from which Python imports too."""
    base: tuple[str, ...] = ()
    """The site folders of the interpreter below a virtual environment that are not on its path."""
    scripts: tuple[str, ...] = ()
    """The folders of its scripts."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """What an account can do with an image's files, by permission bits: no capability helps it, be it root."""

    files: IndexFiles
    who: Account

    def permits(self, entry: Entry, bits: int) -> bool:
        """Tell whether the account has permission bits (0o4, 0o3, ...)."""
        return self.who.uid is None or permits(self.who, entry.mode, entry.uid, entry.gid, bits)

    def reaches(self, path: str) -> Entry | None:
        """Return what a path leads to, where the account can search every folder above it."""
        entry = self.files.end(path)
        here = self.files.folder(path)
        while entry is not None and here != "/":
            here = posixpath.dirname(here)
            above = self.files.index.paths.get(here)
            if above is not None and not self.permits(above, 0o1):
                return None
        return entry

    def lists(self, path: str) -> bool:
        """Tell whether it is a folder whose names the account can read."""
        entry = self.reaches(path)
        return entry is not None and entry.letter == "d" and self.permits(entry, 0o4)

    def reads(self, path: str) -> bool:
        """Tell whether it is a file that the account can read."""
        entry = self.reaches(path)
        return entry is not None and entry.letter == "f" and self.permits(entry, 0o4)


def layout_of(python: str, environment: Mapping[str, str], directory: str, access: Access) -> Layout | str:
    """Return an interpreter's folders, or why the files do not tell them.

    `environment` is what the process gets, `directory` where it begins.
    """
    files = access.files
    executable = posixpath.normpath(posixpath.join(directory, python))
    real = files.folder(executable)
    found = files.index.paths.get(real)
    if found is None or found.letter != "f":
        return f"{executable} does not lead to a file"
    if files.text(real).startswith("#!"):
        return f"{executable} is a script, and not an interpreter"
    prefix, settings = _environment(executable, access)
    tops = [environment.get("PYTHONHOME", "").partition(":")[0], settings.get("home", ""), posixpath.dirname(real)]
    base = _base(real, tops, files)
    if base is None:
        return f"no library of Python's lies beside {real}"
    base_prefix, library, lib = base
    beside = _base(real, tops[2:], files)
    alone = bool(prefix) and settings.get("include-system-site-packages", "").lower() != "true"
    user = "" if alone else _user_base(environment, access.who)
    made = _Path(access=access, library=library, base_prefix=base_prefix, lib=lib)
    if given := environment.get("PYTHONPATH"):
        made.add_all([posixpath.join(directory, folder) for folder in given.split(":")])
    made.add(f"{base_prefix}/{lib}/{library.replace('.', '')}.zip")
    made.add_all([f"{base_prefix}/{lib}/{library}", f"{base_prefix}/{lib}/{library}/lib-dynload"])
    made.add_sites(prefix)
    if not alone:
        made.add_site(f"{user}/lib/{library}/site-packages" if user else "")
        module = files.folder(f"{base_prefix}/{lib}/{library}/site.py")
        if user and LOCAL_FIRST in files.index.holding.get(module, ()):
            made.add_sites("/usr/local")
        made.add_sites(base_prefix)
    on_path = {files.folder(folder) for folder in made.folders}
    return Layout(
        executable=executable,
        real=real,
        version=_version(library),
        library=f"{base_prefix}/{lib}/{library}",
        own_library="/".join((beside[0], beside[2], beside[1])) if beside else "",
        prefix=prefix or base_prefix,
        base_prefix=base_prefix,
        settings=settings,
        path=tuple(made.folders),
        archives=tuple(made.archives),
        base=tuple(folder for folder in made.sites(base_prefix) if prefix and files.folder(folder) not in on_path),
        scripts=_script_folders(executable, prefix or base_prefix, user),
    )


def _environment(executable: str, access: Access) -> tuple[str, dict[str, str]]:
    """Return the virtual environment of an interpreter, and its pyvenv.cfg; empty where there is none."""
    here = posixpath.dirname(executable)
    for folder in (here, posixpath.dirname(here)):
        file = posixpath.join(folder, "pyvenv.cfg")
        if access.reads(file):
            pairs = (line.partition("=") for line in access.files.text(file).split("\n")[:200])
            # It may stand beside the interpreter, too: its environment is the folder above all the same.
            return posixpath.dirname(here), {key.strip()[:200]: value.strip() for key, equals, value in pairs if equals}
    return "", {}


def _user_base(environment: Mapping[str, str], who: Account) -> str:
    """Return the folder of packages that an account installs for itself; empty where it is switched off."""
    if environment.get("PYTHONNOUSERSITE"):
        return ""
    home = environment.get("HOME") or who.home or "/"
    return environment.get("PYTHONUSERBASE") or posixpath.join(home, ".local")


def _script_folders(executable: str, prefix: str, user: str) -> tuple[str, ...]:
    debian = ["/usr/local/bin"] if prefix == "/usr" else []
    own = [posixpath.dirname(executable), f"{prefix}/bin", *debian]
    return tuple(dict.fromkeys([*own, f"{user}/bin"] if user else own))


def _base(real: str, tops: Iterable[str], files: IndexFiles) -> tuple[str, str, str] | None:
    """Return the prefix of an interpreter's own library, the library's name, and the `lib` it lies in, as `getpath`."""
    named = PYTHON_FILE.fullmatch(posixpath.basename(real))
    for top in tops:
        # Upwards from where it lies, to the first folder that holds a library.
        here = top.rstrip("/")
        while here.startswith("/"):
            # By where it lies: conda has a link to it of another name, Debian's lib64 may be a link to lib.
            libraries: dict[str, tuple[str, str, str]] = {}
            for lib in LIBS:
                for name in files.names(f"{here}/{lib}"):
                    place = f"{here}/{lib}/{name}"
                    fits = LIBRARY.fullmatch(name) and (named is None or _version(name) == named[1])
                    if fits and files.end(f"{place}/os.py"):
                        real_name = posixpath.basename(files.folder(place))
                        found = (here, real_name if LIBRARY.fullmatch(real_name) else name, lib)
                        libraries.setdefault(files.folder(place), found)
            if len(libraries) == 1:
                return next(iter(libraries.values()))
            here = posixpath.dirname(here).rstrip("/")
    return None


def _version(library: str) -> str:
    return library.removeprefix("python").removeprefix("pypy")


@dataclass(kw_only=True)
class _Path:
    """sys.path in the making."""

    access: Access
    library: str
    base_prefix: str
    lib: str
    """`lib64` where Red Hat's and SUSE's interpreters have the standard library."""
    folders: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)

    def add(self, folder: str) -> bool:
        """Add a folder, where it exists and is new; a file is noted."""
        folder = rooted(posixpath.normpath(folder)) if folder else ""
        if not folder or folder in self._known or len(self._known) >= MOST_ON_PATH:
            return False
        if not self.access.lists(folder):
            if self.access.reads(folder):
                self._known.add(folder)
                self.archives.append(folder)
            return False
        self._known.add(folder)
        self.folders.append(folder)
        return True

    def add_all(self, folders: Iterable[str]) -> None:
        for folder in folders:
            self.add(folder)

    def add_sites(self, prefix: str) -> None:
        for folder in self.sites(prefix) if prefix else ():
            self.add_site(folder)

    def sites(self, prefix: str) -> list[str]:
        """Return the site folders of a prefix that exist."""
        library, files = self.library, self.access.files
        libs = LIBS if self.lib == "lib" else LIBS[::-1]
        own = [f"{prefix}/{lib}/{library}/site-packages" for lib in libs]
        # Debian's interpreter has folders of its own.
        debian = [
            f"{prefix}/local/lib/{library}/dist-packages",
            f"{prefix}/lib/python3/dist-packages",
            f"{prefix}/lib/{library}/dist-packages",
        ]
        if self.base_prefix != "/usr":
            debian = []
        elif prefix == "/usr" and files.end("/usr/lib/python3/dist-packages"):
            own = []
        places: dict[str, str] = {}
        for folder in (*own, *debian):
            entry = files.end(folder)
            if entry is not None and entry.letter == "d":
                places.setdefault(files.folder(folder), folder)
        return list(places.values())

    def add_site(self, folder: str) -> None:
        """Add a site folder and what its .pth files name; their code is not run."""
        files = self.access.files
        if not self.add(folder):
            return
        for name in files.names(folder):
            file = posixpath.join(folder, name)
            if name.endswith(".pth") and not name.startswith(".") and self.access.reads(file):
                for line in _path_lines(files.text(file)):
                    self.add(posixpath.join(folder, line))


def _lines(text: str) -> list[str]:
    """Return the lines of a .pth file, at whatever some Python ends a line."""
    return text.removeprefix("\ufeff").splitlines()


def _path_lines(text: str) -> Iterator[str]:
    for line in _lines(text)[:LONGEST_PATH_FILE]:
        if line.strip() and not line.startswith(("#", "import ", "import\t")) and "\0" not in line:
            yield line.rstrip()


def runs_code(folders: Iterable[str], files: IndexFiles) -> tuple[str, ...]:
    """Return the files in site folders that run code at every start of the interpreter."""
    found = []
    for folder in folders:
        for name in files.names(folder):
            path = posixpath.join(folder, name)
            if name in {"sitecustomize.py", "usercustomize.py"} or (
                name.endswith(".pth")
                and any(line.startswith(("import ", "import\t")) for line in _lines(files.text(path)))
            ):
                found.append(path)
    return tuple(found)


MOST_OFF_PATH = 50
MOST_NAMES = 1000
SITE = re.compile(r"(?P<prefix>.*)/lib(?:64)?/python(?P<version>3(?:\.\d+t?)?)/(?:site|dist)-packages")


def off_path_of(layout: Layout, environment: Mapping[str, str], home: str, access: Access) -> tuple[OffPath, ...]:
    """Return the folders with distributions that are neither on the path nor the base interpreter's own."""
    files = access.files
    known = {files.folder(folder) for folder in (*layout.path, *layout.base)}
    names: dict[str, set[str]] = {}
    for path in files.index.texts:
        if path.endswith(".dist-info/METADATA"):
            folder, _, named = path.removesuffix("/METADATA").rpartition("/")
            if folder not in known:
                names.setdefault(folder, set()).add(
                    canonicalize_name(named.removesuffix(".dist-info").partition("-")[0])
                )
    found = []
    for folder in sorted(names)[:MOST_OFF_PATH]:
        why, fix = _why(shown(folder), layout, environment, home, access)
        listed = tuple(map(shown, sorted(names[folder])[:MOST_NAMES]))
        found.append(OffPath(folder=shown(folder), distributions=listed, why=why, fix=fix))
    return tuple(found)


def _why(folder: str, layout: Layout, environment: Mapping[str, str], home: str, access: Access) -> tuple[str, str]:
    """Return why an interpreter does not look into a folder, and what to do about it."""
    site = SITE.fullmatch(folder)
    if site is None:
        return "sys.path does not name it", f"Put it on the path: `ENV PYTHONPATH={folder}`."
    prefix, version = site["prefix"], site["version"]
    if version not in {"3", layout.version}:
        why = f"it is for Python {version}, and the application runs on Python {layout.version}"
        return why, "Install with the interpreter that the command runs on: the same base image in every stage."
    if access.files.end(posixpath.join(prefix, "pyvenv.cfg")):
        why = f"it belongs to the environment {prefix}, and the command runs on {layout.executable}"
        return why, f'Run {prefix}/bin/python: name it in the command, or `ENV PATH="{prefix}/bin:$PATH"`.'
    if prefix.endswith("/.local"):
        return _why_of_a_user(prefix, layout, environment, home)
    if not access.lists(folder):
        return _closed(prefix, access)
    return f"it is not below {layout.prefix}", f"Put it on the path: `ENV PYTHONPATH={folder}`."


def _why_of_a_user(prefix: str, layout: Layout, environment: Mapping[str, str], home: str) -> tuple[str, str]:
    installed = "installed with --user, and"
    if layout.prefix != layout.base_prefix:
        why = f"{installed} the environment {layout.prefix} leaves such folders out"
        return why, "Install into the environment, without --user."
    if environment.get("PYTHONNOUSERSITE"):
        return f"{installed} PYTHONNOUSERSITE is set", "Leave PYTHONNOUSERSITE out of ENV."
    base = environment.get("PYTHONUSERBASE")
    looked = base or posixpath.join(home, ".local")
    if posixpath.normpath(looked) == prefix:
        why = f"{installed} USER may not read it"
        return (
            why,
            f"Let every account read it: `RUN chmod -R go=rX {prefix}`; a folder below /root is closed to others.",
        )
    says = "PYTHONUSERBASE says so" if base else f"HOME is {home}"
    why = f"{installed} Python looks for such packages in {looked}, as {says}"
    fix = f"Tell Python where they lie: `ENV PYTHONUSERBASE={prefix}`; or install into a virtual environment."
    return why, fix


def _closed(prefix: str, access: Access) -> tuple[str, str]:
    why = f"uid {access.who.uid} may not read it"
    return why, f"Let every account read it: `RUN chmod -R go=rX {prefix}`."
