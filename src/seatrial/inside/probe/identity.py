"""The account, the interpreter and its environment, and what the account can read and write."""

import os
import platform
import re
import stat
import sys
import time
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import (
    MAX_TEXT,
    fact,
    listing,
    owner_of,
    permission,
    problems,
    read,
    scan,
    search_path,
    text,
    which,
)
from seatrial.inside.probe.imports import START_SECONDS, started
from seatrial.inside.probe.start import hooks

if TYPE_CHECKING:
    from typing import Dict, List, Optional

    from seatrial.inside.probe.base import Row


def identity() -> "Row":
    uid = os.geteuid()
    row = account(uid)
    try:
        directory = os.getcwd()
    except OSError:
        directory = ""
    return {
        "uid": uid,
        "gid": os.getegid(),
        "groups": sorted(os.getgroups()),
        "name": text(row[0]),
        "home": text(os.environ.get("HOME") or row[5] or "/"),
        "directory": text(directory),
    }


def account(uid: int) -> "List[str]":
    """Return a row of /etc/passwd. `pwd` would ask the image's name services, whose code then runs in this process."""
    try:
        rows = [line.strip().split(":") for line in read("/etc/passwd").split("\n")]
    except OSError:
        rows = []
    return next((row for row in rows if len(row) > 6 and row[2] == str(uid)), [""] * 7)


def interpreter() -> "Row":
    settings: "Dict[str, str]" = {}
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
        "path": [text(entry) for entry in search_path],
        "settings": settings,
    }


def locale(begun: "Row") -> "Optional[Row]":
    """Return time zone and encodings, the latter as the application's start has them."""
    if "filesystem" not in begun:
        problems["locale"] = text(begun.get("ended", ""), 500)
        return None
    return {
        "zone": text("/".join(dict.fromkeys(time.tzname)), 100),
        "utc": time.timezone == 0 and not time.daylight,
        **{key: text(begun[key], 100) for key in ("filesystem", "preferred", "output")},
    }


@fact
def environment(_request: "Row") -> "Row":
    real = os.path.realpath(sys.executable or "")
    home = interpreter()["settings"].get("home", "") if sys.prefix != sys.base_prefix else ""
    own = [os.path.basename(real), "python{}.{}".format(*sys.version_info), "python3", "python"]
    there = [os.path.join(home, name) for name in own if home and os.path.isfile(os.path.join(home, name))]
    linked: "List[str]" = []
    for folder in search_path:
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


def place(path: str) -> "Row":
    """Return whether this user could write here, if the root were writable."""
    nearest = path
    while not os.path.exists(nearest) and nearest != "/":
        nearest = os.path.dirname(nearest) or "/"
    state = os.stat(nearest)
    folder = stat.S_ISDIR(state.st_mode)
    allowed = os.geteuid() == 0 or permission(state, 0o3 if folder else 0o2)
    return {
        "path": path,
        "exists": nearest == path,
        "writable": allowed and (folder or nearest == path),
        "nearest": text(nearest),
        **owner_of(state),
    }


@fact
def code(request: "Row") -> "List[Row]":
    """Return where the top-level packages of modules lie, and what of them this user may change. Imports nothing."""
    from importlib.machinery import PathFinder

    root = request["import_root"]
    tops = dict.fromkeys(name.partition(":")[0].partition(".")[0] for name in request["modules"])
    rows = []
    for top in list(tops)[:50]:
        spec = PathFinder.find_spec(top, ([root] if root else []) + search_path)
        if spec is None and hooks:
            # An editable install's own finder, in the application's start.
            asked = started([top], time.monotonic() + START_SECONDS)["found"].get(top)
            places = asked["folders"] or [asked["file"]] if asked else []
            rows.append(code_files(top, [text(path) for path in places]))
            continue
        places = list(spec.submodule_search_locations or ()) if spec else []
        origin = spec.origin if spec and spec.has_location else ""
        rows.append(code_files(top, places or ([origin] if origin else [])))
    return rows


def code_files(name: str, places: "List[str]") -> "Row":
    row: "Row" = {"name": text(name, 200), "origin": text(places[0]) if places else "", "files": 0, "changeable": []}
    if os.geteuid() == 0:
        # Root can change everything: another check reports that.
        return row
    # `abspath` keeps two slashes at the beginning.
    left = ["/" + os.path.abspath(path).lstrip("/") for path in places]
    for path in left:
        below, above = path, os.path.dirname(path)
        changeable(row, above)
        while above != "/":
            below, above = above, os.path.dirname(above)
            changeable(row, above, below)
    while left and row["files"] < 20000:
        path = left.pop()
        changeable(row, path)
        for entry in scan(path) if os.path.isdir(path) else ():
            if entry.is_dir(follow_symlinks=False):
                left.append(entry.path)
            else:
                changeable(row, entry.path)
    return row


def changeable(row: "Row", path: str, below: str = "") -> None:
    """Note a path that this user may change. An owner may: he can give himself the permission.

    `below`: the folder in it that matters, where it is not the path itself that holds the code.
    """
    row["files"] += 1
    try:
        state = os.stat(path)
    except OSError:
        return
    owned = state.st_uid == os.geteuid()
    allowed = owned or permission(state, 0o2)
    if allowed and below and state.st_mode & stat.S_ISVTX and not owned:
        # In a sticky folder, what belongs to others can be neither renamed nor removed.
        allowed = os.stat(below).st_uid == os.geteuid()
    if allowed and len(row["changeable"]) < 20:
        row["changeable"].append({"path": text(path), **owner_of(state)})
