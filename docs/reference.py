"""Makes docs/settings.md, docs/checks.md and the JSON Schemas from the code: `nox -s reference`."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import msgspec

from seatrial.checks.baseline import Baseline, Entry, Record
from seatrial.checks.declaration import ID
from seatrial.checks.model import Result, Severity, Status
from seatrial.checks.registry import CATALOGUE, FAMILIES
from seatrial.checks.verdict import Smoke
from seatrial.reports.groups import family_of
from seatrial.reports.json import Smokes
from seatrial.reports.markdown import fenced
from seatrial.settings.model import (
    App,
    Contract,
    EngineSettings,
    ScanContract,
    ScanWaiver,
    Settings,
    StackContract,
    StackWrite,
    SubstituteRecipe,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.checks.model import Check

HERE = Path(__file__).parent
TABLES: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("[tool.seatrial]", Settings),
    ("[tool.seatrial.apps.NAME]", App),
    ("[tool.seatrial.apps.NAME.contract]", Contract),
    ("[tool.seatrial.apps.NAME.contract.stack]", StackContract),
    ("[tool.seatrial.apps.NAME.contract.stack.write]", StackWrite),
    ("[tool.seatrial.apps.NAME.contract.scan]", ScanContract),
    ('[tool.seatrial.apps.NAME.contract.scan.waive."ADVISORY"]', ScanWaiver),
    ('[tool.seatrial.standins."IMAGE"]', SubstituteRecipe),
    ("[tool.seatrial.engine]", EngineSettings),
)
SECRETS = """
## Build secrets

A build gets what the host needs to reach the network, as BuildKit secrets. A Dockerfile mounts the ones that it
wants. None of them is ever an argument, a layer or a label.

| id | what it holds | where it comes from |
| --- | --- | --- |
| `ca-bundle` | certificates to trust, PEM | the first file that `SSL_CERT_FILE`, `PIP_CERT`, `REQUESTS_CA_BUNDLE` or `CURL_CA_BUNDLE` names |
| `netrc` | credentials | `NETRC`, or `~/.netrc` |
| `pip-config` | a pip.conf | pip's own files and variables, without what is only a path of the host |
| `uv-config` | a uv.toml | uv's own file and variables |

Proxies (`HTTP_PROXY` and the others, in both cases) are passed as BuildKit's predefined arguments, which stay out of
the image's history.

Every build gets the CA bundle, and what holds no credential. The others go to the builds that name them:

```toml
[tool.seatrial.apps.api]
build-secrets = ["netrc", "pip-config"] # also uv-config; proxy: the address of a proxy with a password
```

- Where the Dockerfile mounts one that is not named, the build says so; where it requires one, nothing is built.
- The Dockerfile of a project that is not trusted (`--untrusted`) gets the CA bundle and proxies without a password.
- What they hold is struck out (`***`) of all that a build prints: passwords, tokens and addresses with them, also
  percent-encoded and in base64.
- An image whose build got a credential is searched before it is tagged: every layer, its configuration and its history.
  Where the credential is in it, the build fails and there is no tag. A short or simple password is searched for together
  with what stands around it in a netrc or an address.

One that the settings name and that no RUN of the Dockerfile mounts reaches each RUN while it runs: netrc by `NETRC`, pip's and
uv's settings as those of the whole system (`XDG_CONFIG_DIRS`), below those of the image and of the project. A Dockerfile
that wants it in some of its RUNs only mounts it there:

```dockerfile
RUN --mount=type=secret,id=netrc --mount=type=secret,id=pip-config \\
    if [ -s /run/secrets/netrc ]; then export NETRC=/run/secrets/netrc; fi; \\
    if [ -s /run/secrets/pip-config ]; then export PIP_CONFIG_FILE=/run/secrets/pip-config; fi; \\
    pip install --no-cache-dir -r requirements.txt
```

## Certificates

Behind a proxy that signs certificates itself, an unchanged Dockerfile builds. Where the host has a CA bundle (the table
above), each RUN gets it while it runs, and a build says so. Put a bundle there that holds the public authorities too.
`build-certificates = false` keeps it out.

