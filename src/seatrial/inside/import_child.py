"""Imports modules and tells how each went, on its own pipe: the probe runs it in its own process."""

import sys

if sys.path and sys.path[0] == "":
    del sys.path[0]
import gc
import importlib
import json
import os
import time
import traceback


def say(**row: object) -> None:
    out.write(json.dumps(row) + "\n")
    out.flush()


def imported(name: str) -> None:
    started = time.perf_counter()
    say(begin=name)
    module, _, attribute = name.partition(":")
    try:
        value: object = importlib.import_module(module)
        for part in attribute.split(".") if attribute else []:
            value = getattr(value, part)
    except BaseException as error:
        # SystemExit too: a module that ends the process at import cannot be imported.
        seconds = time.perf_counter() - started
        frames = traceback.format_exception(type(error), error, error.__traceback__)
        # The import system's own frames tell nothing.
        kept = "".join([frame for frame in frames if "<frozen importlib" not in frame][-8:])[-4000:]
        said = f"{type(error).__name__}: {str(error)[:1000]}"
        say(name=name, ok=False, seconds=seconds, error=said, traceback=kept)
    else:
        say(name=name, ok=True, seconds=time.perf_counter() - started)


def tell_standard_modules() -> None:
    """Say which of the standard library's files are loaded by now."""
    top, held = os.path.dirname(os.__file__) + "/", []
    for module in list(sys.modules.values()):
        origin = getattr(getattr(module, "__spec__", None), "origin", None)
        if isinstance(origin, str) and origin.startswith(top) and origin.endswith(".py") and "-packages/" not in origin:
            held.append(origin[len(top) :])
    for at in range(0, len(held), 50):
        say(standard=held[at : at + 50])


# Hardly anything that an import makes becomes garbage: looking for it takes a tenth of the time.
if hasattr(gc, "set_threshold"):
    gc.set_threshold(100000, 50, 100)
out = os.fdopen(int(sys.argv[1]), "w")
if sys.argv[2]:
    sys.path.insert(0, sys.argv[2])
for asked in sys.argv[3:]:
    imported(asked)
tell_standard_modules()
say(end=True)
# Taking a thousand modules apart again costs a third of what their import does.
os._exit(0)
