"""The scripts that run inside images, on the image's own interpreter: Python 3.8 and later, standard library only."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

PROBE = "seatrial.inside.probe"
CHILDREN = {"imports": "import_child", "selftest": "selftest_child"}
"""What the probe runs in separate processes."""

HEADER = """\
import sys

if sys.path and sys.path[0] == "":
    del sys.path[0]
"""
"""The probe is started with `python -c`, so that PYTHONPATH and the user's site hold as they do for the application.

Python then puts '' first on sys.path: without this, a json.py in the working directory would be ours.
"""

LEFT_OUT = re.compile(
    r"^from (?:seatrial|typing)\S* import (?:\([^)]*\)|[^(\n]*)\n|^if TYPE_CHECKING:\n(?:(?: +.*)?\n)+", re.MULTILINE
)
"""What a part imports from another one, and what only a type checker reads."""


@cache
def script(name: str) -> str:
    """Return a script of one file: `proc`, `agent`, `freeze`, or one of the probe's children."""
    return LEFT_OUT.sub("", resources.files("seatrial.inside").joinpath(f"{name}.py").read_text(encoding="utf-8"))


@cache
def probe_script() -> str:
    """Return the probe: its parts and the scripts of its children, joined into one text."""
    texts = {file.name: file.read_text(encoding="utf-8") for file in resources.files(PROBE).iterdir() if file.is_file()}
    # `base` comes first, as the others add their facts to its table; `main` last, as it runs.
    names = sorted(texts, key=lambda name: (name == "main.py", name != "base.py", name))
    *parts, main = [LEFT_OUT.sub("", texts[name]) for name in names if name.endswith(".py")]
    children = {key: script(file) for key, file in CHILDREN.items()}
    return "\n".join((HEADER, *parts, f"CHILDREN = {children!r}\n", main))
