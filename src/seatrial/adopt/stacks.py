"""Compose files as a source: which services are built here, of what, and how they run. Plain reading of YAML.

No compose program is asked: what it resolves only with the host's variables stays with its default.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from seatrial.adopt.model import Note, ServiceFound, Stack
from seatrial.adopt.tree import Tree, is_aside, joined
from seatrial.compose.reading import REMOTE, VALUES
from seatrial.compose.text import assignments, other_dialect, settled
from seatrial.compose.values import settings_of
from seatrial.yaml_tree import Mapping, Node, Scalar, YamlError, child, items_of, pairs_of, read_documents, texts_of

USUAL = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
"""The names that compose looks for, in its order. Source: compose-go, cli.DefaultFileNames."""
OVERRIDES = (
    *("compose.override.yml", "compose.override.yaml"),
    *("docker-compose.override.yml", "docker-compose.override.yaml"),
)
NAMED = re.compile(r"(?:.*[._-])?compose(?:[._-].*)?\.ya?ml", re.IGNORECASE)
"""Names that say compose somewhere: `docker-compose.prod.yml`, `compose-dev.yaml`, `example-compose.yml`."""
PLAIN_NAME = re.compile(r"[\w-]+\.ya?ml")
SERVICES = re.compile(r"^services:", re.MULTILINE)
RUNS = re.compile(r"(?:^ +|[{,] *)(?:image|build):", re.MULTILINE)
MOST_STACKS = 100
MOST_INCLUDED = 50
LONGEST_VALUE = 200
"""Characters of a value that is put in for a variable."""
DEEPEST = 5
STARTING = {"FLASK_APP", "DJANGO_SETTINGS_MODULE", "LITESTAR_APP", "PYTHONPATH"}
"""Variables that say what a server serves."""
ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]*)://")


def read_stacks(tree: Tree) -> tuple[tuple[Stack, ...], tuple[Note, ...]]:
    """Return the compose files of a project with their services, those that compose finds by itself first."""
    reader = _Reader(tree)
    stacks: list[Stack] = []
    for folder, names in _candidates(tree).items():
        first = next((name for name in USUAL if name in names), "")
        override = next((name for name in OVERRIDES if name in names), "")
        taken = {name for name in (first, override) if first and name}
        stacks += reader.stack(folder, first, override) if first else ()
        for name in names:
            if name not in taken and not (name in USUAL and first):
                stacks += reader.stack(folder, name, "")
    main = {posixpath.dirname(stack.files[0]): stack for stack in stacks if stack.usual}
    found = [_over(stack, main.get(posixpath.dirname(stack.files[0]))) for stack in stacks]
    # What another one includes is no stack by itself.
    included = {file for stack in found for file in stack.files[1:]}
    kept = [stack for stack in found if stack.files[0] not in included or stack.usual]
    kept.sort(key=lambda stack: (stack.aside, bool(stack.over), stack.files[0].count("/"), not stack.usual))
    return tuple(kept), tuple(reader.notes)


def _candidates(tree: Tree) -> dict[str, list[str]]:
    """Return the names of files that may be compose's, by folder."""
    found: dict[str, list[str]] = {}
    for path in tree.files:
        if (
            not path.endswith((".yml", ".yaml"))
            or path.count("/") > DEEPEST
            or path.startswith((".github/", ".gitlab"))
        ):
            continue
        folder, name = posixpath.split(path)
        if NAMED.fullmatch(name) or (not folder and PLAIN_NAME.fullmatch(name) and _is_compose(tree.text(path))):
            found.setdefault(folder, []).append(name)
        if sum(map(len, found.values())) >= MOST_STACKS:
            break
    return found


def _is_compose(text: str) -> bool:
    return SERVICES.search(text) is not None and RUNS.search(text) is not None


def _over(stack: Stack, main: Stack | None) -> Stack:
    """Return a stack with the file that it only adds to: a service of it has neither image nor build section."""
    if main is None or stack is main:
        return stack
    known = {service.name for service in main.services}
    bare = any(not (service.image or service.built) and service.name in known for service in stack.services)
    return (
        Stack(files=stack.files, name=stack.name, services=stack.services, aside=stack.aside, over=main.files[0])
        if bare
        else stack
    )


