"""The scripts that run inside images, on the image's own interpreter: Python 3.8 and later, standard library only."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PROBE = "seatrial.inside.probe"
CHILDREN = {"imports": "import_child", "selftest": "selftest_child", "start": "start_child"}
"""What the probe runs in separate processes."""

READY = b"seatrial: the script reads"
"""What a script's beginning writes, in a line of its own whatever came before, when it reads its standard input."""
BOOTSTRAP = f"""\
import sys
try:
    import ctypes
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
except Exception:
    pass
sys.stdout.buffer.write(b"\\n{READY.decode()}\\n")
sys.stdout.buffer.flush()
exec(compile(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())), "<seatrial>", "exec"))
"""
"""What Python is started with. The script and its secret come later: no start of the image's can know them.

PR_SET_DUMPABLE (4) keeps the application's processes, which have the same user, from its memory and descriptors.
"""
ISOLATED = ("-I", "-S", "-B", "-c", BOOTSTRAP)
"""Python's options for that: no variable, no .pth file and no customization is part of it, no file is written."""

LEFT_OUT = re.compile(
    r"^from (?:seatrial|typing)\S* import (?:\([^)]*\)|[^(\n]*)\n|^if TYPE_CHECKING:\n(?:(?: +.*)?\n)+", re.MULTILINE
)
"""What a part imports from another one, and what only a type checker reads."""


@cache
def script(name: str) -> str:
    """Return a script of one file: `agent`, `freeze`, or a part of the probe, of its children or of the look."""
    return LEFT_OUT.sub("", resources.files("seatrial.inside").joinpath(f"{name}.py").read_text(encoding="utf-8"))


def child(name: str) -> str:
    """Return the script of one of the probe's children, with what all of them begin with."""
    return "\n".join((script("child"), script(name)))


@cache
def probe_script() -> str:
    """Return the probe: its parts and the scripts of its children, joined into one text."""
    texts = {file.name: file.read_text(encoding="utf-8") for file in resources.files(PROBE).iterdir() if file.is_file()}
    # `base` comes first, as the others add their facts to its table; `start` before what takes the prefix as it is;
    # `main` last, as it runs.
    names = sorted(texts, key=lambda name: (name == "main.py", name != "base.py", name != "start.py", name))
    base, start, *parts, main = [LEFT_OUT.sub("", texts[name]) for name in names if name.endswith(".py")]
    children = {key: child(file) for key, file in CHILDREN.items()}
    return "\n".join((script("answer"), base, start, "begin()\n", *parts, f"CHILDREN = {children!r}\n", main))


def question(secret: str, request: str) -> bytes:
    """Return what the probe is handed in: how long it is, and the script with its secret and request."""
    return _handed_in(f"SECRET, REQUEST = {secret!a}, {request!a}\n{probe_script()}")


def look(secret: str, names: Iterable[str] = ()) -> bytes:
    """Return what the interpreter in a running container is handed in; `names` are hosts that it looks up."""
    values = f"SECRET, NAMES = {secret!a}, {list(names)!a}"
    return _handed_in("\n".join((values, script("answer"), script("proc"))))


def requests(secret: str, asked: str) -> bytes:
    """Return what it is handed in to send requests to the application: `asked`, as JSON."""
    return _handed_in("\n".join((f"SECRET, REQUEST = {secret!a}, {asked!a}", script("answer"), script("agent"))))


def _handed_in(text: str) -> bytes:
    return b"%d\n%b" % (len(text.encode()), text.encode())
