"""The services of a compose file as compose resolves them, beside the file's own text."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce
from itertools import islice
from operator import attrgetter
from pathlib import Path

from msgspec import structs

from seatrial.compose.guard import guarded, surroundings
from seatrial.compose.mounts import read_mounts, with_host
from seatrial.compose.reach import path_reach
from seatrial.compose.runner import ALONE, Beside, Compose, Stack, unescaped
from seatrial.compose.text import ComposeText, merged, read_text
from seatrial.compose.values import eaten_by_files, local_addresses, names_not_set, settings_of
from seatrial.compose.variables import candidates, explained_in, in_folder, variable_sources, without_missing
from seatrial.engine.find import Engine
from seatrial.errors import EngineError, StackError
from seatrial.facts import (
    ComposeModel,
    ComposeSource,
    Condition,
    Dependency,
    EnvironmentFile,
    Json,
    Port,
    Service,
    Unavailable,
    UnsetVariable,
)
from seatrial.facts.image import repository
from seatrial.filesystem import is_file, read_bytes
from seatrial.host import Host
from seatrial.owner import temporary_folder
from seatrial.settings.read import Project
from seatrial.text import plain_line
from seatrial.trust import Trust

HOSTS = ("network_mode", "pid", "ipc", "uts", "userns_mode", "cgroup")
"""Keys whose value `host` hands a namespace of the host to a service."""
PROJECT_LABEL = "com.docker.compose.project"
"""The label that compose sets on all that belongs to a stack."""


def own_images(project: Project, app: str | None = None) -> dict[str, str]:
    """Return the project's own images, which `seatrial build` makes: repository to app.

    Of several apps of one image it is the given one, or the first.
    """
    found: dict[str, str] = {}
    for name, settings in project.settings.apps.items():
        image = settings.image or name
        found[image] = name if name == app else found.get(image, name)
    return found


def app_of(image: str | None, own: Mapping[str, str]) -> str | None:
    """Return the app that an image is built from, by the image's name; None where it belongs to no app."""
    return own.get(repository(image or ""))


def read_services(document: Json, text: ComposeText | None = None) -> tuple[Service, ...]:
    """Return the services of compose's own model, those that others wait for first; the text alone knows the lines."""
    lines = text.lines if text is not None else {}
    declared = document.get("services") or {}
    services = {name: _service(name, table or {}, document, lines.get(name, {})) for name, table in declared.items()}
    return tuple(in_order(services))


def _service(name: str, table: Json, document: Json, lines: Mapping[str, int]) -> Service:
    check = table.get("healthcheck") or {}
    deploy = table.get("deploy") or {}
    limits = (deploy.get("resources") or {}).get("limits") or {}
    replicas = next((count for count in (table.get("scale"), deploy.get("replicas")) if count is not None), 1)
    environment = table.get("environment") or {}
    tested = bool(check) and not check.get("disable", False) and check.get("test") != ["NONE"]
    return Service(
        name=name,
        image=table.get("image"),
        built=bool(table.get("build")),
        depends_on=tuple(
            Dependency(
                service=other,
                condition=Condition((wait or {}).get("condition") or Condition.STARTED),
                line=lines.get(f"depends_on.{other}") or lines.get("depends_on", 0),
            )
            for other, wait in sorted((table.get("depends_on") or {}).items())
        ),
        ports=tuple(
            _port(port, lines.get(f"ports.{number}") or lines.get("ports", 0))
            for number, port in enumerate(table.get("ports") or ())
        ),
        checked=tested,
        test=_words(check.get("test")) or () if tested else (),
        unchecked=bool(check) and not tested,
        entrypoint=_words(table.get("entrypoint")),
        command=_words(table.get("command")),
        user=str(table.get("user") or ""),
        working_directory=str(table.get("working_dir") or ""),
        settings={key: unescaped(value) for key, value in settings_of(environment).items()},
        network_mode=str(table.get("network_mode") or ""),
        volumes=tuple(read_mounts(table, document, lines)),
        added=_capabilities(table, "cap_add"),
        valued=frozenset(key for key, value in environment.items() if value),
        init=bool(table.get("init")),
        one_shot=_one_shot(table, deploy),
        replicas=int(replicas),
        privileged=bool(table.get("privileged")),
        host_namespaces=tuple(key for key in HOSTS if table.get(key) == "host"),
        read_only=bool(table.get("read_only")),
        dropped=_capabilities(table, "cap_drop"),
        security=tuple(str(option) for option in table.get("security_opt") or ()),
        gpus=_asks_for_gpus(table, deploy),
        memory=bool(table.get("mem_limit") or limits.get("memory")),
        processes=_limited(table.get("pids_limit")) or _limited(limits.get("pids")),
        line=lines.get("", 0),
        lines={key: line for key, line in lines.items() if key},
    )


