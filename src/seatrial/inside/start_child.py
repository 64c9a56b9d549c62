"""Tells how the interpreter starts as the application starts it, on its own pipe: the probe compares that."""

import importlib
import importlib.util
import io
import json
import locale
import os
import sys
from typing import TYPE_CHECKING

from seatrial.inside.child import say
from seatrial.inside.handed import ASKED

if TYPE_CHECKING:
    from typing import Any, Dict

STANDARD = os.path.dirname(os.__file__)


def origin(module: object) -> str:
    found = getattr(getattr(module, "__spec__", None), "origin", None) or getattr(module, "__file__", None)
    return found if isinstance(found, str) else ""


def elsewhere(place: str) -> bool:
    """Tell whether a module does not come from the standard library."""
    built_in = place in ("", "built-in", "frozen")
    return not built_in and (not place.startswith((STANDARD + "/", *LIBRARIES)) or "-packages/" in place)


def locations(name: str) -> "Dict[str, Any]":
    """Return the file or the folders that a module lies in, as the finders of this start say."""
    try:
        spec = importlib.util.find_spec(name)
    except BaseException:
        return {}
    if spec is None:
        return {}
    folders = [folder for folder in spec.submodule_search_locations or () if os.path.isdir(folder)]
    file = spec.origin if spec.origin and os.path.isfile(spec.origin) else ""
    return {name: {"file": file, "folders": folders}} if file or folders else {}


LIBRARIES = tuple(entry + "/" for entry in sys.path if entry.endswith((".zip", "lib-dynload")))
found: "Dict[str, Any]" = {}
for asked in ASKED["names"]:
    found.update(locations(asked))
own = {"importlib": importlib, "io": io, "json": json, "os": os}
replaced = [name + " is " + origin(module) for name, module in own.items() if elsewhere(origin(module))]
if type(sys.stdout) is not io.TextIOWrapper or sys.stdout is not sys.__stdout__:
    replaced.append("sys.stdout is a " + type(sys.stdout).__module__ + "." + type(sys.stdout).__qualname__)
say(
    found=found,
    version=sys.version.split()[0],
    implementation=sys.implementation.name,
    executable=sys.executable,
    prefix=sys.prefix,
    base_prefix=sys.base_prefix,
    standard_library=STANDARD,
    path=sys.path,
    replaced=replaced,
    loaded=[name + ": " + origin(module) for name, module in list(sys.modules.items()) if elsewhere(origin(module))][
        :50
    ],
    filesystem=sys.getfilesystemencoding(),
    preferred=locale.getpreferredencoding(do_setlocale=False),
    output=str(getattr(sys.stdout, "encoding", "")),
)
os._exit(0)
