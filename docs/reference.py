"""Makes docs/settings.md, docs/checks.md and the JSON Schemas from the code: `nox -s reference`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import msgspec

from seatrial.checks.registry import CATALOGUE
from seatrial.reports import schema
from seatrial.reports.groups import family_of
from seatrial.reports.markdown import fenced
from seatrial.reports.schema import SCHEMAS, meanings
from seatrial.settings.model import App, Contract, EngineSettings, Settings, StackContract, StackWrite, SubstituteRecipe

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

```dockerfile
RUN --mount=type=secret,id=ca-bundle \\
    if [ -s /run/secrets/ca-bundle ]; then export SSL_CERT_FILE=/run/secrets/ca-bundle; fi; \\
    uv sync --frozen --no-dev

RUN --mount=type=secret,id=ca-bundle --mount=type=secret,id=pip-config \\
    if [ -s /run/secrets/ca-bundle ]; then export PIP_CERT=/run/secrets/ca-bundle; fi; \\
    if [ -s /run/secrets/pip-config ]; then export PIP_CONFIG_FILE=/run/secrets/pip-config; fi; \\
    pip install --no-cache-dir -r requirements.txt
```
"""


def settings() -> str:
    """Return docs/settings.md."""
    lines = ["# Settings", "", "They stand in `pyproject.toml`. This page is made from the code: `nox -s reference`."]
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
        return _type(next(one for one in args if one is not type(None)))
    names = {Any: "any value", str: "text", int: "whole number", float: "number", bool: "true or false"}
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
        "before it. Those of `--stack` start it with its services. A source that begins with HIST is a defect that",
        "happened, and that earlier checks let through.",
        "",
        "| check | the image | level |",
        "| --- | --- | --- |",
    ]
    lines += [f"| [`{one.id}`](#{_anchor(one)}) | {_cell(one.title)} | {_asked(one)} |" for one in CATALOGUE]
    families = dict.fromkeys(family_of(one.id) for one in CATALOGUE)
    for family in families:
        lines += ["", f"## {family}"]
        for one in CATALOGUE:
            if family_of(one.id) == family:
                lines += _in_full(one)
    return "\n".join(lines) + "\n"


def _in_full(check: Check) -> list[str]:
    lines = [
        "",
        f"### {check.id}",
        "",
        f"{check.title}. {'With' if check.stack else 'Level'} {_asked(check)}.",
        "",
        check.why,
        "",
    ]
    lines.append(f"Source: {check.source}.")
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
FILES = {"settings.schema.json": schema.settings, "smoke.schema.json": schema.smoke}


def main() -> None:
    """Write the pages and the schemas."""
    for name, make in PAGES.items():
        (HERE / name).write_text(make(), encoding="utf-8")
    for name, made in FILES.items():
        (SCHEMAS / name).write_text(schema.text(made()), encoding="utf-8")


if __name__ == "__main__":
    main()
