"""What a compose file makes compose read and hand over, checked before compose sees the file; and who may use what.

A project that is not trusted gets nothing of the host: all that it asks for is refused at once. In a trusted one the
dangerous things are announced. How much a file's aliases stand for is limited for everybody.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from seatrial.compose import runner
from seatrial.compose.reach import Grade, Reach, Surroundings, path_reach, reaches
from seatrial.compose.readiness import Finding, Readiness, blocked, note
from seatrial.compose.runner import Compose, Stack
from seatrial.compose.text import NAMES, passed_through, settled
from seatrial.compose.variables import EXAMPLES
from seatrial.engine.find import DEFAULT_SOCKET, Engine, own_socket
from seatrial.errors import StackError
from seatrial.facts import Json
from seatrial.host import Host
from seatrial.trust import Trust
from seatrial.yaml_tree import LARGEST, Node, Scalar, YamlError, check_aliases, child, items_of, pairs_of, read_yaml
from seatrial.yaml_tree import Mapping as YamlMapping

MOST_FILES = 100
"""Compose files that a file may include, directly or through others."""
SOCKETS = ("/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock")
UNTELLING = frozenset(("PWD", "TZ", "LANG"))
"""Variables that say nothing of a host, whoever asks."""
STEERING = re.compile(
    r"^[^\S\n]*(?:export[^\S\n]+)?((?:COMPOSE|DOCKER|BUILDX|BUILDKIT|LD|GIT|SSH)_\w+|PATH|HOME)[^\S\n]*[=:]",
    re.MULTILINE,
)
"""What an env file sets of compose itself, or of a program that compose starts."""
BARE = re.compile(r"^[^\S\n]*(?:export[^\S\n]+)?([A-Za-z_]\w*)[^\S\n]*$", re.MULTILINE)
"""A line of an env file that takes a variable as the caller has it."""
ASSIGNED = re.compile(r"^[^\S\n]*(?:export[^\S\n]+)?([A-Za-z_]\w*)[^\S\n]*[=:]", re.MULTILINE)
PLAIN_PATH = re.compile(r"[\w./ @+-]*(\$\{\w+:?-[\w./ @+-]*\}[\w./ @+-]*)?")
"""A path that holds at most one variable, with a default."""
REMOTE = re.compile(r"[\w+.-]+:|.*@.*:|github\.com/|.*\.git([#:].*)?$")
CORE = ("str", "int", "float", "bool", "null", "map", "seq")
PLAIN_TAGS = frozenset(("!reset", "!override", *(f"tag:yaml.org,2002:{kind}" for kind in CORE)))
"""Others change a value: `!!binary` hides a path."""
FIX = "Take it out; or, if you trust this project, give --trust project."
ROOT_FIX = "Take it out; or, if what is tested may have the host, give --trust host."


class UntrustedError(StackError):
    """A compose file asks for more than its project may have."""

    def __init__(self, refused: Sequence[Finding]) -> None:
        first, several = refused[0], len(refused) > 1
        lines = [f"{finding.where}: {finding.what}" for finding in refused]
        super().__init__(
            f"{first.what}{f' ({len(refused)} places, all below)' if several else ''}",
            where=first.where,
            fix=first.fix,
            detail="\n".join(lines) if several else "",
        )
        self.findings = tuple(refused)


@dataclass(frozen=True, kw_only=True)
class TextFile:
    """A compose file's text."""

    path: Path
    root: Node | None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What compose reads for a file, known before it does."""

    file: Path
    around: Surroundings
    texts: tuple[TextFile, ...] = ()
    asked: dict[str, str] = field(default_factory=dict)
    """The variables that the files name, each with the `file:line` where it is named first."""
    found: tuple[tuple[str, Reach], ...] = ()
    """What compose would read from outside of the project, with its `file:line`."""

    def where(self, reach: Reach) -> str:
        """Return `file:line` of what reaches out, as far as the files tell."""
        for text in self.texts:
            if (line := _line(text.root, reach.path, reach.words)) is not None:
                return f"{text.path}:{line}"
        return str(self.file)


def _line(root: Node | None, path: Sequence[str], words: Sequence[str]) -> int | None:
    """Return the line of a path's deepest part, or of the text in it that holds one of the words."""
    node, line = root, None
    for depth, step in enumerate(path):
        found = next(((key, value) for key, value in pairs_of(node) if key.text == step), None)
        if found is None:
            # Without its service or entry, this is another file's.
            return line if depth > 1 else None
        line, node = found[0].line, found[1]
    texts = [part for part in _nodes(node) if isinstance(part, Scalar)] if node is not None else []
    for word in filter(None, words):
        whole = (text.line for text in texts if word in {text.text, *text.text.split(":")})
        part = (text.line for text in texts if len(word) > 1 and word in text.text)
        if (hit := next(whole, None) or next(part, None)) is not None:
            return hit
    return line


