"""Imports modules and tells how each went, on its own pipe: the probe runs it in its own process.

Until the first import it loads nothing that the application may have a module of its own for.
"""

import gc
import os
import site
import sys
import time
from typing import TYPE_CHECKING

from seatrial.inside.child import say
from seatrial.inside.handed import ASKED, PATH, PREFIX, SITE, VARIABLES

if TYPE_CHECKING:
    from typing import Any


def imported(name: str) -> None:
    started = time.perf_counter()
    say(begin=name)
    module, _, attribute = name.partition(":")
    try:
        __import__(module)
        value: object = sys.modules[module]
        for part in attribute.split(".") if attribute else []:
            value = getattr(value, part)
    except BaseException as error:
        # SystemExit too: a module that ends the process at import cannot be imported.
        seconds = time.perf_counter() - started
        said = f"{type(error).__name__}: {str(error)[:1000]}"
        say(name=name, ok=False, seconds=seconds, error=said, traceback=told(error), missing=missing(error))
    else:
        say(name=name, ok=True, seconds=time.perf_counter() - started)


def told(error: BaseException) -> str:
    """Return a traceback without the import system's own frames, which tell nothing, and without ours."""
    import traceback

    frames = traceback.format_exception(type(error), error, error.__traceback__)
    kept = [frame for frame in frames if "<frozen importlib" not in frame and '"<seatrial>"' not in frame]
    return "".join(kept[-8:])[-4000:]


def missing(error: "Any") -> str:
    """Return the top-level module that was not found, where that is why an import failed."""
    for _ in range(10):
        if error is None:
            return ""
        if isinstance(error, ModuleNotFoundError) and error.name:
            return error.name.partition(".")[0]
        error = error.__cause__ or error.__context__
    return ""


class Places:
    """Finds the modules of which the probe was told where they lie; the last finder that is asked."""

    @staticmethod
    def find_spec(name: str, path: object = None, _target: object = None) -> "Any":
        import _frozen_importlib_external as external

        if path is not None or name not in ASKED["places"]:
            return None
        file, folders = ASKED["places"][name]["file"], ASKED["places"][name]["folders"]
        if not folders and os.path.basename(file).startswith("__init__."):
            folders = [os.path.dirname(file)]
        if name == "distutils" and "/setuptools/_distutils/" in file:
            # As setuptools' own shim does: its packages look for what setuptools carries along.
            __import__("setuptools")
        if file:
            return external.spec_from_file_location(name, file, submodule_search_locations=folders or None)
        import importlib.machinery

        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = folders
        return spec


def tell_standard_modules() -> None:
    """Say which of the standard library's files are loaded by now."""
    top, held = os.path.dirname(os.__file__) + "/", []
    for module in list(sys.modules.values()):
        origin = getattr(getattr(module, "__spec__", None), "origin", None)
        if isinstance(origin, str) and origin.startswith(top) and origin.endswith(".py") and "-packages/" not in origin:
            held.append(origin[len(top) :])
    for at in range(0, len(held), 50):
        say(standard=held[at : at + 50])


def begin_as_site_does() -> None:
    """Set what a start with `site` sets, without the lines and modules that it would run."""
    os.environ.update(VARIABLES)
    sys.path[:] = PATH
    sys.prefix = sys.exec_prefix = PREFIX
    vars(site).update(SITE)
    for step in ("setquit", "setcopyright", "sethelper"):
        getattr(site, step, int)()
    sys.meta_path.append(Places)


# Hardly anything that an import makes becomes garbage: looking for it takes a tenth of the time.
if hasattr(gc, "set_threshold"):
    gc.set_threshold(100000, 50, 100)
if not ASKED["hooked"]:
    begin_as_site_does()
if ASKED["root"]:
    sys.path.insert(0, ASKED["root"])
for asked in ASKED["names"]:
    imported(asked)
if not ASKED["hooked"]:
    tell_standard_modules()
try:
    with open("/proc/self/schedstat") as scheduled:
        waited = int(scheduled.read().split()[1]) / 1e9
except (OSError, ValueError, IndexError):
    waited = 0.0
say(end=True, waited=waited)
# Taking a thousand modules apart again costs a third of what their import does.
os._exit(0)
