"""What is known of frameworks, servers, services and packages with system libraries: `known.toml`, as tables."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Framework:
    """How an object of a class is started."""

    name: str
    kind: str = "web"
    interface: str = ""
    """asgi or wsgi; empty where it serves by itself."""
    port: int = 0
    """Its own default, or that of its usual server; 0 for none."""


ASGI, WSGI = "asgi", "wsgi"
_known: dict[str, Any] = tomllib.loads(Path(__file__).with_name("known.toml").read_text(encoding="utf-8"))


def _frameworks() -> Iterator[tuple[str, Framework]]:
    for kind, table in _known["frameworks"].items():
        for name, row in table.items():
            for interface in ("alone", ASGI, WSGI):
                framework = Framework(name, kind, "" if interface == "alone" else interface, row.get("port", 0))
                yield from ((made, framework) for made in row.get(interface, ()))


def _by(key: str) -> dict[str, str]:
    """Return the services by what a list of theirs holds."""
    return {word: service for service, row in _known["services"].items() for word in row.get(key, ())}


CLASSES = dict(_frameworks())
"""What a class or function makes, by its full name."""
STREAMLIT = Framework("Streamlit", port=8501)
ARQ = Framework("arq", kind="worker")
DRAMATIQ = Framework("dramatiq", kind="worker")
DASH = CLASSES["dash.Dash"]
DASH_SERVER = Framework("Dash", interface=WSGI, port=DASH.port)
"""The Flask application that a Dash has as its `server`."""
SERVERS: Mapping[str, list[str]] = _known["servers"]
BRINGS: Mapping[str, str] = _known["brings"]
DRIVERS: Mapping[str, list[str]] = {
    service: [*row.get("drivers", ()), *row.get("perhaps", ())] for service, row in _known["services"].items()
}
PERHAPS = set(_by("perhaps"))
EXTRA_SERVICES = _by("extras")
SCHEMES = _by("schemes")
"""What an address asks for, by its scheme up to a `+`."""
IMAGES = _by("images")
LIBRARIES: Mapping[str, list[str]] = {
    distribution: [package for package, names in _known["libraries"].items() if distribution in names]
    for names in _known["libraries"].values()
    for distribution in names
}
SELF_CONTAINED: Mapping[str, str] = _known["self-contained"]
ADDRESSES: Mapping[str, str] = {
    service: row["address"] for service, row in _known["services"].items() if "address" in row
}
NAMES: Mapping[str, re.Pattern[str]] = {
    service: re.compile(row["names"]) for service, row in _known["services"].items() if "names" in row
}
VALUES_BY_TYPE: Mapping[str, str] = _known["values"]["types"]
VALUES_BY_WORD: Mapping[str, str] = _known["values"]["words"]