def _nodes(node: Node) -> Iterator[Node]:
    """Yield a part and all within it once, keys too."""
    seen: set[int] = set()
    left = [node]
    while left:
        node = left.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            left += [*items_of(node), *(part for pair in pairs_of(node) for part in pair)][::-1]


def surroundings(project: Path, engine: Engine, host: Host) -> Surroundings:
    """Return where a project lies on its host."""
    urls = (engine.candidate.url, host.environment.get("DOCKER_HOST", ""), DEFAULT_SOCKET, own_socket(host))
    paths = [*(url.removeprefix("unix://") for url in urls if url.startswith("unix:///")), *SOCKETS]
    if runtime := host.environment.get("XDG_RUNTIME_DIR"):
        paths += [f"{runtime}/docker.sock", f"{runtime}/podman/podman.sock"]
    sockets = tuple(dict.fromkeys(Path(path).resolve() for path in paths))
    return Surroundings(project=project.resolve(), home=host.home.resolve(), sockets=sockets)


def guarded(
    stack: Stack, file: Path, project: Path, *, engine: Engine, host: Host, say: Callable[[str], None] | None = None
) -> tuple[Compose, Reading]:
    """Return compose for a project's file, and what compose is going to read.

    `say` receives the names of the variables of the host's environment that the file asks for and gets.

    Raises:
        StackError: the file stands for too much.
        UntrustedError: the project is not trusted, and the file asks for more than its own: all of that is named.
        EngineError: compose is not installed, or too old.
    """
    reading = read_ahead(file, surroundings(project, engine, host), host, options=stack.options)
    if host.trust is Trust.NONE:
        found = [*_variables(reading, host), *findings(reading, (), host.trust)]
        if found:
            # Compose does not get to see it: what it would say is said of the text.
            documents = [_rough(text) for text in reading.texts]
            found += [finding for document in documents for finding in findings(reading, document, host.trust)]
        require_trusted(sorted(dict.fromkeys(found), key=lambda finding: _place(finding.where)), lambda _: None)
    compose = runner.find(stack, file, engine=engine, host=host)
    if host.trust is Trust.NONE:
        return compose, reading
    given = {name: host.environment[name] for name in reading.asked if name in host.environment}
    if given and say is not None:
        say(f"Compose gets these variables of your environment: {', '.join(sorted(given))}.")
    return replace(compose, environment={**given, **compose.environment}), reading


def require_trusted(found: Iterable[Finding], say: Callable[[str], None]) -> None:
    """Say what reaches beyond the project, a line each. Raises UntrustedError where any is refused."""
    listed = list(found)
    refused = [finding for finding in listed if finding.readiness is Readiness.BLOCKED]
    if refused:
        raise UntrustedError(refused)
    for finding in listed:
        say(f"{finding.where}: {finding.what}")


def findings(
    reading: Reading, document: Json | Sequence[Reach], trust: Trust, *, smoke: bool = False
) -> tuple[Finding, ...]:
    """Return what a file reaches beyond its project, in the order of its lines: refused, or noted.

    `document` is compose's model. In a smoke, what gives the host away is refused unless the host is handed over.
    """
    model = reaches(document, reading.file, reading.around) if isinstance(document, dict) else tuple(document)
    placed = [*reading.found, *((reading.where(reach), reach) for reach in model)]
    made = [_finding(where, reach, trust, smoke=smoke) for where, reach in placed]
    return tuple(sorted(dict.fromkeys(filter(None, made)), key=lambda finding: _place(finding.where)))


