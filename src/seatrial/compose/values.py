"""Values in a compose file: settings among variables, names of images, and what is not what it looks like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from seatrial.compose.text import PARTS
from seatrial.facts import Json, LocalAddress, UnsetVariable
from seatrial.filesystem import read_bytes

NOT_SET = re.compile(r"The \\?\"(\w+)\\?\" variable is not set")
"""What compose says of a variable that it puts nothing in for."""
ASSIGNED = re.compile(r"^[^\S\n]*(?:export[^\S\n]+)?([A-Za-z_]\w*)[^\S\n]*[=:](.*)$")
LOCAL_URL = re.compile(
    r"\b([a-z][a-z0-9+.-]*)://(?:[^\s/@'\"]*@)?(localhost|127(?:\.\d+){3}|\[::1\])(?=[:/?#\s'\",;]|$)[^\s'\",;]*"
)
LOCAL_HOST = re.compile(r"(?:localhost|127(?:\.\d+){3}|::1)(?::(\d+))?")
HOST_KEY = re.compile(r"(?:\w+_)?(?:HOST|HOSTNAME|SERVER|ADDR|ADDRESS)|PGHOST", re.IGNORECASE)
SETTINGS = re.compile(
    r"PATH|PGDATA|PGPORT|PORT|WEB_CONCURRENCY|VIRTUAL_ENV|MYSQL_TCP_PORT|(UVICORN|FLASK_RUN|HYPERCORN)_(HOST|PORT)"
    r"|GUNICORN_CMD_ARGS"
)
"""Variables that say where programs are, where a server listens or where it keeps its data."""


def settings_of(environment: Mapping[str, object]) -> dict[str, str]:
    """Return of some variables those that `SETTINGS` names, with their values."""
    return {key: str(value) for key, value in environment.items() if value is not None and SETTINGS.fullmatch(key)}


def local_addresses(service: str, table: Json, lines: Mapping[str, int]) -> Iterator[LocalAddress]:
    """Yield where a service of compose's model is given the address of its own container."""
    for key, value in (table.get("environment") or {}).items():
        line = lines.get(f"environment.{key}") or lines.get("environment", 0)
        text = str(value or "")
        yield from _of_urls(service, key, text, line)
        if HOST_KEY.fullmatch(key) and (found := LOCAL_HOST.fullmatch(text)):
            yield LocalAddress(service=service, key=key, port=int(found[1]) if found[1] else None, line=line)
    words = table.get("command") or ()
    for word in words if isinstance(words, list) else [words]:
        yield from _of_urls(service, "command", str(word), lines.get("command", 0))


def _of_urls(service: str, key: str, text: str, line: int) -> Iterator[LocalAddress]:
    for found in LOCAL_URL.finditer(text):
        try:
            port = urlsplit(found[0]).port
        except ValueError:
            port = None
        yield LocalAddress(service=service, key=key, scheme=found[1], port=port, line=line)


def names_not_set(notes: Iterable[str]) -> frozenset[str]:
    """Return the variables that compose said it puts nothing in for."""
    return frozenset(name for message in notes for name in NOT_SET.findall(message))


def eaten_in(text: str, file: str, names: frozenset[str]) -> Iterator[UnsetVariable]:
    """Yield where the text of an env file names some of the variables, outside of single quotes."""
    for number, line in enumerate(text.splitlines(), 1):
        assigned = ASSIGNED.match(line)
        if assigned is None or assigned[2].lstrip().startswith("'"):
            continue
        for found in PARTS.finditer(assigned[2]):
            name = found["plain"] or found["name"]
            if name in names:
                yield UnsetVariable(name=name, key=assigned[1], file=file, line=number)


def eaten_by_files(files: Mapping[str, Path], names: frozenset[str], most: int) -> Iterator[UnsetVariable]:
    """Yield where env files, by their names for a person, name some of the variables; `most` bytes of each are read."""
    for shown, file in files.items() if names else ():
        try:
            text = read_bytes(file, most).decode("utf-8", errors="replace")
        except OSError:
            continue
        yield from eaten_in(text, shown, names)
