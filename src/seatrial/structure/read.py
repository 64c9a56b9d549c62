"""Reads a structure test file, YAML or JSON by its ending."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.errors import SettingsError
from seatrial.structure.decode import Decoder, Dialect
from seatrial.structure.expressions import problem_of
from seatrial.structure.json_source import read_json
from seatrial.structure.model import MetadataTest, StructureFile, Variable
from seatrial.structure.tree import Mapping, Node, Scalar, SourceError
from seatrial.structure.yaml_source import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SCHEMA = "2.0.0"
LARGEST = 2 * 1024 * 1024
"""Bytes of a file that is read."""


def read_structure_file(file: Path) -> StructureFile:
    """Return what a file says.

    Raises:
        SettingsError: it cannot be read, or says something wrong; the message has the line.

    """
    dialect = _dialect(file)
    text = _text(file)
    try:
        root = read_json(text) if dialect is Dialect.JSON else read_yaml(text)
        _check_version(root, dialect)
        made = Decoder(dialect=dialect).decode(root, StructureFile, "the file")
        if made.metadata_test is not None:
            _check_variables(made.metadata_test)
        _check_values(one for test in made.command_tests for one in test.env_vars)
    except SourceError as error:
        fix = error.fix or "See docs/structure-tests.md."
        raise SettingsError(f"{error.what}.", where=f"{file}:{error.line}", fix=fix) from None
    return made


def _dialect(file: Path) -> Dialect:
    if file.name.endswith(".json"):
        return Dialect.JSON
    if file.name.endswith((".yaml", ".yml")):
        return Dialect.YAML
    raise SettingsError(
        "a structure test is a .yaml, .yml or .json file.", where=str(file), fix="Name it by what it holds."
    )


def _text(file: Path) -> str:
    try:
        with file.open("rb") as source:
            raw = source.read(LARGEST + 1)
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}.", where=str(file), fix="Check its name.") from error
    except ValueError as error:
        raise SettingsError("is no file's name.", where=str(file)) from error
    if len(raw) > LARGEST:
        raise SettingsError(f"is larger than {LARGEST} bytes.", where=str(file), fix="Give several smaller files.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SettingsError("is not UTF-8 text.", where=f"{file}:{line}", fix="Save it as UTF-8.") from error


def _check_version(root: Node, dialect: Dialect) -> None:
    """Refuse another version before its fields are called unknown."""
    if not isinstance(root, Mapping):
        raise SourceError("holds no table of tests", root.line)
    for key, value in root.pairs:
        name = key.text if dialect is Dialect.YAML else key.text.lower()
        if name in {"schemaVersion", "schemaversion"} and isinstance(value, Scalar):
            if value.text != SCHEMA:
                raise SourceError(f"schemaVersion {value.text[:40]!r} is not known; {SCHEMA} is", value.line)
            return
    raise SourceError(f"lacks schemaVersion: '{SCHEMA}'", root.line)


def _check_values(variables: Iterable[Variable]) -> None:
    for one in variables:
        if not one.value:
            raise SourceError(f"the variable {one.key!r} has no value", one.line)


def _check_variables(test: MetadataTest) -> None:
    """Look at values that are expressions only because another field says so."""
    variables: tuple[Variable, ...] = (*test.env_vars, *test.labels)
    for one in variables:
        if one.is_regex and (problem := problem_of(one.value)):
            raise SourceError(f"{one.key!r} holds no regular expression: {one.value[:80]!r}: {problem}", one.line)