def _rough(text: TextFile) -> Json:
    """Return a compose file's text in the form of compose's model, as far as that tells what reaches out of it."""
    plain = _plain(text.root) if text.root is not None else None
    document: Json = plain if isinstance(plain, dict) else {}
    for key in ("services", "volumes", "networks", "secrets", "configs"):
        tables = document.get(key)
        tables = tables if isinstance(tables, dict) else {}
        document[key] = {name: table for name, table in tables.items() if isinstance(table, dict)}
    for service in document["services"].values():
        mounts = service.get("volumes")
        service["volumes"] = [_mount(mount, text.path) for mount in mounts] if isinstance(mounts, list) else []
        for key in ("build", "logging", "deploy"):
            if not isinstance(service.get(key), dict):
                service.pop(key, None)
    for key in ("secrets", "configs"):
        for table in document[key].values():
            if "file" in table:
                table["file"] = str(text.path.parent / str(table["file"]))
    return document


def _plain(node: Node) -> Any:
    if isinstance(node, Scalar):
        return None if node.is_null else settled(node.text)
    if isinstance(node, YamlMapping):
        return {key.text: _plain(value) for key, value in node.pairs}
    return [_plain(item) for item in node.items]


def _mount(written: object, file: Path) -> Json:
    """Return a service's volume in its long form."""
    if isinstance(written, dict):
        table: Json = written
    else:
        source, _, rest = str(written).partition(":")
        kind = "bind" if rest and source[:1] in {"/", ".", "~"} else "volume"
        table = {"type": kind, "source": source, "target": rest, "read_only": "ro" in rest.split(":")[1:]}
    if table.get("type") == "bind":
        source = str(table.get("source") or "")
        return {**table, "source": source if source.startswith("~") else str(file.parent / source)}
    return table


def _finding(where: str, reach: Reach, trust: Trust, *, smoke: bool) -> Finding | None:
    if trust is Trust.NONE:
        return blocked("trust", f"{reach.what}: refused, as the project is not trusted.", where=where, fix=FIX)
    if smoke and reach.grade is Grade.ROOT and trust is not Trust.HOST:
        what = f"{reach.what}: refused, as a smoke does not hand the host to what it tests."
        return blocked("trust", what, where=where, fix=ROOT_FIX)
    return None if reach.grade is Grade.OUTSIDE else note("trust", f"{reach.what}.", where=where)


def _place(where: str) -> tuple[str, int]:
    file, _, line = where.rpartition(":")
    return (file, int(line)) if line.isdigit() else (where, 0)


def _variables(reading: Reading, host: Host) -> Iterator[Finding]:
    """Yield the variables of the host that a file asks for, and that the project does not set itself."""
    own = set(ASSIGNED.findall(_small_text(reading.file.parent / ".env") or ""))
    for name, where in reading.asked.items():
        passed = name in host.programs_environment
        if name in host.environment and name not in UNTELLING and (passed or name not in own):
            what = f"it asks for {name} of this host's environment: refused, as the project is not trusted."
            fix = f"Take it out, or unset {name}; or, if you trust this project, give --trust project."
            yield blocked("trust", what, where=where, fix=fix)


def read_ahead(file: Path, around: Surroundings, host: Host, *, options: Sequence[str] = ()) -> Reading:
    """Return what compose is going to read for a file: the files that it includes, their variables, the env files.

    Where the project is not trusted, no file outside of it is opened.

    Raises StackError: a file stands for more than the limits allow.
    """
    reader = _Reader(around=around, trusted=host.trust is not Trust.NONE, known=host.programs_environment)
    chosen = [options[number + 1] for number, word in enumerate(options[:-1]) if word == "--env-file"]
    chosen += filter(None, host.environment.get("COMPOSE_ENV_FILES", "").split(","))
    for name in chosen:
        # The host's own choice: read, and not judged.
        reader.take_env(file.parent / name)
    reader.dot_env(file.parent)
    reader.compose_file(file, file.parent, str(file), "the compose file is")
    return Reading(file=file, around=around, texts=tuple(reader.texts), asked=reader.asked, found=tuple(reader.found))


