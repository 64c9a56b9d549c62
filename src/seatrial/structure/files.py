"""Structure test files: container-structure-test's schema 2.0.0, read with its lines, and Go's regular expressions."""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from seatrial.errors import SettingsError
from seatrial.filesystem import read_bytes
from seatrial.text import did_you_mean
from seatrial.yaml_tree import Mapping, Node, Scalar, Sequence, YamlError, read_yaml

SCHEMA = "2.0.0"
LARGEST = 2 * 1024 * 1024
"""Bytes of a file that is read."""

LINE = "<line>"
"""The name of a field that the reader sets, and no file."""

Filled = Annotated[str, Meta(min_length=1)]
Texts = tuple[str, ...]
Commands = tuple[Annotated[tuple[str, ...], Meta(min_length=1)], ...]


class Table(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A table of a file."""

    line: int = msgspec.field(default=0, name=LINE)
    """Where it begins; set by the reader."""


class Variable(Table, frozen=True, kw_only=True):
    """An environment variable, or a label."""

    key: Filled
    value: str = ""
    is_regex: bool = False


class CommandVariable(Variable, frozen=True, kw_only=True):
    """An environment variable of a command: it must have a value."""

    value: Filled


class CommandTest(Table, frozen=True, kw_only=True):
    """A command, its exit code and its output. Expressions are Go's."""

    name: Filled
    setup: Commands = ()
    teardown: Commands = ()
    env_vars: tuple[CommandVariable, ...] = ()
    exit_code: int = 0
    command: Filled
    args: Texts = ()
    expected_output: Texts = ()
    excluded_output: Texts = ()
    expected_error: Texts = ()
    excluded_error: Texts = ()


class FileExistenceTest(Table, frozen=True, kw_only=True):
    """A file that must exist or must not, its mode and its owner."""

    name: Filled
    path: Filled
    should_exist: bool = True
    permissions: str = ""
    uid: int = -1
    """-1: not asked for."""
    gid: int = -1
    is_executable_by: Literal["", "any", "owner", "group", "other"] = ""


class FileContentTest(Table, frozen=True, kw_only=True):
    """A file, and expressions that its contents must match or must not."""

    name: Filled
    path: Filled
    expected_contents: Texts = ()
    excluded_contents: Texts = ()


class MetadataTest(Table, frozen=True, kw_only=True):
    """The image's configuration."""

    env_vars: tuple[Variable, ...] = ()
    unbound_env_vars: tuple[Variable, ...] = ()
    labels: tuple[Variable, ...] = ()
    entrypoint: Texts | None = None
    cmd: Texts | None = None
    exposed_ports: tuple[Filled, ...] = ()
    unexposed_ports: Texts = ()
    volumes: tuple[Filled, ...] = ()
    unmounted_volumes: Texts = ()
    workdir: str = ""
    user: str = ""


class LicenseTest(Table, frozen=True, kw_only=True):
    """Licence texts that must not be of some kinds."""

    debian: bool = False
    files: Texts = ()


class RunOptions(Table, frozen=True, kw_only=True):
    """How the containers are made."""

    user: str = ""
    privileged: bool = False
    allocate_tty: bool = False
    env_vars: Texts = ()
    """Names of variables that are passed on from the caller's environment."""
    env_file: str = ""
    capabilities: Texts = ()
    bind_mounts: Texts = ()


class StructureFile(Table, frozen=True, kw_only=True):
    """A whole file."""

    schema_version: str
    global_env_vars: tuple[Variable, ...] = ()
    command_tests: tuple[CommandTest, ...] = ()
    file_existence_tests: tuple[FileExistenceTest, ...] = ()
    file_content_tests: tuple[FileContentTest, ...] = ()
    metadata_test: MetadataTest | None = None
    license_tests: tuple[LicenseTest, ...] = ()
    container_run_options: RunOptions = RunOptions()


THE_FILE = "the file"
TABLES: dict[str, type[Table]] = {
    THE_FILE: StructureFile,
    "commandTests": CommandTest,
    "fileExistenceTests": FileExistenceTest,
    "fileContentTests": FileContentTest,
    "metadataTest": MetadataTest,
    "licenseTests": LicenseTest,
    "containerRunOptions": RunOptions,
}
"""By the field that holds them; every other table is a variable."""
JSON_DEFAULTS = {"shouldExist": False, "uid": 0, "gid": 0}
"""What these mean in JSON where they are left out, unlike in YAML."""
YAML_BOOLEANS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
"""What a plain value means, where true or false is wanted."""
BOOLEANS = frozenset(("shouldExist", "isRegex", "debian", "privileged", "allocateTty"))
NUMBERS = frozenset(("exitCode", "uid", "gid"))
EXPRESSIONS = frozenset(
    f"{kind}{what}" for kind in ("expected", "excluded") for what in ("Output", "Error", "Contents")
)
INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,9})")
WANTED = {
    "Expected `int`": "a whole number in decimal digits",
    "Expected `bool`": "true or false",
    "Expected `str`": "text",
    "Expected `array": "a list",
    "Expected `object": "a table",
}
"""What a field must be, by how msgspec says it."""