def _asks_for_gpus(table: Json, deploy: Json) -> bool:
    reserved = ((deploy.get("resources") or {}).get("reservations") or {}).get("devices") or ()
    return bool(table.get("gpus")) or any("gpu" in (device.get("capabilities") or ()) for device in reserved)


def _one_shot(table: Json, deploy: Json) -> bool:
    """Tell whether compose is told that a service may end by itself; without a word it is there to run on."""
    policy = (deploy.get("restart_policy") or {}).get("condition") or table.get("restart") or ""
    ends = str(policy).partition(":")[0] in {"no", "none", "on-failure"}
    return ends or str(deploy.get("mode") or "").endswith("-job")


def _port(table: Json, line: int) -> Port:
    written = str(table.get("published") or "")
    return Port(
        host_ip=str(table.get("host_ip") or ""),
        # A range ("8000-8010") leaves the choice to the engine, as no number does.
        published=int(written) if written.isdigit() and int(written) else None,
        target=int(table.get("target") or 0),
        protocol=str(table.get("protocol") or "tcp"),
        written=written,
        line=line,
    )


def _words(value: object) -> tuple[str, ...] | None:
    """Return the words of a command; None where there is none, and the image's own holds."""
    if value is None:
        return None
    return tuple(unescaped(str(word)) for word in value) if isinstance(value, list) else (unescaped(str(value)),)


def _capabilities(table: Json, key: str) -> tuple[str, ...]:
    return tuple(str(capability).upper().removeprefix("CAP_") for capability in table.get(key) or ())


def _limited(value: object) -> bool:
    return isinstance(value, int | str) and str(value) not in {"", "0", "-1"}


def completing(services: Sequence[Service]) -> frozenset[str]:
    """Return the one-shots that another service waits for to complete."""
    return frozenset(
        wait.service for service in services for wait in service.depends_on if wait.condition is Condition.COMPLETED
    )


def waiting_for(name: str, services: Sequence[Service]) -> tuple[str, ...]:
    """Return the services that wait for one, directly or through others, in order."""
    waiting: list[str] = []
    wanted = {name}
    for service in services:  # Each stands after what it depends on.
        if wanted & {dependency.service for dependency in service.depends_on}:
            wanted.add(service.name)
            waiting.append(service.name)
    return tuple(waiting)


def in_order(services: Mapping[str, Service]) -> list[Service]:
    """Return services so that each comes after those that it depends on, else by name."""
    ordered: list[Service] = []
    seen: set[str] = set()

    def place(name: str) -> None:
        if name in seen or name not in services:
            return
        seen.add(name)
        for dependency in services[name].depends_on:
            place(dependency.service)
        ordered.append(services[name])

    for name in sorted(services):
        place(name)
    return ordered


MOST_BYTES = 1024 * 1024
MOST_SIBLINGS = 500
MIRRORED = 3
"""Folders that are mirrored: that of the compose file, and those above it."""


def read_compose(
    file: Path,
    shown: str,
    project: Path,
    engine: Engine,
    host: Host,
    *,
    beside: Beside = ALONE,
    own: Mapping[str, str] | None = None,
    with_images: Callable[[Json], Json] = lambda document: document,
) -> ComposeSource | Unavailable:
    """Return what a compose file of a project's folder says; `shown` is its path for a person.

    `beside` is what compose reads besides; `own` are the project's own images: repository to app; `with_images` gives
    services of the model that only have a build section the image that is built for them. What binds lead to is looked
    up where the engine is here.
    """
    envs = dict.fromkeys(each for env in beside.values(file) for each in candidates(env))
    envs |= dict.fromkeys(candidates(file.parent / ".env")[1:])
    if host.trust is Trust.NONE:
        around = surroundings(project, engine, host)
        for each in (file, *beside.files, *filter(os.path.lexists, envs)):
            if path_reach(str(each), around, read_only=True) is not None:
                return Unavailable(reason=f"{each} lies outside of the project, which is not trusted")
    text = _read_texts({file: shown, **{each: below(each, project) for each in beside.files}})
    if isinstance(text, Unavailable):
        return text
    explained_by = list(filter(is_file, envs))
    asked = [EnvironmentFile(path=os.path.relpath(env, file.parent), line=0, there=False) for env in beside.env_files]
    source = ComposeSource(
        path=shown,
        model=Unavailable(reason="not read"),
        values=text.values,
        variables=text.variables,
        explained=frozenset(explained_in(explained_by)),
        explained_by=tuple(os.path.relpath(env, file.parent) for env in explained_by),
        files=tuple(in_folder(env_file, file.parent) for env_file in (*asked, *text.files)),
        quoted=text.quoted,
    )
    stack = Stack(app="", compose_project="seatrial-reads", options=("--profile", "*"), beside=beside)
    try:
        compose, _ = guarded(stack, file, project, engine=engine, host=host)
        document, notes = model_with_placeholders(compose, text)
        document = with_images(document)
    except (StackError, EngineError) as error:
        said = error.what.removesuffix(".") if isinstance(error, StackError) else str(error)
        return structs.replace(source, model=Unavailable(reason=plain_line(said)[:300]))
    services = read_services(document, text)
    here = engine.candidate.url.startswith("unix://") and host.trust is not Trust.NONE
    return structs.replace(
        source,
        model=ComposeModel(services=tuple(sorted(_known(services, own or {}, here=here), key=attrgetter("name")))),
        unset=tuple(
            lost_in_env_files(
                file, source.files, names_not_set(notes) - {each.name for each in source.variables}, beside
            )
        ),
        local=tuple(
            address
            for name, table in (document.get("services") or {}).items()
            for address in local_addresses(name, table or {}, text.lines.get(name, {}))
        ),
    )


