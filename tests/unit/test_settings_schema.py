"""The JSON Schema of [tool.seatrial]: it and the reader agree on what is right and what is wrong."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import jsonschema
import msgspec
import pytest
from docs.reference import SCHEMAS

from seatrial.checks.registry import CATALOGUE
from seatrial.errors import SettingsError
from seatrial.settings.model import App, Contract, EngineSettings, Settings, StackContract, StackWrite, SubstituteRecipe
from seatrial.settings.read import convert

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((SCHEMAS / "settings.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def contract(**values: Any) -> dict[str, Any]:
    return {"apps": {"api": {"contract": {key.replace("_", "-"): value for key, value in values.items()}}}}


def read(settings: dict[str, Any]) -> Settings:
    return convert(settings, Settings, file=Path("pyproject.toml"), table="tool.seatrial")


GOOD: dict[str, dict[str, Any]] = {
    "nothing": {},
    "this project's own": tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["seatrial"],
    "an app": {"apps": {"api": {"context": "api", "pythons": ["3.13", "3.14"], "onboard": False}}},
    "a size": contract(max_unpacked="1.5 GiB", memory="512MB"),
    "a waiver": contract(waive={"health/declared": "the platform asks itself"}),
    "modules": contract(modules=["api.main:app", "api"]),
    "a stack": contract(
        stack={
            "service": "api",
            "port": 8000,
            "write": {"path": "/notes", "body": {"tags": ["{unique}", 1]}, "headers": {"X-Key": "test"}},
            "read": "/notes/{id}",
        }
    ),
    "installers": contract(installers=["pip", "uv"]),
    "a local substitute": {"standins": {"redis:{tag}": {"recipe": "r/Dockerfile", "inputs": {"a": "debian:bookworm"}}}},
}

BAD: dict[str, dict[str, Any]] = {
    "an unknown key": {"app": {}},
    "an unknown key of a contract": contract(uesr="app"),
    "an underscore": {"apps": {"api": {"contract": {"max_unpacked": "1 GB"}}}},
    "a number as text": contract(uid="10001"),
    "a negative number": contract(uid=-1),
    "a size without a unit": contract(max_unpacked="500"),
    "a version that is none": {"apps": {"api": {"pythons": ["latest"]}}},
    "a version as a number": {"apps": {"api": {"pythons": [3.13]}}},
    "a path that is relative": contract(tmpfs=["tmp"]),
    "a stack's key that does not exist": contract(stack={"databse": "db"}),
    "a stack's path that is none": contract(stack={"ready": "health"}),
    "a stack's port that is none": contract(stack={"port": 0}),
    "a write with a method that writes nothing": contract(
        stack={"write": {"path": "/{unique}", "method": "GET"}, "read": "/"}
    ),
    "an installer that is none": contract(installers=["npm"]),
    "a module that is a path": contract(modules=["api/main.py"]),
    "a reason that is empty": contract(waive={"health/declared": " "}),
    "no time at all": contract(healthy_within=0),
    "a local substitute without a recipe": {"standins": {"redis": {}}},
    "a list for a table": {"apps": []},
}


@pytest.mark.parametrize("settings", GOOD.values(), ids=[name.replace(" ", "-") for name in GOOD])
def test_what_the_reader_takes_the_schema_takes(settings: dict[str, Any]) -> None:
    assert sorted(read(settings).apps) == sorted(settings.get("apps", {}))
    assert list(VALIDATOR.iter_errors(settings)) == []


@pytest.mark.parametrize("settings", BAD.values(), ids=[name.replace(" ", "-") for name in BAD])
def test_what_the_reader_refuses_the_schema_refuses(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        read(settings)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(settings)


def test_a_waiver_for_a_check_that_does_not_exist_is_refused() -> None:
    with pytest.raises(jsonschema.ValidationError, match="boot/helthy"):
        VALIDATOR.validate(contract(waive={"boot/helthy": "so"}))
    waivable = SCHEMA["$defs"]["Contract"]["properties"]["waive"]["propertyNames"]["anyOf"][0]["enum"]
    assert waivable == [check.id for check in CATALOGUE]
    VALIDATOR.validate(contract(waive={"shop/has-licence": "a check of the project's own"}))


def test_the_schema_is_a_valid_json_schema() -> None:
    metaschema = jsonschema.Draft202012Validator(jsonschema.Draft202012Validator.META_SCHEMA)
    assert list(metaschema.iter_errors(SCHEMA)) == []


@pytest.mark.parametrize(
    "kind",
    [Settings, App, Contract, StackContract, StackWrite, SubstituteRecipe, EngineSettings],
    ids=lambda kind: kind.__name__,
)
def test_every_key_is_there_and_described_and_every_closed_set_is_an_enumeration(kind: type[msgspec.Struct]) -> None:
    properties = SCHEMA["$defs"][kind.__name__]["properties"]
    fields = {field.name: field.encode_name for field in msgspec.structs.fields(kind)}
    assert list(properties) == list(fields.values())
    assert [key for key, value in properties.items() if not value.get("description")] == []
    for name, hint in get_type_hints(kind).items():
        values = literals(hint)
        if values:
            shown = json.dumps(properties[fields[name]])
            assert "enum" in shown or "const" in shown
            assert all(json.dumps(value) in shown for value in values), name


def literals(hint: Any) -> tuple[Any, ...]:
    """Return what a type's closed sets hold, however deep they lie."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(value for part in get_args(hint) for value in literals(part))


def test_patterns_are_written_as_javascript_does() -> None:
    def patterns(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["pattern"]] if isinstance(value.get("pattern"), str) else []
            return own + [pattern for part in value.values() for pattern in patterns(part)]
        return [pattern for part in value for pattern in patterns(part)] if isinstance(value, list) else []

    found = patterns(SCHEMA)
    assert len(found) > 10
    assert [match for match in found if "\\Z" in match or "\\A" in match or "(?P" in match] == []
