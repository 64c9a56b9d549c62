"""Which line of a compose file compose's complaint is about: compose itself names one for broken YAML only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    services = next((node for key, node in _pairs(root) if key == "services"), None)
    for _, service in _pairs(services):
        ports: Any = next((node for key, node in _pairs(service) if key == "ports"), None)
        for one in ports.value if getattr(ports, "id", "") == "sequence" else ():
            if one.id == "scalar" and part in re.split(r"[:/]", one.value):
                return int(one.start_mark.line) + 1
    return None


def _pairs(node: Any) -> Iterator[tuple[str, Any]]:
    for key, value in node.value if getattr(node, "id", "") == "mapping" else ():
        yield str(key.value), value


def _text_line(pattern: str, content: str) -> int | None:
    for number, line in enumerate(content.splitlines(), 1):
        if re.search(pattern, line.partition(" #")[0]) and not line.lstrip().startswith("#"):
            return number
    return None
