"""The environment of this interpreter: what PATH finds for `python`, and what is linked into it."""

import os
import platform
import re
import sys
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import fact, listing, text, which
from seatrial.inside.probe.identity import interpreter

if TYPE_CHECKING:
    from typing import List

    from seatrial.inside.probe.base import Row


@fact
def environment(_request: "Row") -> "Row":
    real = os.path.realpath(sys.executable or "")
    home = interpreter()["settings"].get("home", "") if sys.prefix != sys.base_prefix else ""
    own = [os.path.basename(real), "python{}.{}".format(*sys.version_info), "python3", "python"]
    there = [os.path.join(home, name) for name in own if home and os.path.isfile(os.path.join(home, name))]
    linked: "List[str]" = []
    for folder in sys.path:
        names = sorted(listing(folder)) if folder else []
        links = [name for name in names if name.endswith(".egg-link") or re.match(r"__editable__.*\.pth$", name)]
        linked += [text(os.path.join(folder, name)) for name in links]
    return {
        "real": text(real),
        "home_python": text(os.path.realpath(there[0])) if there else "",
        "machine": platform.machine(),
        "implementation": sys.implementation.name,
        "pythons": [path_python(name) for name in ("python", "python3")],
        "linked": linked[:50],
    }


def path_python(name: str) -> "Row":
    path = which(name)
    above = os.path.dirname(os.path.dirname(os.path.abspath(path)))
    inside = path and os.path.isfile(os.path.join(above, "pyvenv.cfg"))
    return {
        "name": name,
        "path": text(path and os.path.abspath(path)),
        "real": text(path and os.path.realpath(path)),
        "environment": text(above) if inside else "",
    }
