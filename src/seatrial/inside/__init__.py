"""The scripts that run inside images, on the image's own interpreter: Python 3.8 and later, standard library only."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

PROBE = "seatrial.inside.probe"
CHILDREN = {"imports": "import_child", "selftest": "selftest_child", "start": "start_child"}
"""What the probe runs in separate processes."""

READY = b"seatrial: the probe reads"
"""What the probe writes, in a line of its own, when it reads its standard input."""
BOOTSTRAP = f"""\
import sys
sys.stdout.buffer.write(b"{READY.decode()}\\n")
sys.stdout.buffer.flush()
exec(compile(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())), "<seatrial>", "exec"))
"""
"""What the probe is started with. The script and its secret come later: no start of the image's can know them."""
ISOLATED = ("-I", "-S", "-c", BOOTSTRAP)
"""Python's options for that: no variable, no .pth file and no customization has a part in it."""

LEFT_OUT = re.compile(
    r"^from (?:seatrial|typing)\S* import (?:\([^)]*\)|[^(\n]*)\n|^if TYPE_CHECKING:\n(?:(?: +.*)?\n)+", re.MULTILINE
)
"""What a part imports from another one, and what only a type checker reads."""


@cache
def script(name: str) -> str:
    """Return a script of one file: `proc`, `agent`, `freeze`, or a part of the probe's children."""
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
    return "\n".join((base, start, "begin()\n", *parts, f"CHILDREN = {children!r}\n", main))


def question(secret: str, request: str) -> bytes:
    """Return what the probe is handed in: how long it is, and the script with its secret and request."""
    text = f"SECRET, REQUEST = {secret!a}, {request!a}\n{probe_script()}".encode()
    return b"%d\n%b" % (len(text), text)
