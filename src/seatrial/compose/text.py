"""A compose file's own text: which line says what, and which line compose's complaint is about."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Mapping as Values
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path

from seatrial.facts import ComposeValue, ComposeVariable, EnvironmentFile, QuotedValue, Unavailable
from seatrial.filesystem import read_bytes
from seatrial.yaml_tree import LARGEST, Mapping, Node, Scalar, YamlError, child, items_of, pairs_of, read_documents

MOST_VALUES = 5_000
PARTS = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_]\w*)|"
    r"\{(?P<name>[A-Za-z_]\w*)(?:(?P<how>:?[-?+])(?P<word>[^{}]*(?:\{[^{}]*\}[^{}]*)*))?\})"
)
"""What compose puts values in for: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:?message}`, `${NAME:+word}`."""

NAMES = re.compile(r"\$\{?([A-Za-z_]\w*)")
"""The names in them, also within a default."""


@dataclass(frozen=True, kw_only=True)
class ComposeText:
    """What the text of a compose file says."""

    lines: dict[str, dict[str, int]] = field(default_factory=dict)
    """By service: the lines of its keys, of its ports (`ports.0`) and of what it waits for; its own under ''."""
    values: tuple[ComposeValue, ...] = ()
    variables: tuple[ComposeVariable, ...] = ()
    env_files: dict[str, tuple[EnvironmentFile, ...]] = field(default_factory=dict)
    """By service, for each that is a mapping. Whether they exist is not checked here."""
    quoted: tuple[QuotedValue, ...] = ()
    top: dict[str, int] = field(default_factory=dict)
    """The lines of the networks and volumes: `networks.NAME`."""

    @property
    def files(self) -> tuple[EnvironmentFile, ...]:
        """Return the env files of all services."""
        return tuple(file for files in self.env_files.values() for file in files)


def read_text(content: bytes, file: str = "") -> ComposeText | Unavailable:
    """Return what a compose file's text says; `Unavailable` where it is not YAML. Its lines name a `file`."""
    try:
        roots = read_documents(content.decode("utf-8", errors="replace"), file=file)
    except YamlError as error:
        return Unavailable(reason=f"{error.what} (line {error.line})"[:300])
    # Compose merges several documents of a file.
    services = [pair for root in roots for pair in pairs_of(child(root, "services"))]
    declared = [(name, service) for name, service in services if isinstance(service, Mapping)]
    values = [value for root in roots for value in _values(root, "", "", set())][:MOST_VALUES]
    passed = [
        ("", f"${{{name}}}", line)
        for _, service in declared
        for name, line in passed_through(child(service, "environment"))
    ]
    lines: dict[str, dict[str, int]] = {}
    env_files: dict[str, tuple[EnvironmentFile, ...]] = {}
    for name, service in declared:
        lines[name.text] = {"": name.line, **_service_lines(service)} | lines.get(name.text, {})
        env_files[name.text] = (*env_files.get(name.text, ()), *_files(child(service, "env_file")))
    return ComposeText(
        lines=lines,
        values=tuple(
            ComposeValue(key=key, where=path, text=settled(text), line=line) for path, key, text, line in values
        ),
        variables=tuple(_variables([*((path, text, line) for path, _, text, line in values), *passed])),
        env_files=env_files,
        top={
            f"{key}.{name.text}": name.line
            for root in roots
            for key in ("networks", "volumes")
            for name, _ in pairs_of(child(root, key))
        },
        quoted=tuple(quoted for name, service in declared for quoted in _quoted(name.text, service)),
    )


def text_of(file: Path, more: Iterable[Path] = (), shown: Callable[[Path], str] = str) -> ComposeText:
    """Return what a compose file says, and those that compose merges into it, whose lines name them as `shown` does.

    What cannot be read or is no YAML says nothing: compose names that better.
    """
    return reduce(merged, (_text_of(other, shown(other)) for other in more), _text_of(file, ""))


def _text_of(file: Path, named: str) -> ComposeText:
    try:
        text = read_text(read_bytes(file, LARGEST), named)
    except OSError:
        return ComposeText()
    return ComposeText() if isinstance(text, Unavailable) else text


def merged(first: ComposeText, second: ComposeText) -> ComposeText:
    """Return what two files say together: of a key the second's line, and each thing that either says."""
    lines = dict(first.lines)
    for name, own in second.lines.items():
        before = lines.get(name, {})
        ports = sum(key.startswith("ports.") for key in before)
        lines[name] = before | {_after(key, ports): line for key, line in own.items() if key or not before}
    names = {variable.name: variable for variable in first.variables}
    for variable in second.variables:
        if variable.name not in names or (variable.required and not names[variable.name].required):
            names[variable.name] = variable
    env_files = dict(first.env_files)
    for name, files in second.env_files.items():
        env_files[name] = (*env_files.get(name, ()), *files)
    return replace(
        first,
        lines=lines,
        values=(*first.values, *second.values)[:MOST_VALUES],
        variables=tuple(names.values()),
        env_files=env_files,
        quoted=first.quoted + second.quoted,
        top=first.top | second.top,
    )


def _after(key: str, ports: int) -> str:
    """Return a key as it counts behind so many ports: compose appends those of a later file."""
    return f"ports.{int(number) + ports}" if (number := key.removeprefix("ports.")) != key else key


def settled(text: str, values: Values[str, str] | None = None) -> str:
    """Return a text with each variable's value in its place, or its default, or nothing where it has neither."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        if known := (values or {}).get(match["plain"] or match["name"]):
            return known
        has_default = (match["how"] or "").endswith("-")
        return settled(match["word"] or "", values) if has_default else ""

    return PARTS.sub(value, text)


def references(text: str, line: int, *, command: bool = False) -> Iterator[ComposeVariable]:
    """Yield the variables that a text refers to and gives no default for, each with what the text says of it.

    `command` tells that the text is one of a container's commands, whose shell may know the variable.
    """
    for match in PARTS.finditer(text):
        if match["escaped"]:
            continue
        how = match["how"] or ""
        if how.endswith("?"):
            yield ComposeVariable(name=match["name"], line=line, required=True, message=match["word"] or "")
        elif match["plain"] or not how:
            literal = bool(match["plain"]) and (command or text[: match.start()][-1:].isalnum())
            yield ComposeVariable(name=match["plain"] or match["name"], line=line, literal=literal)
        elif how.endswith("-"):
            yield from references(match["word"] or "", line)


QUOTED = re.compile(r"""("[^"]*"|'[^']*')""")
EXACT = re.compile(r"[A-Za-z][\w+.-]*://.*|[-+]?\d+(\.\d+)?")
"""An address or a number: with quotes it is none."""


def _quoted(service: str, table: Node) -> Iterator[QuotedValue]:
    """Yield the items of an `environment` list whose quotes belong to the value."""
    for item in items_of(child(table, "environment")):
        if isinstance(item, Scalar):
            key, _, value = item.text.partition("=")
            if QUOTED.fullmatch(value):
                exact = EXACT.fullmatch(value[1:-1]) is not None
                yield QuotedValue(service=service, key=key, line=item.line, exact=exact)


COMMANDS = re.compile(r"services\.[^.]+\.(command|entrypoint|healthcheck\.test)(\..*)?")


def _variables(texts: list[tuple[str, str, int]]) -> Iterator[ComposeVariable]:
    """Yield each variable once, where it is first named; where it is required, as it is first required."""
    found: dict[str, ComposeVariable] = {}
    for path, text, line in texts:
        for variable in references(text, line, command=COMMANDS.fullmatch(path) is not None):
            if variable.name not in found or (variable.required and not found[variable.name].required):
                found[variable.name] = variable
    yield from found.values()


def _service_lines(service: Node) -> dict[str, int]:
    lines: dict[str, int] = {}
    for key, value in pairs_of(service):
        lines[key.text] = key.line
        if key.text == "ports":
            lines.update({f"ports.{number}": port.line for number, port in enumerate(items_of(value))})
        elif key.text == "depends_on":
            others = [*items_of(value), *(name for name, _ in pairs_of(value))]
            lines.update({f"depends_on.{name.text}": name.line for name in others if isinstance(name, Scalar)})
        elif key.text in {"volumes", "tmpfs", "secrets", "configs"}:
            lines.update({f"{key.text}.{name}": line for name, line in _mount_lines(value)})
        elif key.text == "environment":
            lines.update({f"environment.{name}": line for name, _, line in assignments(value)})
        elif key.text == "healthcheck":
            lines.update({f"healthcheck.{name.text}": name.line for name, _ in pairs_of(value)})
    return lines


def _mount_lines(node: Node) -> Iterator[tuple[str, int]]:
    """Yield the target of each mount, or else its source, with its line."""
    for item in items_of(node) or (node,):
        named = child(item, "target") or child(item, "source") or item
        if isinstance(named, Scalar):
            # `SOURCE:TARGET:MODE`; a tmpfs is `TARGET:OPTIONS`.
            parts = settled(named.text).split(":")
            target = next((part for part in parts[1:] if part.startswith("/")), parts[0])
            yield target.rstrip("/") or "/", named.line


def assignments(environment: Node | None) -> Iterator[tuple[str, Scalar, int]]:
    """Yield the variables of an `environment`: name, the item or value that says it, and line."""
    for item in items_of(environment):
        if isinstance(item, Scalar):
            yield item.text.partition("=")[0], item, item.line
    for key, value in pairs_of(environment):
        if isinstance(value, Scalar):
            yield key.text, value, key.line


def _values(node: Node, path: str, key: str, seen: set[int]) -> Iterator[tuple[str, str, str, int]]:
    """Yield every text with its path, its key and its line; what an anchor names once, where it stands."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, Scalar):
        name, equals, text = node.text.partition("=")
        # An item of a list: `KEY=value`.
        if key == "" and equals and re.fullmatch(r"[A-Za-z_][\w.-]*", name):
            yield path, name, text, node.line
        else:
            yield path, key, node.text, node.line
    for item in items_of(node):
        yield from _values(item, path, "", seen)
    for name_node, value in pairs_of(node):
        yield from _values(value, f"{path}.{name_node.text}".lstrip("."), name_node.text, seen)


def passed_through(environment: Node | None) -> Iterator[tuple[str, int]]:
    """Yield what `environment` or `args` takes from the caller without saying so, with its line: `- NAME`, `NAME:`."""
    for item in items_of(environment):
        if isinstance(item, Scalar) and re.fullmatch(r"[A-Za-z_]\w*", item.text):
            yield item.text, item.line
    for key, value in pairs_of(environment):
        if isinstance(value, Scalar) and value.is_null:
            yield key.text, key.line


def _files(node: Node | None) -> Iterator[EnvironmentFile]:
    for item in items_of(node) or ([node] if node is not None else []):
        path = child(item, "path") or item
        if isinstance(path, Scalar) and not path.is_null:
            required = child(item, "required")
            optional = isinstance(required, Scalar) and required.text.lower() in {"false", "no", "off"}
            yield EnvironmentFile(path=settled(path.text), line=path.line, there=False, optional=optional)


def other_dialect(roots: Iterable[Node]) -> str:
    """Return what documents are that declare no services as compose wants them."""
    keys = [(key.text, value) for root in roots for key, value in pairs_of(root)]
    names = {name for name, _ in keys}
    if {"apiVersion", "kind"} <= names:
        return "it is written for Kubernetes"
    if "services" in names:
        return "its `services:` is no table of services"
    if any(child(value, "image") or child(value, "build") for _, value in keys):
        return "it is of compose's first version, which compose takes no more (its services belong below `services:`)"
    return "it has no `services:`"


TOP = "services|networks|volumes|configs|secrets"
PATH = re.compile(rf"(?<![\w./-])((?:{TOP})(?:\.(?:[\w-]|\\\.)+|\[\d+\])*)")
"""A path through the file, as compose writes it: `services.api.ports.0`, `services.api.ports[0]`."""
PROPERTY = re.compile(r"[Aa]dditional propert(?:y|ies) '?([\w.-]+)'?")
SERVICE = re.compile(r"service \"?([\w.-]+)\"?")
KEYS = (
    (re.compile(r"depends on undefined service|dependency cycle"), "depends_on"),
    (re.compile(r"undefined volume"), "volumes"),
    (re.compile(r"undefined network"), "networks"),
    (re.compile(r"undefined config"), "configs"),
    (re.compile(r"undefined secret"), "secrets"),
)
"""What compose complains of, and the key of the service that says it."""
CYCLE = re.compile(r"dependency cycle detected: ([\w.-]+)")
VARIABLE = re.compile(r"required variable (\w+) is missing")
PORT = re.compile(r"(?:containerPort|hostPort|port range|proto)s?: (\S+)")
"""A part of a published port that compose cannot read; it does not say whose."""
ENV_FILE = re.compile(r"env file (\S+) not found")


def line_of(message: str, content: str) -> int | None:
    """Return the line that a message of compose is about, or None where the file's content does not tell."""
    if found := re.search(r"\bline (\d+)", message):
        return int(found[1])
    if found := VARIABLE.search(message):
        return _text_line(rf"\$\{{?{found[1]}\b", content)
    if found := ENV_FILE.search(message):
        return _text_line(re.escape(found[1].rpartition("/")[2]), content)
    try:
        roots = read_documents(content)
    except YamlError:
        return None
    if found := PORT.search(message):
        lines = (_port_line(root, found[1]) for root in roots)
    else:
        path = next(_paths(message), [])
        lines = (_line_at(root, path) for root in roots)
    return next(filter(None, lines), None)


def _paths(message: str) -> Iterator[list[str]]:
    """Yield where to look, the best first."""
    extra = PROPERTY.search(message)
    last = [extra[1]] if extra else []
    if found := PATH.search(message):
        yield [*re.split(r"[.\[\]]+", found[1].rstrip("].")), *last]
    elif last:
        yield last
    key = next((key for pattern, key in KEYS if pattern.search(message)), None)
    if found := CYCLE.search(message) or SERVICE.search(message):
        yield ["services", found[1], *([key] if key else [])]


def _line_at(node: Node | None, path: list[str]) -> int | None:
    """Return the line of the deepest part of a path that the file has; None when it has not even the first."""
    line: int | None = None
    for step in path:
        items = items_of(node)
        if step.isdigit() and int(step) < len(items):
            node = items[int(step)]
            line = node.line
        elif (found := next(((key, value) for key, value in pairs_of(node) if key.text == step), None)) is not None:
            line, node = found[0].line, found[1]
        else:
            break
    return line


def _port_line(root: Node | None, part: str) -> int | None:
    """Return the line of the first published port that holds a text as one of its parts."""
    for _, service in pairs_of(child(root, "services")):
        for port in items_of(child(service, "ports")):
            if isinstance(port, Scalar) and part in re.split(r"[:/]", port.text):
                return port.line
    return None


def _text_line(pattern: str, content: str) -> int | None:
    for number, line in enumerate(content.splitlines(), 1):
        if re.search(pattern, line.partition(" #")[0]) and not line.lstrip().startswith("#"):
            return number
    return None
