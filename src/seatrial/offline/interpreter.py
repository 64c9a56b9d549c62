"""Finds a CPython on the host and copies it as the official image has it, without any path of the host."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from seatrial import process
from seatrial.errors import BuildError, ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seatrial.host import Host


HOME = "/usr/local"
"""Where the interpreter lives in the image."""
SOURCE = "/usr/src/python"
"""What replaces the folder that it was compiled in; the official image has the same."""
STRIP_TIMEOUT = 120.0
ELF = b"\x7fELF"
"""What a program or a shared library starts with."""

NEEDED_MODULES = ("_bz2", "_ctypes", "_lzma", "_sqlite3", "_ssl", "readline", "zlib")
"""C modules that an interpreter compiled without their headers lacks; such an interpreter is not used."""
LEFT_OUT_FOLDERS = frozenset({"__pycache__", "idle_test", "site-packages", "test", "tests"})
LEFT_OUT_FILES = (
    "*.a",
    "*.o",
    "*.pyc",
    "EXTERNALLY-MANAGED",  # uv's mark on its own interpreters
    "_ctypes_test*.so",
    "_test*.so",
    "_tkinter*.so",  # needs Tk, which the official image lacks too
    "_xxtestfuzz*.so",
    "xxlimited*.so",
    "xxsubtype*.so",
)
PROGRAMS = ("python", "pydoc", "idle")


@dataclass(frozen=True, kw_only=True)
class HostPython:
    """A CPython as its own makefile installed it: pyenv's, uv's, or one under /usr/local."""

    prefix: Path
    version: str
    """The whole version: `3.13.0`."""

    @property
    def series(self) -> str:
        """The version's first two numbers."""
        return ".".join(self.version.split(".")[:2])

    @property
    def library(self) -> Path:
        """The standard library's folder."""
        return self.prefix / "lib" / f"python{self.series}"


def find(version: str, host: Host) -> HostPython | None:
    """Return the newest interpreter of a version (`3`, `3.13`) that the host has; of `3.13.2` that one, or the nearest.

    A distribution's own interpreter is not a candidate: it is patched, and spread over the system.
    """
    series, patch = ".".join(version.split(".")[:2]), version.split(".")[2:]
    found = [python for prefix in _prefixes(host) for python in _pythons(prefix)]
    fitting = [python for python in found if f"{python.version}.".startswith(f"{series}.")]

    def rank(python: HostPython) -> tuple[int, Version]:
        known = Version(python.version)
        return -abs(known.micro - int(patch[0])) if patch else 0, known

    return max(fitting, key=rank, default=None)


def _prefixes(host: Host) -> Iterator[Path]:
    environment = host.environment
    pyenv = Path(environment.get("PYENV_ROOT") or host.home / ".pyenv")
    data = Path(environment.get("XDG_DATA_HOME") or host.home / ".local" / "share")
    uv = Path(environment.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    yield from sorted((pyenv / "versions").glob("3.*"))
    yield from sorted(uv.glob("cpython-3.*-linux-*-gnu"))
    yield from sorted(Path("/opt/python").glob("3.*"))
    yield from sorted(Path("/opt/hostedtoolcache/Python").glob("3.*/*"))
    yield Path(HOME)


def _pythons(prefix: Path) -> list[HostPython]:
    names = (folder.name.removeprefix("python") for folder in (prefix / "include").glob("python3.*"))
    return [python for name in names if (python := _python(prefix, name)) is not None]


def _python(prefix: Path, series: str) -> HostPython | None:
    header = prefix / "include" / f"python{series}" / "patchlevel.h"
    library = prefix / "lib" / f"python{series}"
    try:
        # Only a release: 3.15.0a1 and 3.14.0+ are none.
        found = re.search(r'#define PY_VERSION\s+"([\d.]+)"', header.read_text(encoding="utf-8"))
    except OSError:
        return None
    if found is None:
        return None
    needed = [prefix / "bin" / f"python{series}", library / "os.py", library / "ensurepip" / "_bundled"]
    complete = all(path.exists() for path in needed) and _has_needed_modules(library)
    return HostPython(prefix=prefix.resolve(), version=found.group(1)) if complete else None


def _has_needed_modules(library: Path) -> bool:
    modules = {file.name.partition(".")[0] for file in (library / "lib-dynload").glob("*.so")}
    # uv's interpreters have these compiled in: there `_ssl` is not a file at all.
    return not modules & {"_ssl", "_struct"} or modules.issuperset(NEEDED_MODULES)


def relocate(python: HostPython, folder: Path, *, say: Callable[[str], None]) -> None:
    """Copy an interpreter into a folder that becomes the image's /usr/local.

    Without test suites, bytecode, static libraries, Tk, symbols, and what was installed into it: pip comes from
    ensurepip, in the image. No path of the host remains.
    """
    _copy(python, folder)
    _link(python, folder)
    _strip(python, folder, say)
    _rewrite(python, folder)


def _copy(python: HostPython, folder: Path) -> None:
    series = python.series
    for name in (f"python{series}", f"python{series}-config", f"pydoc{series}", f"idle{series}"):
        source = python.prefix / "bin" / name
        if source.exists():
            (folder / "bin").mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / "bin" / name)
    shutil.copytree(python.library, folder / "lib" / f"python{series}", symlinks=True, ignore=_ignored)
    (folder / "lib" / f"python{series}" / "site-packages").mkdir()
    shutil.copytree(python.prefix / "include" / f"python{series}", folder / "include" / f"python{series}")
    libraries = sorted(python.prefix.glob(f"lib/libpython{series}.so*"))
    for library in (*libraries, *python.prefix.glob("lib/libpython3.so")):
        shutil.copy2(library, folder / "lib" / library.name, follow_symlinks=False)
    for config in python.prefix.glob("lib/pkgconfig/python*.pc"):
        (folder / "lib" / "pkgconfig").mkdir(exist_ok=True)
        shutil.copy2(config, folder / "lib" / "pkgconfig" / config.name, follow_symlinks=False)


