"""compose/*: what a service's mounts hide of its image, and whether its user can read and write what they bring."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from seatrial.checks.compose.findings import Finding, names_of, not_seen, outcome, with_files
from seatrial.checks.declaration import check
from seatrial.checks.model import Cause, Expect, Outcome, Severity, present, skipped
from seatrial.facts import ComposeSource, FileKind, Mount, MountKind, ResolvedPath, Service, ServiceFiles
from seatrial.facts.command import may_execute, may_write, permits

MAKERS = frozenset(("uv", "poetry", "pdm", "hatch", "pipenv"))
"""Programs that make an environment that is missing, where they can."""
OVERRIDE = frozenset(("DAC_OVERRIDE", "DAC_READ_SEARCH"))
"""The capabilities by which root reads what others may not."""
SUFFIXES = frozenset(
    (
        *(".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".conf", ".env", ".properties", ".xml"),
        *(".sh", ".py", ".sql", ".txt", ".pem", ".crt", ".key"),
    )
)
"""Endings of what is a file."""


@check(
    "compose/mounts",
    title="Mounts nothing over what it runs",
    follows=(Cause(check="compose/readable", shares=r" for (\S+) is not there", only=r"[^;]*"),),
    why="A mount hides what the image has at its path: the program or its environment is then not there.",
    source="Docker, bind mounts: mounting over existing data",
    example="volumes:\n  - .:/app\n# and the image's program is /app/.venv/bin/uvicorn",
    fixed="volumes:\n  - ./src:/app/src\n# or keep the image's environment visible:\n  - .:/app\n  - /app/.venv",
)
def mounts(compose: ComposeSource) -> Outcome:
    services = [service for service in present(compose.model).services if service.volumes]
    if not services:
        return skipped(f"no service of {compose.path} mounts anything")
    seen = with_files(compose, services)
    found = [finding for service, files in seen for finding in _hidden(service, files)]
    expect = Expect("every program is there with the mounts, too")
    return outcome(compose, expect, found, names_of(seen), not_seen(compose, services))


@dataclass(frozen=True, kw_only=True)
class _Loss:
    """Something that a service runs and that is not as its image has it."""

    path: str
    what: str
    why: str
    """A clause to follow `what`."""
    unrunnable: bool = False
    """It is there, and may not be executed."""


def _hidden(service: Service, files: ServiceFiles) -> Iterator[Finding]:
    """Yield what a service's mounts hide of what it runs: the program, an interpreter, or the environment."""
    loss = _lost_program(files) or _lost_interpreter(files)
    if loss is not None and (mount := _mount_over(service, loss.path)) is not None:
        program = files.alone.program
        makes = program is not None and posixpath.basename(program.steps[0]) in MAKERS
        yield Finding(
            service=service.name,
            what=f"{_shown(mount)} lies over {loss.what}, which {loss.why}",
            fix=_mount_fix(mount, loss),
            line=mount.line,
            severity=Severity.WARNING if makes else Severity.ERROR,
        )
        return
    for folder in files.hidden_environments:
        loss = _Loss(path=f"{folder}/bin/python", what=f"the environment {folder}", why="is hidden")
        if (mount := _mount_over(service, folder)) is not None:
            yield Finding(
                service=service.name,
                what=f"{_shown(mount)} hides the environment {folder} of the image",
                fix=_mount_fix(mount, loss),
                line=mount.line,
                severity=Severity.WARNING,
            )
            return


def _lost_program(files: ServiceFiles) -> _Loss | None:
    """Return what became of the program of a service's command; None where it is as in the image, or not there."""
    before, after = files.alone.program, files.mounted.program
    if before is None or before.entry is None:
        return None
    path = before.steps[0]
    if after is None or after.entry is None or after.steps[0] != path:
        return _Loss(path=path, what=f"its program {path}", why="is hidden")
    if after.entry.kind is FileKind.FOLDER:
        return _Loss(path=path, what=f"its program {path}", why="is a folder there")
    if may_execute(before.entry, files.account) and not may_execute(after.entry, files.account):
        why = f"may not be executed there (mode {after.entry.mode:04o})"
        return _Loss(path=path, what=f"its program {path}", why=why, unrunnable=True)
    if all(script.resolved.entry is not None for script in files.alone.scripts):
        for script in files.mounted.scripts:
            if script.resolved.entry is None:
                return _Loss(path=path, what=path, why=f"there begins with {script.line}: that is not in the container")
    return None