- It is mounted below `/dev/seatrial`, with variables that name it: `SSL_CERT_FILE` (OpenSSL, Python, uv, Go),
  `REQUESTS_CA_BUNDLE` (requests, poetry), `PIP_CERT`, `CURL_CA_BUNDLE`, `GIT_SSL_CAINFO`, `NODE_EXTRA_CA_CERTS` (npm),
  `CARGO_HTTP_CAINFO`, `AWS_CA_BUNDLE`; for apt and wget, `APT_CONFIG` and `WGETRC` name a file with their setting. What the
  image sets itself stays. Java and a program behind `sudo` or `su -` see none of it.
- The Dockerfile on disk is not touched, and every line keeps its number. What is put in stays in no layer. From Dockerfile
  1.10 on (Docker 28, or a `# syntax=` line) nothing of it is in the history either. Older ones cannot set a variable for
  one RUN: there a RUN begins with `. /dev/seatrial/env; ` in the history, without a certificate or a path of the host.
- Left as they are: a RUN that mounts certificates itself (the secret `ca-bundle`, a target in `/etc/ssl`, `/etc/pki`,
  `ca-certificates` or a pip.conf), `--network=none`, ONBUILD. For the older frontends also the exec form, a heredoc with a `#!`
  line, and a SHELL that is no POSIX shell. The build names their lines.
- Where the host has no bundle of its own, the builder gets the Dockerfile byte for byte.

A program that heeds no variable takes the secret by hand:

```dockerfile
RUN --mount=type=secret,id=ca-bundle \\
    if [ -s /run/secrets/ca-bundle ]; then export MY_CERTIFICATES=/run/secrets/ca-bundle; fi; \\
    fetch-models
```
"""


INTRODUCTION = """\
They stand in `pyproject.toml`, as below, or in a `seatrial.toml` beside it, without `tool.seatrial.` in front:
`[apps.NAME]`. Both at once are an error. This page is made from the code: `nox -s reference`."""


def settings() -> str:
    """Return docs/settings.md."""
    lines = ["# Settings", "", INTRODUCTION]
    for name, kind in TABLES:
        lines += ["", f"## `{name}`", ""]
        if kind.__doc__:
            lines += [inspect.cleandoc(kind.__doc__), ""]
        lines += ["| key | type | default | meaning |", "| --- | --- | --- | --- |", *_rows(kind)]
    return "\n".join(lines) + "\n" + SECRETS


def _rows(kind: type[msgspec.Struct]) -> Iterator[str]:
    said = meanings(kind)
    for field in msgspec.structs.fields(kind):
        default = "required" if field.required else _default(field)
        yield f"| `{field.encode_name}` | {_type(field.type)} | {default} | {said.get(field.name, '')} |"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default_factory is not msgspec.NODEFAULT:
        return ""
    value = field.default
    if value is None or value in ({}, ()):
        return ""
    if isinstance(value, tuple):
        value = list(value)
    return f"`{msgspec.json.encode(value).decode()}`"


def _type(kind: Any) -> str:
    if get_origin(kind) is Annotated:
        return _type(get_args(kind)[0])
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in args)
    if origin is tuple:
        return f"list of {_type(args[0])}"
    if origin is dict:
        return f"table of {_type(args[1])}"
    if args and type(None) in args:
        return ", or ".join(_type(one) for one in args if one is not type(None))
    names = {Any: "any value", str: "text", int: "whole number", float: "number", bool: "true or false", date: "date"}
    return names.get(kind, "table")


def checks() -> str:
    """Return docs/checks.md: a table of all, and each by its family."""
    lines = [
        "# Checks",
        "",
        "Every check reads facts that were observed once, and says what was expected, what was seen, why it matters",
        "and what to change. A contract waives one with its reason. `seatrial explain CHECK` shows the same on the",
        "screen. This page is made from the code: `nox -s reference`.",
        "",
        "Level quick starts nothing, standard starts the application once, deep more often. Each level holds the ones",
        "before it. Those of `--stack` start it with its services.",
        "",
        "| severity | what it means |",
        "| --- | --- |",
        *(f"| {severity.value} | {meaning} |" for severity, meaning in severities().items()),
        "",
        "The severity of a check is that of most of its findings; a single one may be graver or lighter. What the",
        "contract asks for explicitly (`user`, `files`, `forbidden`, …) is an error.",
        "",
        "| check | the image | severity | level |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| [`{check.id}`](#{_anchor(check)}) | {_cell(check.title)} | {check.severity.value} | {_asked(check)} |"
        for check in CATALOGUE
    ]
    families = dict.fromkeys(family_of(one.id) for one in CATALOGUE)
    for family in families:
        lines += ["", f"## {family}"]
        for one in CATALOGUE:
            if family_of(one.id) == family:
                lines += _in_full(one)
    return "\n".join(lines) + "\n"


def severities() -> dict[Severity, str]:
    """Return what each severity means, from the source."""
    tree = ast.parse(inspect.getsource(Severity))
    kind = next(node for node in tree.body if isinstance(node, ast.ClassDef))
    texts = [
        node.value.value for node in kind.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    return dict(zip(Severity, map(str, texts[1:]), strict=True))


def _in_full(check: Check) -> list[str]:
    lines = [
        "",
        f"### {check.id}",
        "",
        f"{check.title}. {'With' if check.stack else 'Level'} {_asked(check)}; {check.severity.value}.",
        "",
        check.why,
        "",
    ]
    lines.append(f"Source: {check.source}.")
    if causes := dict.fromkeys(cause.check for cause in check.follows if not cause.undecided):
        named = ", ".join(f"[{cause}](#{cause.replace('/', '')})" for cause in causes)
        lines += ["", f"May follow from {named}: it is told below that finding then."]
    for name, block in (("Fails:", check.example), ("Fixed:", check.fixed)):
        if block:
            lines += ["", name, "", *fenced(block.strip("\n"))]
    return lines


def _asked(check: Check) -> str:
    """Return what asks it: a level, or the option by which the services are up."""
    return "`--stack`" if check.stack else check.level.value


def _anchor(check: Check) -> str:
    """Return what GitHub makes of the heading: small letters, and no slash."""
    return check.id.lower().replace("/", "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PAGES = {"settings.md": settings, "checks.md": checks}
Json = dict[str, Any]
SCHEMAS = Path(__file__).parents[1] / "src/seatrial/schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def _waivable() -> Json:
    """Return seatrial's checks, and any id of another family: that of a project's own."""
    families = "|".join(sorted(FAMILIES))
    return {"anyOf": [{"enum": [check.id for check in CATALOGUE]}, {"pattern": f"^(?!({families})/){ID.pattern}$"}]}


def settings_schema() -> Json:
    """Return the schema of `[tool.seatrial]`; of a contract's own file it is `#/$defs/Contract`."""
    made = _schema(Settings, (Settings, App, Contract, StackContract, StackWrite, SubstituteRecipe, EngineSettings))
    made["title"] = "[tool.seatrial]"
    made["$defs"]["Contract"]["properties"]["waive"]["propertyNames"] = _waivable()
    return made


