"""The probe's answer: one line with the nonce that it was given, a space, and JSON."""

import json
import os
import sys
import threading
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import facts, guarded, problems, truncated, which
from seatrial.inside.probe.distributions import distributions, own_packages, scripts
from seatrial.inside.probe.identity import identity, interpreter, place
from seatrial.inside.probe.imports import imports
from seatrial.inside.probe.native import native

if TYPE_CHECKING:
    from typing import List

    from seatrial.inside.probe.base import Row


def answer_to(request: "Row") -> "Row":
    # The imports run in a separate process; what this one reads meanwhile costs no time.
    rows: "List[Row]" = []
    asked = (request["modules"], request["import_root"], request["import_seconds"])
    importing = threading.Thread(target=lambda: rows.extend(imports(*asked)))
    importing.start()
    # Nothing takes as long as the imports: where processors are short, they come first. Linux keeps this by thread.
    try:
        os.nice(10)
    except OSError:
        pass
    found, broken = distributions()
    answer = {
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
    late = [name for name in facts if name.startswith("standard_")]
    for name in facts:
        if name not in late:
            answer[name] = guarded(name, request)
    importing.join()
    answer["imports"] = rows
    # What the imports loaded is known only now.
    for name in late:
        answer[name] = guarded(name, request)
    return {**answer, "problems": problems, "truncated": truncated}


def main() -> None:
    answer = answer_to(json.loads(sys.argv[2]))
    # A path that is not UTF-8 must not spoil the whole answer: what JSON cannot hold becomes a question mark.
    line = "\n" + sys.argv[1] + " " + json.dumps(answer, ensure_ascii=False) + "\n"
    sys.stdout.buffer.write(line.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