def _read_texts(files: Mapping[Path, str]) -> ComposeText | Unavailable:
    """Return what compose files say together; each has its path for a person, and lines of all but the first say it."""
    texts: list[ComposeText] = []
    for file, named in files.items():
        try:
            text = read_text(read_bytes(file, MOST_BYTES), named if texts else "")
        except OSError as error:
            return Unavailable(reason=f"{named} cannot be read: {error.strerror}")
        if isinstance(text, Unavailable):
            return Unavailable(reason=f"{named}: {text.reason}")
        texts.append(text)
    return reduce(merged, texts)


def _known(services: Sequence[Service], own: Mapping[str, str], *, here: bool) -> Iterator[Service]:
    """Yield services with whether they are the project's own, and what of this host they mount."""
    for service in services:
        mounts = tuple(map(with_host, service.volumes)) if here else service.volumes
        yield structs.replace(service, volumes=mounts, own=service.built or app_of(service.image, own) is not None)


def below(file: Path, project: Path) -> str:
    """Return a file's path as a person knows it: from the project's folder, where it lies in there."""
    return str(file.relative_to(project) if file.is_relative_to(project) else file)


def lost_in_env_files(
    file: Path, files: Sequence[EnvironmentFile], names: frozenset[str], beside: Beside = ALONE
) -> Iterator[UnsetVariable]:
    """Yield where a compose file's env files name one of the variables that have no value."""
    paths = (*(os.path.relpath(env, file.parent) for env in beside.values(file)), *(each.path for each in files))
    written = {path: file.parent / path for path in paths}
    yield from eaten_by_files(written, names, MOST_BYTES)


def model_with_placeholders(compose: Compose, text: ComposeText) -> tuple[Json, tuple[str, ...]]:
    """Return compose's own model of a file as if every env file and variable were there, and what it warned of.

    What a person has to fill in first is not a fault of the file. What is judged here is its form, not its values; a
    number serves for a port as well as for a password. Raises StackError: compose refuses the file even so.
    """
    missing = [env_file.path for env_file in text.files if not is_file(compose.file.parent / env_file.path)]
    names = [variable.name for variable in text.variables]
    compose = without_missing(compose)
    unset = set(names) - variable_sources(compose, names).keys()
    environment = {**compose.environment, **dict.fromkeys(unset, "1")}
    try:
        with _with_env_files(compose.file.parent, missing) as folder:
            document, notes = replace(compose, environment=environment, folder=folder).model()
            if folder is not None:
                above = str(folder).removesuffix(str(compose.file.parent))
                document = json.loads(json.dumps(document).replace(above, ""))
    except OSError as error:
        raise StackError(f"docker compose could not read it: {error.strerror}.", where=str(compose.file)) from error
    return document, notes


@contextmanager
def _with_env_files(folder: Path, missing: list[str]) -> Iterator[Path | None]:
    """Give a folder that also has the missing env files, empty; None where none is missing.

    It lies below a temporary folder as the folder itself lies below the root: `..` leads into that one too.
    """
    # Only what lies beside the compose file, or above: further down, the links lead into the project itself.
    levels = [folder, *folder.parents][:MIRRORED]
    made = [file for name in missing if (file := Path(os.path.normpath(folder / name))).parent in levels]
    if not made:
        yield None
        return
    with temporary_folder("compose") as temporary:
        for level in levels:
            here = temporary / level.relative_to(level.anchor)
            here.mkdir(parents=True, exist_ok=True)
            for entry in islice(level.iterdir(), MOST_SIBLINGS):
                if entry not in levels and entry not in made:
                    (here / entry.name).symlink_to(entry)
        for file in made:
            (temporary / file.relative_to(file.anchor)).touch()
        yield temporary / folder.relative_to(folder.anchor)
