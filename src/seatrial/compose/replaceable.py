"""What a service may replace by a link to a file of the host, before the engine or compose opens it.

A folder of the project that a service may write to is that service's own. What lies below it is opened later: at
another service's start, at its own next one, at the next command. Where it leads by then cannot be known beforehand.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from seatrial.compose.reach import Grade, Reach, Surroundings
from seatrial.facts import Json

MOST_STEPS = 1000
"""Places on the way to one path that are looked up."""


def replaceable(document: Json, around: Surroundings, read: Iterable[Path]) -> Iterator[Reach]:
    """Yield what services may replace of what compose's model opens, and of the files that compose reads."""
    used = [(path, source) for path, source, _ in _bound(document)]
    used += [(("services",), str(path)) for path in read]
    for key in ("configs", "secrets"):
        files = ((name, _table(table).get("file")) for name, table in (document.get(key) or {}).items())
        used += [((key, name), str(file)) for name, file in files if file]
    for name, table in (document.get("services") or {}).items():
        if context := _table(_table(table).get("build")).get("context"):
            used.append((("services", name, "build"), str(context)))
    owned = [(path[1], around.resolve(source)) for path, source, writable in _bound(document) if writable]
    for name, folder in owned:
        if folder == around.project or not around.inside(folder):
            # Seen already.
            continue
        for path, source in used:
            if any(step != folder and step.is_relative_to(folder) for step in steps(source)):
                what = f"{name!r} may write to {folder}, and so may replace {source} by a link to any file of the host"
                yield Reach(path=path, what=what, grade=Grade.OUTSIDE, words=(source, Path(source).name))


def _bound(document: Json) -> Iterator[tuple[tuple[str, ...], str, bool]]:
    """Yield the paths of the host that services and volumes mount: where, which, and whether they may be written."""
    for name, table in (document.get("services") or {}).items():
        for mount in _table(table).get("volumes") or ():
            if mount.get("type") == "bind" and (source := str(mount.get("source") or "")).startswith("/"):
                yield ("services", name, "volumes"), source, not _is_true(mount.get("read_only"))
    for name, table in (document.get("volumes") or {}).items():
        options = _table(_table(table).get("driver_opts"))
        if (device := str(options.get("device") or "")).startswith("/"):
            yield ("volumes", name), device, "ro" not in str(options.get("o") or "").split(",")


def steps(path: str) -> tuple[Path, ...]:
    """Return every place that is looked up on the way to a path: its folders, and each link that is followed."""
    here, rest, found = Path("/"), [*Path(path).parts[1:]], list[Path]()
    while rest and len(found) < MOST_STEPS:
        part = rest.pop(0)
        if part == "..":
            here = here.parent
            continue
        found.append(here / part)
        try:
            target = Path(os.readlink(here / part))  # noqa: PTH115 - a name that no file has is a ValueError
        except (OSError, ValueError):
            here /= part
            continue
        here = Path("/") if target.is_absolute() else here
        rest = [*target.parts[target.is_absolute() :], *rest]
    return tuple(found)


def _table(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _is_true(value: object) -> bool:
    return str(value).lower() == "true"
