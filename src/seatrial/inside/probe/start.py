"""What Python's `site` would set up, worked out from its files: no line of a .pth file, no customization is run."""

import os
import sys
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import given, listing, read, search_path, text

if TYPE_CHECKING:
    from typing import Dict, List

    from seatrial.inside.probe.base import Row

MAX_HOOKS = 100
hooks: "List[Row]" = []
"""What runs, or is loaded, at a start of the interpreter before the application's first line."""
pth_folders: "Dict[str, bool]" = {}


def hook(kind: str, where: str, line: str = "") -> None:
    row = {"kind": kind, "where": text(where, 500), "line": text(line, 500)}
    if row not in hooks and len(hooks) <= MAX_HOOKS:
        # A list that is cut is not one of known hooks only.
        hooks.append(row if len(hooks) < MAX_HOOKS else {"kind": "more", "where": text(where, 500), "line": ""})


def begin() -> None:
    """Set prefix and search path as `site` does; the parent itself goes on importing the standard library alone."""
    standard = list(sys.path)
    system = venv()
    # Only now: it takes the prefix as it is. Without -S this would run everything that stands in the files.
    import site

    own = [sys.prefix] if sys.prefix != sys.base_prefix else []
    bases = [sys.base_prefix, sys.base_exec_prefix]
    prefixes = own + bases if system else own
    variable = os.environ.get("PYTHONPATH", "")
    for entry in [os.path.abspath(entry) for entry in variable.split(os.pathsep)] if variable else []:
        add(entry)
    for entry in standard:
        add(entry)
    same = os.getuid() == os.geteuid() and os.getgid() == os.getegid()
    user = system and same and not os.environ.get("PYTHONNOUSERSITE")
    site.PREFIXES = list(dict.fromkeys(prefixes))
    # Its own function, as distributions change it: Red Hat's puts /usr/local first. Nothing in the folders is run.
    site.addsitedir = lambda folder, *_, **__: add_site(folder)
    if own:
        site.addsitepackages(set(), own)
    site.ENABLE_USER_SITE = user
    if user and os.path.isdir(site.getusersitepackages()):
        add_site(site.getusersitepackages())
    site.addsitepackages(set())
    customizations(user)


def venv() -> bool:
    """Set the prefix of a virtual environment; return whether the interpreter's own packages count too."""
    system = True
    above = os.path.dirname(os.path.abspath(sys.executable or "/"))
    for folder in (above, os.path.dirname(above)):
        try:
            lines = read(os.path.join(folder, "pyvenv.cfg"), 65536).split("\n")
        except OSError:
            continue
        for line in lines:
            key, equals, value = line.partition("=")
            if equals and key.strip().lower() == "include-system-site-packages":
                system = value.strip().lower() == "true"
        sys.prefix = sys.exec_prefix = os.path.dirname(above)
        return system
    return system


def add(entry: str) -> None:
    if entry not in search_path:
        search_path.append(entry)


def add_site(folder: str) -> None:
    """Add a folder of packages and what its .pth files name; note each line of those that Python would run."""
    folder = os.path.abspath(folder)
    if folder in pth_folders:
        return
    pth_folders[folder] = True
    add(folder)
    for name in sorted(name for name in listing(folder) if name.endswith(".pth") and not name.startswith(".")):
        try:
            # At whatever some Python ends a line.
            lines = read(os.path.join(folder, name)).lstrip("\ufeff").splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(("import ", "import\t")):
                hook("pth", os.path.join(folder, name), line)
            elif line.strip() and not line.startswith("#"):
                place = os.path.abspath(os.path.join(folder, line.rstrip()))
                if "\0" not in place and os.path.exists(place):
                    add(place)


def customizations(user: bool) -> None:
    import _frozen_importlib_external as external

    for name in ("sitecustomize", "usercustomize") if user else ("sitecustomize",):
        spec = external.PathFinder.find_spec(name, search_path)
        if spec is not None and spec.loader is not None:
            hook(name, spec.origin or "")


def variables() -> None:
    for name in ("PYTHONHOME", "PYTHONPLATLIBDIR", "PYTHON_PRESITE", "LD_LIBRARY_PATH"):
        if os.environ.get(name):
            hook("variable", name, os.environ[name])
    for name, value in given.get("environment", {}).items():
        hook("preload", name, value)
    # The probe's container hides what stands in it.
    if os.path.exists("/etc/ld.so.preload") and os.getpid() == 1:
        hook("preload", "/etc/ld.so.preload")
