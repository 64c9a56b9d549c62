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
        with open(os.path.join(sys.prefix, "pyvenv.cfg"), encoding="utf-8", errors="replace") as lines:
            for line in lines:
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
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(limit)


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
                }
            )
    return found, broken


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
        self.needed, self.runpath, self.rpath = [], [], []
        with open(path, "rb") as file:
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
        with open("/etc/ld.so.cache", "rb") as file:
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
    missing = resolve_all(modules, by_name)
    return {"modules": len(modules), "missing": missing[:200]}


def resolve_all(modules, by_name):
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
    return missing


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


# --- imports, each attempt outside this process ----------------------------------------------------------

CHILD = r"""
import sys
if sys.path and sys.path[0] == "":
    del sys.path[0]
import json, os, time, importlib, traceback
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


def import_some(names, root, seconds):
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(writing), root, *names],
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
    results, current = [], ""
    for line in list(lines):
        try:
            row = json.loads(line)
            if "begin" in row:
                current = row["begin"]
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
    return results, current, kept[0].decode("utf-8", "replace"), code


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


def main():
    # The imports run in a process of their own; what this one reads meanwhile costs no time.
    rows = []
    asked = (REQUEST["modules"], REQUEST["import_root"], REQUEST["import_seconds"])
    importing = threading.Thread(target=lambda: rows.extend(imports(*asked)))
    importing.start()
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
        "truncated": truncated,
    }
    importing.join()
    answer["imports"] = rows
    # A path that is not UTF-8 must not spoil the whole answer: what JSON cannot hold becomes a question mark.
    line = "\n" + sys.argv[1] + " " + json.dumps(answer, ensure_ascii=False) + "\n"
    sys.stdout.buffer.write(line.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()


main()
