"""Reads the settings, with the line of each error: the one place that knows the files that hold them.

What is missing, malformed or unknown raises SettingsError.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from seatrial.errors import SettingsError
from seatrial.filesystem import read_bytes
from seatrial.settings import model
from seatrial.settings.model import App, Contract, Settings
from seatrial.text import did_you_mean
from seatrial.trust import Trust

T = TypeVar("T")

LONGEST_VALUE = 60
"""Characters of a value that a message repeats."""

PLAIN = {
    "Object missing required field": "a required key is missing:",
    "Expected `date`": "expected a date such as 2027-03-01",
    "Invalid RFC3339 encoded date": "expected a date such as 2027-03-01",
    "Expected": "expected",
    "`array`": "a list",
    "`object`": "a table",
    "`str | array | null`": "text, or a list of texts",
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
    """Turn plain data into a settings type; an error names file, key path and the nearest key."""
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
    if about := re.match(r"`([\w-]+)`: (.*)", problem, re.DOTALL):
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
        elif assignment := re.match(r"""((?:"[^"]*"|'[^']*'|[\w. \t-])+?)=""", line.strip()):
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
    if chosen := re.match(r"Invalid enum value ('.*')", problem, re.DOTALL):
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
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
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


OWN = "seatrial.toml"
"""The file that holds the settings alone: what is below `[tool.seatrial]` in pyproject.toml is at its top."""
PYPROJECT = "pyproject.toml"
TABLE = "tool.seatrial"
DECLARES = re.compile(r"^[ \t]*(?:\[\[?[ \t]*tool[ \t]*\.[ \t]*)?seatrial\b", re.MULTILINE)
LARGEST = 4 * 1024 * 1024
"""Bytes of a TOML file: each million takes a second to read."""
AT = re.compile(r" \(at line (\d+)(?:, column (\d+))?\)$")
"""How tomllib says where an error is."""
DEEPEST = 60
"""Parts of a key: tomllib's time grows with their square."""
DOTTED = re.compile(rf"""(?<![\w"'-])(?:(?:[\w-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')[ \t]*\.[ \t]*){{{DEEPEST}}}""")


@dataclass(frozen=True, kw_only=True)
class OfService:
    """What a compose file says of an app that the settings do not declare: its service is built, and no app's build."""

    service: str
    where: str
    """The file, and the line of its build."""
    tag: str = "latest"
    """That of the service's image."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project: its folder, and what the file of its settings says."""

    folder: Path
    file: Path
    """Its seatrial.toml, or its pyproject.toml."""
    settings: Settings
    declared: dict[str, Any]
    """The settings as written: what is not in them is a default."""
    name: str
    of_services: Mapping[str, OfService] = field(default_factory=dict)
    """Those of its apps that are services of a compose file."""

    def place(self, app: str, key: str) -> str:
        """Return where a key of an app is said, for a person: in the settings, or in the compose file."""
        if (service := self.of_services.get(app)) is not None:
            return f"`build` of the service {service.service!r} in {service.where}"
        return f"`{key}` in {self.table('apps', app)} of {self.file.name}"

    def table(self, *keys: str) -> str:
        """Return the header of a table of the settings: `[tool.seatrial.apps.api]`, or `[apps.api]`."""
        return f"[{key_in(self.file, *keys)}]"

    def app(self, name: str) -> App:
        """Return an app by name; an error suggests the nearest."""
        try:
            return self.settings.apps[name]
        except KeyError:
            raise SettingsError(
                f"no app is called {name!r}.",
                where=f"{self.file.name} {self.table('apps')}",
                fix=did_you_mean(name, self.settings.apps),
            ) from None

    def chosen(self, name: str | None) -> dict[str, App]:
        """Return the app of that name, or every app when no name is given."""
        if name is not None:
            return {name: self.app(name)}
        if not self.settings.apps:
            raise SettingsError(
                "no app is declared.",
                where=f"{self.file.name} {self.table('apps')}",
                fix=f"Declare one: {self.table('apps', 'NAME')} with context and dockerfile, or run `seatrial init`.",
            )
        return dict(self.settings.apps)

    def context(self, app: App) -> Path:
        """Return the app's build context."""
        return self.folder / app.context

    def compose_files(self, app: App) -> tuple[Path, ...]:
        """Return the app's compose files, in their order; none where it has none."""
        named = (app.compose,) if isinstance(app.compose, str) else app.compose or ()
        return tuple(self.folder / each for each in named)

    def dockerfile(self, app: App) -> Path:
        """Return the app's Dockerfile."""
        return self.folder / app.dockerfile if app.dockerfile else self.context(app) / "Dockerfile"


