"""Reads a compose file: as compose understands it, and as it stands there, line by line.

Both are wanted. Compose alone knows what extensions, merges and short forms come to; the file alone knows its lines,
and tells a secret that is written into it from one that a variable brings.
"""

from __future__ import annotations

import json
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial import process
from seatrial.compose.text import ComposeText, read_text
from seatrial.engine import programs
from seatrial.errors import EngineError, ProgramError
from seatrial.facts import (
    ComposeModel,
    ComposeService,
    ComposeSource,
    DependsOn,
    EnvironmentFile,
    PublishedPort,
    Unavailable,
)
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.engine.find import Engine
    from seatrial.facts import Json
    from seatrial.host import Host


SECONDS = 20
MOST_BYTES = 1024 * 1024
MOST_SIBLINGS = 500
EXAMPLES = (".env.example", ".env.sample", ".env.template", "env.example")
NAMED = re.compile(r"^[ \t]*(?:#[ \t]*)?(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=", re.MULTILINE)
"""A name in an env file. One that is commented out is explained too: its default is shown."""
FILLED = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*[^\s#]", re.MULTILINE)
"""A name in an env file that is given a value."""
HOSTS = ("network_mode", "pid", "ipc", "uts", "userns_mode", "cgroup")
"""Keys whose value `host` hands a namespace of the host to a service."""


def read_compose(file: Path, shown: str, engine: Engine, host: Host) -> ComposeSource | Unavailable:
    """Return what a compose file says.

    Args:
        file: the compose file.
        shown: its path for a person.
        engine: the engine, whose compose is asked.
        host: this machine.

    """
    try:
        content = file.read_bytes()
    except OSError as error:
        return Unavailable(reason=f"{shown} cannot be read: {error.strerror}")
    if len(content) > MOST_BYTES:
        return Unavailable(reason=f"{shown} is larger than {MOST_BYTES} bytes")
    text = read_text(content)
    if isinstance(text, Unavailable):
        return Unavailable(reason=f"{shown}: {text.reason}")
    explained_by = [name for name in (".env", *EXAMPLES) if (file.parent / name).is_file()]
    return ComposeSource(
        path=shown,
        model=_model(file, text, engine, host),
        values=text.values,
        variables=text.variables,
        explained=frozenset().union(*(_names(file.parent / name) for name in explained_by)),
        explained_by=tuple(explained_by),
        files=tuple(_environment_file(one, file.parent) for one in text.files),
    )


def _names(file: Path) -> frozenset[str]:
    try:
        return frozenset(NAMED.findall(file.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return frozenset()


def _environment_file(named: EnvironmentFile, folder: Path) -> EnvironmentFile:
    path = folder / named.path
    beside = (f"{path.name}.example", f"{path.name}.sample", f"{path.name}.template")
    example = next((name for name in beside if (path.parent / name).is_file()), "")
    return EnvironmentFile(
        path=named.path, line=named.line, there=path.is_file(), example=example, optional=named.optional
    )


def _model(file: Path, text: ComposeText, engine: Engine, host: Host) -> ComposeModel | Unavailable:
    document = as_if_filled(file, text, engine, host, profiles="*")
    if isinstance(document, Unavailable):
        return document
    return ComposeModel(services=tuple(services(document, text)))


def as_if_filled(
    file: Path, text: ComposeText, engine: Engine, host: Host, *, profiles: str = "", env_file: Path | None = None
) -> Json | Unavailable:
    """Return compose's own model of a file as if every env file and variable were there.

    Args:
        file: the compose file.
        text: what it says.
        engine: the engine, whose compose is asked.
        host: this machine.
        profiles: which profiles count; by default those that compose itself takes.
        env_file: read in the place of the `.env` beside it.

    """
    missing = [one.path for one in text.files if not (file.parent / one.path).is_file()]
    own = env_file or file.parent / ".env"
    try:
        program = programs.find("compose", engine, host).path
        with _standing(file.parent, missing) as folder:
            words: list[str | Path] = [program, "--ansi", "never", "--project-name", "seatrial-reads"]
            words += ["--profile", profiles] if profiles else []
            words += ["--env-file", env_file] if env_file else []
            done = process.run(
                [*words, "--project-directory", folder, "--file", file, "config", "--format", "json"],
                timeout=SECONDS,
                environment={**_placeholders(own, text), **engine.programs_environment},
                folder=folder,
                check=False,
            )
        if done.code != 0:
            return Unavailable(reason=f"docker compose refuses it: {_refusal(done.errors)}")
        document: Json = json.loads(done.output)
    except (EngineError, ProgramError, OSError, ValueError) as error:
        return Unavailable(reason=f"docker compose could not read it: {plain_line(str(error))[:300]}")
    return document


def _placeholders(env_file: Path, text: ComposeText) -> dict[str, str]:
    """Return a value for each variable that has none: compose reads no file that wants one which is not set.

    What a person has to fill in first is no fault of the file. What is judged here is its form, not its values; a
    number serves for a port as well as for a password.
    """
    try:
        own = env_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        own = ""
    filled = set(FILLED.findall(own))
    return {one.name: "1" for one in text.variables if one.name not in filled}


def _refusal(errors: str) -> str:
    lines = [plain_line(line) for line in errors.splitlines() if line.strip() and "level=warning" not in line]
    return lines[-1][:300] if lines else "it gives no reason"


@contextmanager
def _standing(folder: Path, missing: list[str]) -> Iterator[Path]:
    """Give the folder that compose reads in; where env files are missing, one in which empty ones stand for them."""
    # Only what lies beside the compose file: further down, the links lead into the project itself.
    names = [name for name in missing if Path(name).name == name]
    if not names:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="seatrial-compose-") as temporary:
        for count, one in enumerate(folder.iterdir()):
            if count == MOST_SIBLINGS:
                break
            if one.name not in names:
                (Path(temporary) / one.name).symlink_to(one.absolute())
        for name in names:
            (Path(temporary) / name).touch()
        yield Path(temporary)


def services(document: Json, text: ComposeText) -> Iterator[ComposeService]:
    """Yield the services of compose's own model, with the lines of the file."""
    declared = document.get("services") or {}
    for name, service in sorted((name, one) for name, one in declared.items() if isinstance(one, dict)):
        lines = text.lines.get(name, {})
        limits = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
        yield ComposeService(
            name=name,
            line=lines.get("", 0),
            lines={key: line for key, line in lines.items() if key},
            privileged=bool(service.get("privileged")),
            host_namespaces=tuple(key for key in HOSTS if service.get(key) == "host"),
            mounts=tuple(str(one.get("source", "")) for one in _rows(service, "volumes") if one.get("type") == "bind"),
            read_only=bool(service.get("read_only")),
            dropped=tuple(str(one).upper().removeprefix("CAP_") for one in service.get("cap_drop") or ()),
            security=tuple(str(one) for one in service.get("security_opt") or ()),
            memory=bool(service.get("mem_limit") or limits.get("memory")),
            processes=_limited(service.get("pids_limit")) or _limited(limits.get("pids")),
            ports=tuple(_ports(service, lines)),
            waits=tuple(_waits(service, lines)),
        )


def _limited(value: object) -> bool:
    return isinstance(value, int | str) and str(value) not in {"", "0", "-1"}


def _rows(service: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return [one for one in service.get(key) or () if isinstance(one, dict)]


def _ports(service: dict[str, Any], lines: dict[str, int]) -> Iterator[PublishedPort]:
    for number, one in enumerate(_rows(service, "ports")):
        yield PublishedPort(
            address=str(one.get("host_ip") or ""),
            port=str(one.get("published") or ""),
            target=int(one.get("target") or 0),
            line=lines.get(f"ports.{number}") or lines.get("ports", 0),
        )


def _waits(service: dict[str, Any], lines: dict[str, int]) -> Iterator[DependsOn]:
    for name, how in (service.get("depends_on") or {}).items():
        condition = str((how or {}).get("condition") or "service_started")
        line = lines.get(f"depends_on.{name}") or lines.get("depends_on", 0)
        yield DependsOn(service=name, condition=condition, line=line)