@dataclass
class _Layer:
    """A service as one file writes it."""

    node: Mapping
    file: str
    folder: str
    """Where its paths begin."""
    line: int


@dataclass(frozen=True, kw_only=True)
class _Build:
    """A build section."""

    context: str
    dockerfile: str
    target: str
    arguments: dict[str, str]


@dataclass
class _Reader:
    tree: Tree
    notes: list[Note] = field(default_factory=list)
    read: dict[str, tuple[Node, ...]] = field(default_factory=dict)

    def stack(self, folder: str, name: str, override: str) -> Iterator[Stack]:
        """Yield the stack of a file and its override; none where it is no compose file."""
        layers: dict[str, list[_Layer]] = {}
        files: list[str] = []
        called: list[str] = []
        for file in filter(None, (name, override)):
            self._file(joined(folder, file), folder, layers, files, called)
        if not files:
            return
        values = self._values(folder)
        parts = {key: _without(override, found) for key, found in layers.items()}
        services = tuple(self._service(key, *found, values) for key, found in parts.items() if found[0])
        if override:
            what = f"docker compose merges it into {name} by itself; seatrial does where `compose` names both"
            self.notes.append(Note(where=joined(folder, override), what=what))
        yield Stack(
            files=tuple(files),
            name=next(iter(called), ""),
            services=services,
            usual=name in USUAL,
            aside=is_aside(files[0]),
        )

    def _values(self, folder: str) -> dict[str, str]:
        """Return what the `.env` beside a compose file puts in: for paths, ports and arguments alone."""
        found = VALUES.finditer(self.tree.text(joined(folder, ".env")))
        return {match[1]: match[2].strip().strip("\"'")[:LONGEST_VALUE] for match in found}

    def _roots(self, file: str) -> tuple[Node, ...]:
        if file not in self.read:
            self.read[file] = self._parsed(file)
        return self.read[file]

    def _parsed(self, file: str) -> tuple[Node, ...]:
        text = self.tree.text(file)
        if not text.strip():
            return ()
        try:
            roots = read_documents(text)
        except YamlError as error:
            column = f":{error.column}" if error.column else ""
            usual = posixpath.basename(file) in USUAL and not is_aside(file)
            what = error.what if usual else f"{error.what}: this compose file is not used"
            self.notes.append(Note(where=f"{file}:{error.line}{column}", what=what, broken=usual))
            return ()
        return roots

    def _file(
        self, file: str, folder: str, layers: dict[str, list[_Layer]], files: list[str], called: list[str]
    ) -> None:
        if file in files or len(files) > MOST_INCLUDED:
            return
        roots = self._roots(file)
        if roots and not any(isinstance(child(root, "services"), Mapping) or child(root, "include") for root in roots):
            self.notes.append(Note(where=file, what=f"{other_dialect(roots)}, and is not used as a compose file"))
            return
        files += [file] if roots else []
        for root in roots:
            if isinstance(named := child(root, "name"), Scalar):
                called.append(settled(named.text))
            for item in items_of(child(root, "include")):
                for text in texts_of(child(item, "path") or item):
                    if (inner := self._inside(folder, text, file)) is not None:
                        begins = _text(child(item, "project_directory"))
                        place = joined(folder, begins) if begins else posixpath.dirname(inner)
                        self._file(inner, place, layers, files, called)
            for key, node in pairs_of(child(root, "services")):
                if not isinstance(node, Mapping):
                    what = f"the service {key.text} is no table of keys, and is left out"
                    self.notes.append(Note(where=f"{file}:{key.line}", what=what))
                else:
                    layer = _Layer(node=node, file=file, folder=folder, line=key.line)
                    layers.setdefault(key.text, []).extend((*self._extended(layer, key.text, files), layer))

    def _extended(self, layer: _Layer, name: str, files: list[str], depth: int = 0) -> Iterator[_Layer]:
        """Yield what a service extends, the farthest first."""
        extends = child(layer.node, "extends")
        other = _text(child(extends, "service")) or (_text(extends) if isinstance(extends, Scalar) else "")
        if not other or depth > DEEPEST:
            return
        file: str | None = layer.file
        if isinstance(named := child(extends, "file"), Scalar):
            file = self._inside(layer.folder, named, layer.file)
        if file is None or (file, other) == (layer.file, name):
            return
        for root in self._roots(file):
            for key, node in pairs_of(child(root, "services")):
                if key.text == other and isinstance(node, Mapping):
                    folder = layer.folder if file == layer.file else posixpath.dirname(file)
                    found = _Layer(node=node, file=file, folder=folder, line=key.line)
                    if file not in files:
                        files.append(file)
                    yield from self._extended(found, other, files, depth + 1)
                    yield found

    def _inside(self, folder: str, text: Scalar, file: str) -> str | None:
        written = settled(text.text)
        path = joined(folder, written)
        if path in self.tree and not REMOTE.match(written):
            return path
        why = "is fetched" if REMOTE.match(written) else "is not in the project"
        self.notes.append(Note(where=f"{file}:{text.line}", what=f"{written} {why}, and was not read"))
        return None

    def _service(self, name: str, layers: list[_Layer], building: list[_Layer], values: dict[str, str]) -> ServiceFound:
        environment = _environment(layers, values)
        build = self._build(building, values)
        check = _last(layers, "healthcheck")
        disabled = _text(child(check, "disable")).lower() in {"true", "yes", "on"}
        waits = [*_items(layers, "depends_on"), *(key for key, _ in _pairs(layers, "depends_on"))]
        starting = {key: value for key, value in environment.items() if key in STARTING}
        return ServiceFound(
            name=name,
            where=f"{layers[0].file}:{layers[0].line}",
            image=settled(_text(_last(layers, "image")), values),
            built=bool(build.context),
            context=build.context,
            dockerfile=build.dockerfile,
            target=build.target,
            arguments=build.arguments,
            command=_words(_last(layers, "command"), values),
            entrypoint=_words(_last(layers, "entrypoint"), values),
            environment=tuple(environment),
            settings={**settings_of(environment), **starting},
            env_files=tuple(_env_files(layers, values)),
            ports=tuple(_port(item, values) for item in _items(layers, "ports")),
            mounts=tuple(_mounts(layers, values, self.tree)),
            health=() if disabled else _words(child(check, "test"), values),
            depends_on=tuple(dict.fromkeys(map(_text, waits))),
            profiles=tuple(_text(item) for item in items_of(_last(layers, "profiles"))),
            urls=tuple(dict.fromkeys(scheme for value in environment.values() for scheme in ADDRESS.findall(value))),
            lines={
                key.text: f"{layer.file}:{key.line}"
                for layer in (*building, *layers)
                for key, _ in pairs_of(layer.node)
                if key.text != "build" or layer in building
            },
        )

    def _build(self, layers: list[_Layer], values: dict[str, str]) -> _Build:
        """Return what the build sections of a service's layers say together."""
        context, dockerfile, target, inline = "", "", "", False
        arguments: dict[str, str] = {}
        for layer in layers:
            build = child(layer.node, "build")
            written = _text(build) if isinstance(build, Scalar) else _text(child(build, "context"))
            if written or not context:
                context = settled(written, values) or "."
                context = context if REMOTE.match(context) else joined(layer.folder, context)
            dockerfile = settled(_text(child(build, "dockerfile")), values) or dockerfile
            target = settled(_text(child(build, "target")), values) or target
            arguments.update(_assigned(child(build, "args"), values, passed=False))
            inline = inline or child(build, "dockerfile_inline") is not None
        if context and not REMOTE.match(context) and not inline:
            names = (dockerfile,) if dockerfile else ("Dockerfile", "dockerfile", "Containerfile")
            places = [joined(context, name) for name in names]
            dockerfile = next((place for place in places if place in self.tree), places[0])
        return _Build(context=context, dockerfile=dockerfile, target=target, arguments=arguments)


