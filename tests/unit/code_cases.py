"""For each check of the application's own code, facts of an image that fails it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from tests.unit.factories import facts, own_code, probe
from tests.unit.source_factories import context, sources

from seatrial.facts.code import MissingModule, NamedThing
from seatrial.facts.probe import OffPath, PathAccess

if TYPE_CHECKING:
    from seatrial.facts import Facts

MISSING = MissingModule(
    asked="openpyxl.styles", missing="openpyxl", file="/app/src/shop/api.py", line=13, nested=True, certain=True
)
NAMED = NamedThing(kind="program", name="convert", file="/app/src/shop/api.py", line=7, certain=True)
OFF_PATH = OffPath(
    folder="/home/app/.local/lib/python3.13/site-packages",
    distributions=("fastapi", "uvicorn"),
    why="HOME is /app",
    fix="`ENV PYTHONUSERBASE=/home/app/.local`",
)
NO_HOME = PathAccess(path="/nowhere", exists=False, writable=False, nearest="/", owner="0:0", mode="0755")
SOURCES = ("src/shop/__init__.py", "src/shop/api.py", "src/shop/templates/home.html")

FAILING: dict[str, Facts] = {
    "app/imports-resolve": facts(own_code=own_code(missing=(MISSING,))),
    "app/names-resolve": facts(own_code=own_code(named=(NAMED,))),
    "app/package-data": facts(sources=sources(context=context(*SOURCES))),
    "app/home": facts(own_code=own_code(home_folder=NO_HOME)),
    "python/packages-on-path": facts(
        probe=probe(
            distributions=(),
            interpreter=msgspec.structs.replace(probe().interpreter, off_path=(OFF_PATH,)),
        )
    ),
}
"""For each check, facts that fail it."""
