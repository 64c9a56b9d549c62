"""A compose file's own text: which line says what, and which line compose's complaint is about."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seatrial.facts import ComposeValue, ComposeVariable, EnvironmentFile, Missing

if TYPE_CHECKING:
    from collections.abc import Iterator


DEEPEST = 40
MOST_VALUES = 5_000
PARTS = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_]\w*)|"
    r"\{(?P<name>[A-Za-z_]\w*)(?:(?P<how>:?[-?+])(?P<word>[^{}]*(?:\{[^{}]*\}[^{}]*)*))?\})"
)
"""What compose puts values in for: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:?message}`, `${NAME:+word}`."""


@dataclass(frozen=True, kw_only=True)
class ComposeText:
    """What the text of a compose file says."""

    lines: dict[str, dict[str, int]] = field(default_factory=dict)
    """By service: the lines of its keys, of its ports (`ports.0`) and of what it waits for; its own under ''."""
    values: tuple[ComposeValue, ...] = ()
    variables: tuple[ComposeVariable, ...] = ()
    files: tuple[EnvironmentFile, ...] = ()
    """Whether they are there is not looked at here."""


def read_text(content: bytes) -> ComposeText | Missing:
    """Return what a compose file's text says; Missing where it is no YAML."""
    import yaml

    try:
        # Nodes only: nothing is made of them, so that no tag of the file makes anything happen.
        root = yaml.compose(content.decode("utf-8", errors="replace"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        return Missing(reason=" ".join(str(error).split())[:300])
    top = dict(_pairs(root)) if root is not None else {}
    declared = [(key.value, key, node) for key, node in _entries(top.get("services"))]
    values = list(_values(root, "", "", set(), 0))[:MOST_VALUES] if root is not None else []
    passed = [one for _, _, node in declared for one in _passed_through(dict(_pairs(node)).get("environment"))]
    return ComposeText(
        lines={name: {"": _line(key), **_service_lines(node)} for name, key, node in declared},
        values=tuple(
            ComposeValue(key=key, where=path, text=settled(text), line=line) for path, key, text, line in values
        ),
        variables=tuple(_variables([*((text, line) for _, _, text, line in values), *passed])),
        files=tuple(one for _, _, node in declared for one in _files(dict(_pairs(node)).get("env_file"))),
    )


def settled(text: str) -> str:
    """Return a text with each variable's default in its place, and nothing where it has none."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        has_default = (match["how"] or "").endswith("-")
        return settled(match["word"] or "") if has_default else ""

    return PARTS.sub(value, text)


def wanted(text: str) -> Iterator[str]:
    """Yield the variables that a text refers to and gives no default for."""
    return (one.name for one in demands(text, 0))


def demands(text: str, line: int) -> Iterator[ComposeVariable]:
    """Yield the variables that a text refers to and gives no default for, each with what the text says of it."""
    for match in PARTS.finditer(text):
        if match["escaped"]:
            continue
        how = match["how"] or ""
        if how.endswith("?"):
            yield ComposeVariable(name=match["name"], line=line, required=True, message=match["word"] or "")
        elif match["plain"] or not how:
            yield ComposeVariable(name=match["plain"] or match["name"], line=line)
        elif how.endswith("-"):
            yield from demands(match["word"] or "", line)


def _variables(texts: list[tuple[str, int]]) -> Iterator[ComposeVariable]:
    """Yield each variable once, where it is first named; where it is required, as it is first required."""
    found: dict[str, ComposeVariable] = {}
    for text, line in texts:
        for one in demands(text, line):
            if one.name not in found or (one.required and not found[one.name].required):
                found[one.name] = one
    yield from found.values()


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _entries(node: Any) -> list[tuple[Any, Any]]:
    """Return the pairs of a mapping, those that `<<` merges into it last."""
    if getattr(node, "id", "") != "mapping":
        return []
    own = [(key, value) for key, value in node.value if key.id == "scalar" and key.value != "<<"]
    names = {key.value for key, _ in own}
    merged = [value for key, value in node.value if key.id == "scalar" and key.value == "<<"]
    sources = [one for value in merged for one in (value.value if value.id == "sequence" else [value])]
    return own + [
        (key, value)
        for source in sources
        if source is not node and source.id == "mapping"
        for key, value in source.value
        if key.id == "scalar" and key.value not in names and key.value != "<<"
    ]


def _pairs(node: Any) -> Iterator[tuple[str, Any]]:
    return ((key.value, value) for key, value in _entries(node))


def _items(node: Any) -> list[Any]:
    return list(node.value) if getattr(node, "id", "") == "sequence" else []


def _service_lines(node: Any) -> dict[str, int]:
    lines: dict[str, int] = {}
    for key, value in _entries(node):
        lines[key.value] = _line(key)
        if key.value == "ports":
            lines.update({f"ports.{number}": _line(one) for number, one in enumerate(_items(value))})
        elif key.value == "depends_on":
            lines.update({f"depends_on.{one.value}": _line(one) for one in _items(value) if one.id == "scalar"})
            lines.update({f"depends_on.{one.value}": _line(one) for one, _ in _entries(value)})
    return lines


def _values(node: Any, path: str, key: str, seen: set[int], depth: int) -> Iterator[tuple[str, str, str, int]]:
    """Yield every text with its way, its key and its line; what an anchor names once, where it stands."""
    if id(node) in seen or depth > DEEPEST:
        return
    seen.add(id(node))
    if node.id == "scalar":
        name, equals, text = node.value.partition("=")
        # An item of a list: `KEY=value`.
        if key == "" and equals and re.fullmatch(r"[A-Za-z_][\w.-]*", name):
            yield path, name, text, _line(node)
        else:
            yield path, key, node.value, _line(node)
    elif node.id == "sequence":
        for one in node.value:
            yield from _values(one, path, "", seen, depth + 1)
    else:
        for name, value in node.value:
            if name.id == "scalar":
                yield from _values(value, f"{path}.{name.value}".lstrip("."), name.value, seen, depth + 1)


def _passed_through(node: Any) -> Iterator[tuple[str, int]]:
    """Yield what `environment` takes from the caller without saying so: `- NAME`, `NAME:`."""
    for one in _items(node):
        if one.id == "scalar" and re.fullmatch(r"[A-Za-z_]\w*", one.value):
            yield f"${{{one.value}}}", _line(one)
    for key, value in _entries(node):
        if value.id == "scalar" and value.tag == "tag:yaml.org,2002:null":
            yield f"${{{key.value}}}", _line(key)


def _files(node: Any) -> Iterator[EnvironmentFile]:
    for one in _items(node) or ([] if node is None else [node]):
        row = dict(_pairs(one))
        path = row.get("path", one)
        if path.id == "scalar":
            required = row.get("required")
            optional = required is not None and str(required.value).lower() in {"false", "no", "off"}
            yield EnvironmentFile(path=settled(path.value), line=_line(path), there=False, optional=optional)


TOP = "services|networks|volumes|configs|secrets"
WAY = re.compile(rf"(?<![\w./-])((?:{TOP})(?:\.(?:[\w-]|\\\.)+|\[\d+\])*)")
"""A way through the file, as compose writes it: `services.api.ports.0`, `services.api.ports[0]`."""
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
    """Return the line that a complaint is about, or None where the file does not tell.

    Args:
        message: what compose says.
        content: the file.

    """
    if found := re.search(r"\bline (\d+)", message):
        return int(found[1])
    if found := VARIABLE.search(message):
        return _text_line(rf"\$\{{?{found[1]}\b", content)
    if found := ENV_FILE.search(message):
        return _text_line(re.escape(found[1].rpartition("/")[2]), content)
    root = _root(content)
    if root is None:
        return None
    if found := PORT.search(message):
        return _port_line(root, found[1])
    way = next(_ways(message), None)
    return _line_at(root, way) if way is not None else None


def _ways(message: str) -> Iterator[list[str]]:
    """Yield where to look, the best first."""
    extra = PROPERTY.search(message)
    last = [extra[1]] if extra else []
    if found := WAY.search(message):
        yield [*re.split(r"[.\[\]]+", found[1].rstrip("].")), *last]
    elif last:
        yield last
    key = next((key for pattern, key in KEYS if pattern.search(message)), None)
    if found := CYCLE.search(message) or SERVICE.search(message):
        yield ["services", found[1], *([key] if key else [])]


def _root(content: str) -> Any:
    import yaml

    try:
        return yaml.compose(content, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None


def _line_at(node: Any, way: list[str]) -> int | None:
    """Return the line of the deepest part of a way that the file has; None when it has not even the first."""
    line: int | None = None
    for step in way:
        if node.id == "mapping":
            found = next(((key, value) for key, value in node.value if key.value == step), None)
        elif node.id == "sequence" and step.isdigit() and int(step) < len(node.value):
            found = (node.value[int(step)], node.value[int(step)])
        else:
            found = None
        if found is None:
            break
        key, node = found
        line = int(key.start_mark.line) + 1
    return line


def _port_line(root: Any, part: str) -> int | None:
    """Return the line of the first published port that holds a text as one of its parts."""
    services = next((node for key, node in _lines_pairs(root) if key == "services"), None)
    for _, service in _lines_pairs(services):
        ports: Any = next((node for key, node in _lines_pairs(service) if key == "ports"), None)
        for one in ports.value if getattr(ports, "id", "") == "sequence" else ():
            if one.id == "scalar" and part in re.split(r"[:/]", one.value):
                return int(one.start_mark.line) + 1
    return None


def _lines_pairs(node: Any) -> Iterator[tuple[str, Any]]:
    for key, value in node.value if getattr(node, "id", "") == "mapping" else ():
        yield str(key.value), value


def _text_line(pattern: str, content: str) -> int | None:
    for number, line in enumerate(content.splitlines(), 1):
        if re.search(pattern, line.partition(" #")[0]) and not line.lstrip().startswith("#"):
            return number
    return None