def _without(override: str, layers: list[_Layer]) -> tuple[list[_Layer], list[_Layer]]:
    """Return the layers of a service that hold, and those with its build.

    Of an override, which `up` leaves out, only a build counts that is nowhere else.
    """
    own = [layer for layer in layers if posixpath.basename(layer.file) != override]
    building = [layer for layer in own if not _empty(child(layer.node, "build"))]
    return own, building or [layer for layer in layers if not _empty(child(layer.node, "build"))]


def _last(layers: list[_Layer], key: str) -> Node | None:
    """Return what the last layer that has a key says."""
    return next((node for layer in reversed(layers) if (node := child(layer.node, key)) is not None), None)


def _items(layers: list[_Layer], key: str) -> Iterator[Node]:
    """Yield the items of a list, of all layers."""
    return (item for layer in _since_override(layers, key) for item in items_of(child(layer.node, key)))


def _pairs(layers: list[_Layer], key: str) -> Iterator[tuple[Scalar, Node]]:
    """Yield the pairs of a mapping, of all layers."""
    return (pair for layer in _since_override(layers, key) for pair in pairs_of(child(layer.node, key)))


def _environment(layers: list[_Layer], values: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for layer in _since_override(layers, "environment"):
        found.update(_assigned(child(layer.node, "environment"), values, passed=True))
    return found


def _env_files(layers: list[_Layer], values: dict[str, str]) -> Iterator[str]:
    for layer in layers:
        for item in _listed(child(layer.node, "env_file")):
            for text in texts_of(child(item, "path") or item):
                yield joined(layer.folder, settled(text.text, values))


def _since_override(layers: list[_Layer], key: str) -> list[_Layer]:
    """Return the layers whose lists hold together: `!override` begins anew, and so does `!reset`."""
    start = 0
    for number, layer in enumerate(layers):
        node = child(layer.node, key)
        if node is not None and node.tag in {"!override", "!reset"}:
            start = number if node.tag == "!override" else number + 1
    return layers[start:]


def _assigned(node: Node | None, values: dict[str, str], *, passed: bool) -> dict[str, str]:
    """Return the variables of an `environment` or `args`, with their values."""
    keyed = isinstance(node, Mapping)
    found = [(key, value.text if keyed else value.text.partition("=")[2], value) for key, value, _ in assignments(node)]
    return {key: settled(text, values) for key, text, value in found if passed or _has_value(value, keyed=keyed)}


def _has_value(value: Scalar, *, keyed: bool) -> bool:
    """Tell whether a variable is given a value; otherwise it is taken from the environment of compose."""
    return not value.is_null and (keyed or "=" in value.text)


def _listed(node: Node | None) -> tuple[Node, ...]:
    return items_of(node) or ((node,) if node is not None else ())


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) and not node.is_null else ""


