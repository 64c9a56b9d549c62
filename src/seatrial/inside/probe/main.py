"""The probe's answer: `seatrial.facts.Probe`."""

import json
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from seatrial.inside.answer import give
from seatrial.inside.handed import REQUEST
from seatrial.inside.probe.base import (
    deadline,
    facts,
    given,
    guarded,
    problems,
    search_path,
    text,
    truncated,
    waited_for_a_processor,
    waits,
    which,
)
from seatrial.inside.probe.distributions import distributions, own_packages, scripts
from seatrial.inside.probe.identity import identity, interpreter, locale, place
from seatrial.inside.probe.imports import START_SECONDS, differences, imports, started, tried
from seatrial.inside.probe.native import native, optional_for
from seatrial.inside.probe.start import hooks, variables

if TYPE_CHECKING:
    from typing import List

    from seatrial.inside.probe.base import Row

SIDE = ("version", "implementation", "executable", "prefix", "base_prefix", "standard_library")


def answer_to(request: "Row") -> "Row":
    # The imports run in a separate process; what this one reads meanwhile costs no time.
    rows: "List[Row]" = []
    begun: "List[Row]" = []
    asked = (request["modules"], request["import_root"], request["import_seconds"])
    importing = threading.Thread(target=lambda: rows.extend(imports(*asked)))
    importing.start()
    starting = threading.Thread(target=lambda: begun.append(started([], time.monotonic() + START_SECONDS)))
    starting.start()
    # Nothing takes as long as the imports: where processors are short, they come first. Linux keeps this by thread.
    try:
        os.nice(10)
    except OSError:
        pass
    found, broken = distributions()
    answer: "Row" = {
        "identity": identity(),
        "interpreter": interpreter(),
        "distributions": found,
        "broken_distributions": broken,
        "scripts": scripts(),
        "executables": [{"name": name, "path": which(name)} for name in request["executables"]],
        "places": [place(path) for path in request["places"]],
        "native": native(),
        "own_packages": own_packages(request["import_root"]),
    }
    last = [name for name in facts if name.startswith("standard_")]
    long = ("selftest", "code")
    for name in facts:
        if name not in last and name not in long:
            answer[name] = guarded(name, request)
    # If the rest takes too long, that much is known.
    give({**answer, "imports": [], "problems": problems, "truncated": truncated, "complete": False})
    for name in long:
        answer[name] = guarded(name, request)
    starting.join()
    importing.join()
    answer["imports"] = rows
    tell_optional(answer["native"]["missing"])
    answer["start"] = start(interpreter(), *begun)
    answer["locale"] = locale(*begun)
    # What the imports loaded is known only now.
    for name in last:
        answer[name] = guarded(name, request)
    waits.append(waited_for_a_processor())
    return {**answer, "problems": problems, "truncated": truncated, "waited": max(waits)}


MOST_TRIED = 5
"""Packages that are imported to see whether they do without a library."""
TRY_SECONDS = 10.0


def tell_optional(missing: "List[Row]") -> None:
    """Mark the libraries whose package imports without them."""
    packages = optional_for([row["needed_by"] for row in missing])
    names = list(dict.fromkeys(packages.values()))[:MOST_TRIED]
    sound = {row["name"] for row in tried(names, TRY_SECONDS) if row["ok"]} if names else set()
    for row in missing:
        row["optional"] = packages.get(row["needed_by"]) in sound


def start(interpreter: "Row", begun: "Row") -> "Row":
    """Return what this interpreter and the application's start of it say of themselves."""
    own = {
        **interpreter,
        "version": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "standard_library": os.path.dirname(os.__file__),
    }
    path = begun.get("path", [])
    return {
        "hooks": hooks,
        "isolated": {key: text(own[key]) for key in SIDE},
        "application": {key: text(begun[key]) for key in SIDE} if "version" in begun else None,
        "ended": begun.get("ended", ""),
        "late": begun.get("late", False),
        "replaced": [text(line, 500) for line in begun.get("replaced", [])[:20]],
        "loaded": [text(line, 500) for line in begun.get("loaded", [])],
        "added": [text(entry, 500) for entry in path if entry not in search_path][:50],
        "removed": [text(entry, 500) for entry in search_path if path and entry not in path][:50],
        "differences": [{key: text(value, 1200) for key, value in row.items()} for row in differences],
    }


def main() -> None:
    sys.dont_write_bytecode = True
    given.update(json.loads(REQUEST))
    deadline.append(time.monotonic() + given["seconds"])
    variables()
    answer = answer_to(given)
    if os.getpid() == 1:
        # What the application has left running would be able to write after the answer.
        try:
            os.kill(-1, 9)
        except OSError:
            pass
    give(answer)
    os._exit(0)


if __name__ == "__main__":
    main()
