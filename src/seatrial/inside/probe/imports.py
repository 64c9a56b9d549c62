"""The application's imports and the interpreter's self-test, each in its own process."""

import json
import os
import platform
import re
import signal
import site
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import CHILDREN, deadline, fact, given, search_path, text, waited_for_a_processor, waits
from seatrial.inside.probe.start import hooks

if TYPE_CHECKING:
    from typing import Any, List, Optional, Set, Tuple

    from seatrial.inside.probe.base import Row


BOOTSTRAP = "import sys; exec(compile(sys.stdin.buffer.read(), '<seatrial>', 'exec'))"
PARENTS = ("PYTHONPATH", "PYTHONHOME", "PYTHONPLATLIBDIR", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONPYCACHEPREFIX")
"""Variables by which a start runs or finds other code: an isolated child gets them back once it has started."""


def run_child(
    script: str, asked: "Row", seconds: float, *, as_the_application: bool = False
) -> "Tuple[List[str], bytes, Optional[int]]":
    """Return the lines that a script writes to its own pipe, its other output, and its code; None if it was too late.

    The script comes through its standard input, with a secret that each of its lines begins with. It runs isolated,
    or with the start that the application has, where anything may have been done before.
    """
    secret = os.urandom(16).hex()
    reading, writing = os.pipe()
    environment = {**os.environ, **(given.get("environment", {}) if as_the_application else {})}
    if not as_the_application:
        environment = {name: value for name, value in environment.items() if name not in PARENTS}
    child = subprocess.Popen(
        [sys.executable, *([] if as_the_application else ["-s", "-S"]), "-c", BOOTSTRAP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(writing,),
        start_new_session=True,
        env=environment,
    )
    os.close(writing)
    values = {
        "SITE": {"PREFIXES": site.PREFIXES, "ENABLE_USER_SITE": site.ENABLE_USER_SITE},
        "SECRET": secret,
        "OUT": writing,
        "ASKED": asked,
        "PATH": search_path,
        "PREFIX": sys.prefix,
        "VARIABLES": {name: os.environ[name] for name in PARENTS if name in os.environ},
    }
    source = "".join(f"{name} = {value!a}\n" for name, value in values.items()) + script
    kept = [b""]
    lines: "List[str]" = []
    said = os.fdopen(reading, encoding="utf-8", errors="replace")
    threads = [
        threading.Thread(target=drain, args=(child.stdout, kept), daemon=True),
        threading.Thread(target=collect, args=(said, lines, secret), daemon=True),
        threading.Thread(target=hand_in, args=(child.stdin, source), daemon=True),
    ]
    for thread in threads:
        thread.start()
    code: "Optional[int]" = None
    try:
        code = child.wait(timeout=within(seconds))
    except subprocess.TimeoutExpired:
        waits.append(waited_for_a_processor(child.pid))
        child.kill()
        child.wait()
    for thread in threads:
        # A grandchild may hold the pipes open: what has been read by now must do.
        thread.join(timeout=1)
    return list(lines), kept[0], code


def within(seconds: float) -> float:
    """Return the seconds that something may take: what the probe has left, if that is less."""
    return max(1.0, min([seconds, *(end - time.monotonic() for end in deadline)]))


def hand_in(pipe: "Any", source: str) -> None:
    try:
        pipe.write(source.encode("utf-8", "surrogatepass"))
        pipe.close()
    except OSError:
        # It ended before it had read everything.
        return


def drain(pipe: "Any", kept: "List[bytes]") -> None:
    """Keep the end of what is written."""
    part = pipe.read1(65536)
    while part:
        kept[0] = (kept[0] + part)[-16384:]
        part = pipe.read1(65536)


def collect(pipe: "Any", lines: "List[str]", secret: str) -> None:
    """Keep the lines that begin with the secret: the code that is imported may write to the pipe too."""
    for line in pipe:
        if line.startswith(secret) and len(lines) < 10000:
            lines.append(line[len(secret) : 10000])


def how_it_ended(code: "Optional[int]", seconds: float) -> str:
    if code is None:
        waited = f" and waited {waits[-1]:.0f} s of these for a processor" if waits[-1] > 1 else ""
        return f"it took longer than {seconds:.0f} s{waited}"
    if code >= 0:
        return f"the interpreter ended with code {code}"
    try:
        return f"the interpreter was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"the interpreter was killed by signal {-code}"


standard_names: "Set[str]" = set()
"""The standard library's modules that the imports loaded, by their files below its folder."""
cut_short: "List[str]" = []
"""The imports at which a process ended before it could tell those."""


KNOWN_HOOKS = (
    re.compile(r"import _virtualenv$"),
    re.compile(
        r"import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os\.environ\.get\(var, '\w+'\) == 'local'; "
        r"enabled and __import__\('_distutils_hack'\)(?:\.add_shim\(\))?;?\s*$"
    ),
    re.compile(r"import (__editable___\w+_finder); \1\.install\(\)$"),
)
"""Lines that installers write, which take nothing away: the imports need not be tried with them a second time."""
MOST_ROUNDS = 8
differences: "List[Row]" = []
"""The imports that went another way with the application's start than without it."""


def imports(names: "List[str]", root: str, seconds: float) -> "List[Row]":
    """Import without any start hook: that decides. With hooks that may break them, import once more as they do."""
    end = time.monotonic() + within(seconds)
    hooked: "List[Row]" = []
    beside = threading.Thread(target=lambda: hooked.extend(import_all(names, root, end, {}, hooked=True)))
    if names and own_hooks():
        beside.start()
    rows = import_all(names, root, end, {})
    places: "Row" = {}
    for _ in range(MOST_ROUNDS if hooks else 0):
        if time.monotonic() > end:
            break
        # An editable install's own finder knows where a module is: what it says is taken for a place, and no more.
        missing = [row["missing"] for row in rows if row["missing"] and row["missing"] not in places]
        found = started(dict.fromkeys(missing), end)["found"] if missing else {}
        if not found:
            break
        places.update(found)
        again = import_all([row["name"] for row in rows if not row["ok"]], root, end, places)
        rows = [row for row in rows if row["ok"]] + again
    rows.sort(key=lambda row: names.index(row["name"]))
    if beside.ident is not None:
        beside.join()
    elif hooks and any(not row["ok"] for row in rows):
        hooked = import_all([row["name"] for row in rows if not row["ok"]], root, end, {}, hooked=True)
    return [settled(row, {row["name"]: row for row in hooked}.get(row["name"])) for row in rows]


def own_hooks() -> "List[Row]":
    """Return the start hooks that no installer is known to write."""
    own = [hook for hook in hooks if hook["kind"] != "variable"]
    return [hook for hook in own if not any(known.match(hook["line"].strip()) for known in KNOWN_HOOKS)]


def settled(row: "Row", hooked: "Optional[Row]") -> "Row":
    """Return how an import went: it has to succeed without the hooks, and with those where that was tried."""
    row.pop("missing")
    if hooked is None or hooked["ok"] == row["ok"]:
        return row
    if row["late"] or hooked["late"]:
        # What was not decided agrees with everything.
        hooked.pop("missing")
        return row if row["late"] else hooked
    differences.append({"name": row["name"], "isolated": row["error"], "application": hooked["error"]})
    hooked.pop("missing")
    return hooked if row["ok"] else row


def import_all(names: "List[str]", root: str, end: float, places: "Row", *, hooked: bool = False) -> "List[Row]":
    rows: "List[Row]" = []
    left, began = list(names), time.monotonic()
    while left:
        if rows and any(time.monotonic() >= moment for moment in deadline):
            why = how_it_ended(None, time.monotonic() - began)
            unbegun = f"it was not begun, as the others {why[3:]}"
            return rows + [{**UNDECIDED, "name": name, "error": unbegun} for name in left]
        seconds = max(1.0, end - time.monotonic())
        results, current, output, code = import_some(left, root, seconds, places, hooked=hooked)
        rows.extend(results)
        done = {row["name"] for row in results}
        left = [name for name in left if name not in done]
        if left:
            # The child ended before it could answer: it was at this import.
            name = current if current in left else left[0]
            why = how_it_ended(code, time.monotonic() - began)
            rows.append(
                {**UNDECIDED, "name": name, "error": why, "traceback": text(output[-4000:]), "late": code is None}
            )
            left.remove(name)
    return rows


def tried(names: "List[str]", seconds: float) -> "List[Row]":
    """Import packages of others, each to see whether it imports; what the application loads is told without them."""
    kept = set(standard_names), list(cut_short)
    rows = import_all(names, "", time.monotonic() + seconds, {})
    standard_names.intersection_update(kept[0])
    cut_short[:] = kept[1]
    return rows


UNDECIDED = {"ok": False, "seconds": 0.0, "traceback": "", "missing": "", "late": True}


def import_some(
    names: "List[str]", root: str, seconds: float, places: "Row", *, hooked: bool
) -> "Tuple[List[Row], str, str, Optional[int]]":
    """Return the imports that were made, the last that was begun, and the process's output and exit code."""
    asked = {"root": root, "names": names, "places": places, "hooked": hooked}
    lines, kept, code = run_child(CHILDREN["imports"], asked, seconds, as_the_application=hooked)
    results: "List[Row]" = []
    current, complete = "", False
    for line in lines:
        try:
            row = json.loads(line)
            if "begin" in row:
                current = row["begin"]
            elif "standard" in row:
                standard_names.update(text(name, 300) for name in row["standard"][:50])
            elif "end" in row:
                complete = True
                waits.append(float(row.get("waited", 0)))
            elif row.get("name") in names:
                results.append(
                    {
                        "name": row["name"],
                        "ok": bool(row["ok"]),
                        "seconds": float(row["seconds"]),
                        "error": text(row.get("error", ""), 1200),
                        "traceback": text(row.get("traceback", "")),
                        "missing": text(row.get("missing", ""), 200),
                        "late": False,
                    }
                )
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    if not complete and not hooked:
        cut_short.append(current)
    return results, current, kept.decode("utf-8", "replace"), code


START_SECONDS = 20.0


def started(names: "Any", end: float) -> "Row":
    """Return how the interpreter starts as the application starts it, and where its finders find modules."""
    asked = {"names": list(names)[:50]}
    seconds = within(min(START_SECONDS, end - time.monotonic()))
    lines, kept, code = run_child(CHILDREN["start"], asked, seconds, as_the_application=True)
    answer: "Row" = {"found": {}}
    for line in lines:
        try:
            answer.update(json.loads(line))
        except ValueError:
            continue
    if "version" not in answer or code != 0:
        said = kept.decode("utf-8", "replace").strip().split("\n")[-1]
        answer["ended"] = text(how_it_ended(code, seconds) + (": " + said if said else ""), 1000)
        answer["late"] = code is None
    return answer


SELFTEST_SECONDS = 20
# What every CPython for servers is built with; and what is tried only where it is there.
NEEDED = (
    "_bz2 _ctypes _decimal _hashlib _lzma _multiprocessing _socket _sqlite3 _ssl _uuid fcntl mmap pyexpat select "
    "unicodedata zlib"
)
WHERE_THERE = "_curses _dbm _gdbm readline _zstd"
NOT_CPYTHON = "bz2 ctypes decimal hashlib lzma socket sqlite3 ssl uuid zlib"


@fact
def selftest(_request: "Row") -> "Row":
    """Return what the interpreter can do without any start hook, and with those where it can do everything without."""
    answer = tested(as_the_application=False)
    trust = answer["trust"] or {}
    sound = answer["recursion"] and not answer["ended"] and all(module["ok"] for module in answer["modules"])
    sound = sound and trust.get("certificates") and not trust["error"] and not trust["lost"]
    return tested(as_the_application=True) if sound and own_hooks() else answer


def tested(*, as_the_application: bool) -> "Row":
    cpython = platform.python_implementation() == "CPython"
    asked = {"names": f"{NEEDED} {WHERE_THERE}" if cpython else NOT_CPYTHON, "hooked": as_the_application}
    seconds = within(SELFTEST_SECONDS)
    lines, _, code = run_child(CHILDREN["selftest"], asked, seconds, as_the_application=as_the_application)
    answer: "Row" = {"modules": [], "trust": None, "recursion": False, "at": "", "ended": "", "late": code is None}
    for line in lines:
        try:
            take(json.loads(line), answer)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    if code != 0:
        answer["ended"] = how_it_ended(code, seconds)
    return answer


def take(row: "Row", answer: "Row") -> None:
    """Add one line of the child's to the answer."""
    if "begin" in row:
        answer["at"] = text(row["begin"], 200)
    elif "module" in row:
        absent = bool(row.get("absent"))
        if not (absent and row["module"] in WHERE_THERE.split()):
            said = {"ok": bool(row["ok"]), "absent": absent, "error": text(row.get("error", ""), 600)}
            answer["modules"].append({"name": text(row["module"], 100), **said})
    elif "trust" in row:
        trust = row["trust"]
        answer["trust"] = {
            **{key: text(trust[key]) for key in ("file", "folder", "certifi", "error")},
            "certificates": int(trust["certificates"]),
            "lost": [text(variable, 500) for variable in trust["lost"][:10]],
        }
    elif "recursion" in row:
        answer["recursion"] = bool(row["recursion"])
