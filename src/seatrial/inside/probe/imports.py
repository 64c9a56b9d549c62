"""Imports: each attempt is made outside this process, in one that goes on with the next while it can."""

import json
import time
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import CHILDREN, text
from seatrial.inside.probe.children import how_it_ended, run_child

if TYPE_CHECKING:
    from typing import List, Optional, Set, Tuple

    from seatrial.inside.probe.base import Row

standard_names: "Set[str]" = set()
"""The standard library's modules that the imports loaded, by their files below its folder."""
cut_short: "List[str]" = []
"""The imports at which a process ended before it could tell those."""


def imports(names: "List[str]", root: str, seconds: float) -> "List[Row]":
    rows, left, deadline = [], list(names), time.monotonic() + seconds
    while left:
        results, current, output, code = import_some(left, root, max(1.0, deadline - time.monotonic()))
        rows.extend(results)
        done = {row["name"] for row in results}
        left = [name for name in left if name not in done]
        if left:
            # The child ended before it could answer: it was at this import.
            name = current if current in left else left[0]
            why = how_it_ended(code, seconds)
            rows.append({"name": name, "ok": False, "seconds": 0.0, "error": why, "traceback": text(output[-4000:])})
            left.remove(name)
    return rows


def import_some(names: "List[str]", root: str, seconds: float) -> "Tuple[List[Row], str, str, Optional[int]]":
    """Return the imports that were made, the last that was begun, and the process's output and exit code."""
    lines, kept, code = run_child(CHILDREN["imports"], [root, *names], seconds)
    results: "List[Row]" = []
    current, complete = "", False
    for line in lines:
        try:
            row = json.loads(line)
            if "begin" in row:
                current = row["begin"]
            elif "standard" in row:
                standard_names.update(text(name, 300) for name in row["standard"][:50])
            elif "end" in row:
                complete = True
            elif row.get("name") in names:
                results.append(
                    {
                        "name": row["name"],
                        "ok": bool(row["ok"]),
                        "seconds": float(row["seconds"]),
                        "error": text(row.get("error", ""), 1200),
                        "traceback": text(row.get("traceback", "")),
                    }
                )
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    if not complete:
        cut_short.append(current)
    return results, current, kept.decode("utf-8", "replace"), code
