"""What the interpreter can do, tried in a process of its own: C modules, trusted certificates, deep recursion."""

import json
import platform
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import CHILDREN, fact, text
from seatrial.inside.probe.children import how_it_ended, run_child

if TYPE_CHECKING:
    from seatrial.inside.probe.base import Row

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
