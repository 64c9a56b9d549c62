"""Results as JSON for programs, and the JSON Schemas of what seatrial reads and writes."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from seatrial.checks.model import Result, Status
from seatrial.checks.registry import CATALOGUE
from seatrial.checks.verdict import Smoke, Verdict, worst
from seatrial.settings.model import App, Contract, EngineSettings, Settings, StackContract, StackWrite, SubstituteRecipe
from seatrial.stack.state import ContainerStatus, all_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.compose.services import Stack
    from seatrial.errors import SeatrialError
    from seatrial.stack.down import Removed
    from seatrial.stack.preflight import Preflight
    from seatrial.stack.state import Address, ServiceState


class Smokes(msgspec.Struct, frozen=True, kw_only=True):
    """Several smokes in one document."""

    schema: Literal[1] = 1
    verdict: Verdict
    """The worst of them: a failure counts most, then what could not be decided."""
    smokes: tuple[Smoke, ...]


def as_json(smokes: Sequence[Smoke]) -> str:
    """Return one smoke as an object; several as an object with a list of them."""
    data = smokes[0] if len(smokes) == 1 else Smokes(verdict=worst(smokes), smokes=tuple(smokes))
    return dumped(data)


def dumped(data: object) -> str:
    """Return data as JSON of ASCII letters alone.

    What came from the image is escaped, and no terminal that it is printed on takes it for a code. Half of a pair of
    surrogates, which no UTF-8 holds, becomes the sign for what cannot be shown.
    """
    text = json.dumps(msgspec.to_builtins(data, str_keys=True), indent=2, ensure_ascii=False)
    whole = text.encode("utf-8", "replace").decode()
    return json.dumps(json.loads(whole), indent=2) + "\n"


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


SCHEMA = 1
"""The form of these documents; a key that is taken away or changes its meaning raises it, a new key does not."""

ENDED = {ContainerStatus.EXITED, ContainerStatus.RESTARTING, ContainerStatus.DEAD}
"""The states that have an exit code; in any other the engine says 0, which means nothing."""


def up_document(
    stack: Stack,
    services: Sequence[ServiceState],
    *,
    addresses: Sequence[Address] = (),
    changed: bool,
    seconds: float,
    problem: SeatrialError | None = None,
) -> str:
    """Return how bringing a stack up went.

    Args:
        stack: the stack.
        services: how each service stands; of a stack that did not come up, how it stood last.
        addresses: where it answers.
        changed: whether anything was started.
        seconds: how long it took.
        problem: why it is not up; None where it is.

    """
    return stack_data_text(
        {
            **_head(stack),
            "up": problem is None,
            "changed": changed,
            "seconds": round(seconds, 3),
            "services": [_service(one) for one in services],
            "addresses": [{"service": one.service, "address": one.text} for one in addresses],
            "problem": problem_table(problem),
        }
    )


def ps_document(stack: Stack, services: Sequence[ServiceState]) -> str:
    """Return how each service of a stack stands."""
    up = bool(services) and all_up(services)
    return stack_data_text({**_head(stack), "up": up, "services": [_service(one) for one in services]})


def down_document(stack: Stack, removed: Removed, *, problem: SeatrialError | None = None) -> str:
    """Return what was removed of a stack; nothing is known of that where it could not be taken down whole."""
    return stack_data_text(
        {
            **_head(stack),
            "down": problem is None,
            "removed": {
                "containers": list(removed.containers),
                "networks": list(removed.networks),
                "volumes": list(removed.volumes),
            },
            "kept_volumes": list(removed.kept_volumes),
            "problem": problem_table(problem),
        }
    )


def restart_plan_document(stack: Stack, services: Sequence[str], *, problem: SeatrialError | None = None) -> str:
    """Return the names of the services that would be restarted."""
    return stack_data_text({**_head(stack), "would_restart": list(services), "problem": problem_table(problem)})


def preflight_document(found: Preflight) -> str:
    """Return what was looked at before a start."""
    checks = [
        {
            "check": one.check,
            "standing": one.readiness.value,
            "what": one.what,
            "where": one.where,
            "fix": one.fix,
        }
        for one in found.findings
    ]
    return stack_data_text({**_head(found.stack), "file": str(found.file), "ready": found.ready, "checks": checks})


def _head(stack: Stack) -> dict[str, Any]:
    return {"schema": SCHEMA, "app": stack.app, "compose_project": stack.compose_project}


def _service(state: ServiceState) -> dict[str, Any]:
    one = state.container
    found: dict[str, Any] = {"service": state.service, "state": state.phase.value, "waits_for": list(state.waits_for)}
    if one is not None:
        found |= {
            "container": one.name,
            "status": one.status.value,
            "health": one.health.value if one.health is not None else None,
            "since_seconds": round(one.seconds, 3),
            "exit_code": one.exit_code if one.status in ENDED else None,
            "restarts": one.restarts,
            "health_outputs": list(one.health_outputs),
        }
    return found | {"last_line": state.last_line}


def problem_table(error: SeatrialError | None) -> dict[str, Any] | None:
    """Return a problem's parts; None where there is none."""
    if error is None:
        return None
    return {"what": error.what, "where": error.where, "fix": error.fix, "detail": error.detail.splitlines()}


def stack_data_text(document: dict[str, Any]) -> str:
    """Return a document as JSON: plain ASCII, by Python's own escapes, whatever a container printed."""
    return json.dumps(document, indent=2) + "\n"
