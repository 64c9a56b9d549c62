"""The JSON Schemas of what seatrial reads and writes, made from the types."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from seatrial.checks.model import Result, Status
from seatrial.checks.registry import CATALOGUE
from seatrial.checks.verdict import Smoke
from seatrial.reports.json import Smokes
from seatrial.settings.model import App, Contract, EngineSettings, Settings, StackContract, StackWrite, SubstituteRecipe

Json = dict[str, Any]

SCHEMAS = Path(__file__).parents[1] / "schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def settings() -> Json:
    """Return the schema of `[tool.seatrial]`; of a contract's own file it is `#/$defs/Contract`."""
    made = _schema(Settings, (Settings, App, Contract, StackContract, StackWrite, SubstituteRecipe, EngineSettings))
    made["title"] = "[tool.seatrial]"
    made["$defs"]["Contract"]["properties"]["waive"]["propertyNames"] = {"enum": [check.id for check in CATALOGUE]}
    return made


def smoke() -> Json:
    """Return the schema of what `--format json` prints: one smoke, or several."""
    made = _schema(Smokes, (Smoke, Smokes, Result))
    made["title"] = "seatrial smoke"
    made["anyOf"] = [{"$ref": "#/$defs/Smoke"}, {"$ref": made.pop("$ref")}]
    definitions = made["$defs"]
    for name in ("Smoke", "Smokes", "Result"):
        # Every key is always there.
        definitions[name]["required"] = list(definitions[name]["properties"])
    for name in ("Smoke", "Smokes"):
        definitions[name]["properties"]["schema"] = {"const": 1}
    statuses = [status.value for status in Status]
    definitions["Smoke"]["properties"]["counts"] |= {"propertyNames": {"enum": statuses}, "required": statuses}
    return made


def _schema(kind: Any, types: tuple[type[msgspec.Struct], ...]) -> Json:
    made: Json = {"$schema": DRAFT, **msgspec.json.schema(kind)}
    for one in types:
        definition = made["$defs"][one.__name__]
        said = meanings(one)
        names = {field.encode_name: field.name for field in msgspec.structs.fields(one)}
        for key, value in definition["properties"].items():
            meaning = said.get(names[key])
            definition["properties"][key] = _without_null(value) | ({"description": meaning} if meaning else {})
    translated: Json = json.loads(json.dumps(made), object_hook=_translated)
    return translated


def _without_null(value: Json) -> Json:
    """Return a property as TOML has it: a key is there, or it is not."""
    kinds = [one for one in value.get("anyOf", ()) if one != {"type": "null"}]
    if len(kinds) != 1 or len(kinds) == len(value["anyOf"]):
        return value
    kept = {key: one for key, one in value.items() if key != "anyOf" and (key, one) != ("default", None)}
    merged: Json = {**kept, **kinds[0]}
    return merged


def _translated(value: Json) -> Json:
    r"""Write a pattern as JavaScript does, whose expressions JSON Schema takes: there `$` is what `\Z` is here."""
    if isinstance(value.get("pattern"), str):
        value["pattern"] = value["pattern"].replace(r"\Z", "$")
    return value


def meanings(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return the text below each field of a class in the source."""
    tree = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    body = next(one.body for one in tree.body if isinstance(one, ast.ClassDef) and one.name == kind.__name__)
    found: dict[str, str] = {}
    for field, text in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def text(schema: Json) -> str:
    """Return a schema as it stands in its file: keywords in order, whatever order this msgspec writes them in."""
    return json.dumps(_ordered(schema), indent=2, ensure_ascii=False) + "\n"


def _ordered(schema: Json) -> Json:
    """Sort the keywords of a schema and of those within it; properties keep the order of their fields."""
    ordered: Json = {}
    for keyword, value in sorted(schema.items()):
        if keyword in {"properties", "$defs"}:
            ordered[keyword] = {name: _ordered(inner) for name, inner in value.items()}
        elif keyword in {"anyOf", "allOf", "oneOf"}:
            ordered[keyword] = [_ordered(inner) for inner in value]
        else:
            ordered[keyword] = _ordered(value) if isinstance(value, dict) else value
    return ordered