@dataclass(kw_only=True)
class _Reader:
    """Reads what compose is going to read."""

    around: Surroundings
    trusted: bool
    known: Mapping[str, str]
    """The variables that compose gets unasked."""
    texts: list[TextFile] = field(default_factory=list)
    asked: dict[str, str] = field(default_factory=dict)
    found: list[tuple[str, Reach]] = field(default_factory=list)
    seen: set[tuple[Path, Path]] = field(default_factory=set)
    env: str = ""
    """The text of all env files so far: variables that they name have other values than their defaults."""

    def compose_file(self, path: Path, folder: Path, where: str, does: str) -> None:
        """Read a compose file whose paths begin in a folder or its own, and those that it includes or extends."""
        resolved = self._allowed(path, where, does)
        if resolved is None or (resolved, folder) in self.seen:
            return
        self.seen.add((resolved, folder))
        if len(self.seen) > MOST_FILES:
            raise StackError(f"more than {MOST_FILES} files are included.", where=where, fix="Include fewer.")
        root = self._tree(path)
        if root is None:
            return
        for node in _nodes(root):
            self._value(node, path)
        self._includes(root, path, folder)
        for _, service in pairs_of(child(root, "services")):
            self._service(service, path, folder)
        for key in ("secrets", "configs"):
            for _, entry in pairs_of(child(root, key)):
                if isinstance(name := child(entry, "environment"), Scalar):
                    self.asked.setdefault(name.text, f"{path}:{name.line}")

    def _tree(self, path: Path) -> Node | None:
        """Return what a compose file holds; None where it cannot be read, and compose says so better."""
        text = _bounded_text(path)
        if text is None:
            return None
        try:
            root = read_yaml(text)
        except YamlError as error:
            self._unread(path, text, error)
            self.ask(text, str(path))
            return None
        self.texts.append(TextFile(path=path, root=root))
        return root

    def _unread(self, path: Path, text: str, error: YamlError) -> None:
        """Refuse what stands for too much, and in an untrusted project all that cannot be checked."""
        where, fix = f"{path}:{error.line}", "Make it smaller: with fewer aliases, or several files."
        if error.limit:
            raise StackError(f"{error.what}.", where=where, fix=fix) from None
        try:
            check_aliases(text)
        except YamlError as limit:
            raise StackError(f"{limit.what}.", where=f"{path}:{limit.line}", fix=fix) from None
        if not self.trusted:
            self._out(where, f"it cannot be checked ({error.what})")

    def _value(self, node: Node, path: Path) -> None:
        where = f"{path}:{node.line}"
        for name in NAMES.findall(node.text.replace("$$", "")) if isinstance(node, Scalar) else ():
            self.asked.setdefault(name, where)
        if node.tag and not self.trusted and node.tag not in PLAIN_TAGS:
            self._out(where, f"the tag {node.tag} cannot be checked")

    def _includes(self, root: Node, path: Path, folder: Path) -> None:
        for item in items_of(child(root, "include")):
            begins = [
                found
                for text in _texts(child(item, "project_directory"))
                for found in self._paths(folder, text, path, "it includes files for the folder")
            ]
            for text in _texts(child(item, "env_file")):
                self._env_file(folder, text, path)
            for text in _texts(child(item, "path") or item):
                for file in self._paths(folder, text, path, "it includes"):
                    begins = begins or [file.parent]
                    for begin in begins:
                        self.dot_env(begin)
                        self.compose_file(file, begin, f"{path}:{text.line}", "it includes")

    def _service(self, service: Node, path: Path, folder: Path) -> None:
        for environment in (child(service, "environment"), child(child(service, "build"), "args")):
            for name, line in passed_through(environment):
                self.asked.setdefault(name, f"{path}:{line}")
        for text in _texts(child(child(service, "extends"), "file")):
            for file in self._paths(folder, text, path, "it extends"):
                self.compose_file(file, file.parent, f"{path}:{text.line}", "it extends")
        for key in ("env_file", "label_file"):
            node = child(service, key)
            for item in items_of(node) or ((node,) if node is not None else ()):
                for text in _texts(child(item, "path") or item):
                    self._env_file(folder, text, path)

    def _env_file(self, folder: Path, text: Scalar, path: Path) -> None:
        for file in self._paths(folder, text, path, "it reads the env file"):
            self.take_env(file)

    def dot_env(self, folder: Path) -> None:
        """Read the file that compose takes values from without being asked, or the example that takes its place."""
        there = [folder / name for name in (".env", *EXAMPLES) if os.path.lexists(folder / name)]
        for file in there[:1]:
            if self._allowed(file, str(file), "the env file is", Grade.OUTSIDE) is None:
                continue
            text = self.take_env(file)
            for found in () if self.trusted else STEERING.finditer(text):
                line = text.count("\n", 0, found.start(1)) + 1
                self._out(f"{file}:{line}", f"it sets {found[1]}, which steers compose itself")

    def take_env(self, file: Path) -> str:
        """Return an env file's text, whose variables are asked for."""
        text = _small_text(file) or ""
        self.ask(text, str(file), env=True)
        self.env += f"{text}\n"
        return text

    def ask(self, text: str, shown: str, *, env: bool = False) -> None:
        """Take the variables that a text names."""
        for number, line in enumerate(text.splitlines(), 1):
            names = NAMES.findall(line.replace("$$", "")) if "$" in line else []
            names += BARE.findall(line) if env else []
            for name in names:
                self.asked.setdefault(name, f"{shown}:{number}")

    def _paths(self, folder: Path, text: Scalar, path: Path, does: str) -> list[Path]:
        """Return the local file or folder that a compose file may mean; none where it is not to be opened."""
        where = f"{path}:{text.line}"
        if not self.trusted and (PLAIN_PATH.fullmatch(text.text) is None or self._varies(text.text)):
            self._out(where, f"{does} {text.text}, which cannot be checked")
            return []
        written = settled(text.text)
        if REMOTE.match(written):
            self._out(where, f"{does} {written}, which is fetched", Grade.HOST)
            return []
        # An included file's paths begin where its project does, an extended one's where it lies.
        begins = dict.fromkeys((folder, path.parent) if written else ())
        if written.startswith("~"):
            begins, written = {self.around.home: None}, written[1:].lstrip("/")
        files = [begin / written for begin in begins]
        return [file for file in files if self._allowed(file, where, does) is not None]

    def _varies(self, text: str) -> bool:
        """Tell whether a variable of a text may have another value than its default."""
        return any(name in self.known or re.search(rf"\b{name}\b", self.env) for name in NAMES.findall(text))

    def _allowed(self, path: Path, where: str, does: str, grade: Grade = Grade.HOST) -> Path | None:
        """Return where a path leads; None where it leads out of a project that is not trusted."""
        resolved = self.around.resolve(str(path))
        if (seen := path_reach(str(path), self.around, read_only=True)) is not None:
            self._out(where, f"{does} {seen[0]}", grade)
            return resolved if self.trusted else None
        return resolved

    def _out(self, where: str, what: str, grade: Grade = Grade.OUTSIDE) -> None:
        self.found.append((where, Reach(path=(), what=what, grade=grade)))


def _texts(node: Node | None) -> tuple[Scalar, ...]:
    """Return a text, or the texts of a list."""
    listed = items_of(node) or ((node,) if node is not None else ())
    return tuple(item for item in listed if isinstance(item, Scalar) and not item.is_null)


def _bounded_text(path: Path) -> str | None:
    """Return the text of a regular file that is not too large; None where there is none, which compose names better.

    Raises StackError: it is too large.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except (OSError, ValueError):
        return None
    if len(content) > LARGEST:
        raise StackError(f"larger than {LARGEST} bytes.", where=str(path), fix="Make several files of it.")
    return content.decode("utf-8", errors="replace")


def _small_text(path: Path) -> str | None:
    try:
        return _bounded_text(path)
    except StackError:
        return None
