"""Turns plain data into the settings' types, and msgspec's errors into messages with file, line and key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

import msgspec

from seatrial.errors import SettingsError
from seatrial.settings import model
from seatrial.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

T = TypeVar("T")

LONGEST_VALUE = 60
"""Characters of a value that a message repeats."""

PLAIN = {
    "Object missing required field": "a required key is missing:",
    "Expected": "expected",
    "`array`": "a list",
    "`object`": "a table",
    "`str | null`": "text",
    "`str`": "text",
    "`int | null`": "a whole number",
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
}
"""TOML's names for types that msgspec names after JSON's."""

LIMITS = {r" > (\d+)(\.0)?": "greater than", r" >= (\d+)(\.0)?": "of at least", r" <= (\d+)(\.0)?": "of at most"}


def _forms() -> dict[str, str]:
    """Return what msgspec writes of a pattern, and the description to write instead."""
    metas = [meta for kind in vars(model).values() for meta in getattr(kind, "__metadata__", ())]
    return {repr(meta.pattern): f"expected {meta.description}" for meta in metas if meta.pattern and meta.description}


FORMS = _forms()


def convert(data: object, kind: type[T], *, file: Path, table: str) -> T:
    """Turn plain data into a settings type.

    Raises:
        SettingsError: a key is unknown or a value is wrong; the message has file, key path and nearest key.

    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise _explained(str(error), kind, file=file, table=table, data=data) from None


def _explained(error: str, kind: type[object], *, file: Path, table: str, data: object) -> SettingsError:
    # The last "at": a key that is quoted in the problem may hold anything.
    found = re.fullmatch(r"(.*) - at (`key` in )?`(\$.*)`", error, re.DOTALL)
    problem, of_key, at = found.groups() if found else (error, None, "")
    try:
        path, known, value = _located(at, kind, data)
    except (KeyError, IndexError, AttributeError):
        # The key itself looks like a path; it is at the top.
        problem, of_key = error, None
        path, known, value = _located("", kind, data)
    about = re.match(r"`([\w-]+)`: (.*)", problem, re.DOTALL)
    if about:
        # A table's own check names the key.
        path, problem, value = (*path, about.group(1)), about.group(2), None
    unknown = re.search(r"unknown field `(.*)`", problem, re.DOTALL)
    full = (*table.split("."), *path, *((unknown.group(1),) if unknown else ()))
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    line = line_of(text, [re.sub(r"\[\d+\]$", "", part) for part in full if part])
    at = f"{file}:{line}" if line else str(file)
    where = f"{at}: {'.'.join(part for part in (table, *path) if part) or 'top level'}"
    if unknown:
        return SettingsError(
            f"the key {unknown.group(1)!r} does not exist.", where=where, fix=did_you_mean(unknown.group(1), known)
        )
    message = f"{'a key in it is wrong: ' if of_key else ''}{_plain(problem, known)}{_not_this(value, problem)}"
    return SettingsError(f"{message}.", where=where, fix="See docs/settings.md.")


def line_of(text: str, path: Sequence[str]) -> int | None:
    """Return the line of a TOML file that sets a key, or that begins the nearest table around it."""
    table: tuple[str, ...] = ()
    found: tuple[int, int | None] = (0, None)
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[?([^\[\]]+)\]", line):
            key = table = _keys(header[1])
        elif assignment := re.match(r"""\s*((?:"[^"]*"|'[^']*'|[\w.-]|\s)+?)\s*=""", line):
            key = (*table, *_keys(assignment[1]))
        else:
            continue
        if key == tuple(path[: len(key)]) and len(key) > found[0]:
            found = len(key), number
    return found[1]


def _keys(text: str) -> tuple[str, ...]:
    parts = re.findall(r"""\"([^"]*)"|'([^']*)'|([\w-]+)""", text)
    return tuple("".join(part) for part in parts)


def _not_this(value: object, problem: str) -> str:
    """Return the value, where msgspec does not name it."""
    shown = repr(value)
    plain_value = isinstance(value, str | int | float) and len(shown) <= LONGEST_VALUE
    return f", not {shown}" if plain_value and ", got" not in problem and "enum value" not in problem else ""


def _plain(problem: str, known: tuple[str, ...]) -> str:
    for theirs, ours in PLAIN.items():
        problem = problem.replace(theirs, ours)
    for pattern, words in LIMITS.items():
        problem = re.sub(pattern, rf" {words} \1", problem)
    chosen = re.match(r"Invalid enum value ('.*')", problem, re.DOTALL)
    if chosen:
        return f"expected one of {', '.join(known)}, not {chosen.group(1)}"
    return FORMS.get(problem.removeprefix("expected text matching regex "), problem)


def _located(at: str, kind: Any, data: object) -> tuple[tuple[str, ...], tuple[str, ...], object]:
    """Turn msgspec's path (`$.apps[...].pythons[0]`) into key names; list what is known there, and the value.

    msgspec writes `[...]` for "some key of this table": the key is found by converting each value alone.
    """
    path: list[str] = []
    here: Any = data
    for name, index in re.findall(r"\.([\w-]+)|\[([^\]]*)\]", at):
        if index == "...":
            kind = get_args(kind)[1]
            key = next((key for key, value in here.items() if _refused(value, kind)), "*")
            path.append(str(key))
            here = here.get(key)
        elif name:
            kind = _present({field.encode_name: field.type for field in msgspec.structs.fields(kind)}[name])
            path.append(name)
            here = here.get(name)
        else:
            path[-1] += f"[{index}]"
            kind, here = get_args(kind)[0], here[int(index)]
            break
    return tuple(path), _known(kind), here


def _known(kind: Any) -> tuple[str, ...]:
    """Return the keys of a table, or the words of a closed set."""
    if _is_struct(kind):
        return tuple(field.encode_name for field in msgspec.structs.fields(kind))
    return tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()


def _present(kind: Any) -> Any:
    """Return the type of an optional key: of `Table | None`, the table."""
    kinds = [inner for inner in get_args(kind) if inner is not type(None)]
    return kinds[0] if len(kinds) == 1 and type(None) in get_args(kind) else kind


def _refused(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return True
    return False


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