def smoke_schema() -> Json:
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
    severities = [severity.value for severity in Severity]
    for name in ("findings", "undecided", "known"):
        definitions["Smoke"]["properties"][name] |= {"propertyNames": {"enum": severities}}
    return made


def baseline_schema() -> Json:
    """Return the schema of `seatrial-baseline.json`."""
    return {**_schema(Baseline, (Baseline, Record, Entry)), "title": "seatrial-baseline.json"}


def _schema(kind: Any, types: tuple[type[msgspec.Struct], ...]) -> Json:
    made: Json = {"$schema": DRAFT, **msgspec.json.schema(kind)}
    for struct in types:
        definition = made["$defs"][struct.__name__]
        said = meanings(struct)
        names = {field.encode_name: field.name for field in msgspec.structs.fields(struct)}
        for key, value in definition["properties"].items():
            meaning = said.get(names[key])
            definition["properties"][key] = _without_null(value) | ({"description": meaning} if meaning else {})
    translated: Json = json.loads(json.dumps(made), object_hook=_translated)
    return translated


def _without_null(value: Json) -> Json:
    """Return a property as TOML has it: a key is there, or it is not."""
    kinds = [kind for kind in value.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1 or len(kinds) == len(value["anyOf"]):
        return value
    kept = {key: item for key, item in value.items() if key != "anyOf" and (key, item) != ("default", None)}
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
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
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


def schema_text(schema: Json) -> str:
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


FILES = {
    "baseline.schema.json": baseline_schema,
    "settings.schema.json": settings_schema,
    "smoke.schema.json": smoke_schema,
}


def main() -> None:
    """Write the pages and the schemas."""
    for name, make in PAGES.items():
        (HERE / name).write_text(make(), encoding="utf-8")
    for name, made in FILES.items():
        (SCHEMAS / name).write_text(schema_text(made()), encoding="utf-8")


if __name__ == "__main__":
    main()