def python_of(name: str, app: App, version: str | None) -> str | None:
    """Return the Python version to build an app for: the given one, or the first that it declares."""
    if version is None:
        return app.pythons[0] if app.pythons else None
    if version not in app.pythons:
        raise SettingsError(
            f"{name} is not declared for Python {version!r}.",
            where=f"`pythons` of {name}",
            fix=f"Declared: {', '.join(app.pythons)}." if app.pythons else "It declares none: set `pythons`.",
        )
    return version


def read_project(start: Path, trust: Trust = Trust.PROJECT) -> Project:
    """Read the settings of the project that `start` lies in.

    Raises:
        SettingsError: they cannot be read or used, or lead out of the folder of a project that is not trusted.
    """
    file, declared, name = _read(find_file(start), trust)
    settings = convert(declared, Settings, file=file, table=key_in(file))
    return Project(folder=file.parent, file=file, settings=settings, declared=declared, name=name or file.parent.name)


def _read(file: Path, trust: Trust) -> tuple[Path, dict[str, Any], str]:
    """Return the file of the settings in a file's folder, what it declares, and the project's own name."""
    own, pyproject = file.with_name(OWN), file.with_name(PYPROJECT)
    for each in (own, pyproject):
        # Unlike Path.resolve it takes links in a circle.
        target = Path(os.path.realpath(each))
        if trust is Trust.NONE and not target.is_relative_to(file.parent.resolve()):
            raise SettingsError(
                f"leads out of the project, to {target}: refused, as the project is not trusted.",
                where=str(each),
                fix="Keep it inside; or, if you trust this project, give --trust project.",
            )
    document = read_toml(pyproject) if pyproject.is_file() else {}
    shared = table_of(document, "tool").get("seatrial", {})
    name = table_of(document, "project").get("name")
    if own.is_file():
        if shared:
            text = pyproject.read_text(encoding="utf-8")
            line = text.count("\n", 0, found.start()) + 1 if (found := DECLARES.search(text)) else 1
            raise SettingsError(
                f"the settings stand in two files: here, and in [{TABLE}] of {pyproject}:{line}.",
                where=str(own),
                fix=f"Keep one: what stands below [{TABLE}] goes into {OWN} without `{TABLE}.` in front of it.",
            )
        return own, read_toml(own), name if isinstance(name, str) else ""
    return pyproject, shared, name if isinstance(name, str) else ""


def settings_of(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the file in a folder that the settings stand in, or belong into, and what it declares.

    Raises:
        SettingsError: it cannot be read or used, or two files declare them.
    """
    file, declared, _ = _read(folder / OWN, Trust.PROJECT)
    convert(declared, Settings, file=file, table=key_in(file))
    return (file if declared else folder / OWN), declared


def key_in(file: Path, *keys: str) -> str:
    """Return the dotted name of a key of the settings in a file."""
    return ".".join(keys if file.name == OWN else (TABLE, *keys))


def table_of(document: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a table of a document; an empty one where there is none."""
    table = document.get(key)
    return table if isinstance(table, dict) else {}


def read_contract(file: Path) -> Contract:
    """Read a contract from its own file: the keys of an app's contract table."""
    return convert(read_toml(file), Contract, file=file, table="")


def find_file(start: Path) -> Path:
    """Return the nearest file of settings from a folder upwards."""
    for folder in (start, *start.parents):
        for file in (folder / OWN, folder / PYPROJECT):
            if file.is_file():
                return file
    raise SettingsError(
        f"no {PYPROJECT} and no {OWN} here or in a folder above.",
        where=str(start),
        fix="Go to your project's folder, or run `seatrial init` there.",
    )


def parse_toml(text: str) -> dict[str, Any]:
    """Read a text as TOML; raise a ValueError, or a RecursionError, where it is none."""
    if dotted := DOTTED.search(text):
        line = text.count("\n", 0, dotted.start()) + 1
        raise ValueError(f"a key of more than {DEEPEST} parts (at line {line})")
    return tomllib.loads(text)


def read_toml(file: Path, most: int = LARGEST) -> dict[str, Any]:
    """Read a TOML file of at most so many bytes."""
    try:
        return parse_toml(read_bytes(file, most).decode("utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}.", where=str(file)) from error
    except UnicodeDecodeError as error:
        raise SettingsError("is not UTF-8 text.", where=str(file), fix="Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        # ValueError: what tomllib calls wrong, and also a number too long for Python to read.
        what, place = toml_error(error)
        raise SettingsError(f"is not TOML: {what}.", where=f"{file}{place}") from error


def toml_error(error: Exception) -> tuple[str, str]:
    """Return what tomllib says, and the place in the file that it names: `:3:5`, or nothing."""
    found = AT.search(what := str(error))
    if found is None:
        return what, ""
    return what[: found.start()], f":{found[1]}" + (f":{found[2]}" if found[2] else "")
