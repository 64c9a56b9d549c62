"""Native code: ELF files, the libraries that they need, and the platform that they were built for."""

import os
import platform
import struct
import sys
import sysconfig
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import MAX_FILES, listing, opened, scan, search_path, text, truncated

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Set, Tuple

    from seatrial.inside.probe.base import Row

    Values = Dict[int, List[int]]

PT_LOAD, PT_DYNAMIC = 1, 2
DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_RPATH, DT_RUNPATH = 1, 5, 10, 15, 29


def elf_form(ident: bytes) -> "Tuple[bool, str]":
    """Return whether a file is of 64 bits, and its byte order as `struct` writes it."""
    return ident[4] == 2, "<" if ident[5] == 1 else ">"


def elf_segments(file: "Any", ident: bytes) -> "List[Tuple[int, int, int, int]]":
    """Return the type, address, offset and length of each segment: elf(5)."""
    wide, order = elf_form(ident)
    (offset,) = struct.unpack_from(order + ("Q" if wide else "I"), ident, 32 if wide else 28)
    size, count = struct.unpack_from(order + "HH", ident, 54 if wide else 42)
    file.seek(offset)
    table = file.read(size * min(count, 128))
    form = order + ("IIQQQQQQ" if wide else "IIIIIIII")
    rows = [struct.unpack_from(form, table, at) for at in range(0, len(table) - size + 1, size)] if size else []
    return [(row[0], row[3], row[2], row[5]) if wide else (row[0], row[2], row[1], row[4]) for row in rows]


class Elf:
    """The libraries that a file needs, and where it has them looked for."""

    def __init__(self, path: str) -> None:
        self.needed: "List[str]" = []
        self.runpath: "List[str]" = []
        self.rpath: "List[str]" = []
        self.extension = False
        with opened(path) as file:
            ident = file.read(64)
            if ident[:4] != b"\x7fELF":
                raise ValueError("not ELF")
            self.wide, self.order = elf_form(ident)
            self.machine = struct.unpack_from(self.order + "H", ident, 18)[0]
            segments = elf_segments(file, ident)
            loads = [(address, at, length) for kind, address, at, length in segments if kind == PT_LOAD]
            dynamic = [(at, length) for kind, _, at, length in segments if kind == PT_DYNAMIC]
            values = self._entries(file, *dynamic[-1]) if dynamic else {}
            if DT_STRTAB not in values:
                return
            strings = _strings(file, loads, values)
            here = os.path.dirname(path)
            self.extension = b"PyInit_" in strings
            self.needed = [_name(strings, at) for at in values.get(DT_NEEDED, [])]
            self.rpath = _folders(strings, values.get(DT_RPATH, []), here)
            self.runpath = _folders(strings, values.get(DT_RUNPATH, []), here)

    def _entries(self, file: "Any", at: int, length: int) -> "Values":
        entry = self.order + ("qQ" if self.wide else "iI")
        file.seek(at)
        body = file.read(min(length, 1 << 16))
        size = struct.calcsize(entry)
        values: "Values" = {}
        for start in range(0, len(body) - size + 1, size):
            tag, value = struct.unpack_from(entry, body, start)
            if tag == 0:
                break
            values.setdefault(tag, []).append(value)
        return values


def _strings(file: "Any", loads: "List[Tuple[int, int, int]]", values: "Values") -> bytes:
    address = values[DT_STRTAB][0]
    for start, at, length in loads:
        if start <= address < start + length:
            file.seek(at + address - start)
            found: bytes = file.read(min(values.get(DT_STRSZ, [1 << 20])[0], 1 << 22))
            return found
    return b""


def _name(strings: bytes, at: int) -> str:
    return strings[at : strings.find(b"\0", at)].decode("utf-8", "replace")


def _folders(strings: bytes, offsets: "List[int]", here: str) -> "List[str]":
    joined = ":".join(_name(strings, at) for at in offsets)
    return [folder.replace("${ORIGIN}", here).replace("$ORIGIN", here) for folder in joined.split(":") if folder]