def _lost_interpreter(files: ServiceFiles) -> _Loss | None:
    """Return what became of the interpreter that the image's command runs on."""
    before, after = files.alone.python_resolved, files.mounted.python_resolved
    if before is None or before.entry is None:
        return None
    path = files.alone.python
    if files.mounted.python != path or after is None:
        instead = f"; {files.mounted.python} would run instead" if files.mounted.python else ""
        return _Loss(path=path, what=f"its interpreter {path}", why=f"is hidden{instead}")
    if after.entry is None:
        return _Loss(path=path, what=path, why=f"there leads to {after.end}: that is not in the container")
    return None


def _mount_over(service: Service, *paths: str) -> Mount | None:
    """Return the deepest mount of a service that covers one of some paths."""
    over = [mount for path in paths for mount in service.volumes if mount.covers(path)]
    return max(over, key=lambda mount: len(mount.target), default=None)


def _shown(mount: Mount) -> str:
    if mount.kind is MountKind.VOLUME:
        return f"the volume {mount.source or '(unnamed)'} at {mount.target}"
    source = "" if mount.kind is MountKind.TMPFS else f" {mount.source}"
    return f"the {mount.kind.value}{source} at {mount.target}"


def _mount_fix(mount: Mount, loss: _Loss) -> str:
    if loss.unrunnable:
        return f"Let it be executed: `chmod +x` on the file of the host that is {loss.path} in the container."
    environment, inside, _ = loss.path.rpartition("/bin/")
    below = mount.target.rstrip("/")
    if not inside or not environment.startswith(f"{below}/"):
        return f"Mount less, or elsewhere than at {mount.target}: the image has {loss.path} there."
    return (
        f"Mount only the folder that you change (`./src:{below}/src`); or add `- {environment}` to the service's "
        "volumes, which keeps what the image has there."
    )


@check(
    "compose/volumes",
    title="Its user can write to its volumes",
    why="A new volume at a path that the image lacks belongs to root: the service cannot write to it.",
    source="Docker, volumes: populate a volume using a container",
    example="# the image has USER 10001 and no /data\nvolumes:\n  - state:/data",
    fixed="# Dockerfile, before USER\nRUN install -d -o 10001 -g 10001 /data",
)
def volumes(compose: ComposeSource) -> Outcome:
    services = [
        service
        for service in present(compose.model).services
        if any(mount.kind is MountKind.VOLUME and not mount.read_only for mount in service.volumes)
    ]
    if not services:
        return skipped(f"no service of {compose.path} writes to a volume")
    seen = with_files(compose, services)
    usable = _usable_volumes(services, {service.name: files for service, files in seen})
    found = [finding for service, files in seen for finding in _not_writable(service, files, usable)]
    expect = Expect("volumes that the service's user may write to")
    return outcome(compose, expect, found, names_of(seen), not_seen(compose, services))


def _usable_volumes(services: Iterable[Service], seen: Mapping[str, ServiceFiles]) -> frozenset[str]:
    """Return the volumes that a service may have prepared for others: as root, or by what its image has there."""
    prepared: set[str] = set()
    for service in services:
        files = seen.get(service.name)
        for mount in service.volumes:
            if mount.kind is MountKind.VOLUME and not mount.read_only:
                place = files.places.get(mount.target) if files is not None else None
                if files is None or files.account.uid in {0, None} or (place and _may_write(place, mount, files)):
                    prepared.add(mount.source)
    return frozenset(prepared - {""})


def _may_write(place: ResolvedPath, mount: Mount, files: ServiceFiles) -> bool:
    return mount.copies and place.entry is not None and may_write(place.entry, files.account)


