"""The application's imports and the interpreter's self-test, each in its own process."""

import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import CHILDREN, fact, text

if TYPE_CHECKING:
    from typing import Any, List, Optional, Set, Tuple

    from seatrial.inside.probe.base import Row


def run_child(script: str, words: "List[str]", seconds: float) -> "Tuple[List[str], bytes, Optional[int]]":
    """Return the lines that a script writes to its own pipe, its other output, and its code; None if too late."""
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
    kept = [b""]
    lines: "List[str]" = []
    said = os.fdopen(reading, encoding="utf-8", errors="replace")
    threads = [
        threading.Thread(target=drain, args=(child.stdout, kept), daemon=True),
        threading.Thread(target=collect, args=(said, lines), daemon=True),
    ]
    for thread in threads:
        thread.start()
    code: "Optional[int]" = None
    try:
        code = child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for thread in threads:
        # A grandchild may hold the pipes open: what has been read by now must do.
        thread.join(timeout=1)
    return list(lines), kept[0], code


def drain(pipe: "Any", kept: "List[bytes]") -> None:
    """Keep the end of what is written."""
    part = pipe.read1(65536)
    while part:
        kept[0] = (kept[0] + part)[-16384:]
        part = pipe.read1(65536)


def collect(pipe: "Any", lines: "List[str]") -> None:
    for line in pipe:
        if len(lines) < 10000:
            lines.append(line[:10000])


def how_it_ended(code: "Optional[int]", seconds: float) -> str:
    if code is None:
        return f"it took longer than {int(seconds)} s"
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


def imports(names: "List[str]", root: str, seconds: float) -> "List[Row]":
    rows, left, deadline = [], list(names), time.monotonic() + seconds
    while left:
        results, current, output, code = import_some(left, root, max(1.0, deadline - time.monotonic()))
        rows.extend(results)
        done = {row["name"] for row in results}
        left = [name for name in left if name not in done]
        if left:
            # The child ended before it could answer: it was at this import.
            name = current if current in left else left[0]
            why = how_it_ended(code, seconds)
            rows.append({"name": name, "ok": False, "seconds": 0.0, "error": why, "traceback": text(output[-4000:])})
            left.remove(name)
    return rows


def import_some(names: "List[str]", root: str, seconds: float) -> "Tuple[List[Row], str, str, Optional[int]]":
    """Return the imports that were made, the last that was begun, and the process's output and exit code."""
    lines, kept, code = run_child(CHILDREN["imports"], [root, *names], seconds)
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
    if not complete:
        cut_short.append(current)
    return results, current, kept.decode("utf-8", "replace"), code


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
    cpython = platform.python_implementation() == "CPython"
    names = f"{NEEDED} {WHERE_THERE}" if cpython else NOT_CPYTHON
    lines, _, code = run_child(CHILDREN["selftest"], [names], SELFTEST_SECONDS)
    answer: "Row" = {"modules": [], "trust": None, "recursion": False, "at": "", "ended": ""}
    for line in lines:
        try:
            take(json.loads(line), answer)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    if code != 0:
        answer["ended"] = how_it_ended(code, SELFTEST_SECONDS)
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
