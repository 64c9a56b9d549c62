# Runs inside an image, by the image's own interpreter, as the image's own user: Python 3.8 and later, the
# standard library alone. It prints one line: the nonce it was given, a space, and JSON.
#
# It is started with `python -c`, so that PYTHONPATH and the user's site hold as they do for the application.
# Python then puts '' first on sys.path: dropped at once, or a json.py in the working directory would be ours.
import sys

if sys.path and sys.path[0] == "":
    del sys.path[0]

import json
import os
import platform
import re
import site
import signal
import stat
import struct
import subprocess
import sysconfig
import threading
import time

REQUEST = json.loads(sys.argv[2])
MAX_DISTRIBUTIONS = 5000
MAX_SCRIPTS = 2000
MAX_FILES = 200000
INSTALLER_PACKAGES = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "wheel", "uv")
MAX_TEXT = 4000
truncated = []


def text(value, limit=MAX_TEXT):
    return str(value).encode("utf-8", "replace").decode("utf-8")[:limit]


def identity():
    uid = os.geteuid()
    try:
        import pwd

        name = pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):
        name = ""
    try:
        directory = os.getcwd()
    except OSError:
        directory = ""
    return {
        "uid": uid,
        "gid": os.getegid(),
        "groups": sorted(os.getgroups()),
        "name": text(name),
        "home": text(os.path.expanduser("~")),
        "directory": text(directory),
    }


def interpreter():
    settings = {}
    try:
        for line in read(os.path.join(sys.prefix, "pyvenv.cfg"), 65536).split("\n"):
            key, equals, value = line.partition("=")
            if equals and len(settings) < 50:
                settings[key.strip()[:200]] = value.strip()[:MAX_TEXT]
    except OSError:
        pass
    return {
        "executable": sys.executable,
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "path": [text(entry) for entry in sys.path],
        "settings": settings,
    }


def header(raw):
    """The fields of a METADATA file: everything before the first empty line; the long text is never parsed."""
    fields = {"requires": []}
    for line in raw.split("\n"):
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        key = key.lower()
        if not colon or key != key.strip():
            continue
        value = value.strip()
        if key == "requires-dist":
            fields["requires"].append(value[:500])
        elif key in ("name", "version"):
            fields.setdefault(key, value[:200])
    return fields


def read(path, limit=4 * 1024 * 1024):
    with opened(path) as file:
        return file.read(limit).decode("utf-8", "replace").replace("\r\n", "\n")


def opened(path):
    """A regular file, open for reading: a pipe that nobody writes to would keep the probe waiting for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(22, "it is no regular file")
    return os.fdopen(descriptor, "rb")


def console_scripts(folder):
    names, section = [], ""
    try:
        lines = read(os.path.join(folder, "entry_points.txt")).split("\n")
    except OSError:
        return names
    for line in lines:
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == "console_scripts" and "=" in line and len(names) < 200:
            names.append(line.partition("=")[0].strip()[:200])
    return names


def editable(folder):
    try:
        record = json.loads(read(os.path.join(folder, "direct_url.json")))
        if record.get("dir_info", {}).get("editable"):
            return text(record.get("url", "unknown"))
    except (OSError, ValueError, AttributeError):
        pass
    return ""


def distributions(folders, base):
    found, broken, seen = [], [], set()
    for folder in folders:
        try:
            names = sorted(os.listdir(folder or "."))
        except OSError:
            continue
        for name in names:
            if not name.endswith((".dist-info", ".egg-info")):
                continue
            if len(found) >= MAX_DISTRIBUTIONS:
                truncated.append("distributions")
                return found, broken
            path = os.path.join(folder, name)
            metadata = path
            if os.path.isdir(path):
                metadata = os.path.join(path, "METADATA" if name.endswith(".dist-info") else "PKG-INFO")
            try:
                fields = header(read(metadata))
            except OSError as error:
                broken.append({"location": text(path), "problem": text(error)})
                continue
            if not fields.get("name") or not fields.get("version"):
                broken.append({"location": text(path), "problem": "it has no name or no version"})
                continue
            # The first on the path is the one that is imported.
            key = fields["name"].lower().replace("_", "-").replace(".", "-")
            if key in seen:
                continue
            seen.add(key)
            found.append(
                {
                    "name": text(fields["name"], 200),
                    "version": text(fields["version"], 200),
                    "location": text(folder),
                    "requires": [text(one, 500) for one in fields["requires"][:500]],
                    "editable": editable(path),
                    "scripts": [text(one, 200) for one in console_scripts(path)],
                    "base": base,
                    **local(path),
                }
            )
    return found, broken


def local(folder):
    """Of a distribution that came from a file or folder (PEP 610), not from an index: what it came from and holds."""
    try:
        record = json.loads(read(os.path.join(folder, "direct_url.json")))
        url = record.get("url", "")
        if not url.startswith("file:"):
            return {}
        rows = read(os.path.join(folder, "RECORD")).split("\n")
    except (OSError, ValueError, AttributeError):
        return {}
    packages = {row.partition("/")[0] for row in rows if row.partition("/")[2].startswith("__init__.py,")}
    return {"origin": text(url, 500), "packages": [text(one, 200) for one in sorted(packages)[:50]]}


def own_packages(folders):
    """The packages in the folders that the command and PYTHONPATH put on the path: the application's own."""
    found = []
    for folder in folders + os.environ.get("PYTHONPATH", "").split(os.pathsep):
        for name in sorted(listing(folder))[:1000] if folder else []:
            if name.isidentifier() and os.path.isfile(os.path.join(folder, name, "__init__.py")):
                found.append(text(name, 200))
    return found[:50]