MACHINES = {3: "i386", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv"}
MAX_LIBRARIES = 20000


def native() -> "Row":
    modules, by_name = extension_modules()
    missing, foreign = Loader(modules, by_name).resolve()
    return {"modules": len(modules), "missing": missing[:200], "libc": own_libc(), "foreign": foreign[:50]}


def module_folders() -> "List[str]":
    """Return everything on the path but the standard library's own sources: PYTHONPATH and --target folders too."""
    standard = {os.path.realpath(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib")}
    wanted = [entry for entry in search_path if entry and os.path.isdir(entry)]
    return [entry for entry in wanted if os.path.realpath(entry) not in standard]


def extension_modules() -> "Tuple[List[str], Dict[str, str]]":
    """Return the shared objects on the path, and the first of each name."""
    modules: "List[str]" = []
    by_name: "Dict[str, str]" = {}
    count = 0
    for top in module_folders():
        left = [top]
        while left:
            for entry in scan(left.pop()):
                name = entry.name
                if entry.is_dir(follow_symlinks=False):
                    if name != "__pycache__":
                        left.append(entry.path)
                # The official slim images hold _tkinter without Tk's libraries, on purpose.
                elif (name.endswith(".so") or ".so." in name) and not (
                    name.startswith("_tkinter.") and top.endswith("lib-dynload")
                ):
                    modules.append(entry.path)
                    by_name.setdefault(name, entry.path)
                count += 1
            if count > MAX_FILES:
                truncated.append(f"native modules: more than {MAX_FILES} files")
                break
    return modules, by_name


def optional_for(needing: "List[str]") -> "Dict[str, str]":
    """Return the packages of shared objects that lack a library, where these are a part of what the package holds."""
    found: "Dict[str, str]" = {}
    tops = [os.path.join(top, "") for top in module_folders()]
    for path in needing:
        top = max((top for top in tops if path.startswith(top)), key=len, default="")
        name = path[len(top) :].split(os.sep)[0] if top else ""
        package = os.path.join(top, name)
        if os.path.isfile(os.path.join(package, "__init__.py")) and holds_another(package, needing):
            found[path] = name
    return found


def holds_another(package: str, needing: "List[str]") -> bool:
    """Tell whether a package has an extension module that is not among some shared objects."""
    for count, (folder, _, names) in enumerate(os.walk(package)):
        paths = [os.path.join(folder, name) for name in names if name.endswith(".so")]
        if any(path not in needing for path in paths):
            return True
        if count > MAX_LIBRARIES:
            break
    return False


def own_libc() -> str:
    try:
        if os.confstr("CS_GNU_LIBC_VERSION"):
            return "glibc"
    except (AttributeError, OSError, ValueError):
        pass
    return "musl" if any(name.startswith("ld-musl") for name in listing("/lib")) else ""


def libc_of(elf: Elf) -> str:
    for name in elf.needed:
        if name == "libc.so.6":
            return "glibc"
        if name.startswith("libc.musl-"):
            return "musl"
    return ""


def loader_cache() -> "Dict[str, str]":
    """Return where ldconfig's cache says that libraries are: the loader asks nothing else for system libraries."""
    try:
        with opened("/etc/ld.so.cache") as file:
            raw = file.read(8 << 20)
    except OSError:
        return {}
    found: "Dict[str, str]" = {}
    for part in raw.split(b"\0"):
        start = part.find(b"/")
        if start >= 0 and b".so" in part:
            path = part[start:].decode("utf-8", "replace")
            found.setdefault(os.path.basename(path), path)
    return found


def read_elf(path: str) -> "Optional[Elf]":
    try:
        return Elf(path)
    except (OSError, ValueError, struct.error, IndexError):
        return None


class Loader:
    """Looks for libraries as ld.so(8) does."""

    def __init__(self, modules: "List[str]", by_name: "Dict[str, str]") -> None:
        self.modules, self.by_name = modules, by_name
        self.libc, self.cache = own_libc(), loader_cache()
        # The loader's built-in folders differ by distribution; those that exist are the ones that count.
        machine = platform.machine() + "-linux-gnu"
        self.default = ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/lib/" + machine, "/usr/lib/" + machine]
        if not os.path.exists("/etc/ld.so.cache") and any(name.startswith("ld-musl") for name in listing("/lib")):
            self.default.append("/usr/local/lib")
        self.variable = [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
        own = read_elf(os.path.realpath(sys.executable))
        self.machine = own.machine if own else None

    def resolve(self) -> "Tuple[List[Row], List[Row]]":
        """Return the libraries that are missing, and the modules that were built for another machine or C library."""
        wanted = set(self.modules)
        done: "Set[Tuple[int, int]]" = set()
        missing: "List[Row]" = []
        foreign: "List[Row]" = []
        queue: "List[Tuple[str, List[str]]]" = [(path, []) for path in self.modules]
        while queue:
            path, inherited = queue.pop()
            try:
                state = os.stat(path)
            except OSError:
                continue
            # One file under many names is read once.
            file = (state.st_dev, state.st_ino)
            if file in done or len(done) > MAX_LIBRARIES:
                continue
            done.add(file)
            elf = read_elf(path)
            if elf is None:
                continue
            other = self.built_for(elf, path) if path in wanted else ""
            if other:
                foreign.append({"path": text(path), "built_for": other})
            if self.machine is not None and elf.machine != self.machine:
                continue
            queue += self.needed(elf, path, inherited, missing)
        return missing, foreign

    def needed(
        self, elf: Elf, path: str, inherited: "List[str]", missing: "List[Row]"
    ) -> "List[Tuple[str, List[str]]]":
        """Return the libraries that a file needs, each with the search path that it inherits; note what is missing."""
        # DT_RPATH (its own and its loaders') only without DT_RUNPATH; then LD_LIBRARY_PATH; then DT_RUNPATH; then
        # the cache; then the default folders.
        rpath = [] if elf.runpath else elf.rpath + inherited
        searched = rpath + self.variable + elf.runpath
        found = []
        for name in elf.needed:
            library = self.find(name, searched)
            if library:
                found.append((library, rpath))
            elif name not in self.by_name:
                # A library of that name inside the environment is loaded by its package before it is needed.
                folders = [text(folder, 300) for folder in (searched + self.default)[:20]]
                missing.append({"library": text(name, 300), "needed_by": text(path), "searched": folders})
        return found

    def find(self, name: str, searched: "List[str]") -> str:
        if "/" in name:
            return name if os.path.exists(name) else ""
        candidates = [os.path.join(folder, name) for folder in searched]
        candidates.append(self.cache.get(name, ""))
        candidates += [os.path.join(folder, name) for folder in self.default]
        return next((path for path in candidates if os.path.exists(path)), "")

    def built_for(self, elf: Elf, path: str) -> str:
        """Return what an extension module was built for, where that is not this interpreter's machine or C library."""
        # Other libraries may be data.
        if not elf.extension and ".cpython-" not in os.path.basename(path):
            return ""
        if self.machine is not None and elf.machine != self.machine:
            return MACHINES.get(elf.machine, f"machine {elf.machine}")
        other = libc_of(elf)
        return other if other and self.libc and other != self.libc else ""