def _ignored(folder: str, names: list[str]) -> set[str]:
    patterns = shutil.ignore_patterns(*LEFT_OUT_FILES)(folder, names)
    # Folders of exactly these names: unittest is not a test suite.
    return patterns | {name for name in names if name in LEFT_OUT_FOLDERS and (Path(folder) / name).is_dir()}


def _link(python: HostPython, folder: Path) -> None:
    programs = {name: (f"{name}{python.series}", name, f"{name}3") for name in PROGRAMS}
    programs["config"] = (f"python{python.series}-config", "python-config", "python3-config")
    for program, *links in programs.values():
        if (folder / "bin" / program).exists():
            for link in links:
                (folder / "bin" / link).symlink_to(program)


def _strip(python: HostPython, folder: Path, say: Callable[[str], None]) -> None:
    programs = [folder / "bin" / f"python{python.series}", *folder.rglob("*.so"), *folder.rglob("*.so.*")]
    files = [file for file in programs if not file.is_symlink() and file.read_bytes().startswith(ELF)]
    for file in files:
        file.chmod(0o755)
    if not files:
        return
    try:
        strip = process.find_program("strip")
    except ProgramError:
        say("The program strip (binutils) is not installed: the local substitute keeps symbols, and is larger.")
        return
    process.run([strip, "--strip-unneeded", *files], timeout=STRIP_TIMEOUT, environment={"PATH": os.defpath})


def _rewrite(python: HostPython, folder: Path) -> None:
    compiled_in = _compiled_in(python)
    changes = {str(python.prefix): HOME, **dict.fromkeys(compiled_in, SOURCE)}
    remaining: list[str] = []
    for file in folder.rglob("*"):
        if file.is_symlink() or not file.is_file():
            continue
        before = file.read_bytes()
        after = rewritten(before, changes)
        if after != before:
            file.write_bytes(after)
        if any(old.encode() in after for old in changes if not HOME.startswith(old)):
            remaining.append(str(file.relative_to(folder)))
    if remaining:
        raise BuildError(
            f"a path of this host would remain in {', '.join(remaining[:5])}.",
            where=str(python.prefix),
            fix="Its path is too short to be replaced in a program: install that Python elsewhere.",
        )


def _compiled_in(python: HostPython) -> list[str]:
    """Return the folders that it was compiled in, as its own build data name them; longest first."""
    found: set[str] = set()
    for data in python.library.glob("_sysconfigdata*.py"):
        text = data.read_text(encoding="utf-8")
        found |= set(re.findall(r"'abs_(?:srcdir|builddir)': '(/[^']{4,})'", text))
    return sorted((path for path in found if len(path) >= len(SOURCE)), key=len, reverse=True)


def rewritten(data: bytes, changes: dict[str, str]) -> bytes:
    """Return a file's bytes with paths replaced; in a program each string ends earlier."""
    program = data.startswith(ELF)
    for old, new in changes.items():
        before, after = old.encode(), new.encode()
        if before == after or before not in data:
            continue
        if not program:
            data = data.replace(before, after)
        elif len(after) <= len(before):
            data = _shortened(data, before, after)
    return data


def _shortened(data: bytes, before: bytes, after: bytes) -> bytes:
    def shorter(match: re.Match[bytes]) -> bytes:
        old = match.group()
        new = old.replace(before, after) + b"\0"
        # What follows the new end stays: a linker lets one string be another's tail. The version's text was seen in
        # that of `…/versions/3.13.0`.
        rest = old[len(new) :]
        return (new + rest)[: len(old)] if before not in rest else new[: len(old)].ljust(len(old), b"\0")

    # A match is the rest of a C string, which may name the path more than once.
    return re.sub(re.escape(before) + rb"[^\0]*", shorter, data)