def read_structure_file(file: Path) -> StructureFile:
    """Return what a file says.

    Raises SettingsError: it cannot be read, or says something wrong; the message has the line.
    """
    if not file.name.endswith((".yaml", ".yml", ".json")):
        raise SettingsError("a structure test is a .yaml, .yml or .json file.", where=str(file))
    text = read_file(file)
    reader = _Reader(is_json=file.name.endswith(".json"))
    try:
        return reader.read(text)
    except RecursionError:
        problem = YamlError("nested too deep", 1)
    except YamlError as error:
        problem = error
    raise SettingsError(f"{problem.what}.", where=f"{file}:{problem.line}", fix=reader.fix)


def read_file(file: Path) -> str:
    """Return the text of a file that is not too large. Raises SettingsError: it cannot be read."""
    try:
        raw = read_bytes(file, LARGEST)
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}.", where=str(file), fix="Check its name.") from error
    except ValueError as error:
        raise SettingsError("is not a file name.", where=str(file)) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SettingsError("is not UTF-8 text.", where=f"{file}:{line}", fix="Save it as UTF-8.") from error


class _Reader:
    """Turns a tree into plain data, and that into types; the line of each value is kept by msgspec's path to it."""

    def __init__(self, *, is_json: bool) -> None:
        self.is_json = is_json
        self.lines = {"$": 1}
        self.fix = "See docs/structure-tests.md."

    def read(self, text: str) -> StructureFile:
        if self.is_json:
            try:
                json.loads(text)
            except ValueError as error:
                # A number of thousands of digits is no JSONDecodeError: it has no place.
                what = f"invalid JSON: {getattr(error, 'msg', error)}"
                raise YamlError(what, getattr(error, "lineno", 1)) from None
        root = read_yaml(text)
        data = self.value(root, "$", "") if isinstance(root, Mapping) else {}
        if (version := data.get("schemaVersion")) != SCHEMA:
            what = "is missing" if version is None else f"{version!r} is not supported"
            raise YamlError(f"schemaVersion {what}: only '{SCHEMA}' is supported", self.lines.get("$.schemaVersion", 1))
        try:
            file = msgspec.convert(data, StructureFile)
        except msgspec.ValidationError as error:
            raise self.explained(str(error)) from None
        if file.container_run_options.allocate_tty:
            what = "container-structure-test cannot read what a command writes to a terminal"
            raise YamlError(f"not supported: allocateTty, as {what}", self.lines["$.containerRunOptions.allocateTty"])
        if test := file.metadata_test:
            for variable in (*test.env_vars, *test.labels):
                if variable.is_regex:
                    _check_expression(variable.key, variable.value, variable.line)
        return file

    def value(self, node: Node, path: str, field: str) -> Any:
        self.lines.setdefault(path, node.line)
        if isinstance(node, Scalar):
            return self.scalar(node, field)
        if node.tag:
            raise YamlError(f"not supported: the type {node.tag!r}", node.line)
        if isinstance(node, Sequence):
            items = (self.value(item, f"{path}[{number}]", field) for number, item in enumerate(node.items))
            return ["" if item is None else item for item in items]
        return self.table(node, path) | {LINE: node.line}

    def scalar(self, node: Scalar, field: str) -> str | int | float | bool | None:
        if node.plain and self.is_json:
            plain: str | int | float | bool | None = json.loads(node.text)
            return plain
        if node.is_null:
            return None
        if node.plain and field in BOOLEANS and node.text.lower() in YAML_BOOLEANS:
            return YAML_BOOLEANS[node.text.lower()]
        if node.plain and field in NUMBERS and INTEGER.fullmatch(node.text):
            return int(node.text)
        # Where text is wanted, a number is text as it is written: `value: 3.10`.
        return self.text(node, field)

    def text(self, node: Scalar, field: str) -> str:
        if node.tag:
            raise YamlError(f"not supported: the type {node.tag!r}", node.line)
        try:
            # JSON writes a character beyond U+FFFF as two halves.
            text = node.text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise YamlError(f"{field} holds half a character", node.line) from None
        if "\0" in text:
            raise YamlError(f"{field} holds a zero byte", node.line)
        if field in EXPRESSIONS:
            _check_expression(field, text, node.line)
        return text

    def table(self, node: Mapping, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        names = {LINE}
        for key, value in node.pairs:
            name = self.text(key, "a key")
            if name in names:
                raise YamlError(f"{_field(path)} has the field {name!r} twice", key.line)
            names.add(name)
            self.lines[f"{path}.{name}"] = key.line
            plain = self.value(value, f"{path}.{name}", name)
            if plain is not None:
                found[name] = plain
        return JSON_DEFAULTS | found if self.is_json and _field(path) == "fileExistenceTests" else found

    def explained(self, message: str) -> YamlError:
        """Return what msgspec says of a path, with its line."""
        problem, _, path = message.rpartition(" - at `")
        problem, path = (problem, path.rstrip("`")) if problem else (message, "$")
        what = _field(path)
        if found := re.fullmatch(r"Object contains unknown field `(.*)`", problem, re.DOTALL):
            known = {field.encode_name for field in msgspec.structs.fields(TABLES.get(what, Variable))} - {LINE}
            self.fix = did_you_mean(found[1], known)
            path = f"{path}.{found[1]}"
            said = f"{what} has no field {found[1]!r}"
        elif found := re.fullmatch(r"Object missing required field `(\w+)`", problem):
            said = f"{what} lacks {found[1]!r}"
        elif found := re.fullmatch(r"Invalid enum value (.*)", problem, re.DOTALL):
            said = f"{what} must be one of any, owner, group, other, and is {found[1][:80]}"
        elif "of length" in problem:
            said = f"{what} must not be empty"
        else:
            said = f"{what} must be {next(wish for begin, wish in WANTED.items() if problem.startswith(begin))}"
        return YamlError(said, self.lines.get(path, 1))


def _field(path: str) -> str:
    """Return the name of the field that a path leads to."""
    return next(iter(re.findall(r"\.(\w+)(?:\[\d+\])*$", path)), THE_FILE)


def _check_expression(what: str, expression: str, line: int) -> None:
    if problem := problem_of(expression):
        raise YamlError(f"{what} holds no regular expression: {expression[:80]!r}: {problem}", line)


MOST_MEMORY = 64 * 1024 * 1024
"""Bytes that one expression may take; Go sets no such limit that a person meets."""


def problem_of(expression: str) -> str:
    """Return what is wrong with a regular expression; empty where it is valid.

    Raises SettingsError: RE2 is not installed.
    """
    # RE2 reads one byte with \C; Go has no such thing.
    if "\\C" in expression.replace("\\\\", ""):
        return "invalid escape sequence: \\C"
    try:
        _compiled(expression)
    except _re2().error as error:
        said = error.args[0] if error.args else ""
        return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return ""


def matches(expression: str, text: bytes) -> bool:
    """Tell whether an expression is found in a text."""
    return _compiled(expression).search(text.decode("utf-8", "seatrial-each-byte")) is not None


def _compiled(expression: str) -> Any:
    # RE2 is what Go's own was made after. Python's `re` reads some of the syntax differently (where `$` matches,
    # Unicode classes, quoting), and a text that an image chose can keep it busy for ever.
    re2 = _re2()
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MOST_MEMORY
    return re2.compile(expression, options)


def _re2() -> ModuleType:
    try:
        import re2
    except ImportError as error:
        raise SettingsError(
            "structure tests need google-re2, which is not installed.",
            fix="Install it: `pip install 'seatrial[structure]'`.",
        ) from error
    module: ModuleType = re2
    return module


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    """Read each byte that is no UTF-8 as one U+FFFD, as Go does."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error("seatrial-each-byte", _each_byte)