def _empty(node: Node | None) -> bool:
    return node is None or node.tag == "!reset" or (isinstance(node, Scalar) and node.is_null)


def _words(node: Node | None, values: dict[str, str]) -> tuple[str, ...]:
    """Return the words of a command; of one that is a text, as a shell would take it apart."""
    if isinstance(node, Scalar):
        text = settled(node.text, values) if not node.is_null else ""
        try:
            return tuple(shlex.split(text))
        except ValueError:
            return tuple(text.split())
    return tuple(settled(_text(item), values) for item in items_of(node))


def _mounts(layers: list[_Layer], values: dict[str, str], tree: Tree) -> Iterator[str]:
    """Yield the folders of the project that a service mounts."""
    for layer in layers:
        for node in items_of(child(layer.node, "volumes")):
            source = _text(child(node, "source")) if isinstance(node, Mapping) else _text(node).partition(":")[0]
            written = settled(source, values)
            folder = joined(layer.folder, written)
            if written.startswith(".") and (folder == "." or folder in tree.folders):
                yield folder


def _port(node: Node, values: dict[str, str]) -> str:
    if isinstance(node, Mapping):
        published, target = _text(child(node, "published")), _text(child(node, "target"))
        return settled(f"{published}:{target}" if published else target, values)
    return settled(_text(node), values)


def container_port(port: str) -> int | None:
    """Return the port of the container that a published port leads to; None where that is a range or a variable."""
    last = port.partition("/")[0].rpartition(":")[2]
    return int(last) if last.isdecimal() and 0 < int(last) < 65536 else None  # noqa: PLR2004 - TCP's


def image_name(image: str) -> str:
    """Return the last part of an image's name, without its tag and digest."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]
