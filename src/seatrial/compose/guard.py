"""Who may use what: what a compose file reaches beyond its project is refused or announced before compose sees it.

A project that is not trusted gets nothing of the host: all that it asks for is refused at once. In a trusted one the
dangerous things are announced. How much a file's aliases stand for is limited for everybody.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seatrial.compose import runner
from seatrial.compose.reach import Grade, Reach, Surroundings, is_true, path_reach, reaches, table_of
from seatrial.compose.readiness import Finding, Readiness, blocked, note
from seatrial.compose.reading import ASSIGNED, Reading, TextFile, read_ahead, small_text
from seatrial.compose.runner import Compose, Stack
from seatrial.compose.text import settled
from seatrial.engine.find import DEFAULT_SOCKET, Engine, own_socket
from seatrial.errors import StackError
from seatrial.facts import Json
from seatrial.host import Host
from seatrial.trust import Trust
from seatrial.yaml_tree import Mapping as YamlMapping
from seatrial.yaml_tree import Node, Scalar

SOCKETS = ("/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock")
UNTELLING = frozenset(("PWD", "TZ", "LANG"))
"""Variables that say nothing of a host, whoever asks."""
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
    reading = read_ahead(file, surroundings(project, engine, host), host, beside=stack.beside)
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
    if isinstance(document, dict):
        model = reaches(document, reading.file, reading.around)
        model += tuple(replaceable(document, reading.around, reading.files))
    else:
        model = tuple(document)
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
    inside = [env for env in reading.values if path_reach(str(env), reading.around, read_only=True) is None]
    own = {name for env in inside for name in ASSIGNED.findall(small_text(env) or "")}
    for name, where in reading.asked.items():
        passed = name in host.programs_environment
        if name in host.environment and name not in UNTELLING and (passed or name not in own):
            what = f"it asks for {name} of this host's environment: refused, as the project is not trusted."
            fix = f"Take it out, or unset {name}; or, if you trust this project, give --trust project."
            yield blocked("trust", what, where=where, fix=fix)


MOST_STEPS = 1000
"""Places on the way to one path that are looked up."""


def replaceable(document: Json, around: Surroundings, read: Iterable[Path]) -> Iterator[Reach]:
    """Yield what services may replace of what compose's model opens, and of the files that compose reads."""
    used = [(path, source) for path, source, _ in _bound(document)]
    used += [(("services",), str(path)) for path in read]
    for key in ("configs", "secrets"):
        files = ((name, table_of(table).get("file")) for name, table in (document.get(key) or {}).items())
        used += [((key, name), str(file)) for name, file in files if file]
    for name, table in (document.get("services") or {}).items():
        if context := table_of(table_of(table).get("build")).get("context"):
            used.append((("services", name, "build"), str(context)))
    owned = [(path[1], around.resolve(source)) for path, source, writable in _bound(document) if writable]
    for name, folder in owned:
        if folder == around.project or not around.inside(folder):
            # Seen already.
            continue
        for path, source in used:
            if any(step != folder and step.is_relative_to(folder) for step in steps(source)):
                what = f"{name!r} may write to {folder}, and so may replace {source} by a link to any file of the host"
                yield Reach(path=path, what=what, grade=Grade.OUTSIDE, words=(source, Path(source).name))


def _bound(document: Json) -> Iterator[tuple[tuple[str, ...], str, bool]]:
    """Yield the paths of the host that services and volumes mount: where, which, and whether they may be written."""
    for name, table in (document.get("services") or {}).items():
        for mount in table_of(table).get("volumes") or ():
            if mount.get("type") == "bind" and (source := str(mount.get("source") or "")).startswith("/"):
                yield ("services", name, "volumes"), source, not is_true(mount.get("read_only"))
    for name, table in (document.get("volumes") or {}).items():
        options = table_of(table_of(table).get("driver_opts"))
        if (device := str(options.get("device") or "")).startswith("/"):
            yield ("volumes", name), device, "ro" not in str(options.get("o") or "").split(",")


def steps(path: str) -> tuple[Path, ...]:
    """Return every place that is looked up on the way to a path: its folders, and each link that is followed."""
    here, rest, found = Path("/"), [*Path(path).parts[1:]], list[Path]()
    while rest and len(found) < MOST_STEPS:
        part = rest.pop(0)
        if part == "..":
            here = here.parent
            continue
        found.append(here / part)
        try:
            target = Path(os.readlink(here / part))  # noqa: PTH115 - a name that no file has is a ValueError
        except (OSError, ValueError):
            here /= part
            continue
        here = Path("/") if target.is_absolute() else here
        rest = [*target.parts[target.is_absolute() :], *rest]
    return tuple(found)