def base_folders():
    """The site folders of the interpreter below a virtual environment."""
    if sys.prefix == sys.base_prefix:
        return []
    found = []
    for scheme in sysconfig.get_scheme_names():
        if not scheme.startswith(("posix_prefix", "deb_system", "posix_local")):
            continue
        variables = {"base": sys.base_prefix, "platbase": sys.base_prefix}
        for key in ("purelib", "platlib"):
            folder = sysconfig.get_path(key, scheme, variables)
            if folder and folder not in found and folder not in sys.path:
                found.append(folder)
    return found


def scripts():
    """The scripts beside the interpreter: is the interpreter that each names there?"""
    folders = []
    own = [os.path.dirname(sys.executable or ""), sysconfig.get_path("scripts")]
    if site.ENABLE_USER_SITE:
        own.append(os.path.join(site.getuserbase(), "bin"))
    for folder in own:
        if folder and folder not in folders and os.path.isdir(folder):
            folders.append(folder)
    found = []
    for folder in folders:
        for name in sorted(listing(folder)):
            path = os.path.join(folder, name)
            try:
                if not stat.S_ISREG(os.stat(path).st_mode):
                    continue
                with open(path, "rb") as file:
                    beginning = file.read(4096)
            except OSError:
                continue
            if not beginning.startswith(b"#!"):
                continue
            if len(found) >= MAX_SCRIPTS:
                truncated.append("scripts")
                return found
            target = script_interpreter(beginning)
            there = os.access(target, os.X_OK) if "/" in target else which(target) != ""
            found.append({"path": text(path), "interpreter": text(target, 500), "found": there})
    return found


def script_interpreter(beginning):
    lines = beginning.decode("utf-8", "replace").split("\n")
    # As the kernel does: a carriage return belongs to the word before it.
    words = [word for word in lines[0][2:].replace("\t", " ").split(" ") if word]
    if not words:
        return ""
    if words[0] == "/bin/sh" and len(lines) > 1 and lines[1].startswith("'''exec'"):
        rest = lines[1][len("'''exec'") :].strip()
        quote = rest[:1]
        if quote in "\"'" and quote:
            return rest[1:].partition(quote)[0]
        return rest.partition(" ")[0]
    if os.path.basename(words[0]) == "env":
        names = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        return names[0] if names else words[0]
    return words[0]


def which(name):
    if "/" in name:
        return name if os.access(name, os.X_OK) and os.path.isfile(name) else ""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or ".", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""


def place(path):
    """Would this user be able to write here, if the root were writable? By permission bits: it is not now."""
    nearest = path
    while not os.path.exists(nearest) and nearest != "/":
        nearest = os.path.dirname(nearest) or "/"
    state = os.stat(nearest)
    mode, uid = state.st_mode, os.geteuid()
    if uid == 0:
        allowed = True
    elif state.st_uid == uid:
        allowed = mode & 0o200 and (not stat.S_ISDIR(mode) or mode & 0o100)
    elif state.st_gid in set(os.getgroups()) | {os.getegid()}:
        allowed = mode & 0o020 and (not stat.S_ISDIR(mode) or mode & 0o010)
    else:
        allowed = mode & 0o002 and (not stat.S_ISDIR(mode) or mode & 0o001)
    if nearest != path and not stat.S_ISDIR(mode):
        allowed = False
    return {
        "path": path,
        "exists": nearest == path,
        "writable": bool(allowed),
        "nearest": text(nearest),
        "owner": "%d:%d" % (state.st_uid, state.st_gid),
        "mode": "%04o" % stat.S_IMODE(mode),
    }


# --- native libraries: what the loader would look for, read from the ELF files themselves ---------------