def _not_writable(service: Service, files: ServiceFiles, usable: frozenset[str]) -> Iterator[Finding]:
    who = files.account
    if who.uid in {0, None}:
        return
    for mount in service.volumes:
        if mount.kind is not MountKind.VOLUME or mount.read_only or mount.foreign or mount.source in usable:
            continue
        place = files.places.get(mount.target)
        if place is None or _may_write(place, mount, files) or mount.target in files.filled:
            continue
        has = "the image has no such folder" if place.entry is None else "the image has that folder for another account"
        if place.entry is not None and not mount.copies:
            has = "it does not take over the image's folder"
        group = who.gids[0] if who.gids else who.uid
        fix = (
            f"Write `RUN install -d -o {who.uid} -g {group} {mount.target}` into the image's Dockerfile, before USER, "
            "and build it; a volume that was made before keeps its owner until it is removed."
        )
        if not mount.copies:
            fix = "Take `nocopy` away, so that the volume takes over the owner of the image's folder."
        yield Finding(
            service=service.name,
            what=f"the volume {mount.source or '(unnamed)'} at {mount.target} belongs to root, as {has}, "
            f"and the user {who.name or who.uid} cannot write to it",
            fix=fix,
            line=mount.line,
        )


@check(
    "compose/readable",
    title="Its user can read what the host hands it",
    why="A file's mode and owner hold inside of a container, too: what only its owner may read, the service cannot.",
    source="Compose specification, secrets: short and long syntax; path_resolution(7)",
    example="secrets:\n  token: {file: ./token.txt}   # mode 0600, and the service runs as 10001",
    fixed="# chmod 0444 token.txt in a folder that only you may enter",
)
def readable(compose: ComposeSource) -> Outcome:
    declared = present(compose.model).services
    services = [service for service in declared if any(mount.of_host for mount in service.volumes)]
    if not services:
        return skipped(f"no service of {compose.path} is given a file or folder of the host")
    missing = [finding for service in services for finding in _missing(service)]
    seen = with_files(compose, services)
    found = missing + [finding for service, files in seen for finding in _unreadable(service, files)]
    expect = Expect("files of the host that the service's user may read")
    return outcome(compose, expect, found, names_of(seen), not_seen(compose, services))


def _missing(service: Service) -> Iterator[Finding]:
    for mount in service.volumes:
        # Of a path without such an ending, the folder that the engine makes may be what is wanted.
        if mount.missing and (mount.kind is not MountKind.BIND or posixpath.splitext(mount.source)[1] in SUFFIXES):
            made = "the engine makes a folder of it" if mount.kind is MountKind.BIND else "nothing can be mounted"
            yield Finding(
                service=service.name,
                what=f"{mount.source} for {mount.target} is not there: {made}",
                fix=f"Make {mount.source} first.",
                line=mount.line,
                severity=Severity.WARNING,
            )


def _unreadable(service: Service, files: ServiceFiles) -> Iterator[Finding]:
    who = files.account
    if who.uid is None or service.privileged or (who.uid == 0 and not _is_limited(service)):
        return
    for mount in service.volumes:
        entry = mount.host
        if entry is None or entry.kind not in {FileKind.FILE, FileKind.FOLDER}:
            continue
        folder = entry.kind is FileKind.FOLDER
        if permits(who, entry.mode, entry.uid, entry.gid, 0o1 if folder else 0o4):
            continue
        root = " without the capability DAC_OVERRIDE" if who.uid == 0 else ""
        mode = "0755" if folder else "0444"
        yield Finding(
            service=service.name,
            what=f"the user {who.name or who.uid}{root} may not {'enter' if folder else 'read'} {mount.target}: "
            f"{mount.source} has mode {entry.mode:04o} and belongs to {entry.uid}:{entry.gid}",
            fix=f"Let it be read: `chmod {mode} {mount.source}`, in a folder that only you may enter; "
            f"or give it to that user: `chown {who.uid} {mount.source}`.",
            line=mount.line,
        )


def _is_limited(service: Service) -> bool:
    """Tell whether root of a service lacks the capability to read what others own."""
    dropped = {"ALL", "DAC_OVERRIDE"} & set(service.dropped)
    return bool(dropped) and not {"ALL", *OVERRIDE} & set(service.added)