class Elf:
    """The dynamic section of an ELF file: needed libraries and search paths."""

    def __init__(self, path):
        self.needed, self.runpath, self.rpath, self.extension = [], [], [], False
        with opened(path) as file:
            ident = file.read(64)
            if ident[:4] != b"\x7fELF":
                raise ValueError("not ELF")
            wide, order = ident[4] == 2, "<" if ident[5] == 1 else ">"
            self.machine = struct.unpack_from(order + "H", ident, 18)[0]
            if wide:
                (offset,) = struct.unpack_from(order + "Q", ident, 32)
                size, count = struct.unpack_from(order + "HH", ident, 54)
                kind, entry = order + "IIQQQQQQ", order + "qQ"
            else:
                (offset,) = struct.unpack_from(order + "I", ident, 28)
                size, count = struct.unpack_from(order + "HH", ident, 42)
                kind, entry = order + "IIIIIIII", order + "iI"
            file.seek(offset)
            table = file.read(size * min(count, 128))
            loads, dynamic = [], None
            for index in range(len(table) // size if size else 0):
                row = struct.unpack_from(kind, table, index * size)
                at, address, length = (row[2], row[3], row[5]) if wide else (row[1], row[2], row[4])
                if row[0] == 1:
                    loads.append((address, at, length))
                elif row[0] == 2:
                    dynamic = (at, length)
            if dynamic is None:
                return
            file.seek(dynamic[0])
            body = file.read(min(dynamic[1], 1 << 16))
            rows = [
                struct.unpack_from(entry, body, i)
                for i in range(0, len(body) - struct.calcsize(entry) + 1, struct.calcsize(entry))
            ]
            values = {}
            for tag, value in rows:
                if tag == 0:
                    break
                values.setdefault(tag, []).append(value)
            if 5 not in values:
                return
            strings = self._strings(file, loads, values)
            here = os.path.dirname(path)
            self.extension = b"PyInit_" in strings
            self.needed = [self._name(strings, at) for at in values.get(1, [])]
            self.rpath = self._folders(strings, values.get(15, []), here)
            self.runpath = self._folders(strings, values.get(29, []), here)

    def _strings(self, file, loads, values):
        address = values[5][0]
        for start, at, length in loads:
            if start <= address < start + length:
                file.seek(at + address - start)
                return file.read(min(values.get(10, [1 << 20])[0], 1 << 22))
        return b""

    def _name(self, strings, at):
        return strings[at : strings.find(b"\0", at)].decode("utf-8", "replace")

    def _folders(self, strings, offsets, here):
        joined = ":".join(self._name(strings, at) for at in offsets)
        return [one.replace("${ORIGIN}", here).replace("$ORIGIN", here) for one in joined.split(":") if one]


def loader_cache():
    """Where ldconfig's cache says the libraries are; the loader asks nothing else for system libraries."""
    try:
        with opened("/etc/ld.so.cache") as file:
            raw = file.read(8 << 20)
    except OSError:
        return {}
    found = {}
    for part in raw.split(b"\0"):
        start = part.find(b"/")
        if start >= 0 and b".so" in part:
            path = part[start:].decode("utf-8", "replace")
            found.setdefault(os.path.basename(path), path)
    return found


def module_folders():
    """Everything on the path but the standard library's own sources: PYTHONPATH and --target folders too."""
    standard = {os.path.realpath(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib")}
    wanted = [entry for entry in sys.path if entry and os.path.isdir(entry)]
    return [entry for entry in wanted if os.path.realpath(entry) not in standard]


def native():
    modules, by_name, count = [], {}, 0
    for top in module_folders():
        left = [top]
        while left:
            folder = left.pop()
            for entry in scan(folder):
                name = entry.name
                if entry.is_dir(follow_symlinks=False):
                    if name != "__pycache__":
                        left.append(entry.path)
                elif name.endswith(".so") or ".so." in name:
                    # The official slim images hold _tkinter without Tk's libraries, on purpose: nobody draws there.
                    if not (name.startswith("_tkinter.") and top.endswith("lib-dynload")):
                        modules.append(entry.path)
                        by_name.setdefault(name, entry.path)
                count += 1
            if count > MAX_FILES:
                truncated.append("native modules: more than %d files" % MAX_FILES)
                break
    missing, foreign = resolve_all(modules, by_name)
    return {"modules": len(modules), "missing": missing[:200], "libc": own_libc(), "foreign": foreign[:50]}


MACHINES = {3: "i386", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv"}


def own_libc():
    try:
        if os.confstr("CS_GNU_LIBC_VERSION"):
            return "glibc"
    except (AttributeError, OSError, ValueError):
        pass
    return "musl" if any(name.startswith("ld-musl") for name in listing("/lib")) else ""


def libc_of(elf):
    for name in elf.needed:
        if name == "libc.so.6":
            return "glibc"
        if name.startswith("libc.musl-"):
            return "musl"
    return ""


def built_for(elf, path, machine, libc):
    """What an extension module was built for, where that is not this interpreter's; other libraries may be data."""
    if not elf.extension and ".cpython-" not in os.path.basename(path):
        return ""
    if machine is not None and elf.machine != machine:
        return MACHINES.get(elf.machine, "machine %d" % elf.machine)
    other = libc_of(elf)
    return other if other and libc and other != libc else ""


def resolve_all(modules, by_name):
    wanted, foreign, libc = set(modules), [], own_libc()
    cache = loader_cache()
    musl = not os.path.exists("/etc/ld.so.cache") and any(
        name.startswith("ld-musl") for name in listing("/lib")
    )
    # The loader's built-in folders differ by distribution; those that exist are the ones that count.
    machine = platform.machine() + "-linux-gnu"
    default = ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/lib/" + machine, "/usr/lib/" + machine]
    if musl:
        default.append("/usr/local/lib")
    variable = [one for one in os.environ.get("LD_LIBRARY_PATH", "").split(":") if one]
    try:
        machine_code = Elf(os.path.realpath(sys.executable)).machine
    except (OSError, ValueError, struct.error):
        machine_code = None
    done, missing, queue = set(), [], [(path, []) for path in modules]
    while queue:
        path, inherited = queue.pop()
        try:
            state = os.stat(path)
        except OSError:
            continue
        # One file under many names is read once.
        file = (state.st_dev, state.st_ino)
        if file in done or len(done) > 20000:
            continue
        done.add(file)
        try:
            elf = Elf(path)
        except (OSError, ValueError, struct.error, IndexError):
            continue
        other = built_for(elf, path, machine_code, libc) if path in wanted else ""
        if other:
            foreign.append({"path": text(path), "built_for": other})
        if machine_code is not None and elf.machine != machine_code:
            continue
        # ld.so(8): DT_RPATH (its own and its loaders') only without DT_RUNPATH; then LD_LIBRARY_PATH; then
        # DT_RUNPATH; then the cache; then the default folders.
        rpath = [] if elf.runpath else elf.rpath + inherited
        searched = rpath + variable + elf.runpath
        for name in elf.needed:
            found = find_library(name, searched, cache, default)
            if found:
                queue.append((found, rpath))
            elif name not in by_name:
                # A library of that name inside the environment is loaded by its package before it is needed.
                missing.append(
                    {
                        "library": text(name, 300),
                        "needed_by": text(path),
                        "searched": [text(one, 300) for one in (searched + default)[:20]],
                    }
                )
    return missing, foreign


def find_library(name, searched, cache, default):
    if "/" in name:
        return name if os.path.exists(name) else ""
    for folder in searched:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return path
    if os.path.exists(cache.get(name, "")):
        return cache[name]
    for folder in default:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return path
    return ""


def scan(folder):
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def listing(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []


# --- the walk: what the file system holds, told by the rules that the request brings ---------------------

WALK_ROWS = 200
WALK_READS = 2000
WALK_BEGINNING = 65536
NEVER_WALKED = ("/proc", "/sys", "/dev")


class Enough(Exception):
    """A limit of the walk was passed."""


def shown(path):
    """A path that JSON and a screen can hold: bytes that are no UTF-8, line ends and the like are escaped."""
    if path.isprintable():
        return path[:MAX_TEXT]
    return "".join(map(shown_letter, path[:MAX_TEXT]))


def shown_letter(letter):
    if letter.isprintable():
        return letter
    if 0xDC80 <= ord(letter) <= 0xDCFF:
        return "\\x%02x" % (ord(letter) - 0xDC00)
    return letter.encode("unicode_escape").decode("ascii")


class Walk:
    """One walk, folder by folder, that follows no link and enters no mount. Each folder waits on `left` with what
    holds below it: whether it lies in a sticky folder, the kinds told already, and the heap that it belongs to."""

    def __init__(self, asked):
        self.root, self.most = asked["root"].rstrip("/"), asked["most"]
        self.folders, self.listed = set(asked["folders"]), {}
        self.rules = [dict(rule) for rule in asked["rules"]]
        self.modes, self.reads, self.paths = 0, 0, 0
        for rule in self.rules:
            self.modes |= rule["mode"]
            for key, search in (("name", False), ("path", False), ("but", True), ("content", True)):
                if rule[key]:
                    # A name may hold line ends.
                    compiled = re.compile(rule[key], re.DOTALL)
                    rule[key] = compiled.search if search else compiled.fullmatch
        names = "|".join("(?:%s)" % rule["name"] for rule in asked["rules"] if rule["name"])
        self.named = re.compile(names or "(?!)", re.DOTALL).fullmatch
        self.found, self.counts, self.heaps, self.unreadable, self.cut = [], {}, [], [], []

    def run(self, seconds):
        # On a busy machine the probe gets what is left over: it is the work that is bounded first, then the wait.
        self.end, self.most_work = time.monotonic() + seconds, time.thread_time() + seconds / 2
        self.device = os.lstat(self.root or "/").st_dev
        self.left = [("", (False, frozenset(), None))]
        try:
            while self.left:
                folder, above = self.left.pop()
                try:
                    with os.scandir(self.root + folder or "/") as entries:
                        self.enter(folder, above, entries)
                except OSError:
                    self.beyond(folder)
        except Enough as limit:
            self.cut.append(str(limit))
        for row in self.heaps:
            if row["files"]:
                self.keep(row)
        return {
            "paths": self.paths,
            "found": self.found,
            "counts": self.counts,
            "folders": self.listed,
            "unreadable": self.unreadable,
            "cut": self.cut,
        }

    def beyond(self, folder):
        """A folder that cannot be listed: the engine reads it, where it can be asked for by this name."""
        if len(self.unreadable) >= WALK_ROWS:
            raise Enough("more than %d folders may not be read" % WALK_ROWS)
        if len(folder) > 1000 or shown(folder) != folder:
            self.cut.append("%s may not be read" % shown(folder[:200]))
        elif folder not in self.unreadable:
            self.unreadable.append(folder or "/")

    def enter(self, folder, above, entries):
        sticky, told, heap = above
        names = self.listed.setdefault(folder or "/", []) if (folder or "/") in self.folders else None
        for entry in entries:
            self.paths += 1
            if self.paths >= self.most:
                raise Enough("it holds more than %d paths" % self.most)
            if self.paths % 500 == 0 and (time.monotonic() > self.end or time.thread_time() > self.most_work):
                raise Enough("only %d paths were looked at in time" % self.paths)
            if names is not None and len(names) < 1000:
                names.append(shown(entry.name))
            path = folder + "/" + entry.name
            mode, size, letter = 0, 0, "l"
            if not entry.is_symlink():
                state = entry.stat(follow_symlinks=False)
                mode, size = state.st_mode, state.st_size
                letter = "d" if stat.S_ISDIR(mode) else "f" if stat.S_ISREG(mode) else "o"
            below = None
            if mode & self.modes or self.named(entry.name):
                below = self.tell(entry, letter, path, mode, size, above)
            if letter == "d":
                if path in NEVER_WALKED:
                    continue
                if state.st_dev != self.device:
                    self.beyond(path)
                    continue
                now_told, now_heap = below or (told, heap)
                self.left.append((path, (sticky or bool(mode & 0o1000), now_told, now_heap)))
            elif heap is not None and size:
                heap["files"] += 1
                heap["size"] += size

    def tell(self, entry, letter, path, mode, size, above):
        """Keep what fits a rule; return what then holds below a folder."""
        sticky, told, heap = above
        for rule in self.rules:
            if letter not in rule["types"] or rule["kind"] in told or (rule["mode"] and not mode & rule["mode"]):
                continue
            if rule["unsticky"] and (sticky or (letter == "d" and mode & 0o1000)):
                continue
            if rule["name"] and not rule["name"](entry.name) or rule["path"] and not rule["path"](path):
                continue
            if rule["but"] and rule["but"](path):
                continue
            unread = False
            if rule["content"]:
                beginning = self.beginning(path)
                unread = beginning is None
                if not unread and not rule["content"](beginning):
                    continue
            state = None if letter == "l" else entry.stat(follow_symlinks=False)
            row = {
                "kind": rule["kind"],
                "path": shown(path),
                "about": rule["about"],
                "mode": stat.S_IMODE(mode),
                "uid": state.st_uid if state else 0,
                "gid": state.st_gid if state else 0,
                "size": size if letter == "f" else 0,
                "unread": unread,
            }
            if rule["heap"]:
                # Told at the end, if it turns out to hold anything.
                row["files"], heap = 0, row
                self.heaps.append(row)
                if len(self.heaps) > WALK_READS:
                    raise Enough("it holds more than %d caches" % WALK_READS)
            else:
                self.keep(row)
            if rule["heap"] or rule["whole"]:
                told = told | {rule["kind"]}
        return told, heap

    def keep(self, row):
        self.counts[row["kind"]] = self.counts.get(row["kind"], 0) + 1
        if self.counts[row["kind"]] <= WALK_ROWS:
            self.found.append(row)

    def beginning(self, path):
        """A file's first bytes, as text of one letter a byte; None where they cannot be read."""
        self.reads += 1
        if self.reads > WALK_READS:
            raise Enough("more than %d files would have to be read" % WALK_READS)
        try:
            # What stands here now need not be what stood here a moment ago: no link is followed, no pipe waited on.
            file = os.open(self.root + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                return os.read(file, WALK_BEGINNING).decode("latin-1")
            finally:
                os.close(file)
        except OSError:
            return None


def walked(asked):
    """The walk's answer; None where none is asked for."""
    return Walk(asked).run(asked["seconds"]) if asked else None


# --- imports, each attempt outside this process ----------------------------------------------------------

CHILD = r"""
import sys
if sys.path and sys.path[0] == "":
    del sys.path[0]
import gc, json, os, time, importlib, traceback
# Hardly anything that an import makes becomes garbage: looking for it takes a tenth of the time.
if hasattr(gc, "set_threshold"):
    gc.set_threshold(100000, 50, 100)
out = os.fdopen(int(sys.argv[1]), "w")
root, names = sys.argv[2], sys.argv[3:]
if root:
    sys.path.insert(0, root)
def say(**row):
    out.write(json.dumps(row) + "\n")
    out.flush()
for name in names:
    started = time.perf_counter()
    say(begin=name)
    module, _, attribute = name.partition(":")
    try:
        value = importlib.import_module(module)
        for part in attribute.split(".") if attribute else []:
            value = getattr(value, part)
    except BaseException as error:
        # SystemExit too: a module that ends the process at import cannot be imported.
        say(name=name, ok=False, seconds=time.perf_counter() - started,
            error="%s: %s" % (type(error).__name__, str(error)[:1000]),
            # The import system's own frames tell nothing.
            traceback="".join([part for part in traceback.format_exception(type(error), error, error.__traceback__)
                               if "<frozen importlib" not in part][-8:])[-4000:])
    else:
        say(name=name, ok=True, seconds=time.perf_counter() - started)
top, held = os.path.dirname(os.__file__) + "/", []
for module in list(sys.modules.values()):
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    if isinstance(origin, str) and origin.startswith(top) and origin.endswith(".py") and "-packages/" not in origin:
        held.append(origin[len(top):])
for at in range(0, len(held), 50):
    say(standard=held[at:at + 50])
say(end=True)
# Nobody needs it any more: taking a thousand modules apart again costs a third of what their import does.
os._exit(0)
"""


def imports(names, root, seconds):
    rows, left, deadline = [], list(names), time.monotonic() + seconds
    while left:
        results, current, output, code = import_some(left, root, max(1.0, deadline - time.monotonic()))
        rows.extend(results)
        done = {row["name"] for row in results}
        rest = [name for name in left if name not in done]
        if rest:
            # The child ended before it could answer: for the one that it was at.
            name = current if current in rest else rest[0]
            why = how_it_ended(code) if code is not None else "it took longer than %d s" % seconds
            rows.append(
                {"name": name, "ok": False, "seconds": 0.0, "error": why, "traceback": text(output[-4000:])}
            )
            rest.remove(name)
        left = rest
    return rows


def how_it_ended(code):
    if code >= 0:
        return "the interpreter ended with code %d" % code
    try:
        return "the interpreter was killed by %s" % signal.Signals(-code).name
    except ValueError:
        return "the interpreter was killed by signal %d" % -code


def run_child(script, words, seconds):
    """The lines that a script says on a pipe of its own, what else it wrote, and its exit code; None where it is late."""
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(writing), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(writing,),
        start_new_session=True,
    )
    os.close(writing)
    kept, lines = [b""], []
    threads = [threading.Thread(target=drain, args=(child.stdout, kept), daemon=True)]
    threads.append(
        threading.Thread(
            target=collect, args=(os.fdopen(reading, encoding="utf-8", errors="replace"), lines), daemon=True
        )
    )
    for thread in threads:
        thread.start()
    try:
        code = child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        code = None
    for thread in threads:
        # A grandchild may hold the pipes open: what has been read by now must do.
        thread.join(timeout=1)
    return list(lines), kept[0], code


def import_some(names, root, seconds):
    lines, kept, code = run_child(CHILD, [root, *names], seconds)
    results, current, complete = [], "", False
    for line in lines:
        try:
            row = json.loads(line)
            if "begin" in row:
                current = row["begin"]
            elif "standard" in row:
                standard["names"].update(text(one, 300) for one in row["standard"][:50])
            elif "end" in row:
                complete = True
            elif row.get("name") in names:
                results.append(
                    {
                        "name": row["name"],
                        "ok": bool(row["ok"]),
                        "seconds": float(row["seconds"]),
                        "error": text(row.get("error", ""), 1200),
                        "traceback": text(row.get("traceback", "")),
                    }
                )
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    standard["complete"] = standard["complete"] and complete
    return results, current, kept.decode("utf-8", "replace"), code


def drain(pipe, kept):
    while True:
        part = pipe.read1(65536)
        if not part:
            return
        kept[0] = (kept[0] + part)[-16384:]


def collect(pipe, lines):
    for line in pipe:
        if len(lines) < 10000:
            lines.append(line[:10000])


# --- the environment: whose it is, its bytecode, who may change its code, what it can do --------------------

problems = {}
standard = {"names": set(), "complete": True}


def guarded(name, function, *arguments):
    """One part that raises must not take the whole answer away."""
    try:
        return function(*arguments)
    except Exception as error:
        problems[name] = text("%s: %s" % (type(error).__name__, error), 500)
        return None


def environment(settings):
    real = os.path.realpath(sys.executable or "")
    home = settings.get("home", "") if sys.prefix != sys.base_prefix else ""
    names = [os.path.basename(real), "python%d.%d" % sys.version_info[:2], "python3", "python"]
    there = [os.path.join(home, name) for name in names if home and os.path.isfile(os.path.join(home, name))]
    pythons = []
    for name in ("python", "python3"):
        path = which(name)
        above = os.path.dirname(os.path.dirname(os.path.abspath(path)))
        inside = path and os.path.isfile(os.path.join(above, "pyvenv.cfg"))
        pythons.append(
            {
                "name": name,
                "path": text(path and os.path.abspath(path)),
                "real": text(path and os.path.realpath(path)),
                "environment": text(above) if inside else "",
            }
        )
    linked = []
    for folder in sys.path:
        for name in sorted(listing(folder)) if folder else []:
            if name.endswith(".egg-link") or (name.startswith("__editable__") and name.endswith(".pth")):
                linked.append(text(os.path.join(folder, name)))
    return {
        "real": text(real),
        "home_python": text(os.path.realpath(there[0])) if there else "",
        "machine": platform.machine(),
        "implementation": sys.implementation.name,
        "pythons": pythons,
        "linked": linked[:50],
    }


class Compiled:
    """The bytecode of source files, judged as importlib does: magic number, then time and size, or hash, or neither."""

    PROVEN = 5
    """So many sources without bytecode are tried whether they compile at all; of more, one need not know."""

    def __init__(self):
        import importlib.util

        self.util = importlib.util
        self.ending = os.path.basename(importlib.util.cache_from_source("/x/m.py"))[1:]
        self.answer = {"sources": 0, "missing": [], "missing_count": 0, "stale": [], "stale_count": 0, "complete": True}
        self.tried = 0

    def look_in(self, folder, names):
        """Look at sources of one folder; theirs is opened once, as paths are slow to walk on layers."""
        caches = os.path.join(folder, "__pycache__")
        if getattr(sys, "pycache_prefix", None):
            caches = os.path.dirname(self.util.cache_from_source(os.path.join(folder, "m.py")))
        try:
            opened = os.open(caches, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            opened = None
        try:
            for name in names:
                self.look(folder, name, opened)
        finally:
            if opened is not None:
                os.close(opened)

    def look(self, folder, name, caches):
        source, answer = folder + "/" + name, self.answer
        answer["sources"] += 1
        try:
            if caches is None:
                raise FileNotFoundError
            # O_NONBLOCK: a pipe in a file's place must not be waited for.
            descriptor = os.open(name[:-3] + self.ending, os.O_RDONLY | os.O_NONBLOCK, dir_fd=caches)
        except OSError:
            if answer["missing_count"] < self.PROVEN and not self.compiles(source):
                answer["sources"] -= 1
                return
            answer["missing_count"] += 1
            if len(answer["missing"]) < 20:
                answer["missing"].append(text(source))
            return
        try:
            head = os.read(descriptor, 16)
        except OSError:
            head = b""
        finally:
            os.close(descriptor)
        problem = self.problem(head, source)
        if problem:
            answer["stale_count"] += 1
            if len(answer["stale"]) < 20:
                answer["stale"].append({"source": text(source), "problem": problem})

    def problem(self, head, source):
        if len(head) < 16 or head[:4] != self.util.MAGIC_NUMBER:
            return "its magic number is that of another Python"
        flags = struct.unpack_from("<I", head, 4)[0]
        try:
            if flags == 0:
                state = os.stat(source)
                recorded = struct.unpack_from("<II", head, 8)
                if recorded != (int(state.st_mtime) & 0xFFFFFFFF, state.st_size & 0xFFFFFFFF):
                    return "it records another time or size of its source"
            elif flags & 0b10:
                with opened(source) as file:
                    if self.util.source_hash(file.read(8 << 20)) != head[8:16]:
                        return "it records another hash of its source"
        except OSError as error:
            return "its source cannot be read: %s" % error.strerror
        return ""

    def compiles(self, source):
        """A file that is no Python (a template, a test of the grammar) has no bytecode, and needs none."""
        import warnings

        self.tried += 1
        if self.tried > 100:
            return True
        try:
            with opened(source) as file:
                body = file.read(200001)
            if len(body) <= 200000:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    compile(body, source, "exec", dont_inherit=True)
        except Exception:
            return False
        return True


def dependency_bytecode():
    compiled, seen, count = Compiled(), set(), 0
    tops = [top for top in sys.path if any(name.endswith(".dist-info") for name in listing(top or "/nothing"))]
    # An installer is no dependency: whether it may be there is another check's question.
    left, aside = list(tops), {os.path.join(top, name) for top in tops for name in INSTALLER_PACKAGES}
    while left:
        folder = left.pop().rstrip("/")
        if folder in seen:
            continue
        seen.add(folder)
        names = []
        for entry in scan(folder):
            count += 1
            name = entry.name
            if name.endswith(".py") and entry.is_file():
                # What no import statement can name (some-script.py, a template) needs none.
                if name[:-3].isidentifier():
                    names.append(name)
            elif name != "__pycache__" and entry.path not in aside and entry.is_dir(follow_symlinks=False):
                left.append(entry.path)
        if names:
            compiled.look_in(folder, names)
        if count > MAX_FILES:
            compiled.answer["complete"] = False
            break
    return compiled.answer


def standard_bytecode():
    """Of the standard library's modules, those that the application's imports loaded."""
    compiled, top = Compiled(), os.path.dirname(os.__file__)
    folders = {}
    for name in sorted(standard["names"])[:5000]:
        path = os.path.normpath(os.path.join(top, name))
        if path.startswith(top + "/") and path.endswith(".py") and os.path.isfile(path):
            folders.setdefault(os.path.dirname(path), []).append(os.path.basename(path))
    for folder, names in folders.items():
        compiled.look_in(folder, names)
    compiled.answer["complete"] = standard["complete"]
    return compiled.answer


def code(names, root):
    """The top-level packages of modules: where they lie, and what of them this user may change. Imports nothing."""
    from importlib.machinery import PathFinder

    rows, seen = [], set()
    for name in names:
        top = name.partition(":")[0].partition(".")[0]
        if top in seen or len(seen) >= 50:
            continue
        seen.add(top)
        spec = PathFinder.find_spec(top, ([root] if root else []) + sys.path)
        if spec is None:
            import importlib.util

            # An editable install's own finder.
            spec = importlib.util.find_spec(top)
        places = list(spec.submodule_search_locations or ()) if spec else []
        origin = spec.origin if spec and spec.has_location else ""
        rows.append(code_files(top, places or ([origin] if origin else [])))
    return rows


def code_files(name, places):
    row = {"name": text(name, 200), "origin": text(places[0]) if places else "", "files": 0, "changeable": []}
    if os.geteuid() == 0:
        # Root may change everything; that is another check's.
        return row
    left = [os.path.abspath(place) for place in places]
    for place in list(left):
        nearest, above = True, os.path.dirname(place)
        below = place
        while True:
            changeable(row, above, below, nearest)
            if above == "/":
                break
            nearest, below, above = False, above, os.path.dirname(above)
    while left and row["files"] < 20000:
        path = left.pop()
        changeable(row, path, None, True)
        if os.path.isdir(path):
            for entry in scan(path):
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
                else:
                    changeable(row, entry.path, None, True)
    return row


def changeable(row, path, below, nearest):
    """Note a path that this user may change. An owner may: he can give himself the permission."""
    row["files"] += 1
    try:
        state = os.stat(path)
    except OSError:
        return
    uid, mode = os.geteuid(), state.st_mode
    if state.st_uid == uid:
        allowed = True
    elif state.st_gid in set(os.getgroups()) | {os.getegid()}:
        allowed = mode & 0o020
    else:
        allowed = mode & 0o002
    if allowed and below and not nearest and mode & stat.S_ISVTX and state.st_uid != uid:
        # In a sticky folder, what belongs to others can be neither renamed nor removed.
        allowed = os.stat(below).st_uid == uid
    if allowed and len(row["changeable"]) < 20:
        known = {"path": text(path), "owner": "%d:%d" % (state.st_uid, state.st_gid)}
        row["changeable"].append(dict(known, mode="%04o" % stat.S_IMODE(mode)))


def locale_facts():
    import locale

    return {
        "zone": text("/".join(dict.fromkeys(time.tzname)), 100),
        "utc": time.timezone == 0 and not time.daylight,
        "filesystem": sys.getfilesystemencoding(),
        "preferred": text(locale.getpreferredencoding(False), 100),
        "output": text(sys.stdout.encoding, 100),
    }


# What every CPython for servers is built with; and what is tried only where it is there.
NEEDED = (
    "_bz2 _ctypes _decimal _hashlib _lzma _multiprocessing _socket _sqlite3 _ssl _uuid fcntl mmap pyexpat select "
    "unicodedata zlib"
).split()
WHERE_THERE = "_curses _dbm _gdbm readline _zstd".split()
NOT_CPYTHON = "bz2 ctypes decimal hashlib lzma socket sqlite3 ssl uuid zlib".split()

SELFTEST = r"""
import sys
if sys.path and sys.path[0] == "":
    del sys.path[0]
import json, os, importlib, importlib.util, threading
out = os.fdopen(int(sys.argv[1]), "w")
def say(**row):
    out.write(json.dumps(row) + "\n")
    out.flush()
for name in sys.argv[2].split():
    say(begin=name)
    try:
        importlib.import_module(name)
    except BaseException as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name == name
        say(module=name, ok=False, absent=absent, error="%s: %s" % (type(error).__name__, str(error)[:500]))
    else:
        say(module=name, ok=True)
say(begin="ssl")
certificates, file, folder, problem = 0, "", "", ""
try:
    import ssl
    paths = ssl.get_default_verify_paths()
    file = os.environ.get(paths.openssl_cafile_env) or paths.openssl_cafile
    folder = os.environ.get(paths.openssl_capath_env) or paths.openssl_capath
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_default_verify_paths()
    certificates = context.cert_store_stats()["x509_ca"]
    if not certificates and os.path.isdir(folder):
        # A folder's certificates are found by their hash, one by one, when a server shows its own.
        certificates = len([name for name in os.listdir(folder) if len(name) > 9 and name[8] == "."
                            and os.path.exists(os.path.join(folder, name))])
except BaseException as error:
    problem = "%s: %s" % (type(error).__name__, str(error)[:500])
certifi = ""
try:
    spec = importlib.util.find_spec("certifi")
    bundle = os.path.join(os.path.dirname(spec.origin), "cacert.pem") if spec and spec.origin else ""
    certifi = bundle if bundle and os.path.getsize(bundle) > 0 else ""
except BaseException:
    pass
names = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
lost = ["%s names %s" % (name, os.environ[name]) for name in names
        if os.environ.get(name) and not os.path.exists(os.environ[name])]
say(trust=dict(certificates=certificates, file=file, folder=folder, certifi=certifi, error=problem, lost=lost))
say(begin="a thread that recurses")
survived = []
def deeper(_):
    # Through map, so that the C stack grows too: since 3.11 a plain call does not take any of it.
    return list(map(deeper, (0,)))
def recurse():
    try:
        deeper(0)
    except RecursionError:
        survived.append(True)
thread = threading.Thread(target=recurse)
thread.start()
thread.join()
say(recursion=bool(survived))
os._exit(0)
"""


def selftest(seconds):
    cpython = platform.python_implementation() == "CPython"
    names = NEEDED + WHERE_THERE if cpython else NOT_CPYTHON
    lines, _, code = run_child(SELFTEST, [" ".join(names)], seconds)
    answer = {"modules": [], "trust": None, "recursion": False, "at": "", "ended": ""}
    for line in lines:
        try:
            row = json.loads(line)
            if "begin" in row:
                answer["at"] = text(row["begin"], 200)
            elif "module" in row:
                if not (row.get("absent") and row["module"] in WHERE_THERE):
                    answer["modules"].append(
                        {
                            "name": text(row["module"], 100),
                            "ok": bool(row["ok"]),
                            "absent": bool(row.get("absent")),
                            "error": text(row.get("error", ""), 600),
                        }
                    )
            elif "trust" in row:
                keys = ("file", "folder", "certifi", "error")
                answer["trust"] = dict({key: text(row["trust"][key]) for key in keys})
                answer["trust"]["certificates"] = int(row["trust"]["certificates"])
                answer["trust"]["lost"] = [text(one, 500) for one in row["trust"]["lost"][:10]]
            elif "recursion" in row:
                answer["recursion"] = bool(row["recursion"])
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    if code != 0:
        answer["ended"] = how_it_ended(code) if code is not None else "it took longer than %d s" % seconds
    return answer


def main():
    # The imports run in a process of their own; what this one reads meanwhile costs no time.
    rows = []
    asked = (REQUEST["modules"], REQUEST["import_root"], REQUEST["import_seconds"])
    importing = threading.Thread(target=lambda: rows.extend(imports(*asked)))
    importing.start()
    # Nothing takes as long as the imports: where processors are short, they come first. Linux keeps this by thread.
    try:
        os.nice(10)
    except OSError:
        pass
    found, broken = distributions(sys.path, False)
    below, broken_below = distributions(base_folders(), True)
    answer = {
        "identity": identity(),
        "interpreter": interpreter(),
        "distributions": found + below,
        "broken_distributions": (broken + broken_below)[:200],
        "scripts": scripts(),
        "executables": [{"name": name, "path": which(name)} for name in REQUEST["executables"]],
        "places": [place(path) for path in REQUEST["places"]],
        "native": native(),
        "own_packages": own_packages([REQUEST["import_root"]]),
        "truncated": truncated,
    }
    answer["environment"] = guarded("environment", environment, answer["interpreter"]["settings"])
    answer["code"] = guarded("code", code, REQUEST["modules"], REQUEST["import_root"])
    answer["locale"] = guarded("locale", locale_facts)
    answer["bytecode"] = guarded("bytecode", dependency_bytecode)
    answer["selftest"] = guarded("selftest", selftest, 20)
    answer["walk"] = guarded("walk", walked, REQUEST.get("walk"))
    importing.join()
    answer["imports"] = rows
    answer["standard_bytecode"] = guarded("standard_bytecode", standard_bytecode)
    answer["problems"] = problems
    # A path that is not UTF-8 must not spoil the whole answer: what JSON cannot hold becomes a question mark.
    line = "\n" + sys.argv[1] + " " + json.dumps(answer, ensure_ascii=False) + "\n"
    sys.stdout.buffer.write(line.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()


main()
